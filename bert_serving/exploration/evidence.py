"""Evidence of a finding: its rows, words or labels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_serving.exploration.duplicates import NearDuplicate
from bert_serving.exploration.explore import TRAIN, Exploration
from bert_serving.exploration.typical_words import TypicalWord

SHOWN = 300
"""most rows of one finding"""


@dataclass(frozen=True)
class Evidence:
    """A table of rows to inspect.

    Attributes:
        columns: their names.
        rows: the first of them.
        total: number of all rows.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    total: int


def rows_of(exploration: Exploration, numbers: Sequence[int]) -> Evidence:
    """Rows of the corpus."""
    rows = [_row(exploration, number) for number in numbers[:SHOWN]]
    return Evidence(("split", "row", "label", "text"), rows, len(numbers))


def measured_rows(exploration: Exploration, numbers: Sequence[int], name: str, values: np.ndarray) -> Evidence:
    """Rows of the corpus with a measure of each, int [rows of the corpus], the greatest first."""
    ordered = sorted(numbers, key=lambda number: -values[number])
    rows = [(*_row(exploration, number), int(values[number])) for number in ordered[:SHOWN]]
    return Evidence(("split", "row", "label", "text", name), rows, len(numbers))


def leaking_texts(
    exploration: Exploration, exact: Sequence[tuple[int, int]], near: Sequence[NearDuplicate]
) -> Evidence:
    """Rows side by side with their duplicates and near-duplicates in another split."""
    pairs = [NearDuplicate(number, first, 1.0, conflicting=False) for first, number in exact]
    return near_texts(exploration, [*pairs, *near])


def near_texts(exploration: Exploration, near: Sequence[NearDuplicate]) -> Evidence:
    """Rows side by side with the rows that they are similar to."""
    columns = ("similarity", "label", "text", "duplicate's label", "duplicate", "row", "duplicate's row")
    rows = [(pair.similarity, *_side_by_side(exploration, pair.number, pair.first)) for pair in near[:SHOWN]]
    return Evidence(columns, rows, len(near))


def label_counts(exploration: Exploration, labels: Iterable[str]) -> Evidence:
    """Labels with their numbers of rows, the rarest first."""
    splits = exploration.audit.splits
    rarest = sorted(labels, key=lambda label: splits[TRAIN].rows_per_class[label])
    rows = [(label, *(split.rows_per_class[label] for split in splits.values())) for label in rarest]
    return Evidence(("label", *(f"rows of {name}" for name in splits)), rows[:SHOWN], len(rows))


def words_of(words: Sequence[TypicalWord]) -> Evidence:
    """Words with the label that they give away."""
    rows = [(word.word, word.label, word.rows, word.purity) for word in words]
    return Evidence(("word", "label", "rows with it", "share of the word's rows"), rows[:SHOWN], len(rows))


def _row(exploration: Exploration, number: int) -> tuple[Any, ...]:
    position = exploration.corpus.split_row(number)
    return position.split, position.row, exploration.corpus.label(number), exploration.corpus.text(number)


def _side_by_side(exploration: Exploration, number: int, first: int) -> Iterator[str]:
    for row in (number, first):
        yield from (exploration.corpus.label(row), exploration.corpus.text(row))
    for row in (number, first):
        position = exploration.corpus.split_row(row)
        yield f"{position.split} {position.row:,}"
