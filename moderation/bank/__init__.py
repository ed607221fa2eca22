"""Banks of what is known already: confirmed violating clips, kept as hashes."""
