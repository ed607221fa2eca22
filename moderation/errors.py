"""One base error; each subclass carries the contract's error code.

A message says what happened, where, and what to do about it. `ModerationError.code` is the
value of `error.code` in a verdict; codes are fixed by the contract and never renamed.
"""

from typing import ClassVar


class ModerationError(Exception):
    """Base of every error this package raises on purpose."""

    code: ClassVar[str] = "internal"


class InputError(ModerationError):
    """The input cannot be scored; the next input can."""


class NotFoundError(InputError):
    """Nothing at the path, or a dangling or looping link."""

    code = "not_found"


class NotAFileError(InputError):
    """A directory, device or socket."""

    code = "not_a_file"


class UnreadableMediaError(InputError):
    """Empty, not media, header only, encrypted, or no stream of a known codec could be decoded."""

    code = "unreadable_media"


class NoMediaStreamError(InputError):
    """The container is readable and holds neither picture nor sound."""

    code = "no_media_stream"


class TooLargeError(InputError):
    """A picture above the pixel limit or a file above the byte limit."""

    code = "too_large"


class TooLongError(InputError):
    """A duration above the limit where the policy says to refuse."""

    code = "too_long"


class DecodeTimeoutError(InputError):
    """The time limit passed before anything was read."""

    code = "timeout"


class DecoderCrashedError(InputError):
    """The decoding process died (signal or memory limit) before anything was read."""

    code = "decoder_crashed"


class ForbiddenReferenceError(InputError):
    """A playlist, manifest or concat list: it names other files, and none of them is opened."""

    code = "forbidden_reference"


class MetadataError(InputError):
    """The metadata file is unreadable, has a wrong type or an unknown key; the message names the key."""

    code = "bad_metadata"


class TextInputError(InputError):
    """A line given to `moderation text` is no valid JSON object or has no `text`."""

    code = "bad_text"


class PolicyError(ModerationError):
    """The policy folder has mistakes; the message lists each with file, line and fix."""


class ModelError(ModerationError):
    """A model is missing, fails its hash or cannot be loaded."""


class MissingDependencyError(ModelError):
    """An optional package is not installed; the message carries the install line."""


class BundleError(ModelError):
    """A bundle of a trained model is missing, incomplete, or not what its manifest says."""


class BankError(ModerationError):
    """A bank of known clips is unreadable or broken, or a change to it is not possible."""
