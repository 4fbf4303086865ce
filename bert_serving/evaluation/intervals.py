"""95% confidence intervals of scores: bootstrap over the rows, Wilson for shares, Fisher's z for correlations."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.predictions import Predictions
from bert_serving.metrics import calibration_bin_numbers, regression_metrics

LEVEL = 0.95
_Z = 1.959964
"""quantile of the normal distribution for `LEVEL`"""
_FEWEST_CORRELATED, _LARGEST_CORRELATION = 5, 1 - 1e-12
RESAMPLES = 1_000
_CALIBRATION = "expected_calibration_error"
_Statistics = dict[str, np.ndarray]
"""by score; an array of one value, or of one for each label"""


@dataclass(frozen=True)
class Interval:
    """A score with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ScoreIntervals:
    """Intervals of the scores that `evaluation.metrics` measures.

    Attributes:
        scores: by name, such as "accuracy".
        per_class: by label, then "precision", "recall" and "f1"; empty for regression.
    """

    scores: Mapping[str, Interval]
    per_class: Mapping[str, Mapping[str, Interval]]


def score_intervals(predictions: Predictions, *, resamples: int = RESAMPLES, seed: int = 0) -> ScoreIntervals:
    """The scores of `evaluation.metrics` with 95% bootstrap intervals over the rows.

    Percentile intervals (Efron and Tibshirani 1993, chapter 13). The calibration error grows when rows are drawn
    twice, so that its percentiles lie too high; it gets the basic interval, mirrored at the value (Davison and Hinkley
    1997, section 5.2), which is cut at 0.

    Raises:
        InputError: there are no rows, or a prediction is not a finite number.
        DataError: a row's label is not among the model's.
    """
    measured = predictions.metrics
    statistics = _statistics(predictions)
    random = np.random.default_rng(seed)
    rows = len(predictions)
    drawn = [statistics(random.integers(0, rows, rows)) for _ in range(resamples)]
    samples = {name: np.stack([values[name] for values in drawn]) for name in drawn[0]}
    scores = {name: _interval(name, value, samples[name]) for name, value in measured.items() if name in samples}
    per_class = {
        label: {name: _interval(name, values[name], samples[f"class_{name}"][:, column]) for name in _CLASS_SCORES}
        for column, (label, values) in enumerate(measured.get("per_class", {}).items())
    }
    return ScoreIntervals(scores, per_class)


def mean_interval(values: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """A mean with its 95% bootstrap percentile interval; `values` float [N]."""
    random = np.random.default_rng(seed)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(resamples)]
    return _interval("mean", float(values.mean()), np.asarray(means))


def share_interval(hits: int, rows: int) -> Interval:
    """A share with its 95% Wilson interval (Wilson 1927), which holds for few rows and near 0 and 1, too."""
    from scipy.stats import binomtest  # noqa: PLC0415  scipy takes a second to import

    interval = binomtest(hits, rows).proportion_ci(LEVEL, method="wilson")
    return Interval(hits / rows, float(interval.low), float(interval.high))


def paired_share_interval(only_first: int, only_second: int, rows: int) -> Interval:
    """The first share minus the second with its 95% interval, both counted on the same rows.

    The adjusted Wald interval for matched pairs, which adds half a row to each cell of McNemar's table (McNemar 1947; Agresti and Min
    2005, https://doi.org/10.1002/sim.1781): it holds for few rows and for no difference at all, too.

    Args:
        only_first: rows that count in the first share alone.
        only_second: rows that count in the second share alone.
        rows: number of all rows.

    Example:
        >>> interval = paired_share_interval(1, 0, rows=20)
        >>> f"{interval.value:.2f} in {interval.low:.2f} to {interval.high:.2f}"
        '0.05 in -0.08 to 0.17'
    """
    adjusted, difference = rows + 2, only_first - only_second
    error = math.sqrt(only_first + only_second + 1 - difference**2 / adjusted) / adjusted
    return Interval(difference / rows, difference / adjusted - _Z * error, difference / adjusted + _Z * error)


