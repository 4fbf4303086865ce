"""Slices: parts of the rows on which a model may score lower than on the rest."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.intervals import Interval, mean_interval, share_interval
from bert_serving.evaluation.predictions import Predictions
from bert_serving.text.tfidf import WORD

FEWEST_ROWS = 20
"""a smaller slice is measured but not tested"""
SMALLEST_GAP = 0.02
"""between the accuracy of a slice and the rest of the rows; for regression ten times as much of the rest's mean error"""
SIGNIFICANCE = 0.05
LENGTH_BINS = 5
MOST_VALUES = 20
"""a column with more values is cut into bins when they are numbers; else its rare values are one slice"""
OTHERS = "(other values)"
EMPTY = "(empty)"


@dataclass(frozen=True)
class Slice:
    """Rows with a property in common, against all others.

    Attributes:
        group: the property, such as "words".
        name: the value of the property in this slice.
        rows: their numbers, int64.
        score: accuracy with its Wilson interval; for regression the mean absolute error with its bootstrap interval.
        rest: the score of all other rows; None where there are none.
        p_value: corrected for the number of slices; None where the slice was not tested.
        short: whether the slice scores significantly lower than the rest.
    """

    group: str
    name: str
    rows: np.ndarray
    score: Interval
    rest: float | None
    p_value: float | None
    short: bool


def find_slices(
    predictions: Predictions, token_lengths: np.ndarray | None = None, sequence_length: int | None = None
) -> tuple[Slice, ...]:
    """Measures slices by length, label, script of the letters, cut texts, and the table's extra columns.

    A slice is short when it has `FEWEST_ROWS` rows, its accuracy is `SMALLEST_GAP` below that of all other rows, and a
    one-sided test gives a p value below `SIGNIFICANCE`: Fisher's exact test on correct and incorrect predictions; for
    regression the Mann-Whitney U test on the absolute errors, where the gap is ten times `SMALLEST_GAP` of the rest's
    mean error. The p values are corrected for multiple tests by Holm's method (1979).

    Args:
        predictions: the rows with predictions.
        token_lengths: int [N], tokens of each text before cutting, where they are known.
        sequence_length: the tokens at which the model cuts a text.
    """
    groups = {"words": _binned(_word_counts(predictions))}
    if token_lengths is not None and sequence_length is not None:
        groups["cut"] = _cut(token_lengths, sequence_length)
    if predictions.head is not Head.REGRESSION:
        groups["label"] = _by_label(predictions)
    groups["script"] = _grouped([script_of(text) for text in predictions.table.texts])
    for name, values in predictions.table.columns.items():
        groups[f"column {name}"] = _by_values(values)
    named_rows = [
        (group, name, rows)
        for group, slices in groups.items()
        if len(slices) > 1  # one slice of all rows has no rest to be compared with
        for name, rows in slices.items()
    ]
    return _test_slices(predictions, named_rows)


def script_of(text: str) -> str:
    """The writing system of most of a text's letters, such as "Latin" or "Han", by the letters' Unicode names."""
    counts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if script := _script(character):
            counts[script] += count
    return counts.most_common(1)[0][0] if counts else "no letters"


# === Groups: slices by name, as row numbers ===

_Slices = dict[str, np.ndarray]


def _word_counts(predictions: Predictions) -> np.ndarray:
    word, table = re.compile(WORD), predictions.table
    counts = [len(word.findall(text)) for text in table.texts]
    if table.pairs is not None:
        counts = [count + len(word.findall(pair)) for count, pair in zip(counts, table.pairs, strict=True)]
    return np.asarray(counts)


def _binned(values: np.ndarray) -> _Slices:
    """Bins with about as many rows each, which hold equal values together."""
    edges = np.unique(np.quantile(values, np.arange(1, LENGTH_BINS) / LENGTH_BINS, method="inverted_cdf"))
    numbers = np.searchsorted(edges, values, side="left")
    slices = {}
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)
        low, high = values[rows].min(), values[rows].max()
        slices[f"{low:,.6g}" if low == high else f"{low:,.6g} to {high:,.6g}"] = rows
    return slices


