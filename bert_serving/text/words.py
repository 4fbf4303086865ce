"""Splits texts into words without TensorFlow, never finer than BERT's own tokenizer."""

import re
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


def _characters(category: str, first: int = 0) -> str:
    """Characters of a general category of Unicode, below U+10000, for a class of a regular expression."""
    characters = map(chr, range(first, 0x10000))
    return "".join(re.escape(character) for character in characters if unicodedata.category(character)[0] == category)


_ASCII_SYMBOLS = r"!-/:-@\[-`{-~"
_PUNCTUATION = _characters("P", first=128)
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SPACES = _characters("Z")
_SINGLE = _ASCII_SYMBOLS + _PUNCTUATION + _HAN
_WORD = re.compile(f"[{_SINGLE}]|[^{_SINGLE}{_SPACES}\t\n\r]+")

SEPARATOR = ""
"""the word between the two texts of a pair; has no word pieces"""


def split_words(text: str) -> list[str]:
    """Splits at white space, around punctuation and around Chinese characters.

    BERT's tokenizer splits at all of these, too (https://github.com/google-research/bert/blob/master/tokenization.py,
    BasicTokenizer), so the word pieces of a text are those of its words in order.
    """
    return _WORD.findall(text)


@dataclass(frozen=True)
class WordRows:
    """Texts as numbers of their words.

    Attributes:
        words: the distinct words, in the order of their first appearance.
        ids: words of all rows concatenated, int32 [tokens].
        offsets: start of each row, int64 [rows + 1].
    """

    words: list[str]
    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    def row(self, number: int) -> np.ndarray:
        """The word numbers of one row, int32 [words]."""
        return self.ids[self.offsets[number] : self.offsets[number + 1]]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """For each row the sum of a value of its words, int64 [rows]; `values` is int [distinct words]."""
        totals = np.concatenate([[0], np.cumsum(values[self.ids], dtype=np.int64)])
        sums: np.ndarray = totals[self.offsets[1:]] - totals[self.offsets[:-1]]
        return sums

    def counts(self) -> np.ndarray:
        """How often each word occurs, int64 [distinct words]."""
        return np.bincount(self.ids, minlength=len(self.words))


def number_words(texts: Iterable[str], pairs: Sequence[str] | None = None) -> WordRows:
    """Splits texts, or pairs with `SEPARATOR` between them, and numbers the words."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    number = numbers.__getitem__
    ids, offsets = array("i"), array("q", [0])
    for row, text in enumerate(texts):
        ids.extend(map(number, split_words(text)))
        if pairs is not None:
            ids.append(number(SEPARATOR))
            ids.extend(map(number, split_words(pairs[row])))
        offsets.append(len(ids))
    return WordRows(list(numbers), np.frombuffer(ids, np.int32) if ids else np.zeros(0, np.int32), np.asarray(offsets))
