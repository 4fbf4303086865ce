"""Word pieces of a whole data set, kept in the cache: the next run on the same texts need not tokenize them again."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_serving.cache import cached_intact, folder_sha256
from bert_serving.text.normalization import RECORD
from bert_serving.text.preprocessing import Preprocessing

_PARTS = ("words", "types", "offsets", "uncut")
# Raised when the same texts would get other word pieces than before.
_VERSION = "v1"

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def cached_token_rows(
    preprocessing: Preprocessing, texts: Sequence[str], pairs: Sequence[str] | None, sequence_length: int
) -> Rows:
    """What `Preprocessing.token_rows` gives, read from the cache where it is there.

    Raises:
        EncoderError: the cache cannot be written.
    """

    def build(target: Path) -> None:
        rows = preprocessing.token_rows(texts, pairs, sequence_length)
        for name, values in zip(_PARTS, rows, strict=True):
            np.save(target / f"{name}.npy", values)

    seen = [None if column is None else preprocessing.normalized(column) for column in (texts, pairs)]
    digest = _digest(preprocessing_sha256(preprocessing), seen[0] or (), seen[1], sequence_length)
    folder = cached_intact(f"tokens-{digest}", build)
    words, types, offsets, uncut = (np.load(folder / f"{name}.npy") for name in _PARTS)
    return words, types, offsets, uncut


def preprocessing_sha256(preprocessing: Preprocessing) -> str:
    """Digest of a preprocessing without a normalization of the user's, which `Preprocessing.normalized` texts have behind them.

    A SavedModel is written a little differently each time, so that one made for a run would never be met again.
    """
    record = preprocessing.folder / RECORD
    if record.is_file():
        return json.loads(record.read_text("utf-8"))["preprocessing_sha256"]
    return folder_sha256(preprocessing.folder)


def _digest(preprocessing: str, texts: Sequence[Any], pairs: Sequence[Any] | None, sequence_length: int) -> str:
    digest = hashlib.sha256(f"{_VERSION} {preprocessing} {sequence_length} {pairs is not None}\n".encode())
    for column in (texts, pairs or ()):
        for text in column:
            content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
            # With its length, so that no two columns of texts run together into the same bytes.
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
    return digest.hexdigest()[:32]
