"""A trained classifier → ONNX, for CPUs in int8; and back again, so that training can go on from a bundle.

Word embeddings are stored in int8 with one scale a row, since they are most of the weights and are looked up, not
multiplied. Matrices are quantised by ONNX Runtime (dynamic int8, one scale a column). The graph keeps the names of the
PyTorch modules, which is how `restore` finds its way back.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from models.text import TextClassifier, TextModelConfig
from moderation.inference.session import ModelSession, SessionSettings
from training.errors import TrainingError

logger = logging.getLogger(__name__)

INPUTS, OUTPUTS = ("ids", "mask", "category", "source"), ("logits", "token_logits")
PARITY = 1e-4
_PARITY_BATCHES, _PARITY_LENGTH = (1, 2, 7), 23
_OPSET = 17


class Int8Embedding(nn.Module):
    """An embedding in int8 with one scale a row: (V, H) int8 and (V, 1) float32."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        scale = weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-8) / 127.0
        self.register_buffer("words_int8", (weight / scale).round().to(torch.int8))
        self.register_buffer("words_scale", scale)

    def forward(self, ids: Tensor) -> Tensor:
        return self.get_buffer("words_int8")[ids].float() * self.get_buffer("words_scale")[ids]

    def dequantised(self) -> Tensor:
        return self.get_buffer("words_int8").float() * self.get_buffer("words_scale")


def round_words(model: TextClassifier) -> None:
    """Round the word embeddings to what int8 can hold, before training: then the export changes nothing in them."""
    weight = model.encoder.embeddings.word_embeddings.weight
    with torch.no_grad():
        weight.copy_(Int8Embedding(weight.detach()).dequantised())


def export_float(model: TextClassifier, path: Path) -> float:
    """Write the graph in float32 (words in int8), dynamic in batch and length; returns the largest difference.

    Raises TrainingError where a logit differs from PyTorch's by more than `PARITY` at batches 1, 2 or 7.
    """
    model = model.eval().cpu()
    words = model.encoder.embeddings.word_embeddings
    model.encoder.embeddings.word_embeddings = Int8Embedding(words.weight.detach())  # pyright: ignore
    # The fused attention of PyTorch has no counterpart in the graph.
    model.encoder.set_attn_implementation("eager")
    try:
        axes = {name: {0: "batch", 1: "length"} for name in ("ids", "mask", "token_logits")}
        axes |= {name: {0: "batch"} for name in ("category", "source", "logits")}
        torch.onnx.export(
            model, _example_inputs(model, 2, 16), str(path), input_names=list(INPUTS), output_names=list(OUTPUTS),
            dynamic_axes=axes, opset_version=_OPSET, dynamo=False,
        )  # fmt: skip
        difference = _parity(model, path)
    finally:
        model.encoder.embeddings.word_embeddings = words
    if difference > PARITY:
        raise TrainingError(
            f"{path}: logits differ from PyTorch's by {difference:.1e}; at most {PARITY:.0e} is allowed."
        )
    return difference


def quantise(source: Path, target: Path) -> None:
    """Dynamic int8 of the matrices, one scale a column."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_dynamic(
            str(prepared), str(target), op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip


def export_half(model: TextClassifier, path: Path) -> None:
    """Write the graph in float16 with float32 inputs and outputs, for GPUs."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "full.onnx"
        export_float(model, full)
        onnx.save(convert_float_to_float16(onnx.load(full), keep_io_types=True), path)


