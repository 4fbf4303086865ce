"""What a label's precision and recall become when its probability has to reach a threshold."""

from dataclasses import dataclass

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.predictions import Predictions

STEPS = 100
"""thresholds from 0 to 1"""


@dataclass(frozen=True)
class ThresholdCurve:
    """One label, taken as the answer from a threshold on.

    Attributes:
        label: its name.
        rows: how many rows have it.
        thresholds: float [101], 0 to 1.
        precision: float [101]; NaN where no row reaches the threshold.
        recall: float [101].
        f1: float [101].
        average_precision: mean precision over the recall, whatever the threshold.
    """

    label: str
    rows: int
    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    average_precision: float

    @property
    def best(self) -> int:
        """Place of the threshold with the greatest F1: the middle one of equals."""
        return int(np.median(np.flatnonzero(self.f1 == self.f1.max())))


@dataclass(frozen=True)
class Coverage:
    """What becomes of the answers when those below a confidence are withheld.

    Attributes:
        thresholds: float [101], 0 to 1.
        answered: share of the rows whose confidence reaches the threshold, float [101].
        right: share of those that is right, float [101]; NaN where none is left.
    """

    thresholds: np.ndarray
    answered: np.ndarray
    right: np.ndarray


def threshold_curves(predictions: Predictions) -> tuple[ThresholdCurve, ...]:
    """Precision and recall of each label that has rows, in the labels' order; empty for regression."""
    if predictions.head is Head.REGRESSION:
        return ()
    marks = predictions.y_true
    if marks.ndim == 1:
        marks = marks[:, np.newaxis] == np.arange(len(predictions.labels))
    return tuple(
        _curve(label, marks[:, place].astype(bool), np.asarray(predictions.values[:, place], np.float64))
        for place, label in enumerate(predictions.labels)
        if marks[:, place].any()
    )


def coverage(predictions: Predictions) -> Coverage | None:
    """Accuracy of the surest answers; None for regression and multilabel, which have no single confidence."""
    if predictions.head in (Head.REGRESSION, Head.MULTILABEL):
        return None
    thresholds = _thresholds()
    reached = _reaching(predictions.confidence, thresholds)
    hits = _reaching(predictions.confidence[predictions.right], thresholds)
    return Coverage(thresholds, reached / len(predictions), _share(hits, reached))


def _curve(label: str, has_it: np.ndarray, values: np.ndarray) -> ThresholdCurve:
    from sklearn.metrics import average_precision_score

    thresholds = _thresholds()
    predicted, hits, rows = _reaching(values, thresholds), _reaching(values[has_it], thresholds), int(has_it.sum())
    return ThresholdCurve(
        label=label,
        rows=rows,
        thresholds=thresholds,
        precision=_share(hits, predicted),
        recall=hits / rows,
        f1=2 * hits / (predicted + rows),
        average_precision=float(average_precision_score(has_it, values)),
    )


def _thresholds() -> np.ndarray:
    return np.arange(STEPS + 1) / STEPS


def _reaching(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many values are at or over each threshold."""
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="left")


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
