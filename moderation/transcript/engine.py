"""The PP-OCR models that ship in rapidocr's wheel, run on ONNX Runtime: find lines, turn them upright, read them.

rapidocr is used for its model files; its own pipeline reads whole pictures, while gating needs the three steps
apart, on crops, with thread settings that do not spin. Steps before and after the graphs follow PP-OCR's DB detector
(Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", AAAI 2020) and CTC recogniser with
rapidocr's constants; a test holds both to the same text.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from moderation.errors import MissingDependencyError, ModelError
from moderation.hashing import file_sha256

if TYPE_CHECKING:
    from cv2.typing import MatLike
    from onnxruntime import InferenceSession

logger = logging.getLogger(__name__)

Image = NDArray[np.uint8]

DETECTOR, RECOGNISER, CLASSIFIER = (
    "PP-OCRv6_det_small.onnx",
    "PP-OCRv6_rec_small.onnx",
    "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
)
# The SHA-256 of the files in rapidocr 3.10's wheel.
MODEL_SHA256 = {
    DETECTOR: "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    RECOGNISER: "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
    CLASSIFIER: "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
}

# rapidocr's constants of the detector: a pixel is text above `_PIXEL`, a line is kept above `_LINE`, and its
# rectangle, which the network draws shrunk, is grown by `_GROW` × area / perimeter.
_PIXEL, _LINE, _GROW = 0.3, 0.5, 1.6
_SMALLEST_SIDE = 3
_STRIDE = 32
# The recogniser reads strips 48 pixels high. Widths are rounded up so that few shapes occur, and bounded: a strip
# beyond the limit is squeezed, which costs accuracy, not memory.
_STRIP_HEIGHT, _STRIP_STEP, _STRIP_MIN, _STRIP_MAX = 48, 32, 64, 2560
_CLASSIFIER_SIZE = (192, 48)
_UPSIDE_DOWN = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class DetectedLine:
    """A line of text found by the detector: corners (4, 2) float32 in pixels, clockwise from the top left one."""

    corners: NDArray[np.float32]
    score: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What the recogniser read in a strip; mean and least probability of its characters (0 for no text)."""

    text: str
    confidence: float
    weakest: float


@dataclass(frozen=True, slots=True)
class ModelFileInfo:
    """A model file in use and the SHA-256 it must have."""

    path: Path
    sha256: str


