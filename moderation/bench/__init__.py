"""Measured speed of every stage on this machine, as ratios within one run."""
