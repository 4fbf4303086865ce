"""Two models on the same rows: which answers changed, and whether one model is better than the other."""

from dataclasses import dataclass

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.intervals import Interval, mean_interval
from bert_serving.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Comparison:
    """A first model and a second one.

    Attributes:
        second: the second model's answers.
        test: name of the test behind `p_value`.
        p_value: probability of so great a difference in either direction if the models were equally good.
        differences: by score, second minus first, with 95% bootstrap intervals over the rows: "accuracy" and "log_loss"; for
            regression "mean_absolute_error".
        mended: rows that only the second answers right, int64; for regression those where it is nearer by more than a
            tenth of the labels' standard deviation.
        broken: rows that only the first answers right (for regression: is nearer), int64.
        otherwise: rows that both answer wrong, differently, int64; empty for regression.
        both_right, both_wrong: numbers of rows; 0 for regression.
    """

    second: Predictions
    test: str
    p_value: float
    differences: dict[str, Interval]
    mended: np.ndarray
    broken: np.ndarray
    otherwise: np.ndarray
    both_right: int
    both_wrong: int


def compare(first: Predictions, second: Predictions) -> Comparison:
    """Compares two models' answers to the same rows: McNemar's exact test on the rows that one alone answers right
    (McNemar 1947), for regression Wilcoxon's signed-rank test on the distances from the right numbers."""
    return _compared_numbers(first, second) if first.head is Head.REGRESSION else _compared_answers(first, second)


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """Exact two-sided p value of McNemar's test, from the rows that one of two models alone answers right."""
    from scipy.stats import binomtest

    changed = only_first + only_second
    return float(binomtest(only_first, changed).pvalue) if changed else 1.0


def _compared_answers(first: Predictions, second: Predictions) -> Comparison:
    mended, broken = second.right & ~first.right, first.right & ~second.right
    different = first.y_pred != second.y_pred
    if different.ndim == 2:
        different = different.any(axis=1)
    return Comparison(
        second=second,
        test="McNemar's exact test",
        p_value=mcnemar_p_value(int(broken.sum()), int(mended.sum())),
        differences={
            "accuracy": mean_interval(second.right.astype(float) - first.right.astype(float)),
            "log_loss": mean_interval(second.losses - first.losses),
        },
        mended=np.flatnonzero(mended),
        broken=np.flatnonzero(broken),
        otherwise=np.flatnonzero(different & ~first.right & ~second.right),
        both_right=int((first.right & second.right).sum()),
        both_wrong=int((~first.right & ~second.right).sum()),
    )


def _compared_numbers(first: Predictions, second: Predictions) -> Comparison:
    from scipy.stats import wilcoxon

    farther = second.losses - first.losses
    notable = float(first.y_true.std()) / 10
    return Comparison(
        second=second,
        test="Wilcoxon's signed-rank test",
        p_value=float(wilcoxon(farther).pvalue) if farther.any() else 1.0,
        differences={"mean_absolute_error": mean_interval(farther)},
        mended=np.flatnonzero(farther < -notable),
        broken=np.flatnonzero(farther > notable),
        otherwise=np.zeros(0, np.int64),
        both_right=0,
        both_wrong=0,
    )