class OcrEngine:
    """Detector, direction classifier and recogniser. Thread-safe: ONNX Runtime's sessions are, nothing else is kept.

    `threads` is the number of threads inside one model run. Raises MissingDependencyError where rapidocr or ONNX
    Runtime is not installed, ModelError where a model file is missing or is not the one expected.
    """

    def __init__(self, threads: int = 1) -> None:
        self._folder = _model_folder()
        self._threads = threads
        for file in model_files():
            _verify(file)
        self._detector = self._session(DETECTOR)
        self._recogniser = self._session(RECOGNISER)
        # Index 0 is CTC's blank; the model's last class is the space.
        characters = self._recogniser.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._characters = ["", *characters, " "]

    @cached_property
    def _classifier(self) -> InferenceSession:
        return self._session(CLASSIFIER)

    @property
    def version(self) -> str:
        """For example `PP-OCRv6-small/rapidocr-3.10.0`."""
        return f"PP-OCRv6-small/rapidocr-{importlib.metadata.version('rapidocr')}"

    def detect(self, image: Image, scale: float = 1.0) -> list[DetectedLine]:
        """Lines in a (H, W, 3) BGR picture, looked at `scale` times its size; corners are in its own pixels."""
        height, width = image.shape[:2]
        size = (_to_stride(width * scale), _to_stride(height * scale))
        shrink = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
        looked_at = cv2.resize(image, size, interpolation=shrink)
        probability = _run(self._detector, _normalised(looked_at))[0, 0]
        ratio = np.array([width / size[0], height / size[1]], np.float32)
        lines = (
            DetectedLine(_clockwise(corners * ratio, width, height), score)
            for corners, score in _rectangles(probability)
        )
        return [line for line in lines if min(_side_lengths(line.corners)) > _SMALLEST_SIDE]

    def recognise(self, strip: Image) -> Reading:
        """Read one upright line, (H, W, 3) BGR of any size."""
        height, width = strip.shape[:2]
        wanted = math.ceil(_STRIP_HEIGHT * width / height)
        padded = min(max(-(-wanted // _STRIP_STEP) * _STRIP_STEP, _STRIP_MIN), _STRIP_MAX)
        drawn = min(wanted, padded)
        batch = np.zeros((1, 3, _STRIP_HEIGHT, padded), np.float32)
        batch[:, :, :, :drawn] = _normalised(cv2.resize(strip, (drawn, _STRIP_HEIGHT)))
        probabilities = _run(self._recogniser, batch)[0]
        return self._decode(probabilities)

    def is_upside_down(self, strip: Image) -> bool:
        """Whether a horizontal strip stands on its head, by the direction classifier."""
        height, width = strip.shape[:2]
        drawn = min(math.ceil(_CLASSIFIER_SIZE[1] * width / height), _CLASSIFIER_SIZE[0])
        batch = np.zeros((1, 3, _CLASSIFIER_SIZE[1], _CLASSIFIER_SIZE[0]), np.float32)
        batch[:, :, :, :drawn] = _normalised(cv2.resize(strip, (drawn, _CLASSIFIER_SIZE[1])))
        return bool(_run(self._classifier, batch)[0, 1] > _UPSIDE_DOWN)

    def _decode(self, probabilities: NDArray[np.float32]) -> Reading:
        """Greedy CTC: the best class of each column, repeats and blanks dropped."""
        best = probabilities.argmax(axis=1)
        kept = (best != 0) & np.concatenate([[True], best[1:] != best[:-1]])
        text = "".join(self._characters[i] for i in best[kept])
        if not text.strip():
            return Reading("", 0.0, 0.0)
        certain = probabilities[np.flatnonzero(kept), best[kept]]
        return Reading(text.strip(), float(certain.mean()), float(certain.min()))

    def _session(self, name: str) -> InferenceSession:
        try:
            import onnxruntime
        except ImportError as missing:
            raise MissingDependencyError("OCR needs ONNX Runtime: pip install 'moderation[cpu]'") from missing
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Every crop has its own shape; an arena would keep the largest of all of them for ever.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        # Waiting threads sleep: spinning doubles the CPU time of small runs and takes it from the decoder.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(str(self._folder / name), options, providers=["CPUExecutionProvider"])


def model_files() -> tuple[ModelFileInfo, ...]:
    """The files that the engine loads, there or not, and what they must be."""
    folder = _model_folder()
    return tuple(ModelFileInfo(folder / name, sha256) for name, sha256 in MODEL_SHA256.items())


def _model_folder() -> Path:
    # Located, not imported: importing rapidocr loads its whole pipeline and half a dozen packages.
    found = importlib.util.find_spec("rapidocr")
    if found is None or found.origin is None:
        raise MissingDependencyError("OCR needs the models in rapidocr's wheel: pip install 'rapidocr>=3.10'")
    return Path(found.origin).parent / "models"


def _verify(file: ModelFileInfo) -> None:
    if not file.path.is_file():
        raise ModelError(
            f"{file.path}: the OCR model is missing. Reinstall rapidocr: pip install --force-reinstall rapidocr"
        )
    found = file_sha256(file.path)
    if found != file.sha256:
        raise ModelError(
            f"{file.path}: SHA-256 {found} is not the expected {file.sha256}. Install the rapidocr version that "
            "pyproject.toml names."
        )


def _run(session: InferenceSession, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(session.run(None, {"x": batch})[0], np.float32)


def _normalised(image: MatLike) -> NDArray[np.float32]:
    """(H, W, 3) uint8 to (1, 3, H, W) float32 in -1..1, channel order kept."""
    planes = image.transpose(2, 0, 1)[None].astype(np.float32)
    planes *= 2 / 255
    planes -= 1
    return planes


def _to_stride(side: float) -> int:
    return max(round(side / _STRIDE), 1) * _STRIDE


def _rectangles(probability: NDArray[np.float32]) -> list[tuple[NDArray[np.float32], float]]:
    """Rotated rectangles around the text in a (H, W) probability map, with their mean probability."""
    mask = cv2.dilate((probability > _PIXEL).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found: list[tuple[NDArray[np.float32], float]] = []
    for contour in contours:
        (centre, (across, down), angle) = cv2.minAreaRect(contour)
        if min(across, down) < _SMALLEST_SIDE:
            continue
        score = _mean_inside(probability, np.asarray(cv2.boxPoints((centre, (across, down), angle)), np.float32))
        if score < _LINE:
            continue
        # Growing a rectangle by an outline at this distance is growing both of its sides by twice the distance.
        grow = across * down * _GROW / (2 * (across + down))
        corners = cv2.boxPoints((centre, (across + 2 * grow, down + 2 * grow), angle))
        found.append((np.asarray(corners, np.float32), score))
    return found


def _mean_inside(probability: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    height, width = probability.shape
    x0, y0 = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width - 1, height - 1))
    x1, y1 = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (width - 1, height - 1))
    mask = np.zeros((y1 - y0 + 1, x1 - x0 + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - (x0, y0)).astype(np.int32)], (1,))
    return float(cv2.mean(probability[y0 : y1 + 1, x0 : x1 + 1], mask)[0])


def _clockwise(corners: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Corners from the top left one on, clipped to the picture."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    top_left, bottom_left = by_x[:2][np.argsort(by_x[:2, 1], kind="stable")]
    top_right, bottom_right = by_x[2:][np.argsort(by_x[2:, 1], kind="stable")]
    ordered = np.array([top_left, top_right, bottom_right, bottom_left], np.float32)
    return np.clip(ordered, 0, (width - 1, height - 1)).astype(np.float32)


def _side_lengths(corners: NDArray[np.float32]) -> tuple[float, float]:
    return float(np.linalg.norm(corners[0] - corners[1])), float(np.linalg.norm(corners[0] - corners[3]))
