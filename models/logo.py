"""Two small networks that find brands in pictures: a detector that knows no brand, and an embedding that tells them
apart, so that a new brand is a new picture in a bank and no training.

The detector has no anchors and predicts centre and size at each position of three resolutions (as FCOS, Tian et al.
2019, and YOLOX, Ge et al. 2021, do); its classes are a logo that can be seen and one that somebody hid. The embedding
pools features at two resolutions by generalised mean (Radenović et al. 2018) and is trained with a large-margin cosine
loss over thousands of brands (CosFace, Wang et al. 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.backbones import TAPS, EfficientNetLite0

CLASSES = ("logo", "obscured")
STRIDES = tuple(TAPS)
# Logit of 0.01, what a new detector believes of each position: most are background (RetinaNet, Lin et al. 2017).
_PRIOR_LOGIT = -4.6
# Of half a side in strides; keeps exp() finite while boxes are still being learnt.
_MAX_LOG_SIZE = 6.0


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    """Depthwise separable convolution, 3 × 3: (B, inputs, H, W) → (B, outputs, H, W)."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, 1, 1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class LogoDetector(nn.Module):
    """`forward` takes (B, 3, H, W) float32 in -1..1, RGB, H and W multiples of 32.

    It returns logits (B, A, 2), for `CLASSES`, and boxes (B, A, 4) in pixels, x0 y0 x1 y1; A counts the positions of
    all strides, finest first, row by row.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0()
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))
            for _, channels in TAPS.values()
        )
        self.smooth = nn.ModuleList(_separable(width, width) for _ in TAPS)
        self.towers = nn.ModuleList(nn.Sequential(_separable(width, width), _separable(width, width)) for _ in TAPS)
        self.classify = nn.ModuleList(nn.Conv2d(width, len(CLASSES), 1) for _ in TAPS)
        self.regress = nn.ModuleList(nn.Conv2d(width, 4, 1) for _ in TAPS)
        for heads, bias in ((self.classify, _PRIOR_LOGIT), (self.regress, 0.0)):
            for head in heads:
                assert isinstance(head, nn.Conv2d)
                assert head.bias is not None
                nn.init.normal_(head.weight, std=0.01)
                nn.init.constant_(head.bias, bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = [lateral(f) for lateral, f in zip(self.lateral, self.backbone(x), strict=True)]
        for level in range(len(features) - 2, -1, -1):
            coarser = functional.interpolate(features[level + 1], scale_factor=2.0, mode="nearest")
            features[level] = features[level] + coarser
        logits, boxes = [], []
        for level, stride in enumerate(STRIDES):
            tower = self.towers[level](self.smooth[level](features[level]))
            logits.append(self.classify[level](tower).flatten(2).transpose(1, 2))
            boxes.append(_decode(self.regress[level](tower), stride))
        return torch.cat(logits, 1), torch.cat(boxes, 1)


def _decode(raw: Tensor, stride: int) -> Tensor:
    """Offsets of the centre and logarithms of half the sides, in strides (B, 4, h, w) → boxes in pixels (B, h·w, 4)."""
    height, width = raw.shape[2], raw.shape[3]
    ys = (torch.arange(height, dtype=raw.dtype, device=raw.device) + 0.5).view(1, height, 1)
    xs = (torch.arange(width, dtype=raw.dtype, device=raw.device) + 0.5).view(1, 1, width)
    centre_x, centre_y = xs + raw[:, 0], ys + raw[:, 1]
    half_w = raw[:, 2].clamp(-_MAX_LOG_SIZE, _MAX_LOG_SIZE).exp()
    half_h = raw[:, 3].clamp(-_MAX_LOG_SIZE, _MAX_LOG_SIZE).exp()
    sides = (centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h)
    return torch.stack(sides, -1).flatten(1, 2) * stride


def positions(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Centres (A, 2), x and y in pixels, and strides (A,) of the detector's positions, both float32, in its order."""
    centres, strides = [], []
    for stride in STRIDES:
        ys, xs = torch.meshgrid(
            torch.arange(height // stride, device=device), torch.arange(width // stride, device=device), indexing="ij"
        )
        centres.append((torch.stack((xs, ys), -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(torch.full((len(centres[-1]),), float(stride), device=device))
    return torch.cat(centres), torch.cat(strides)


class LogoEmbedder(nn.Module):
    """`forward` takes (B, 3, S, S) float32 in -1..1, RGB, and returns (B, D) float32 of length 1."""

    def __init__(self, dimensions: int = 128) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0()
        channels = TAPS[16][1] + TAPS[32][1]
        self.power = nn.Parameter(torch.tensor(3.0))
        self.project = nn.Sequential(nn.Linear(channels, dimensions), nn.BatchNorm1d(dimensions))
        self.dimensions = dimensions

    def forward(self, x: Tensor) -> Tensor:
        _, middle, coarse = self.backbone(x)
        pooled = torch.cat([self._pool(middle), self._pool(coarse)], 1)
        return functional.normalize(self.project(pooled), dim=1)

    def _pool(self, features: Tensor) -> Tensor:
        """Generalised mean (B, C, H, W) → (B, C) of the positive part: the backbone's features have both signs, and a
        negative number has no real power."""
        return features.clamp(min=1e-4).pow(self.power).mean((2, 3)).pow(1.0 / self.power)
