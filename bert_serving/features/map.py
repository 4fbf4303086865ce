"""The feature map: frozen features of labeled texts in two dimensions, and logistic regression on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bert_serving.contract import Head, Pooling
from bert_serving.data.splits import Splits, label_array
from bert_serving.data.table import LabeledTable
from bert_serving.evaluation.predictions import Predictions
from bert_serving.features.frozen import FrozenEncoder, classify_features, features_of, majority_of
from bert_serving.features.method import Method
from bert_serving.features.projection import Projection, densities, project
from bert_serving.observer import Observer

MOST_POINTS = 16_000
"""of more rows this many are drawn, chosen by the seed"""


@dataclass(frozen=True)
class MapOptions:
    """Options of a map.

    Attributes:
        pooling: how the encoder's outputs become one vector.
        method: how the vectors become points.
        seed: fixes the choice of rows and the projection.
    """

    pooling: Pooling = Pooling.MEAN
    method: Method = Method.AUTO
    seed: int = 0


@dataclass(frozen=True)
class FeatureMap:
    """A map and the logistic regression on the same features.

    Attributes:
        drawn: the rows that became points.
        classes: index of their labels, int [drawn].
        projection: their points.
        candidates: number of rows that `drawn` was chosen from.
        training_rows: number of rows that the logistic regression was fitted on.
        regression: its predictions on the measured rows.
        majority: the label frequencies as predictions on them.
        width: length of one feature vector.
    """

    drawn: LabeledTable
    classes: np.ndarray
    projection: Projection
    candidates: int
    training_rows: int
    regression: Predictions
    majority: Predictions
    width: int

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in order."""
        return self.regression.labels

    def densities(self) -> np.ndarray:
        """The density of each label, as `features.projection.densities` returns it."""
        return densities(self.projection.points, self.classes, len(self.labels))

    @cached_property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Scores of the logistic regression and of the most frequent label on the measured rows."""
        return {
            name: predictions.metrics
            for name, predictions in (("logistic regression", self.regression), ("majority", self.majority))
        }


def make_feature_map(
    frozen: FrozenEncoder,
    splits: Splits,
    labels: tuple[str, ...],
    options: MapOptions,
    *,
    drawn: tuple[str, ...],
    observer: Observer | None = None,
) -> FeatureMap:
    """Extracts features, fits the logistic regression on the training rows, measures it, and projects.

    Args:
        frozen: the encoder.
        splits: rows with one label each; measured is the test split where there is one, else the validation split.
        labels: all labels, in order.
        options: of the map.
        drawn: names of the splits whose rows become points.
        observer: receives the progress.

    Raises:
        InputError: there are too few rows to draw, or UMAP is requested and not installed.
        DataError: a row's label is not among `labels`.
        EncoderError: the cache of features cannot be written.
    """
    observer = observer or Observer()
    tables = splits.named()
    measured = "validation" if splits.test is None else "test"
    features = {
        name: features_of(frozen, tables[name], options.pooling, observer)
        for name in tables
        if name in ("train", measured, *drawn)
    }
    with observer.stage(f"Logistic regression on {len(splits.train):,} rows"):
        train = features["train"], splits.train
        regression = classify_features(train, (features[measured], tables[measured]), labels)
    candidates = _concatenate([tables[name] for name in drawn])
    chosen = _chosen(len(candidates), options.seed)
    rows = candidates.select(chosen)
    points = np.concatenate([features[name] for name in drawn])[chosen]
    return FeatureMap(
        drawn=rows,
        classes=label_array(rows.labels, labels, Head.SOFTMAX),
        projection=project(points, options.method, seed=options.seed, observer=observer),
        candidates=len(candidates),
        training_rows=len(splits.train),
        regression=regression,
        majority=majority_of(splits.train, tables[measured], labels),
        width=points.shape[1],
    )


def _chosen(rows: int, seed: int) -> np.ndarray:
    if rows <= MOST_POINTS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, MOST_POINTS, replace=False))


def _concatenate(tables: Sequence[LabeledTable]) -> LabeledTable:
    pairs = None if tables[0].pairs is None else [pair for table in tables for pair in table.pairs or []]
    return LabeledTable(
        texts=[text for table in tables for text in table.texts],
        pairs=pairs,
        labels=[label for table in tables for label in table.labels],
        source=", ".join(table.source for table in tables),
    )
