"""A logo cut out of a picture, as the embedding was trained to see it. Training imports this too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
PixelBox = tuple[float, float, float, float]

# A tenth more than the longer side: detectors cut close, and a logo's ground belongs to its look.
_MARGIN = 0.55
_SOFTEN_BELOW, _SOFTENING = 0.6, 0.3
_DARK, _MID = 40.0, 128.0


def cut_out(image: Picture, box: PixelBox, side: int) -> Picture:
    """A square around a box of pixels x0 y0 x1 y1, (side, side, 3) uint8; beyond the picture its edge goes on."""
    import cv2

    half = _MARGIN * max(box[2] - box[0], box[3] - box[1])
    scale = side / (2 * half)
    # Only the neighbourhood is touched: softening a whole frame for each of its logos would be dear.
    pad = 2 + 2 / scale
    x0, y0 = max(0, int((box[0] + box[2]) / 2 - half - pad)), max(0, int((box[1] + box[3]) / 2 - half - pad))
    x1, y1 = int((box[0] + box[2]) / 2 + half + pad) + 1, int((box[1] + box[3]) / 2 + half + pad) + 1
    piece = image[y0:y1, x0:x1]
    # Linear sampling skips pixels when it shrinks a lot.
    if scale < _SOFTEN_BELOW:
        piece = cv2.GaussianBlur(piece, (0, 0), _SOFTENING / scale)
    matrix = np.array(
        [
            [scale, 0.0, side / 2 - scale * ((box[0] + box[2]) / 2 - x0)],
            [0.0, scale, side / 2 - scale * ((box[1] + box[3]) / 2 - y0)],
        ]
    )
    cut = cv2.warpAffine(piece, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cut.astype(np.uint8, copy=False)


def reference_crops(picture: NDArray[np.uint8], *, drawn: bool, side: int) -> NDArray[np.uint8]:
    """A bank's picture as it may be met: (N, side, side, 3) uint8 BGR from (H, W, 4) BGRA.

    A drawn one is put on light and dark ground, and a silhouette is drawn white on dark as well; a photo stays as it
    is, cut a little closer and a little wider.
    """
    height, width = picture.shape[:2]
    whole = (0.0, 0.0, float(width), float(height))
    if not drawn:
        colours = np.ascontiguousarray(picture[:, :, :3])
        by = 0.06 * max(height, width)
        closer = (by, by, max(width - by, by + 1), max(height - by, by + 1))
        return np.stack([cut_out(colours, box, side) for box in (whole, closer)])
    pad = round(0.3 * max(height, width))
    box = (pad + whole[0], pad + whole[1], pad + whole[2], pad + whole[3])
    visible = picture[picture[:, :, 3] > _MID][:, :3].astype(np.float32)
    dark = bool(visible.size) and bool((visible.max(axis=0) < _DARK).all())
    looks = [(picture, 255.0), (picture, _MID if dark else 0.0)]
    if dark:
        white = picture.copy()
        white[:, :, :3] = 255
        looks += [(white, 20.0), (white, _MID)]
    return np.stack([cut_out(on_ground(look, pad, ground), box, side) for look, ground in looks])


def on_ground(picture: NDArray[np.uint8], pad: int, ground: float | NDArray[np.float32]) -> Picture:
    """(H, W, 4) BGRA on a plain ground, a grey or BGR (3,), with `pad` pixels of it on each side; uint8 BGR."""
    alpha = picture[:, :, 3:].astype(np.float32) / 255
    height, width = picture.shape[:2]
    canvas = np.full((height + 2 * pad, width + 2 * pad, 3), ground, np.float32)
    canvas[pad : pad + height, pad : pad + width] = ground * (1 - alpha) + picture[:, :, :3] * alpha
    return canvas.astype(np.uint8)
