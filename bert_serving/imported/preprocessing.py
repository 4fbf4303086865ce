"""The preprocessing of a foreign model: taken out of its SavedModel, or made of a vocabulary that its author names."""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bert_serving.encoders.conversion.tf1_checkpoint import has_capitals
from bert_serving.errors import EncoderError
from bert_serving.io.saved_models import write_saved_model
from bert_serving.text.preprocessing import VOCABULARY_FILE, Preprocessing, load_preprocessing, write_preprocessing
from bert_serving.text.vocabulary import read_tokens, read_vocabulary

_FOLDER = "preprocessing"
_WORDS = re.compile(r"(.*/)?word_embeddings/embeddings:0")
_NEEDS = "name the WordPiece vocabulary that it was trained with, such as --vocabulary vocab.txt"


def own_preprocessing(model: Any, source: str, scratch: Path, vocabulary: Path | None) -> Preprocessing:
    """The preprocessing that a loaded SavedModel has as one of its layers, as a SavedModel of its own.

    Raises:
        EncoderError: it has none in TF Hub's format, or a vocabulary was named, too.
    """
    if vocabulary is not None:
        raise EncoderError(f"{source}: takes texts and has its own vocabulary; leave --vocabulary out")
    found = next(_preprocessings(model), None)
    if found is None:
        raise EncoderError(
            f"{source}: takes texts, but has no preprocessing of TF Hub's format (.tokenize with .get_special_tokens_dict) among its "
            "layers; build it with hub.KerasLayer(preprocessing), or save the part after it, which takes token ids, and "
            f"{_NEEDS}"
        )
    write_saved_model(found, scratch / _FOLDER)
    return load_preprocessing(scratch / _FOLDER)


def named_vocabulary(
    source: str, weights: Mapping[str, np.ndarray], scratch: Path, vocabulary: Path | None
) -> Preprocessing:
    """The preprocessing of a vocabulary file.

    Texts are lower-cased if no word of the vocabulary has a capital letter: only that of a cased encoder does.

    Raises:
        EncoderError: no file is named, or it cannot be the vocabulary of this encoder.
    """
    if vocabulary is None:
        raise EncoderError(f"{source}: takes token ids, not texts; {_NEEDS}")
    rows = next((len(value) for name, value in weights.items() if _WORDS.fullmatch(name)), None)
    read_vocabulary(vocabulary, rows=rows)
    (scratch / "vocabulary").mkdir()
    copy = Path(shutil.copyfile(vocabulary, scratch / "vocabulary" / VOCABULARY_FILE))
    write_preprocessing(copy, scratch / _FOLDER, lower_case=not has_capitals(read_tokens(copy)))
    return load_preprocessing(scratch / _FOLDER)


def _preprocessings(model: Any) -> Iterator[Any]:
    """Objects in a loaded SavedModel that preprocess texts."""
    for part in parts_of(model):
        if _tells_special_tokens(getattr(part, "tokenize", None)):
            yield part
    for part in parts_of(model):
        if _tells_special_tokens(part):
            holder = tf.Module()
            holder.tokenize = part
            yield holder


def _tells_special_tokens(part: Any) -> bool:
    return callable(getattr(part, "get_special_tokens_dict", None)) and callable(part)


def parts_of(model: Any) -> list[Any]:
    """Everything in the object graph of a loaded SavedModel, from its root on."""
    found: dict[int, Any] = {}
    waiting = [model]
    while waiting:
        part = waiting.pop(0)
        if id(part) in found or not isinstance(part, tf.__internal__.tracking.Trackable):
            continue
        found[id(part)] = part
        waiting += part._trackable_children().values()  # noqa: SLF001  there is no public way
    return list(found.values())
