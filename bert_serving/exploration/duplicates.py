"""Duplicates and near-duplicates within and across splits."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bert_serving.exploration.corpus import Corpus
from bert_serving.extras import require

SIMILAR = 0.8
"""least Jaccard similarity of two texts' word pairs that makes them near-duplicates"""
LEAST_WORDS = 4
"""shorter texts are similar by chance"""
# Sixteen bands of five find 99.8% of the texts with a similarity of 0.8 (Leskovec, Rajaraman and Ullman,
# Mining of Massive Datasets, section 3.4.2: 1 - (1 - s ** 5) ** 16).
_BANDS, _BAND = 16, 5


@dataclass(frozen=True)
class DuplicateGroup:
    """Rows with the same text.

    Attributes:
        numbers: of the rows in the corpus, at least two.
        conflicting: their labels differ.
    """

    numbers: tuple[int, ...]
    conflicting: bool


@dataclass(frozen=True)
class NearDuplicate:
    """A row whose text is similar to that of an earlier row.

    Attributes:
        number: of the row in the corpus.
        first: the earlier row.
        similarity: Jaccard similarity of their word pairs, `SIMILAR` to 1.
        conflicting: their labels differ; always false for regression.
    """

    number: int
    first: int
    similarity: float
    conflicting: bool


@dataclass(frozen=True)
class Duplicates:
    """The duplicates of a corpus.

    Attributes:
        corpus: the rows.
        exact: groups of equal texts, the largest first.
        near: near-duplicates that are not exact duplicates, the most similar first.
    """

    corpus: Corpus
    exact: list[DuplicateGroup]
    near: list[NearDuplicate]

    @cached_property
    def conflicting(self) -> list[DuplicateGroup]:
        """Equal texts with different labels."""
        return [group for group in self.exact if group.conflicting]

    def within(self, split: str) -> list[DuplicateGroup]:
        """Equal texts of one split, rows of other splits left out."""
        groups = (self._inside(group, split) for group in self.exact)
        return [DuplicateGroup(numbers, self._differ(numbers)) for numbers in groups if len(numbers) > 1]

    def leaks(self, first: str, second: str) -> list[tuple[int, int]]:
        """(row of `first`, row of `second`) for each row of the second split whose text occurs in the first."""
        pairs = []
        for group in self.exact:
            source = self._inside(group, first)
            if source:
                pairs += [(source[0], number) for number in self._inside(group, second)]
        return pairs

    def near_leaks(self, first: str, second: str) -> list[NearDuplicate]:
        """Near-duplicates in the second split of rows of the first."""
        splits = self.corpus.splits
        return [pair for pair in self.near if (splits[pair.first], splits[pair.number]) == (first, second)]

    def _inside(self, group: DuplicateGroup, split: str) -> tuple[int, ...]:
        return tuple(number for number in group.numbers if self.corpus.splits[number] == split)

    def _differ(self, numbers: tuple[int, ...]) -> bool:
        return len({self.corpus.labels[number] for number in numbers}) > 1


def find_duplicates(corpus: Corpus) -> Duplicates:
    """Finds duplicates and near-duplicates.

    Near-duplicates are found by MinHash and locality-sensitive hashing over pairs of neighboring words (lower-cased, without
    punctuation), then measured exactly. A text is compared with the first of each group of similar texts only, so that the
    number of copies does not matter.

    Raises:
        InputError: datasketch is not installed.
    """
    require("near-duplicates", ("datasketch",), extra="report")
    rows = defaultdict(list)
    for number, key in enumerate(corpus.keys):
        rows[key].append(number)
    labels = corpus.labels
    exact = [
        DuplicateGroup(tuple(numbers), len({labels[number] for number in numbers}) > 1)
        for numbers in rows.values()
        if len(numbers) > 1
    ]
    exact.sort(key=lambda group: (-len(group.numbers), group.numbers))
    return Duplicates(corpus, exact, _near(corpus, [numbers[0] for numbers in rows.values()]))


def _near(corpus: Corpus, numbers: list[int]) -> list[NearDuplicate]:
    from datasketch import MinHash, MinHashLSH  # noqa: PLC0415  an optional extra

    shingles = dict(_shingles(corpus, numbers))
    hashes = MinHash.generator(
        (values.tolist() for values in shingles.values()), num_perm=_BANDS * _BAND, hashfunc=_identity
    )
    index = MinHashLSH(num_perm=_BANDS * _BAND, params=(_BANDS, _BAND))
    near = []
    for (number, values), sketch in zip(shingles.items(), hashes, strict=True):
        similar = [(_similarity(values, shingles[first]), -first) for first in index.query(sketch)]
        similarity, first = max(similar, default=(0.0, 0))
        if similarity >= SIMILAR:
            # A small difference between numbers is not a conflict.
            conflicting = corpus.labels[number] != corpus.labels[-first] and not isinstance(
                corpus.labels[number], float
            )
            near.append(NearDuplicate(number, -first, float(similarity), conflicting))
        else:
            index.insert(number, sketch, check_duplication=False)
    return sorted(near, key=lambda pair: (-pair.similarity, pair.number))


def _identity(value: int) -> int:
    """The hash function for shingles, which are hashed already."""
    return value


def _shingles(corpus: Corpus, numbers: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """(row, hashes of its distinct pairs of neighboring terms, sorted uint64 below 2**32) of texts that are long enough."""
    counts = corpus.terms.counts
    # A word holds several terms where its script has no spaces between words; terms of all rows end to end.
    spread = np.diff(counts.indptr)[corpus.words.ids]
    ends = np.concatenate([[0], np.cumsum(spread)])
    within = np.arange(ends[-1]) - np.repeat(ends[:-1], spread)
    terms = counts.indices[np.repeat(counts.indptr[corpus.words.ids], spread) + within].astype(np.uint64)
    offsets = ends[corpus.words.offsets]
    pairs = _mixed(terms[:-1], terms[1:]) if len(terms) > 1 else np.zeros(0, np.uint64)
    for number in numbers:
        start, end = offsets[number], offsets[number + 1]
        if end - start >= LEAST_WORDS:
            yield number, np.unique(pairs[start : end - 1])


def _mixed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A hash of each pair of numbers: the finalizer of SplitMix64 (Steele, Lea and Flood 2014), upper 32 bits."""
    value = (first << np.uint64(32)) + second
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = (value ^ (value >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray((value ^ (value >> np.uint64(31))) >> np.uint64(32))


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / max(len(one) + len(other) - common, 1)
