"""How the report's page calls things and says numbers."""

from dataclasses import dataclass

from bert_serving.contract import Head, Scaling
from bert_serving.evaluation.intervals import Interval

_SHARES = ("accuracy", "expected_calibration_error")


@dataclass(frozen=True)
class Names:
    """How the page calls things.

    Attributes:
        model: the model, as the user named it.
        data: the rows, such as a file's name.
        other: the second model.
        scaling: what is done to the model's logits, where it is known.
        notes: what is wrong with the way of measuring, if anything.
    """

    model: str
    data: str
    other: str = ""
    scaling: Scaling | None = None
    notes: tuple[str, ...] = ()


def out_of(what: str, shown: int, total: int) -> str:
    """How many there are, and how many of them are shown where not all are."""
    return f"{what}: {total:,}" if shown == total else f"{what}: {shown:,} of {total:,}"


def counted(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def p_value(value: float | None) -> str:
    """What stands behind the letter p."""
    if value is None:
        return "not tested"
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def interval_words(each: Interval, head: Head) -> str:
    """The interval of a slice's score."""
    if head is Head.REGRESSION:
        return f"95% interval {each.low:.3g} to {each.high:.3g}"
    return f"95% interval {each.low:.1%} to {each.high:.1%}"


def figure(name: str, value: float) -> str:
    """A score."""
    return f"{value:.1%}" if name in _SHARES else f"{value:.3f}"


def signed(each: Interval, name: str) -> str:
    """The difference of a score with its interval."""
    if name in _SHARES:
        return f"{100 * each.value:+.1f} points (95% interval {100 * each.low:+.1f} to {100 * each.high:+.1f})"
    return f"{each.value:+.3g} (95% interval {each.low:+.3g} to {each.high:+.3g})"


def spelled(name: str) -> str:
    """The name of a score for people."""
    words = name.replace("_", " ").replace("expected calibration", "calibration")
    return words[:-2] + "F1" if words.endswith("f1") else words
