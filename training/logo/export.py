"""Both networks → ONNX that takes pictures as they are (uint8, BGR), in float32 or in static int8."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from models.logo import LogoDetector, LogoEmbedder
from moderation.inference.session import ModelSession, SessionSettings
from training.errors import TrainingError

# Largest difference from PyTorch: of logits and of vectors; of boxes in pixels.
PARITY, BOX_PARITY = 1e-3, 0.05
_PARITY_BATCHES = (1, 2, 7)
_OPSET = 17


class _FromPictures(nn.Module):
    """Puts what the networks were trained on in front of them: (B, H, W, 3) uint8 BGR → RGB in about -1..1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        planes = pictures.to(torch.float32).permute(0, 3, 1, 2)
        # BGR → RGB by slices, which every runtime knows.
        turned = torch.cat((planes[:, 2:3], planes[:, 1:2], planes[:, 0:1]), 1)
        return self.network((turned - 127.0) / 128.0)


def export_detector(model: LogoDetector, path: Path) -> float:
    """Dynamic in batch, height and width; returns the largest difference of logits. Raises TrainingError."""
    axes = {
        "images": {0: "batch", 1: "height", 2: "width"},
        **{n: {0: "batch", 1: "positions"} for n in ("logits", "boxes")},
    }
    _export(model, path, "images", ("logits", "boxes"), axes, (2, 96, 64, 3))
    return _parity(model, path, "images", ("logits", "boxes"), [(b, 128, 96, 3) for b in _PARITY_BATCHES])


def export_embedder(model: LogoEmbedder, path: Path, side: int) -> float:
    """Dynamic in batch; returns the largest difference of vectors. Raises TrainingError."""
    axes = {"crops": {0: "batch"}, "embeddings": {0: "batch"}}
    _export(model, path, "crops", ("embeddings",), axes, (2, side, side, 3))
    return _parity(model, path, "crops", ("embeddings",), [(b, side, side, 3) for b in _PARITY_BATCHES])


def quantise(
    source: Path, target: Path, name: str, pictures: Sequence[NDArray[np.uint8]], *, but: Sequence[str]
) -> None:
    """Static int8 (QDQ, one scale a channel) by what the graph computes on `pictures`, a list of batches.

    Nodes whose name begins with one of `but` stay in float32.
    """
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        kept = [n.name for n in onnx.load(prepared).graph.node if n.name.startswith(tuple(but))] if but else []
        quantize_static(
            str(prepared), str(target), _Pictures(name, pictures), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_exclude=kept,
            op_types_to_quantize=["Conv", "Add"], calibrate_method=CalibrationMethod.MinMax,
        )  # fmt: skip


class _Pictures(CalibrationDataReader):
    def __init__(self, name: str, pictures: Sequence[NDArray[np.uint8]]) -> None:
        self._feeds: Iterator[dict[str, NDArray[np.uint8]]] = iter([{name: batch} for batch in pictures])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return next(self._feeds, None)


def _export(
    model: nn.Module,
    path: Path,
    name: str,
    outputs: tuple[str, ...],
    axes: dict[str, dict[int, str]],
    shape: tuple[int, ...],
) -> None:
    example = torch.zeros(shape, dtype=torch.uint8)
    wrapped = _FromPictures(model.eval().cpu().to(memory_format=torch.contiguous_format))  # type: ignore[call-overload]
    torch.onnx.export(
        wrapped, (example,), str(path), input_names=[name], output_names=list(outputs), dynamic_axes=axes,
        opset_version=_OPSET, dynamo=False,
    )  # fmt: skip


def _parity(model: nn.Module, path: Path, name: str, outputs: tuple[str, ...], shapes: list[tuple[int, ...]]) -> float:
    session, wrapped, worst = ModelSession(path, SessionSettings(threads=1)), _FromPictures(model.eval()), 0.0
    for shape in shapes:
        pictures = np.random.default_rng(len(shape)).integers(0, 256, shape, np.uint8)
        with torch.inference_mode():
            answer = wrapped(torch.from_numpy(pictures))
        expected = answer if isinstance(answer, tuple) else (answer,)
        found = session.run(outputs, {name: pictures})
        for output, ours, theirs in zip(outputs, found, expected, strict=True):
            apart = float(np.abs(ours - theirs.numpy()).max())
            allowed = BOX_PARITY if output == "boxes" else PARITY
            if apart > allowed:
                raise TrainingError(
                    f"{path}: {output} differ from PyTorch's by {apart:.1e}; at most {allowed:.0e} is allowed."
                )
            worst = max(worst, apart if output != "boxes" else 0.0)
    return worst
