"""Metrics of classifiers, multilabel classifiers and regressors, as plain numbers fit for JSON."""

# ruff: noqa: PLC0415
# scikit-learn and SciPy take seconds to import, and a caller may need neither.

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from bert_serving.answers import predicted_labels
from bert_serving.contract import Head, Thresholds
from bert_serving.errors import InputError

CALIBRATION_BINS = 15
"""as in Guo et al. 2017"""
# Of a sum of some hundred float32 products, relative to its size.
_ROUNDING = 1e-5


def measure(
    head: Head, labels: Sequence[str], y_true: np.ndarray, predictions: np.ndarray, thresholds: Thresholds = ()
) -> dict[str, Any]:
    """The metrics that fit the head.

    Args:
        head: what the model predicts.
        labels: all labels, in the order of the model's outputs.
        y_true: as the metrics of this head take it.
        predictions: probabilities [N, C]; for regression numbers [N] or [N, 1].
        thresholds: by which labels are predicted from probabilities; () without fitted ones.

    Raises:
        InputError: there are no rows, or a prediction is not a finite number.
    """
    if head is Head.REGRESSION:
        return regression_metrics(y_true, predictions)
    if head is Head.MULTILABEL:
        return multilabel_metrics(labels, y_true, predictions, thresholds)
    return classification_metrics(labels, y_true, predictions, thresholds)


def classification_metrics(
    labels: Sequence[str], y_true: np.ndarray, probabilities: np.ndarray, thresholds: Thresholds = ()
) -> dict[str, Any]:
    """Metrics of single-label classification. F1 averages run over all C labels; one without rows or predictions counts as 0.

    Args:
        labels: C names, in the order of the columns.
        y_true: int [N], index of the true label.
        probabilities: float [N, C].
        thresholds: as for `measure`; loss and calibration do not depend on them.

    Returns:
        accuracy, macro_f1, weighted_f1, log_loss (nats), expected_calibration_error, per_class {label: precision,
        recall, f1, support}, confusion_matrix (C lists of C counts, a row for each true label), rows.

    Raises:
        InputError: there are no rows, or a probability is not a finite number.
        ValueError: the shapes do not fit.
    """
    from sklearn.metrics import accuracy_score, confusion_matrix

    y_true = np.asarray(y_true, np.int64)
    probabilities = _checked(probabilities, (len(y_true), len(labels)))
    y_pred = predicted_labels(Head.SOFTMAX, probabilities, thresholds)
    per_class = _per_class(labels, y_true, y_pred)
    f1, support = ([scores[name] for scores in per_class.values()] for name in ("f1", "support"))
    return {
        "rows": len(y_true),
        "accuracy": float(accuracy_score(y_true, y_pred)),
        "macro_f1": float(np.mean(f1)),
        "weighted_f1": float(np.average(f1, weights=support)),
        "log_loss": _log_loss(y_true, probabilities),
        "expected_calibration_error": expected_calibration_error(y_true, probabilities),
        "per_class": per_class,
        "confusion_matrix": confusion_matrix(y_true, y_pred, labels=np.arange(len(labels))).tolist(),
    }


def multilabel_metrics(
    labels: Sequence[str], y_true: np.ndarray, probabilities: np.ndarray, thresholds: Thresholds = ()
) -> dict[str, Any]:
    """Metrics of multilabel classification; a label is predicted from a probability of 0.5, or its threshold, on.

    Args:
        labels: C names, in the order of the columns.
        y_true: int [N, C] of 0 and 1.
        probabilities: float [N, C], independent of each other.
        thresholds: as for `measure`.

    Returns:
        accuracy (subset accuracy: fraction of rows with all labels correct), micro_f1, macro_f1, log_loss (nats, mean over rows
        and labels), per_class {label: precision, recall, f1, support}, rows.

    Raises:
        InputError: there are no rows, or a probability is not a finite number.
        ValueError: the shapes do not fit.
    """
    from sklearn.metrics import f1_score

    y_true = np.asarray(y_true, np.int64)
    probabilities = _checked(probabilities, (len(y_true), len(labels)))
    if y_true.shape != probabilities.shape:
        raise ValueError(f"y_true must be {probabilities.shape}, got {y_true.shape}")
    y_pred = predicted_labels(Head.MULTILABEL, probabilities, thresholds)
    per_class = _per_class(labels, y_true, y_pred)
    cells = np.stack([1 - probabilities.ravel(), probabilities.ravel()], axis=1)
    return {
        "rows": len(y_true),
        "accuracy": float((y_true == y_pred).all(axis=1).mean()),
        "micro_f1": float(f1_score(y_true.ravel(), y_pred.ravel(), labels=[1], average="micro", zero_division=0)),
        "macro_f1": float(np.mean([scores["f1"] for scores in per_class.values()])),
        "log_loss": _log_loss(y_true.ravel(), cells),
        "per_class": per_class,
    }


