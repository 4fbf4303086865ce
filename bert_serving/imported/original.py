"""A foreign model as it was loaded, and the sample on which its rebuilt twin must give the same answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bert_serving.contract import ASSETS_FOLDER, TOKEN_INPUTS
from bert_serving.text.packing import combine_segments, pad
from bert_serving.text.preprocessing import Preprocessing

TEXTS = (
    "",
    "the film is good",
    "This was an absolutely terrible movie. I want my two hours back!",
    "My parcel never arrived \U0001f62d what now?",
    "naïve café, ÜBER straße, don't",
    "我的自行车坏了，可以退款吗？",
    "مرحبا بالعالم — שלום עולם",
    "[CLS] [SEP] 12,345.67 #hash @name",
    "How long does shipping take? The page said two days, it has been nine. " * 60,
)
"""short and long, in several scripts; the last one is longer than any encoder takes"""
# Sentences of the model's own words, where its vocabulary is a file.
_SENTENCES, _WORDS, _SEED = 6, 12, 3


@dataclass(frozen=True)
class Sample:
    """Rows that two models are asked for.

    Attributes:
        texts: of each row.
        pairs: second texts; None for single texts.
        tokens: the same rows as `TOKEN_INPUTS`, int32 [B, L].
    """

    texts: Sequence[str]
    pairs: Sequence[str] | None
    tokens: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Original:
    """A foreign model in memory.

    Attributes:
        source: its path, for messages.
        ask: its outputs for a sample, float [B, outputs].
        weights: its floating-point variables by name.
        encoder: its encoder alone, as `tf.saved_model.load` gives one of TF Hub's format; None where it has none.
    """

    source: str
    ask: Callable[[Sample], np.ndarray]
    weights: Mapping[str, np.ndarray]
    encoder: Callable[[], Any] = lambda: None


def sample(preprocessing: Preprocessing, *, pairs: bool, sequence_length: int) -> Sample:
    """The sample for a model with this preprocessing, padded to the sequence length."""
    texts = [*TEXTS, *_sentences(preprocessing.folder)]
    seconds = [*texts[1:], texts[0]] if pairs else None
    given = [texts] if seconds is None else [texts, seconds]
    segments = [preprocessing.segment(column) for column in given]
    word_ids, type_ids = combine_segments(segments, preprocessing.special, sequence_length)
    padded = pad(word_ids, type_ids, preprocessing.special, sequence_length)
    return Sample(texts, seconds, {name: padded[name].numpy() for name in TOKEN_INPUTS})


def _sentences(preprocessing: Path) -> list[str]:
    """Random words of the vocabulary: a model of another language knows few words of `TEXTS`."""
    files = sorted((preprocessing / ASSETS_FOLDER).glob("*.txt"))
    words = [word for word in files[0].read_text("utf-8", "replace").split() if word.isalpha()] if files else []
    if not words:
        return []
    random = np.random.default_rng(_SEED)
    return [" ".join(random.choice(words, _WORDS)) for _ in range(_SENTENCES)]