def _cut(token_lengths: np.ndarray, sequence_length: int) -> _Slices:
    cut = token_lengths > sequence_length
    names = [f"cut at {sequence_length} tokens" if is_cut else "read whole" for is_cut in cut]
    return _grouped(names)


def _by_label(predictions: Predictions) -> _Slices:
    true = predictions.y_true
    slices = {
        name: np.flatnonzero(true[:, number] if true.ndim == 2 else true == number)
        for number, name in enumerate(predictions.labels)
    }
    return {name: rows for name, rows in slices.items() if len(rows)}


def _grouped(names: Sequence[str]) -> _Slices:
    array = np.asarray(names, object)
    return {name: np.flatnonzero(array == name) for name, _ in Counter(names).most_common()}


def _by_values(values: Sequence[str]) -> _Slices:
    if len(set(values)) > MOST_VALUES:
        try:
            numbers = np.asarray([float(value) for value in values])
        except ValueError:
            numbers = np.asarray([np.nan])
        if np.isfinite(numbers).all():
            return _binned(numbers)
    common = {value for value, _ in Counter(values).most_common(MOST_VALUES)}
    return _grouped([value.strip() or EMPTY if value in common else OTHERS for value in values])


@cache
def _script(character: str) -> str | None:
    if not character.isalpha():
        return None
    first = unicodedata.name(character, "").split(" ")[0].split("-")[0]
    return {"CJK": "Han", "HIRAGANA": "Japanese", "KATAKANA": "Japanese"}.get(first, first.capitalize()) or None


# === Tests ===


def _test_slices(predictions: Predictions, named_rows: Sequence[tuple[str, str, np.ndarray]]) -> tuple[Slice, ...]:
    regression = predictions.head is Head.REGRESSION
    measures = predictions.losses if regression else predictions.correct.astype(np.float64)
    all_rows, total = np.arange(len(predictions)), float(measures.sum())
    tested: dict[int, float] = {}
    slices = []
    for number, (group, name, rows) in enumerate(named_rows):
        inside = measures[rows]
        others = len(all_rows) - len(rows)
        rest = (total - float(inside.sum())) / others if others else None
        score = mean_interval(inside) if regression else share_interval(int(inside.sum()), len(rows))
        if rest is not None and len(rows) >= FEWEST_ROWS:
            outside = measures[np.isin(all_rows, rows, invert=True, assume_unique=True)]
            tested[number] = _p_value(inside, outside, regression=regression)
        slices.append((group, name, rows, score, rest))
    corrected = holm(tested)
    return tuple(
        Slice(
            *(group, name, rows, score, rest),
            p_value=corrected.get(number),
            short=_is_short(score, rest, corrected.get(number), regression=regression),
        )
        for number, (group, name, rows, score, rest) in enumerate(slices)
    )


def _p_value(inside: np.ndarray, outside: np.ndarray, *, regression: bool) -> float:
    """One-sided: that the slice is worse."""
    from scipy.stats import fisher_exact  # noqa: PLC0415  scipy takes a second to import

    if regression:
        return rank_p_value(inside, outside)
    counts = [[int(correct.sum()), len(correct) - int(correct.sum())] for correct in (inside, outside)]
    return float(fisher_exact(counts, alternative="less").pvalue)


def rank_p_value(values: np.ndarray, others: np.ndarray) -> float:
    """P value of the Mann-Whitney U test, one-sided: that `values` are greater than `others`; both float [N]."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415  scipy takes a second to import

    return float(mannwhitneyu(values, others, alternative="greater").pvalue)


def holm(p_values: Mapping[int, float]) -> dict[int, float]:
    """Holm's step-down correction of p values, by their keys."""
    corrected, greatest = {}, 0.0
    for rank, number in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p_values[number]))
        corrected[number] = greatest
    return corrected


def _is_short(score: Interval, rest: float | None, p_value: float | None, *, regression: bool) -> bool:
    if rest is None or p_value is None or p_value >= SIGNIFICANCE:
        return False
    return score.value > rest * (1 + 10 * SMALLEST_GAP) if regression else score.value <= rest - SMALLEST_GAP
