"""Everything that runs inside the sandboxed decoding process.

Modules here import the standard library, PyAV and `moderation.media.wire` only: no NumPy, no
OpenCV. That keeps the child's start at about a tenth of a second and its memory near 30 MB.
"""
