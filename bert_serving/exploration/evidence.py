"""Rows, words and labels that show a finding."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_serving.exploration.duplicates import NearText
from bert_serving.exploration.explore import TRAIN, Exploration
from bert_serving.exploration.typical_words import TypicalWord

SHOWN = 300
"""rows of one finding"""


@dataclass(frozen=True)
class Evidence:
    """Rows to look at.

    Attributes:
        columns: their names.
        rows: the first of them.
        total: how many there are.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    total: int


def rows_of(seen: Exploration, numbers: Sequence[int]) -> Evidence:
    """Rows of the corpus."""
    rows = [_row(seen, number) for number in numbers[:SHOWN]]
    return Evidence(("split", "row", "label", "text"), rows, len(numbers))


def measured_rows(seen: Exploration, numbers: Sequence[int], name: str, values: np.ndarray) -> Evidence:
    """Rows of the corpus with a measure of each, int [rows of the corpus], the greatest first."""
    ordered = sorted(numbers, key=lambda number: -values[number])
    rows = [(*_row(seen, number), int(values[number])) for number in ordered[:SHOWN]]
    return Evidence(("split", "row", "label", "text", name), rows, len(numbers))


def leaking_texts(seen: Exploration, exact: Sequence[tuple[int, int]], near: Sequence[NearText]) -> Evidence:
    """Rows beside the same row, and beside the nearly same row, of another split."""
    same = [NearText(number, first, 1.0, conflicting=False) for first, number in exact]
    return near_texts(seen, [*same, *near])


def near_texts(seen: Exploration, near: Sequence[NearText]) -> Evidence:
    """Rows beside the rows that they are like."""
    columns = ("similarity", "label", "text", "its label", "like", "row", "like row")
    rows = [(each.similarity, *_side_by_side(seen, each.number, each.first)) for each in near[:SHOWN]]
    return Evidence(columns, rows, len(near))


def label_counts(seen: Exploration, labels: Iterable[str]) -> Evidence:
    """Labels with their rows, the rarest first."""
    splits = seen.audit.splits
    rarest = sorted(labels, key=lambda label: splits[TRAIN].rows_per_class[label])
    rows = [(label, *(split.rows_per_class[label] for split in splits.values())) for label in rarest]
    return Evidence(("label", *(f"rows of {name}" for name in splits)), rows[:SHOWN], len(rows))


def words_of(words: Sequence[TypicalWord]) -> Evidence:
    """Words with the label that they stand for."""
    rows = [(word.word, word.label, word.rows, word.purity) for word in words]
    return Evidence(("word", "label", "rows with it", "share of the word's rows"), rows[:SHOWN], len(rows))


def _row(seen: Exploration, number: int) -> tuple[Any, ...]:
    place = seen.corpus.place(number)
    return place.split, place.row, seen.corpus.label(number), seen.corpus.text(number)


def _side_by_side(seen: Exploration, number: int, first: int) -> Iterator[str]:
    for each in (number, first):
        yield from (seen.corpus.label(each), seen.corpus.text(each))
    for each in (number, first):
        place = seen.corpus.place(each)
        yield f"{place.split} {place.row:,}"
