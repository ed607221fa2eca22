"""Confirmed violating clips: from a file to hashes and a few small pictures, and back."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from moderation.bank.folder import BankEntry
from moderation.errors import BankError
from moderation.media import Media
from moderation.visual.hashes import original_views
from moderation.visual.known import KnownClip

# Denser than a scan looks, so that each of its frames has one near it in time, however fast things move.
_INTERVAL_S = 0.25
_MOST_FRAMES = 8000
_PICTURE_EVERY_S, _PICTURE_SIDE, _PICTURE_QUALITY = 2.0, 320, 70


@dataclass(frozen=True, slots=True, eq=False)
class ViolationContent:
    """An entry's file: the clip's hashes, and JPEG pictures with their times for people to compare."""

    times: NDArray[np.float32]
    bits: NDArray[np.uint64]
    views: NDArray[np.uint8]
    picture_times: tuple[float, ...]
    pictures: tuple[bytes, ...]

    def clip(self, entry: BankEntry) -> KnownClip:
        return KnownClip(entry.id, entry.name, self.times, self.bits, self.views)

    def picture_at(self, time_s: float) -> bytes:
        """The picture nearest to a time."""
        return self.pictures[int(np.argmin(np.abs(np.array(self.picture_times) - time_s)))]

    def to_bytes(self) -> bytes:
        joined = np.frombuffer(b"".join(self.pictures), np.uint8)
        stream = BytesIO()
        np.savez(
            stream, times=self.times, bits=self.bits, views=self.views, pictures=joined,
            picture_times=np.array(self.picture_times), picture_sizes=np.array([len(p) for p in self.pictures]),
        )  # fmt: skip
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> ViolationContent:
        """Raises BankError where the bytes are not what `to_bytes` gave."""
        try:
            with np.load(BytesIO(content), allow_pickle=False) as stored:
                times, bits, views = stored["times"], stored["bits"], stored["views"]
                joined, ends = stored["pictures"].tobytes(), np.cumsum(stored["picture_sizes"]).tolist()
                picture_times = tuple(stored["picture_times"].tolist())
        except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
            raise BankError(f"{where}: not an entry of a bank ({error}). Remove it and add the clip again.") from error
        if not len(times) == len(bits) == len(views) or len(picture_times) != len(ends) or not ends:
            raise BankError(f"{where}: not an entry of a bank (lengths differ). Remove it and add the clip again.")
        pictures = tuple(joined[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True))
        return cls(times.astype(np.float32), bits.astype(np.uint64), views.astype(np.uint8), picture_times, pictures)


def hash_clip(media: Media) -> ViolationContent:
    """Hashes and pictures of a clip. Raises BankError where nothing in it can be told from a plain colour."""
    import cv2

    times, bits, views = [], [], []
    picture_times, pictures = [], []
    for number, frame in enumerate(media.frames(interval_s=_INTERVAL_S, max_side=_PICTURE_SIDE)):
        if number == _MOST_FRAMES:
            break
        hashes = original_views(frame)
        if hashes is None:
            continue
        times.append(np.full(len(hashes.bits), hashes.time_s, np.float32))
        bits.append(hashes.bits)
        views.append(hashes.views)
        if not picture_times or frame.pts_s - picture_times[-1] >= _PICTURE_EVERY_S:
            _, jpeg = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, _PICTURE_QUALITY])
            picture_times.append(frame.pts_s)
            pictures.append(jpeg.tobytes())
    if not times:
        raise BankError(f"{media.path}: no picture with any detail in it, so nothing to find it by.")
    return ViolationContent(
        np.concatenate(times), np.concatenate(bits), np.concatenate(views), tuple(picture_times), tuple(pictures)
    )
