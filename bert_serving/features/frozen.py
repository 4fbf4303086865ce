"""Frozen features: one vector per text from an encoder whose weights stay fixed, and logistic regression on them."""

# scikit-learn is imported where it is needed: it takes a second.
# ruff: noqa: PLC0415

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from bert_serving.classifier import pool
from bert_serving.contract import MASK, Head, Pooling
from bert_serving.data.batches import TokenRows, padded_batch, sorted_batches
from bert_serving.data.splits import label_array
from bert_serving.data.table import LabeledTable
from bert_serving.encoders.loading import LoadedEncoder
from bert_serving.encoders.token_cache import preprocessing_sha256
from bert_serving.evaluation.predictions import Predictions
from bert_serving.io.cache import cached_intact
from bert_serving.observer import Observer
from bert_serving.text.preprocessing import Preprocessing

REGULARIZATION = 0.1
"""C of the logistic regression on standardized features"""

_BATCH = 64
_FILE = "features.npy"
# To be raised when the same texts get other features than before.
_VERSION = "v1"
_MOST_ITERATIONS = 3000


@dataclass(frozen=True)
class FrozenEncoder:
    """An encoder whose weights stay fixed.

    Attributes:
        name: of the encoder.
        sha256: digest of its weights.
        encoder: its Keras layer.
        preprocessing: strings to token ids.
        sequence_length: tokens at which texts are cut, [CLS] and [SEP] included.

    Raises:
        EncoderError: the sequence length is over the encoder's maximum.
    """

    name: str
    sha256: str
    encoder: LoadedEncoder
    preprocessing: Preprocessing
    sequence_length: int

    def __post_init__(self) -> None:
        """Checks the sequence length."""
        self.encoder.check_length(self.sequence_length, f"the sequence length for {self.name}")

    @cached_property
    def vocabulary_sha256(self) -> str:
        """Digest of the preprocessing, which decides the tokens of a text."""
        return preprocessing_sha256(self.preprocessing)


def features_of(
    frozen: FrozenEncoder, table: LabeledTable, pooling: Pooling, observer: Observer | None = None
) -> np.ndarray:
    """Features of a table's texts, float32 [N, H], computed once and then read from the cache.

    Raises:
        EncoderError: the cache cannot be written.
    """
    observer = observer or Observer()

    def build(target: Path) -> None:
        with observer.stage(f"Tokenizing {len(table):,} texts"):
            words, types, offsets, _ = frozen.preprocessing.token_rows(table.texts, table.pairs, frozen.sequence_length)
        rows = TokenRows(words, types, offsets, frozen.preprocessing.special.padding)
        with observer.stage(f"Running {frozen.name} on {len(words):,} tokens"):
            np.save(target / _FILE, encode(frozen.encoder, rows, pooling))

    features: np.ndarray = np.load(cached_intact(f"features-{_digest(frozen, table, pooling)}", build) / _FILE)
    return features


def encode(encoder: LoadedEncoder, rows: TokenRows, pooling: Pooling) -> np.ndarray:
    """Features of tokenized texts, float32 [N, H], in the order of the rows; a batch holds texts of similar length."""
    order, parts = [], []
    for index in sorted_batches(rows.lengths, _BATCH):
        tokens = {name: tf.constant(value) for name, value in padded_batch(rows, index).items()}
        pooled = pool(pooling, encoder.layer(tokens, training=False), tokens[MASK])
        order.append(index)
        parts.append(tf.cast(pooled, tf.float32).numpy())
    sorted_features = np.concatenate(parts)
    features = np.empty_like(sorted_features)
    features[np.concatenate(order)] = sorted_features
    return features


def _digest(frozen: FrozenEncoder, table: LabeledTable, pooling: Pooling) -> str:
    digest = hashlib.sha256()
    settings = (_VERSION, frozen.sha256, frozen.vocabulary_sha256, frozen.sequence_length, str(pooling))
    pairs = None if table.pairs is None else frozen.preprocessing.normalized(table.pairs)
    for part in (settings, frozen.preprocessing.normalized(table.texts), pairs):
        digest.update(repr(part).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


# === Logistic regression ===


def classify_features(
    train: tuple[np.ndarray, LabeledTable], measured: tuple[np.ndarray, LabeledTable], labels: Sequence[str]
) -> Predictions:
    """Predictions of logistic regression, fitted on the features of training rows, on other rows.

    Args:
        train: features, float [N, H], and their rows, one label each.
        measured: the same of the rows to predict.
        labels: all labels; at least two of them in the training rows.

    Raises:
        DataError: a row's label is not among `labels`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no annotations

    model = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARIZATION, max_iter=_MOST_ITERATIONS))
    # The matrices are so small that synchronizing several threads would take longer than the computation.
    with threadpool_limits(1):
        model.fit(train[0], label_array(train[1].labels, labels, Head.SOFTMAX))
        predicted = model.predict_proba(measured[0])
    probabilities = np.zeros((len(measured[1]), len(labels)))
    probabilities[:, model.classes_] = predicted  # labels without training rows keep 0
    return Predictions(Head.SOFTMAX, tuple(labels), measured[1], probabilities)


def majority_of(train: LabeledTable, measured: LabeledTable, labels: Sequence[str]) -> Predictions:
    """Predictions of the majority baseline: each label's share of the training rows, for every row.

    Raises:
        DataError: a row's label is not among `labels`.
    """
    shares = np.bincount(label_array(train.labels, labels, Head.SOFTMAX), minlength=len(labels)) / len(train)
    return Predictions(Head.SOFTMAX, tuple(labels), measured, np.tile(shares, (len(measured), 1)))
