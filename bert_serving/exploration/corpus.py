"""The corpus: the rows of all splits end to end, with numbered words, as all explorations read it."""

# scipy is imported where it is needed: it takes a second.
# ruff: noqa: PLC0415

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bert_serving.data.splits import label_names
from bert_serving.data.table import LabeledTable
from bert_serving.text.tfidf import WORD
from bert_serving.text.words import WordRows, number_words


@dataclass(frozen=True)
class SplitRow:
    """A row by its split and its number in it, from 1."""

    split: str
    row: int


@dataclass(frozen=True)
class Corpus:
    """Rows of several splits end to end.

    Attributes:
        tables: by split, in the order of the rows here.
        words: their words, numbered, upper and lower case apart.
        starts: the number of each split's first row.
    """

    tables: Mapping[str, LabeledTable]
    words: WordRows
    starts: dict[str, int]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.words)

    def span(self, split: str) -> slice:
        """The rows of a split."""
        return slice(self.starts[split], self.starts[split] + len(self.tables[split]))

    def split_row(self, number: int) -> SplitRow:
        """The split of a row and its number in it."""
        split = self.splits[number]
        return SplitRow(split, int(number) - self.starts[split] + 1)

    @cached_property
    def splits(self) -> list[str]:
        """The split of each row."""
        return [name for name, table in self.tables.items() for _ in range(len(table))]

    @cached_property
    def keys(self) -> list[Any]:
        """The text of each row, or both texts of a pair as a tuple: equal keys are duplicates."""
        return [
            key
            for table in self.tables.values()
            for key in (table.texts if table.pairs is None else zip(table.texts, table.pairs, strict=True))
        ]

    @cached_property
    def labels(self) -> list[Any]:
        """The label of each row, as the tables hold it."""
        return [label for table in self.tables.values() for label in table.labels]

    def text(self, number: int) -> str:
        """The text of a row; both texts of a pair with a bar between them."""
        key = self.keys[number]
        return key if isinstance(key, str) else " ‖ ".join(key)

    def label(self, number: int) -> str:
        """The label of a row in one line."""
        label = self.labels[number]
        return f"{label:g}" if isinstance(label, float) else ", ".join(label_names(label))

    @cached_property
    def terms(self) -> "TermTable":
        """The terms of the baselines: lower-cased words without punctuation; every Chinese character is a term."""
        return _terms(self.words)

    @cached_property
    def word_lengths(self) -> np.ndarray:
        """Words of each row, punctuation not counted, int64 [rows]."""
        return self.words.sums(np.asarray(self.terms.counts.sum(axis=1)).ravel().astype(np.int64))


@dataclass(frozen=True)
class TermTable:
    """The terms in each distinct word.

    Attributes:
        names: the distinct terms.
        counts: scipy.sparse CSR, int32 [distinct words, distinct terms].
    """

    names: list[str]
    counts: Any


def number_rows(tables: Mapping[str, LabeledTable]) -> Corpus:
    """Joins splits and numbers their words."""
    starts = dict(zip(tables, np.cumsum([0, *map(len, tables.values())]).tolist(), strict=False))
    texts = [text for table in tables.values() for text in table.texts]
    with_pairs = any(table.pairs is not None for table in tables.values())
    pairs = [text for table in tables.values() for text in table.pairs or ()] if with_pairs else None
    return Corpus(tables, number_words(texts, pairs), starts)


def _terms(words: WordRows) -> TermTable:
    from scipy.sparse import csr_matrix

    pattern = re.compile(WORD)
    numbers: dict[str, int] = {}
    columns: list[int] = []
    offsets = [0]
    for word in words.words:
        # An underscore is punctuation to BERT, a letter to regular expressions.
        columns += [numbers.setdefault(term, len(numbers)) for term in pattern.findall(word.lower()) if term != "_"]
        offsets.append(len(columns))
    shape = (len(words.words), len(numbers))
    return TermTable(list(numbers), csr_matrix((np.ones(len(columns), np.int32), columns, offsets), shape))
