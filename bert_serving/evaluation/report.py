"""Everything that can be said about a model after training, from its answers to labeled rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_serving.evaluation.calibration import Calibration, calibration
from bert_serving.evaluation.comparison import Comparison, compare
from bert_serving.evaluation.intervals import Interval, ScoreIntervals, score_intervals
from bert_serving.evaluation.label_errors import LabelErrors, find_label_errors
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.slices import Slice, find_slices
from bert_serving.evaluation.thresholds import Coverage, ThresholdCurve, coverage, threshold_curves
from bert_serving.metrics import measure

LISTED_ROWS = 100
"""rows of each kind in the report's JSON"""


@dataclass(frozen=True)
class TextLengths:
    """How long a model finds the texts.

    Attributes:
        tokens: of each row before cutting, int [N].
        sequence_length: where the model cuts.
    """

    tokens: np.ndarray
    sequence_length: int


@dataclass(frozen=True)
class Report:
    """The analyzes of one model's answers, and of a second model's beside them.

    Attributes:
        predictions: the answers.
        metrics: as `evaluation.metrics` returns them.
        intervals: of the metrics.
        slices: all that were measured.
        label_errors, calibration, coverage: None where the head has none.
        thresholds: a curve for each label with rows; empty for regression.
        comparison: from this model to a second one; None without one.
        other_calibration: the second model's.
    """

    predictions: Predictions
    metrics: dict[str, Any]
    intervals: ScoreIntervals
    slices: tuple[Slice, ...]
    label_errors: LabelErrors | None
    calibration: Calibration | None
    thresholds: tuple[ThresholdCurve, ...]
    coverage: Coverage | None
    comparison: Comparison | None = None
    other_calibration: Calibration | None = None

    @property
    def short_slices(self) -> tuple[Slice, ...]:
        """The slices that fall short, least probable by chance first."""
        return tuple(sorted((each for each in self.slices if each.short), key=lambda each: each.p_value or 0.0))

    def to_json(self) -> dict[str, Any]:
        """Fit for JSON; rows are numbered from 1 in the order of the files, at most `LISTED_ROWS` of each kind."""
        order = np.argsort(-self.predictions.losses, kind="stable")
        found: dict[str, Any] = {
            "metrics": self.metrics,
            "intervals": {name: _pair(each) for name, each in self.intervals.scores.items()},
            "per_class_intervals": {
                label: {name: _pair(each) for name, each in scores.items()}
                for label, scores in self.intervals.per_class.items()
            },
            "slices": [_slice(each) for each in self.slices],
            "highest_losses": [
                {"row": int(row) + 1, "loss": float(self.predictions.losses[row])} for row in order[:LISTED_ROWS]
            ],
        }
        if self.label_errors is not None:
            rows = self.label_errors.ranking[: min(self.label_errors.suspicious, LISTED_ROWS)] + 1
            found["label_errors"] = {"suspicious": self.label_errors.suspicious, "rows": rows.tolist()}
        if self.calibration is not None:
            found["calibration"] = {
                "expected_error": self.calibration.expected_error,
                "confidence": self.calibration.confidence,
                "right": self.calibration.right,
                "bins": [
                    {"confidence": each.confidence, "right": each.right.value, "count": each.count}
                    for each in self.calibration.bins
                ],
            }
        if self.thresholds:
            found["thresholds"] = {curve.label: _curve(curve) for curve in self.thresholds}
        if self.comparison is not None:
            found["comparison"] = _comparison(self.comparison)
        return found


def make_report(
    predictions: Predictions, *, lengths: TextLengths | None = None, other: Predictions | None = None
) -> Report:
    """Analyses a model's answers.

    Args:
        predictions: the answers.
        lengths: of the texts in tokens, where they are known.
        other: a second model's answers to the same rows, with the same labels in the same order.

    Raises:
        InputError: there are no rows, an answer is no finite number, or cleanlab is not installed.
        DataError: a row's label is not among the model's.
    """
    tokens, cut = (None, None) if lengths is None else (lengths.tokens, lengths.sequence_length)
    return Report(
        predictions=predictions,
        metrics=measure(predictions.head, predictions.labels, predictions.y_true, predictions.values),
        intervals=score_intervals(predictions),
        slices=find_slices(predictions, tokens, cut),
        label_errors=find_label_errors(predictions),
        calibration=calibration(predictions),
        thresholds=threshold_curves(predictions),
        coverage=coverage(predictions),
        comparison=None if other is None else compare(predictions, other),
        other_calibration=None if other is None else calibration(other),
    )


def _pair(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _slice(each: Slice) -> dict[str, Any]:
    return {
        "group": each.group,
        "name": each.name,
        "rows": len(each.rows),
        "score": each.score.value,
        "interval": _pair(each.score),
        "rest": each.rest,
        "p_value": each.p_value,
        "short": each.short,
    }


def _curve(curve: ThresholdCurve) -> dict[str, Any]:
    best = curve.best
    precision = float(curve.precision[best])
    return {
        "average_precision": curve.average_precision,
        "best_threshold": float(curve.thresholds[best]),
        "precision": precision if np.isfinite(precision) else None,
        "recall": float(curve.recall[best]),
        "f1": float(curve.f1[best]),
    }


def _comparison(each: Comparison) -> dict[str, Any]:
    return {
        "test": each.test,
        "p_value": each.p_value,
        "differences": {
            name: {"value": difference.value, "interval": _pair(difference)}
            for name, difference in each.differences.items()
        },
        "mended": len(each.mended),
        "broken": len(each.broken),
        "otherwise": len(each.otherwise),
        "both_right": each.both_right,
        "both_wrong": each.both_wrong,
        "changed_rows": {
            name: (getattr(each, name)[:LISTED_ROWS] + 1).tolist() for name in ("mended", "broken", "otherwise")
        },
    }