def restore(
    path: Path, *, labels: Sequence[str], categories: Sequence[str], sources: Sequence[str], dropout: float = 0.1
) -> TextClassifier:
    """The classifier that a graph of `quantise` or `export_float` was made from, as far as int8 keeps it.

    Raises TrainingError where the graph is none of ours.
    """
    graph = onnx.load(path).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    # Of equal tensors the exporter keeps one, and names the others after it.
    stored |= {n.output[0]: stored[n.input[0]] for n in graph.node if n.op_type == "Identity" and n.input[0] in stored}
    weights = _named_parameters(stored) | _parameters_of_nodes(graph, stored)
    try:
        words = stored["encoder.embeddings.word_embeddings.words_int8"].astype(np.float32)
        words = words * stored["encoder.embeddings.word_embeddings.words_scale"]
        weights["encoder.embeddings.word_embeddings.weight"] = words
        layers = 1 + max(int(name.split(".")[3]) for name in weights if name.startswith("encoder.encoder.layer."))
        positions = weights["encoder.embeddings.position_embeddings.weight"].shape[0]
    except (KeyError, ValueError) as error:
        raise TrainingError(f"{path}: not a graph that this program exported ({error} is missing).") from error
    hidden = words.shape[1]
    model = TextClassifier(
        TextModelConfig(
            vocab_size=words.shape[0], labels=tuple(labels), categories=tuple(categories), sources=tuple(sources),
            layers=layers, hidden=hidden, heads=hidden // 32,
            intermediate=weights["encoder.encoder.layer.0.intermediate.dense.weight"].shape[0],
            positions=positions, dropout=dropout,
        )
    )  # fmt: skip
    missing, surplus = model.load_state_dict({n: torch.from_numpy(w.copy()) for n, w in weights.items()}, strict=False)
    if missing or surplus:
        raise TrainingError(f"{path}: weights are missing ({missing[:3]}) or unknown ({surplus[:3]}) to this model.")
    return model.eval()


def _named_parameters(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Most parameters that are not multiplied with keep their names in the graph."""
    return {
        name: value
        for name, value in stored.items()
        if name.rpartition(".")[2] in {"weight", "bias"} and value.dtype == np.float32
    }


def _parameters_of_nodes(graph: onnx.GraphProto, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters by the module in the name of the node that uses them: matrices lose their own names, and of equal
    tensors only one keeps it."""
    found = {}
    for node in graph.node:
        module = node.name.removesuffix("_quant").rpartition("/")[0].strip("/").replace("/", ".")
        known = [stored.get(name) for name in node.input]
        if node.op_type == "MatMul" and known[1] is not None:
            found[f"{module}.weight"] = np.ascontiguousarray(known[1].T)
        elif node.op_type == "MatMulInteger" and known[1] is not None:
            base = node.input[1].removesuffix("_quantized")
            matrix = (known[1].astype(np.float32) - stored[f"{base}_zero_point"].astype(np.float32)) * stored[
                f"{base}_scale"
            ]
            found[f"{module}.weight"] = np.ascontiguousarray(matrix.T, dtype=np.float32)
        elif node.op_type == "Add" and node.name.endswith("/Add"):
            found |= {f"{module}.bias": value for value in known if value is not None and value.ndim == 1}
        elif node.op_type == "LayerNormalization" and len(known) == 3 and known[1] is not None and known[2] is not None:
            found |= {f"{module}.weight": known[1], f"{module}.bias": known[2]}
    return found


def _parity(model: TextClassifier, path: Path) -> float:
    session = ModelSession(path, SessionSettings(threads=1))
    worst = 0.0
    for batch in _PARITY_BATCHES:
        inputs = _example_inputs(model, batch, _PARITY_LENGTH)
        with torch.inference_mode():
            expected = model(*inputs)
        found = session.run(OUTPUTS, {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)})
        inside = inputs[1].bool().numpy()
        worst = max(worst, float(np.abs(expected[0].numpy() - found[0]).max()))
        worst = max(worst, float(np.abs((expected[1].numpy() - found[1])[inside]).max()))
    return worst


def _example_inputs(model: TextClassifier, batch: int, length: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random ids with padding of a different length in each row."""
    generator = torch.Generator().manual_seed(batch)
    ids = torch.randint(4, model.config.vocab_size, (batch, length), generator=generator)
    mask = (torch.arange(length)[None, :] < length - torch.arange(batch)[:, None] % 7).long()
    category = torch.randint(0, len(model.config.categories) + 1, (batch,), generator=generator)
    source = torch.randint(0, len(model.config.sources) + 1, (batch,), generator=generator)
    return ids, mask, category, source
