"""EfficientNet-Lite0 (Tan and Le 2019; the Lite variant has no squeeze-and-excite and ReLU6 instead of swish)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

# Of each stage: expansion, channels, repeats, stride, kernel. The last one feeds the classifier only: never built.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_STEM = 32
_EPSILON = 1e-3  # TensorFlow's, with which the published weights were trained

# By stride: the last stage of that resolution (index into `_STAGES`) and its channels.
TAPS = {8: (2, 40), 16: (4, 112), 32: (5, 192)}


class InvertedResidual(nn.Module):
    """Expand, depthwise, project (Sandler et al. 2018): (B, inputs, H, W) → (B, outputs, H/stride, W/stride)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden, _EPSILON), nn.ReLU6()]
        layers += [
            nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden, _EPSILON),
            nn.ReLU6(),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs, _EPSILON),
        ]
        self.body = nn.Sequential(*layers)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


class EfficientNetLite0(nn.Module):
    """Features at strides 8, 16 and 32.

    `forward` takes (B, 3, H, W) float32 in -1..1, RGB, sides multiples of 32, and returns a list of (B, C, H/s, W/s)
    for the strides of `TAPS`. Padding is symmetric where TensorFlow's is not, so features begin half a pixel off from
    the published ones; training takes that up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, _STEM, 3, 2, 1, bias=False), nn.BatchNorm2d(_STEM, _EPSILON), nn.ReLU6())
        stages, inputs = [], _STEM
        for expansion, channels, repeats, stride, kernel in _STAGES[: TAPS[32][0] + 1]:
            blocks = []
            for number in range(repeats):
                blocks.append(InvertedResidual(inputs, channels, expansion, stride if number == 0 else 1, kernel))
                inputs = channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        taken, wanted = [], {stage for stage, _ in TAPS.values()}
        x = self.stem(x)
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in wanted:
                taken.append(x)
        return taken

    def freeze(self, stages: int) -> None:
        """No gradients for the stem and the first `stages` stages."""
        for module in (self.stem, *self.stages[:stages]):
            module.requires_grad_(requires_grad=False)

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Take ImageNet weights under any names that list the layers in their order (the package's, or timm's).

        Raises ValueError where the shapes are not those of EfficientNet-Lite0.
        """
        # The last stage and the classifier are left out, and counters are no weights.
        given = [(name, value) for name, value in weights.items() if not name.endswith("num_batches_tracked")]
        own = {name: value for name, value in self.state_dict().items() if not name.endswith("num_batches_tracked")}
        taken: dict[str, Tensor] = {}
        for (name, value), (theirs, found) in zip(own.items(), given, strict=False):
            if value.shape != found.shape or name.rpartition(".")[2] != theirs.rpartition(".")[2]:
                raise ValueError(f"{theirs} {tuple(found.shape)} where {name} {tuple(value.shape)} was expected")
            taken[name] = found
        if len(taken) != len(own):
            raise ValueError(f"{len(taken)} of {len(own)} weights were given")
        self.load_state_dict(taken, strict=False)
