"""Content moderation for live commerce: videos in, verdicts with evidence out."""

__version__ = "0.1.0"
