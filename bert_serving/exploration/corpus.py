"""All rows of all splits, one after another, with their words numbered: what the looks at data share."""

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
class Place:
    """Where a row stands: its split, and its number there from 1."""

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
        return len(self.words)

    def span(self, split: str) -> slice:
        """The rows of a split."""
        return slice(self.starts[split], self.starts[split] + len(self.tables[split]))

    def place(self, number: int) -> Place:
        """Where the row of this number stands."""
        split = self.splits[number]
        return Place(split, int(number) - self.starts[split] + 1)

    @cached_property
    def splits(self) -> list[str]:
        """The split of each row."""
        return [name for name, table in self.tables.items() for _ in range(len(table))]

    @cached_property
    def keys(self) -> list[Any]:
        """What makes each row's text: the text, or both texts of a pair."""
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
    def terms(self) -> "Terms":
        """The words that the baselines learn from, lower-cased, without punctuation; every Chinese character is one."""
        return _terms(self.words)

    @cached_property
    def word_lengths(self) -> np.ndarray:
        """Words of each row, punctuation not counted, int64 [rows]."""
        return self.words.sums(np.asarray(self.terms.fold.sum(axis=1)).ravel().astype(np.int64))


@dataclass(frozen=True)
class Terms:
    """Words as the baselines count them.

    Attributes:
        names: the distinct terms.
        fold: scipy.sparse CSR, int32 [distinct words, distinct terms]: the terms in each word.
    """

    names: list[str]
    fold: Any


def number_rows(tables: Mapping[str, LabeledTable]) -> Corpus:
    """Joins splits and numbers their words."""
    starts = dict(zip(tables, np.cumsum([0, *map(len, tables.values())]).tolist(), strict=False))
    texts = [text for table in tables.values() for text in table.texts]
    with_pairs = any(table.pairs is not None for table in tables.values())
    pairs = [text for table in tables.values() for text in table.pairs or ()] if with_pairs else None
    return Corpus(tables, number_words(texts, pairs), starts)


def _terms(words: WordRows) -> Terms:
    from scipy.sparse import csr_matrix

    pattern = re.compile(WORD)
    numbers: dict[str, int] = {}
    columns: list[int] = []
    offsets = [0]
    for word in words.words:
        # A low line is punctuation to BERT, a letter to regular expressions.
        columns += [numbers.setdefault(term, len(numbers)) for term in pattern.findall(word.lower()) if term != "_"]
        offsets.append(len(columns))
    shape = (len(words.words), len(numbers))
    return Terms(list(numbers), csr_matrix((np.ones(len(columns), np.int32), columns, offsets), shape))