def regression_metrics(y_true: np.ndarray, y_pred: np.ndarray) -> dict[str, Any]:
    """Metrics of predicted numbers.

    Args:
        y_true: float [N].
        y_pred: float [N] or [N, 1].

    Returns:
        pearson, spearman (-1 to 1), mean_squared_error, mean_absolute_error (in the labels' unit), rows.

    Raises:
        InputError: there are no rows, or a prediction is not a finite number.
        ValueError: the shapes do not fit.
    """
    from sklearn.metrics import mean_absolute_error, mean_squared_error

    y_true = np.asarray(y_true, np.float64)
    y_pred = _checked(np.reshape(y_pred, -1), (len(y_true),))
    return {
        "rows": len(y_true),
        "pearson": correlation("pearson", y_true, y_pred),
        "spearman": correlation("spearman", y_true, y_pred),
        "mean_squared_error": float(mean_squared_error(y_true, y_pred)),
        "mean_absolute_error": float(mean_absolute_error(y_true, y_pred)),
    }


def correlation(kind: Literal["pearson", "spearman"], y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Pearson's or Spearman's coefficient, -1 to 1; 0 where one side is constant.

    Numbers that differ by no more than float32's rounding count as constant: a model that predicts the same for every row gives
    other last bits in other batches, and their ranks mean nothing.

    Args:
        kind: of the coefficient.
        y_true: float [N].
        y_pred: float [N].
    """
    from scipy import stats

    if any(np.ptp(values) <= _ROUNDING * np.abs(values).max() for values in (y_true, y_pred)):
        return 0.0
    function = stats.pearsonr if kind == "pearson" else stats.spearmanr
    return float(function(y_true, y_pred).statistic)


def expected_calibration_error(y_true: np.ndarray, probabilities: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Mean distance of accuracy from confidence, weighted by rows: equations 2 and 3 of Guo et al. 2017.

    Bins have equal width and are open below, ((m - 1) / M, m / M]; confidence is the greatest probability
    (https://arxiv.org/abs/1706.04599).

    Args:
        y_true: int [N].
        probabilities: float [N, C].
        bins: M.
    """
    return float(
        sum(
            rows * abs(accuracy - confidence)
            for _, rows, accuracy, confidence in calibration_bins(y_true, probabilities, bins)
        )
        / len(y_true)
    )


def calibration_bins(
    y_true: np.ndarray, probabilities: np.ndarray, bins: int = CALIBRATION_BINS
) -> list[tuple[int, int, float, float]]:
    """(bin number from 0, rows, accuracy, mean confidence) of each bin that holds rows.

    Args:
        y_true: int [N].
        probabilities: float [N, C].
        bins: number of bins of equal width over the greatest probability.
    """
    probabilities = np.asarray(probabilities, np.float64)
    return confidence_bins(
        probabilities.max(axis=1), predicted_labels(Head.SOFTMAX, probabilities) == np.asarray(y_true), bins
    )


def confidence_bins(
    confidence: np.ndarray, correct: np.ndarray, bins: int = CALIBRATION_BINS
) -> list[tuple[int, int, float, float]]:
    """(bin number from 0, rows, accuracy, mean confidence) of each bin that holds rows.

    Args:
        confidence: float [N], 0 to 1.
        correct: bool [N].
        bins: number of bins of equal width.
    """
    numbers = calibration_bin_numbers(confidence, bins)
    filled = []
    for number in np.unique(numbers):
        inside = numbers == number
        filled.append((int(number), int(inside.sum()), float(correct[inside].mean()), float(confidence[inside].mean())))
    return filled


def calibration_bin_numbers(confidence: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """The bin, from 0, of each confidence, int64 [N]: equal widths, open below."""
    return np.asarray(np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1))


def _checked(predictions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    predictions = np.asarray(predictions, np.float64)
    if predictions.shape != shape:
        raise ValueError(f"predictions must be {shape}, got {predictions.shape}")
    if not len(predictions):
        raise InputError("there are no rows to measure; give at least one")
    wrong = np.flatnonzero(~np.isfinite(predictions.reshape(len(predictions), -1)).all(axis=1))
    if len(wrong):
        raise InputError(
            f"the model's output for row {wrong[0] + 1} is not a finite number ({len(wrong)} rows in all); "
            "train again with a lower learning rate"
        )
    return predictions


def _per_class(labels: Sequence[str], y_true: np.ndarray, y_pred: np.ndarray) -> dict[str, dict[str, float]]:
    from sklearn.metrics import precision_recall_fscore_support

    if y_true.ndim == 2:
        columns = [
            precision_recall_fscore_support(true, pred, labels=[1], zero_division=0)
            for true, pred in zip(y_true.T, y_pred.T, strict=True)
        ]
        scores = np.concatenate(columns, axis=1)
    else:
        scores = np.asarray(
            precision_recall_fscore_support(y_true, y_pred, labels=np.arange(len(labels)), zero_division=0)
        )
    return {
        label: {"precision": float(precision), "recall": float(recall), "f1": float(f1), "support": int(support)}
        for label, precision, recall, f1, support in zip(labels, *scores, strict=True)
    }


def _log_loss(y_true: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import log_loss

    # Probabilities from short floats add up to 1 only roughly; scikit-learn needs it exact.
    probabilities = np.clip(probabilities, 1e-15, None)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return float(log_loss(y_true, probabilities, labels=np.arange(probabilities.shape[1])))
