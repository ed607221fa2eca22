"""What the two networks of `models.logo` are trained towards."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import box_iou, generalized_box_iou_loss

from models.logo import CLASSES, positions

# A position answers for a box whose centre lies within so many of its strides (centre sampling, as in FCOS).
_CENTRE_RADIUS = 1.3
# Which sizes (root of the area, pixels) each stride answers for; they overlap, so that none falls between.
_SIZE_RANGES = {8: (0.0, 44.0), 16: (32.0, 104.0), 32: (80.0, float("inf"))}
_BOX_WEIGHT = 2.0

assert len(CLASSES) == 2, "the targets of `detector_loss` have one column a class"


def assign(boxes: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Which box each of A positions answers for: (A,) int64 indices, -1 for none; of two boxes the smaller.

    `boxes` (N, 4) float32, x0 y0 x1 y1 in pixels; `centres` (A, 2) and `strides` (A,) as `positions` gives them.
    """
    if len(boxes) == 0:
        return torch.full((len(centres),), -1, dtype=torch.int64, device=centres.device)
    middle, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    size = sides.prod(1).sqrt()
    near = ((centres[:, None] - middle[None]).abs() <= _CENTRE_RADIUS * strides[:, None, None]).all(-1)
    lows, highs = torch.empty_like(strides), torch.empty_like(strides)
    for stride, (low, high) in _SIZE_RANGES.items():
        lows[strides == stride], highs[strides == stride] = low, high
    fits = near & (size[None] >= lows[:, None]) & (size[None] < highs[:, None])
    cost = torch.where(fits, size[None].expand(fits.shape), torch.inf)
    best = cost.min(1)
    return torch.where(best.values.isfinite(), best.indices, -1)


def detector_loss(
    logits: Tensor, boxes: Tensor, truth: list[Tensor], labels: list[Tensor], ignored: list[Tensor], side: int
) -> Tensor:
    """Quality focal loss (Li et al. 2020) and generalised IoU (Rezatofighi et al. 2019), over a batch.

    `logits` (B, A, 2) and `boxes` (B, A, 4) as the detector gives them for squares of `side` pixels. The lists hold
    what each of the B pictures shows: `truth` (N, 4) float32 boxes, `labels` (N,) int64 into `CLASSES`, and `ignored`
    (M, 4) boxes, inside which positions that answer for nothing are not punished.
    """
    centres, strides = positions(side, side, logits.device)
    target, weight = torch.zeros_like(logits), torch.ones(logits.shape[:2], device=logits.device)
    box_losses, matched = [], 0
    for i, (true, label, ignore) in enumerate(zip(truth, labels, ignored, strict=True)):
        owner = assign(true, centres, strides)
        mine = torch.nonzero(owner >= 0)[:, 0]
        if len(ignore):
            low, high = ignore[None, :, :2], ignore[None, :, 2:]
            inside = ((centres[:, None] >= low) & (centres[:, None] <= high)).all(-1)
            weight[i] = (~inside.any(1) | (owner >= 0)).float()
        if len(mine) == 0:
            continue
        wanted, found = true[owner[mine]], boxes[i, mine]
        with torch.no_grad():
            overlap = torch.diagonal(box_iou(found, wanted)).clamp(0, 1)
        # A position that has not learnt to place its box yet must still learn that something is there.
        target[i, mine, label[owner[mine]]] = overlap.clamp(min=0.3)
        box_losses.append(generalized_box_iou_loss(found, wanted, reduction="none"))
        matched += len(mine)
    probability = logits.sigmoid()
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    focal = ((target - probability).abs().pow(2.0) * cross_entropy).sum(-1)
    count = max(matched, 1)
    loss = (focal * weight).sum() / count
    return loss + _BOX_WEIGHT * torch.cat(box_losses).sum() / count if box_losses else loss


class MarginCosine(nn.Module):
    """CosFace: softmax over cosines to one learnt vector a brand, whose own cosine must win by `margin`.

    `forward` takes embeddings (B, D) float32 of length 1 and brands (B,) int64, and returns the mean loss.
    """

    def __init__(self, brands: int, dimensions: int, scale: float = 24.0, margin: float = 0.2) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(brands, dimensions) * 0.1)
        self.scale, self.margin = scale, margin

    def forward(self, embeddings: Tensor, brands: Tensor) -> Tensor:
        cosines = embeddings @ functional.normalize(self.centres, dim=1).T
        margins = functional.one_hot(brands, len(self.centres)) * self.margin
        return functional.cross_entropy(self.scale * (cosines - margins), brands)
