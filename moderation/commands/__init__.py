"""One module a subcommand: `add_parser(subparsers)` declares it, its `run(args)` returns the exit status."""
