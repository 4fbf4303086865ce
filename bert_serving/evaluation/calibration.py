"""Calibration of probabilities: the bins of a reliability diagram and the expected calibration error."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.intervals import Interval, share_interval
from bert_serving.evaluation.predictions import Predictions
from bert_serving.metrics import CALIBRATION_BINS, confidence_bins


@dataclass(frozen=True)
class CalibrationBin:
    """The predictions in one range of confidence.

    Attributes:
        low, high: edges of the bin; open below.
        count: number of predictions.
        confidence: their mean confidence.
        accuracy: the share that is correct, with its 95% Wilson interval.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: Interval


@dataclass(frozen=True)
class Calibration:
    """A reliability diagram in numbers.

    Attributes:
        bins: those that hold predictions, lowest confidence first.
        expected_error: mean distance of accuracy from confidence over the bins, weighted by count.
        confidence: mean confidence of all predictions.
        accuracy: share of all predictions that is correct.
    """

    bins: tuple[CalibrationBin, ...]
    expected_error: float
    confidence: float
    accuracy: float


def calibration(predictions: Predictions) -> Calibration | None:
    """The reliability diagram of a model's probabilities; None for a regression head, which has none.

    With one label per row, confidence is the greatest probability (Guo et al. 2017). With multilabel every label of
    every row is a prediction and confidence is its probability, so that rare labels show below one half.
    """
    if predictions.head is Head.REGRESSION:
        return None
    if predictions.head is Head.MULTILABEL:
        confidence, correct = np.asarray(predictions.values, np.float64).ravel(), predictions.y_true.ravel() == 1
    else:
        # Thresholds choose labels, and calibration is about probabilities.
        likeliest = dataclasses.replace(predictions, thresholds=())
        confidence, correct = likeliest.confidence, likeliest.correct
    bins = tuple(
        CalibrationBin(
            low=number / CALIBRATION_BINS,
            high=(number + 1) / CALIBRATION_BINS,
            count=count,
            confidence=mean,
            accuracy=share_interval(round(share * count), count),
        )
        for number, count, share, mean in confidence_bins(confidence, correct)
    )
    distances = sum(bin_.count * abs(bin_.accuracy.value - bin_.confidence) for bin_ in bins)
    return Calibration(bins, distances / len(correct), float(confidence.mean()), float(correct.mean()))
