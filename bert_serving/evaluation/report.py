"""The evaluation report of a model: all analyses of its predictions on labeled rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_serving.evaluation.calibration import Calibration, calibration
from bert_serving.evaluation.chance import Chance, compare_with_chance
from bert_serving.evaluation.comparison import Comparison, compare
from bert_serving.evaluation.intervals import Interval, ScoreIntervals, score_intervals
from bert_serving.evaluation.label_errors import LabelErrors, find_label_errors
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.slices import Slice, find_slices
from bert_serving.evaluation.thresholds import CoverageCurve, ThresholdCurve, coverage_curve, threshold_curves

LISTED_ROWS = 100
"""rows of each kind in the report's JSON"""


@dataclass(frozen=True)
class TextLengths:
    """Lengths of the texts in tokens.

    Attributes:
        tokens: of each row before cutting, int [N].
        sequence_length: tokens at which the model cuts a text.
    """

    tokens: np.ndarray
    sequence_length: int


@dataclass(frozen=True)
class Report:
    """The analyses of one model's predictions, and the comparison with a second model.

    Attributes:
        predictions: the rows with predictions.
        metrics: as `metrics.measure` returns them.
        intervals: of the metrics.
        slices: all slices.
        chance: whether the model is better than an answer that does not depend on the text.
        label_errors: None where the head has none, and where the model is no better than chance: what contradicts such a
            model is no error.
        calibration, coverage: None where the head has none.
        thresholds: a curve for each label with rows; empty for regression.
        comparison: from this model to a second one; None without one.
        other_calibration: the second model's.
    """

    predictions: Predictions
    metrics: dict[str, Any]
    intervals: ScoreIntervals
    slices: tuple[Slice, ...]
    chance: Chance
    label_errors: LabelErrors | None
    calibration: Calibration | None
    thresholds: tuple[ThresholdCurve, ...]
    coverage: CoverageCurve | None
    comparison: Comparison | None = None
    other_calibration: Calibration | None = None

    @property
    def short_slices(self) -> tuple[Slice, ...]:
        """The slices that score significantly lower than the rest, lowest p value first."""
        return tuple(sorted((part for part in self.slices if part.short), key=lambda part: part.p_value or 0.0))

    def to_json(self) -> dict[str, Any]:
        """Fit for JSON; rows are numbered from 1 in the order of the files, at most `LISTED_ROWS` of each kind."""
        losses = self.predictions.losses
        plain: dict[str, Any] = {
            "chance": self.chance.to_json(),
            "metrics": self.metrics,
            "intervals": {name: _bounds(score) for name, score in self.intervals.scores.items()},
            "per_class_intervals": {
                label: {name: _bounds(score) for name, score in scores.items()}
                for label, scores in self.intervals.per_class.items()
            },
            "slices": [_slice(part) for part in self.slices],
            "highest_losses": [
                {"row": int(row) + 1, "loss": float(losses[row])} for row in self.predictions.by_loss[:LISTED_ROWS]
            ],
        }
        if self.label_errors is not None:
            rows = self.label_errors.ranking[: min(self.label_errors.suspicious, LISTED_ROWS)] + 1
            plain["label_errors"] = {"suspicious": self.label_errors.suspicious, "rows": rows.tolist()}
        if self.calibration is not None:
            plain["calibration"] = {
                "expected_error": self.calibration.expected_error,
                "confidence": self.calibration.confidence,
                "accuracy": self.calibration.accuracy,
                "bins": [
                    {"confidence": bin_.confidence, "accuracy": bin_.accuracy.value, "count": bin_.count}
                    for bin_ in self.calibration.bins
                ],
            }
        if self.thresholds:
            plain["thresholds"] = {curve.label: _curve(curve) for curve in self.thresholds}
        if self.comparison is not None:
            plain["comparison"] = _comparison(self.comparison)
        return plain


def make_report(
    predictions: Predictions, *, lengths: TextLengths | None = None, other: Predictions | None = None
) -> Report:
    """Analyzes a model's predictions.

    Args:
        predictions: the rows with predictions.
        lengths: of the texts in tokens, where they are known.
        other: a second model's predictions on the same rows, with the same labels in the same order.

    Raises:
        InputError: there are no rows, a prediction is not a finite number, or cleanlab is not installed.
        DataError: a row's label is not among the model's.
    """
    chance = compare_with_chance(predictions.head, predictions.labels, predictions.metrics)
    tokens, cut = (None, None) if lengths is None else (lengths.tokens, lengths.sequence_length)
    return Report(
        predictions=predictions,
        metrics=predictions.metrics,
        intervals=score_intervals(predictions),
        slices=find_slices(predictions, tokens, cut),
        chance=chance,
        label_errors=find_label_errors(predictions) if chance.better else None,
        calibration=calibration(predictions),
        thresholds=threshold_curves(predictions),
        coverage=coverage_curve(predictions),
        comparison=None if other is None else compare(predictions, other),
        other_calibration=None if other is None else calibration(other),
    )


def _bounds(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _slice(part: Slice) -> dict[str, Any]:
    return {
        "group": part.group,
        "name": part.name,
        "rows": len(part.rows),
        "score": part.score.value,
        "interval": _bounds(part.score),
        "rest": part.rest,
        "p_value": part.p_value,
        "short": part.short,
    }


def _curve(curve: ThresholdCurve) -> dict[str, Any]:
    best = curve.best
    if best is None:
        return {"average_precision": curve.average_precision, "best_threshold": None, "reason": curve.no_advice}
    precision = float(curve.precision[best])
    return {
        "average_precision": curve.average_precision,
        "best_threshold": float(curve.thresholds[best]),
        "precision": precision if np.isfinite(precision) else None,
        "recall": float(curve.recall[best]),
        "f1": float(curve.f1[best]),
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    changed = {name: getattr(comparison, name) for name in ("fixed", "regressed", "changed_incorrect")}
    return {
        "test": comparison.test,
        "p_value": comparison.p_value,
        "differences": {
            name: {"value": difference.value, "interval": _bounds(difference)}
            for name, difference in comparison.differences.items()
        },
        **{name: len(rows) for name, rows in changed.items()},
        "both_correct": comparison.both_correct,
        "both_incorrect": comparison.both_incorrect,
        "changed_rows": {name: (rows[:LISTED_ROWS] + 1).tolist() for name, rows in changed.items()},
    }
