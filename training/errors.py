"""Errors of the training side; all of them are `ModerationError`s with a message that says what to do."""

from moderation.errors import ModerationError


class TrainingError(ModerationError):
    """Base of what goes wrong while building data, training, measuring or exporting."""


class DataError(TrainingError):
    """A file of labelled texts cannot be used; the message names the file and the row."""


class EncoderError(TrainingError):
    """A pretrained encoder cannot be read."""
