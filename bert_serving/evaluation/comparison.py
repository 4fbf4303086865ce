"""Comparison of two models on the same rows: changed predictions and a significance test."""

# scipy is imported where it is needed: it takes a second.
# ruff: noqa: PLC0415

from dataclasses import dataclass

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.intervals import Interval, mean_interval
from bert_serving.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Comparison:
    """A first model and a second one.

    Attributes:
        second: the second model's predictions.
        test: name of the test behind `p_value`.
        p_value: two-sided.
        differences: by score, second minus first, with 95% bootstrap intervals over the rows: "accuracy" and
            "log_loss"; for regression "mean_absolute_error".
        fixed: rows that only the second model predicts correctly, int64; for regression those where its error is
            smaller by more than a tenth of the labels' standard deviation.
        regressed: rows that only the first model predicts correctly (for regression: with the smaller error), int64.
        changed_incorrect: rows that both predict wrong, with different labels, int64; empty for regression.
        both_correct, both_incorrect: numbers of rows; 0 for regression.
    """

    second: Predictions
    test: str
    p_value: float
    differences: dict[str, Interval]
    fixed: np.ndarray
    regressed: np.ndarray
    changed_incorrect: np.ndarray
    both_correct: int
    both_incorrect: int


def compare(first: Predictions, second: Predictions) -> Comparison:
    """Compares two models' predictions on the same rows.

    McNemar's exact test on the rows that only one of them predicts correctly (McNemar 1947); for regression Wilcoxon's
    signed-rank test on the absolute errors.
    """
    return _compare_numbers(first, second) if first.head is Head.REGRESSION else _compare_labels(first, second)


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """Exact two-sided p value of McNemar's test, from the rows that only one of two models predicts correctly."""
    from scipy.stats import binomtest

    changed = only_first + only_second
    return float(binomtest(only_first, changed).pvalue) if changed else 1.0


def _compare_labels(first: Predictions, second: Predictions) -> Comparison:
    fixed, regressed = second.correct & ~first.correct, first.correct & ~second.correct
    different = first.y_pred != second.y_pred
    if different.ndim == 2:
        different = different.any(axis=1)
    both_incorrect = ~first.correct & ~second.correct
    return Comparison(
        second=second,
        test="McNemar's exact test",
        p_value=mcnemar_p_value(int(regressed.sum()), int(fixed.sum())),
        differences={
            "accuracy": mean_interval(second.correct.astype(float) - first.correct.astype(float)),
            "log_loss": mean_interval(second.losses - first.losses),
        },
        fixed=np.flatnonzero(fixed),
        regressed=np.flatnonzero(regressed),
        changed_incorrect=np.flatnonzero(different & both_incorrect),
        both_correct=int((first.correct & second.correct).sum()),
        both_incorrect=int(both_incorrect.sum()),
    )


def _compare_numbers(first: Predictions, second: Predictions) -> Comparison:
    from scipy.stats import wilcoxon

    increase = second.losses - first.losses
    notable = float(first.y_true.std()) / 10
    return Comparison(
        second=second,
        test="Wilcoxon's signed-rank test",
        p_value=float(wilcoxon(increase).pvalue) if increase.any() else 1.0,
        differences={"mean_absolute_error": mean_interval(increase)},
        fixed=np.flatnonzero(increase < -notable),
        regressed=np.flatnonzero(increase > notable),
        changed_incorrect=np.zeros(0, np.int64),
        both_correct=0,
        both_incorrect=0,
    )
