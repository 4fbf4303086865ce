"""A cache for the token ids of a data set, so that the next run on the same texts need not tokenize them again."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_serving.contract import LongTexts
from bert_serving.io.cache import cached_intact, folder_sha256
from bert_serving.text.normalization import RECORD
from bert_serving.text.preprocessing import Preprocessing

_PARTS = ("words", "types", "offsets", "uncut")
# Raised when the same texts would get other token ids than before.
_VERSION = "v1"

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def cached_token_rows(
    preprocessing: Preprocessing,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    sequence_length: int,
    *,
    long_texts: LongTexts = LongTexts.TRUNCATE,
) -> Rows:
    """The result of `Preprocessing.token_rows`, from the cache where possible.

    Raises:
        EncoderError: the cache cannot be written.
    """

    def build(target: Path) -> None:
        rows = preprocessing.token_rows(texts, pairs, sequence_length, long_texts=long_texts)
        for name, values in zip(_PARTS, rows, strict=True):
            np.save(target / f"{name}.npy", values)

    second = None if pairs is None else preprocessing.normalized(pairs)
    rule = str(sequence_length) if long_texts is LongTexts.TRUNCATE else f"{sequence_length} {long_texts}"
    digest = _digest(preprocessing_sha256(preprocessing), preprocessing.normalized(texts), second, rule)
    folder = cached_intact(f"tokens-{digest}", build)
    words, types, offsets, uncut = (np.load(folder / f"{name}.npy") for name in _PARTS)
    return words, types, offsets, uncut


def preprocessing_sha256(preprocessing: Preprocessing) -> str:
    """Digest of a preprocessing, without the user's normalizer, for texts that `Preprocessing.normalized` has normalized.

    TensorFlow writes a SavedModel a little differently each time: the digest of one with a normalizer would differ in each run.
    """
    record = preprocessing.folder / RECORD
    if record.is_file():
        return str(json.loads(record.read_text("utf-8"))["preprocessing_sha256"])
    return folder_sha256(preprocessing.folder)


def _digest(preprocessing: str, texts: Sequence[Any], pairs: Sequence[Any] | None, rule: str) -> str:
    digest = hashlib.sha256(f"{_VERSION} {preprocessing} {rule} {pairs is not None}\n".encode())
    for column in (texts, pairs or ()):
        for text in column:
            content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
            # With its length, so that different texts never make the same bytes.
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
    return digest.hexdigest()[:32]
