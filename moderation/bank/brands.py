"""Pictures of brands' logos: from a picture to what a bank keeps, and back; and the starter bank of a logo bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from moderation.bank.folder import BankEntry
from moderation.bank.pictures import BrandPicture
from moderation.errors import BankError
from moderation.inference.bundle import BRANDS, Bundle
from moderation.visual.crops import on_ground, reference_crops
from moderation.visual.known_brands import KnownBrand
from moderation.visual.logos import LogoFinder

# What is kept of a picture, pixels of its longer side: twice what the embedding sees.
_KEPT_SIDE, _JPEG_QUALITY = 256, 85
_LIGHT, _DARK, _MID = 245, 60, 128
# Stands where other entries have the day on which they were added.
STARTER = "with the program"


@dataclass(frozen=True, slots=True, eq=False)
class BrandContent:
    """An entry's file: the picture as PNG, and `vectors` (N, D) float32 that the bundle `bundle` made of its looks."""

    png: bytes
    drawn: bool
    bundle: str
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, picture: BrandPicture, finder: LogoFinder) -> BrandContent:
        image = _shrunk(picture.image)
        return cls(_png(image), picture.drawn, finder.version, _vectors(image, picture.drawn, finder))

    def known(self, entry: BankEntry, finder: LogoFinder) -> KnownBrand:
        """The entry to be searched; its vectors are made anew where another bundle made them."""
        same = self.bundle == finder.version
        return KnownBrand(entry.id, entry.name, self.vectors if same else _vectors(self._image(), self.drawn, finder))

    def picture_at(self, time_s: float) -> bytes:
        """JPEG bytes of the logo on a plain ground that it can be told from; the time means nothing."""
        del time_s
        import cv2

        image = self._image()
        visible = image[image[:, :, 3] > _MID][:, :3]
        ground = _DARK if self.drawn and visible.size and visible.mean() > _MID else _LIGHT
        flat = on_ground(image, 16 if self.drawn else 0, ground)
        return cv2.imencode(".jpg", flat, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()

    def to_bytes(self) -> bytes:
        stream = BytesIO()
        np.savez(
            stream, png=np.frombuffer(self.png, np.uint8), drawn=self.drawn, bundle=self.bundle, vectors=self.vectors
        )
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> BrandContent:
        """Raises BankError where the bytes are not what `to_bytes` gave."""
        try:
            with np.load(BytesIO(content), allow_pickle=False) as stored:
                png, vectors = stored["png"].tobytes(), stored["vectors"].astype(np.float32)
                return cls(png, bool(stored["drawn"]), str(stored["bundle"]), vectors)
        except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
            raise BankError(
                f"{where}: not an entry of a bank ({error}). Remove it and add the picture again."
            ) from error

    def _image(self) -> NDArray[np.uint8]:
        import cv2

        image = cv2.imdecode(np.frombuffer(self.png, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3 or image.shape[2] != 4:
            raise BankError("a brand's picture in the bank cannot be decoded. Remove the entry and add it again.")
        return image.astype(np.uint8, copy=False)


def starter_entries(bundle: Bundle) -> list[tuple[BankEntry, bytes, NDArray[np.float32]]]:
    """The brands that come with a logo bundle: entry, PNG and vectors of each; none where it has none."""
    if BRANDS not in bundle.manifest.files:
        return []
    with np.load(bundle.file(BRANDS), allow_pickle=False) as stored:
        names, joined = stored["names"].tolist(), stored["pngs"].tobytes()
        ends = np.cumsum(stored["sizes"]).tolist()
        vectors, owner = stored["vectors"].astype(np.float32), stored["owner"]
    found = []
    for number, (name, begin, end) in enumerate(zip(names, [0, *ends[:-1]], ends, strict=True)):
        png = joined[begin:end]
        digest = hashlib.sha256(png).hexdigest()
        entry = BankEntry(id=digest[:16], kind="brand", name=name, added=STARTER, sha256=digest)
        found.append((entry, png, vectors[owner == number]))
    return found


def starter_brands(finder: LogoFinder) -> dict[str, tuple[BankEntry, BrandContent]]:
    """The same by id, ready to be searched with the bundle's own finder."""
    return {
        entry.id: (entry, BrandContent(png, True, finder.version, vectors))
        for entry, png, vectors in starter_entries(finder.bundle)
    }


def starter_bytes(brands: Sequence[tuple[str, BrandPicture]], finder: LogoFinder) -> bytes:
    """What `starter_brands` reads: pictures by brand, and their vectors by this finder's networks."""
    contents = [BrandContent.of(picture, finder) for _, picture in brands]
    stream = BytesIO()
    np.savez(
        stream,
        names=np.array([name for name, _ in brands]),
        pngs=np.frombuffer(b"".join(c.png for c in contents), np.uint8),
        sizes=np.array([len(c.png) for c in contents]),
        vectors=np.concatenate([c.vectors for c in contents]).astype(np.float16),
        owner=np.repeat(np.arange(len(contents)), [len(c.vectors) for c in contents]),
    )
    return stream.getvalue()


def _vectors(image: NDArray[np.uint8], drawn: bool, finder: LogoFinder) -> NDArray[np.float32]:
    return finder.embed(list(reference_crops(image, drawn=drawn, side=finder.config.crop_side)))


def _shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    scale = _KEPT_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    size = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _png(image: NDArray[np.uint8]) -> bytes:
    import cv2

    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
