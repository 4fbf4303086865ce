"""Precision and recall of a label over its decision threshold, and accuracy over the coverage."""

from dataclasses import dataclass

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.slices import FEWEST_ROWS, SIGNIFICANCE, holm, rank_p_value

STEPS = 100
"""thresholds from 0 to 1"""


@dataclass(frozen=True)
class ThresholdCurve:
    """Precision, recall and F1 of one label that is predicted when its probability reaches a threshold.

    Attributes:
        label: its name.
        rows: number of rows with it.
        thresholds: float [101], 0 to 1.
        precision: float [101]; NaN where no row reaches the threshold.
        recall: float [101].
        f1: float [101].
        average_precision: area under the precision-recall curve, as scikit-learn computes it.
        no_advice: why no threshold is the best one: too few rows with or without the label, or probabilities that rank
            rows with the label no higher than the others; empty where there is one.
    """

    label: str
    rows: int
    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    average_precision: float
    no_advice: str = ""

    @property
    def best(self) -> int | None:
        """Index of the threshold with the greatest F1: the middle one of equals; None where it would be noise."""
        return None if self.no_advice else int(np.median(np.flatnonzero(self.f1 == self.f1.max())))


@dataclass(frozen=True)
class CoverageCurve:
    """Selective prediction: accuracy when predictions under a confidence threshold are rejected.

    Attributes:
        thresholds: float [101], 0 to 1.
        coverage: share of the rows whose confidence reaches the threshold, float [101].
        accuracy: share of those that is correct, float [101]; NaN where none is left.
    """

    thresholds: np.ndarray
    coverage: np.ndarray
    accuracy: np.ndarray


def threshold_curves(predictions: Predictions) -> tuple[ThresholdCurve, ...]:
    """Precision and recall of each label that has rows, in the labels' order; empty for regression.

    A best threshold is one where the label has `FEWEST_ROWS` rows, as many are without it, and the Mann-Whitney U test
    (one-sided, corrected by Holm's method) says that rows with the label get higher probabilities.
    """
    if predictions.head is Head.REGRESSION:
        return ()
    marks = predictions.y_true
    if marks.ndim == 1:
        marks = marks[:, np.newaxis] == np.arange(len(predictions.labels))
    with_rows = [column for column in range(len(predictions.labels)) if marks[:, column].any()]
    parts = {
        column: (marks[:, column] == 1, np.asarray(predictions.values[:, column], np.float64)) for column in with_rows
    }
    corrected = holm(
        {
            column: rank_p_value(values[marked], values[~marked])
            for column, (marked, values) in parts.items()
            if _are_enough(marked)
        }
    )
    return tuple(
        _curve(predictions.labels[column], *part, _no_advice(corrected.get(column))) for column, part in parts.items()
    )


def _are_enough(has_label: np.ndarray) -> bool:
    return min(int(has_label.sum()), int((~has_label).sum())) >= FEWEST_ROWS


def _no_advice(p_value: float | None) -> str:
    if p_value is None:
        return f"fewer than {FEWEST_ROWS} rows with or without the label"
    return "" if p_value < SIGNIFICANCE else "probabilities no better than chance"


def coverage_curve(predictions: Predictions) -> CoverageCurve | None:
    """Accuracy over the coverage; None for regression and multilabel, which have no single confidence."""
    if predictions.head in (Head.REGRESSION, Head.MULTILABEL):
        return None
    thresholds = _thresholds()
    reached = _reaching(predictions.confidence, thresholds)
    hits = _reaching(predictions.confidence[predictions.correct], thresholds)
    return CoverageCurve(thresholds, reached / len(predictions), _share(hits, reached))


def _curve(label: str, has_label: np.ndarray, values: np.ndarray, no_advice: str) -> ThresholdCurve:
    from sklearn.metrics import average_precision_score  # noqa: PLC0415  scikit-learn takes a second to import

    thresholds = _thresholds()
    predicted, hits, rows = (
        _reaching(values, thresholds),
        _reaching(values[has_label], thresholds),
        int(has_label.sum()),
    )
    return ThresholdCurve(
        label=label,
        rows=rows,
        thresholds=thresholds,
        precision=_share(hits, predicted),
        recall=hits / rows,
        f1=2 * hits / (predicted + rows),
        average_precision=float(average_precision_score(has_label, values)),
        no_advice=no_advice,
    )


def _thresholds() -> np.ndarray:
    return np.arange(STEPS + 1) / STEPS


def _reaching(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Number of values at or over each threshold."""
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="left")


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
