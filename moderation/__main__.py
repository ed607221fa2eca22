"""`python -m moderation` is the same program as the `moderation` console script."""

from moderation.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