def correlation_interval(value: float, rows: int) -> Interval:
    """Spearman's correlation with its 95% interval by Fisher's z (Fieller, Hartley and Pearson 1957); -1 to 1 for few rows."""
    if rows < _FEWEST_CORRELATED:
        return Interval(value, -1.0, 1.0)
    z, error = math.atanh(max(min(value, _LARGEST_CORRELATION), -_LARGEST_CORRELATION)), math.sqrt(1.06 / (rows - 3))
    return Interval(value, math.tanh(z - _Z * error), math.tanh(z + _Z * error))


_CLASS_SCORES = ("precision", "recall", "f1")


def _interval(name: str, value: float, samples: np.ndarray) -> Interval:
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(samples, [tail, 100 - tail])
    if name == _CALIBRATION:
        low, high = max(2 * value - high, 0.0), max(2 * value - low, 0.0)
    return Interval(value, float(low), float(high))


# === The scores of resampled rows: fast forms of `metrics.measure`, which would be too slow a thousand times ===


def _statistics(predictions: Predictions) -> Callable[[np.ndarray], _Statistics]:
    match predictions.head:
        case Head.REGRESSION:
            return _regression(predictions)
        case Head.MULTILABEL:
            return _multilabel(predictions)
    return _classification(predictions)


def _classification(predictions: Predictions) -> Callable[[np.ndarray], _Statistics]:
    y_true, y_pred, losses = predictions.y_true, predictions.y_pred, predictions.losses
    classes = len(predictions.labels)
    cells = y_true * classes + y_pred
    bins = calibration_bin_numbers(predictions.confidence)
    gaps = predictions.correct - predictions.confidence

    def statistics(rows: np.ndarray) -> _Statistics:
        confusion = np.bincount(cells[rows], minlength=classes**2).reshape(classes, classes)
        support = confusion.sum(axis=1)
        class_scores = _class_scores(confusion.diagonal(), confusion.sum(axis=0), support)
        return class_scores | {
            "accuracy": confusion.trace() / len(rows),
            "macro_f1": class_scores["class_f1"].mean(),
            "weighted_f1": class_scores["class_f1"] @ support / len(rows),
            "log_loss": losses[rows].mean(),
            _CALIBRATION: np.abs(np.bincount(bins[rows], gaps[rows])).sum() / len(rows),
        }

    return statistics


def _multilabel(predictions: Predictions) -> Callable[[np.ndarray], _Statistics]:
    y_true, y_pred = predictions.y_true, predictions.y_pred
    hits = y_true * y_pred

    def statistics(rows: np.ndarray) -> _Statistics:
        times = np.bincount(rows, minlength=len(predictions))
        hit, predicted, support = times @ hits, times @ y_pred, times @ y_true
        class_scores = _class_scores(hit, predicted, support)
        micro = _class_scores(hit.sum(keepdims=True), predicted.sum(keepdims=True), support.sum(keepdims=True))
        return class_scores | {
            "accuracy": times @ predictions.correct / len(rows),
            "micro_f1": micro["class_f1"][0],
            "macro_f1": class_scores["class_f1"].mean(),
            "log_loss": times @ predictions.losses / len(rows),
        }

    return statistics


def _regression(predictions: Predictions) -> Callable[[np.ndarray], _Statistics]:
    def statistics(rows: np.ndarray) -> _Statistics:
        measured = regression_metrics(predictions.y_true[rows], predictions.y_pred[rows])
        return {name: value for name, value in measured.items() if name != "rows"}

    return statistics


def _class_scores(hits: np.ndarray, predicted: np.ndarray, support: np.ndarray) -> _Statistics:
    """Precision, recall and F1 of each label, 0 where there is nothing to divide by."""
    return {
        "class_precision": hits / np.maximum(predicted, 1),
        "class_recall": hits / np.maximum(support, 1),
        "class_f1": 2 * hits / np.maximum(predicted + support, 1),
    }
