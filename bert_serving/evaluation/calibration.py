"""Whether probabilities mean what they say: of the answers given with 80%, 80% should be right."""

from dataclasses import dataclass

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.intervals import Interval, share_interval
from bert_serving.evaluation.predictions import Predictions
from bert_serving.metrics import CALIBRATION_BINS, confidence_bins


@dataclass(frozen=True)
class CalibrationBin:
    """Answers of like confidence.

    Attributes:
        low, high: edges of the bin; open below.
        count: answers in it.
        confidence: their mean confidence.
        right: the share that is right, with its 95% Wilson interval.
    """

    low: float
    high: float
    count: int
    confidence: float
    right: Interval


@dataclass(frozen=True)
class Calibration:
    """A reliability diagram in numbers.

    Attributes:
        bins: those that hold answers, lowest confidence first.
        expected_error: mean distance of `right` from `confidence` over the bins, weighted by count.
        confidence: mean confidence of all answers.
        right: share of all answers that is right.
    """

    bins: tuple[CalibrationBin, ...]
    expected_error: float
    confidence: float
    right: float


def calibration(predictions: Predictions) -> Calibration | None:
    """The reliability of a model's probabilities; None for a regression head, which has none.

    One label of many: confidence is the greatest probability, as in Guo et al. 2017. Any of many: every label of every
    row is an answer, and confidence is the probability given to it, so that rare labels show below one half.
    """
    if predictions.head is Head.REGRESSION:
        return None
    if predictions.head is Head.MULTILABEL:
        confidence, right = np.asarray(predictions.values, np.float64).ravel(), predictions.y_true.ravel() == 1
    else:
        confidence, right = predictions.confidence, predictions.right
    bins = tuple(
        CalibrationBin(
            low=number / CALIBRATION_BINS,
            high=(number + 1) / CALIBRATION_BINS,
            count=count,
            confidence=mean,
            right=share_interval(round(share * count), count),
        )
        for number, count, share, mean in confidence_bins(confidence, right)
    )
    distances = sum(each.count * abs(each.right.value - each.confidence) for each in bins)
    return Calibration(bins, distances / len(right), float(confidence.mean()), float(right.mean()))
