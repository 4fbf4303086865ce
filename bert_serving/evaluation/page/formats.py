"""Formats of scores, intervals and p values on the report's page."""

from bert_serving.contract import Head
from bert_serving.evaluation.intervals import Interval

_SHARES = ("accuracy", "expected_calibration_error")


def p_value(value: float | None) -> str:
    """A p value after the letter p."""
    if value is None:
        return "not tested"
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def score_value(name: str, value: float) -> str:
    """A score."""
    return f"{value:.1%}" if name in _SHARES else f"{value:.3f}"


def slice_interval(score: Interval, head: Head) -> str:
    """The interval of a slice's score."""
    digits = ".3g" if head is Head.REGRESSION else ".1%"
    return f"95% interval {score.low:{digits}} to {score.high:{digits}}"


def score_difference(name: str, difference: Interval) -> str:
    """The difference between two models in a score, with its interval."""
    factor, digits, unit = (100, "+.1f", " points") if name in _SHARES else (1, "+.3g", "")
    value, low, high = (f"{factor * number:{digits}}" for number in (difference.value, difference.low, difference.high))
    return f"{value}{unit} (95% interval {low} to {high})"
