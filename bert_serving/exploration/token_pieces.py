"""Tokenization of a corpus: word pieces, splitting of words, and unknown words."""

# TensorFlow is imported where it is needed: the baselines of large data start in another process before it.
# ruff: noqa: PLC0415

import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bert_serving.exploration.corpus import Corpus
from bert_serving.text.words import SEPARATOR

if TYPE_CHECKING:
    from bert_serving.text.preprocessing import Preprocessing
    from bert_serving.text.shown_pieces import ShownPieces

LISTED_WORDS = 150
EXAMPLE_WORDS = 60
"""most words of an example"""
EXAMPLES, MISFITS = 8, 2
"""rows shown: one for each label, and two of each kind that the vocabulary fits worst"""
_WORDS_AT_ONCE = 4096
_NO_LIMIT = 2**31 - 1
_OTHER_LETTERS = "other letters"
_SCRIPTS = {"CJK": "Han (Chinese characters)", "CANADIAN": "Canadian syllabics", "MODIFIER": _OTHER_LETTERS}


@dataclass(frozen=True)
class SplitWord:
    """A word with its number of occurrences in all splits and its pieces."""

    word: str
    occurrences: int
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Script:
    """Tokenization of the words of one script.

    Attributes:
        name: of the script, "digits" or "punctuation and symbols".
        words: occurrences in all splits.
        pieces: their word pieces.
        unknown: occurrences that hold [UNK].
    """

    name: str
    words: int
    pieces: int
    unknown: int


@dataclass(frozen=True)
class Example:
    """The tokens of one row.

    Attributes:
        number: of the row in the corpus.
        why: the reason for showing it.
        pieces: its first word pieces.
        tokens: all its tokens, [CLS] and [SEP] included, before any cut.
    """

    number: int
    why: str
    pieces: tuple[str, ...]
    tokens: int


@dataclass(frozen=True)
class TokenPieces:
    """The word pieces of a corpus.

    Attributes:
        lengths: tokens of each row before any cut, [CLS] and [SEP] included, int64 [rows].
        unknown: [UNK] tokens of each row, int64 [rows].
        pieces_of_words: word pieces of the words of letters and digits, and the number of such words.
        scripts: the most frequent first.
        most_split: words whose splitting costs most tokens, then words of most pieces.
        unknown_words: the most frequent first.
        examples: rows, one for each label and those that the vocabulary fits worst.
    """

    lengths: np.ndarray
    unknown: np.ndarray
    pieces_of_words: tuple[int, int]
    scripts: list[Script]
    most_split: list[SplitWord]
    unknown_words: list[SplitWord]
    examples: list[Example]

    @property
    def unknown_share(self) -> float:
        """Share of the [UNK] tokens among all but [CLS] and [SEP], 0 to 1."""
        return float(self.unknown.sum() / max(sum(script.pieces for script in self.scripts), 1))

    @property
    def pieces_per_word(self) -> float:
        """Mean word pieces of a word, punctuation left out."""
        pieces, words = self.pieces_of_words
        return pieces / max(words, 1)


def split_into_pieces(corpus: Corpus, preprocessing: "Preprocessing", groups: Sequence[np.ndarray]) -> TokenPieces:
    """Tokenizes every distinct word once, with the encoder's tokenizer, and sums over the rows.

    Args:
        corpus: the rows.
        preprocessing: the encoder's.
        groups: row numbers; one example is drawn from each group, such as the rows of a label.

    Raises:
        EncoderError: the preprocessing carries no vocabulary.
    """
    from bert_serving.text.shown_pieces import read_shown_pieces

    vocabulary = read_shown_pieces(preprocessing.folder)
    # Inside a text most words come after a space, which is a part of the first piece with byte-level BPE.
    spaced = (
        corpus.words.words if vocabulary.is_word_piece else [f" {word}" * bool(word) for word in corpus.words.words]
    )
    ids, offsets = _tokenize(spaced, preprocessing)
    words = _Words(corpus, vocabulary, ids, offsets)
    lengths, unknown = _rows(corpus, words, preprocessing)
    counts = corpus.words.counts()
    lexical = words.is_lexical
    return TokenPieces(
        lengths=lengths,
        unknown=unknown,
        pieces_of_words=(int((counts * words.pieces)[lexical].sum()), int(counts[lexical].sum())),
        scripts=_scripts(words, counts),
        most_split=_most_split(words, counts),
        unknown_words=words.listed(np.flatnonzero(words.unknown > 0), counts),
        examples=_examples(words, lengths, unknown, groups),
    )


def _rows(corpus: Corpus, words: "_Words", preprocessing: "Preprocessing") -> tuple[np.ndarray, np.ndarray]:
    """Tokens of each row, with those around a text, and [UNK] tokens of each row; int64 [rows]."""
    pairs = any(table.pairs is not None for table in corpus.tables.values())
    if words.vocabulary.is_word_piece:
        frame = preprocessing.special.frame_tokens(2 if pairs else 1)
        return corpus.words.sums(words.pieces) + frame, corpus.words.sums(words.unknown)
    # Other tokenizers do not split at all the places where the corpus does, so that pieces of words do not add up.
    texts = [text for table in corpus.tables.values() for text in table.texts]
    others = [text for table in corpus.tables.values() for text in table.pairs or ()] if pairs else None
    ids, _, offsets, lengths = preprocessing.token_rows(texts, others, _NO_LIMIT)
    return lengths, _between(ids == words.vocabulary.unknown, offsets)


def _between(marks: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """How many marks stand between one offset and the next, int64."""
    totals = np.concatenate([[0], np.cumsum(marks)])
    counts: np.ndarray = totals[offsets[1:]] - totals[offsets[:-1]]
    return counts


class _Words:
    """The distinct words of a corpus with their pieces."""

    def __init__(self, corpus: Corpus, vocabulary: "ShownPieces", ids: np.ndarray, offsets: np.ndarray):
        self.corpus = corpus
        self.names = corpus.words.words
        self.vocabulary = vocabulary
        self._ids = ids
        self._offsets = offsets
        self.pieces = np.diff(offsets)
        self.unknown = _between(ids == vocabulary.unknown, offsets)
        self.scripts = [_script(word) for word in self.names]
        self.is_lexical = np.asarray([script not in (None, _SYMBOLS) for script in self.scripts], bool)

    def of(self, number: int) -> tuple[str, ...]:
        """The pieces of a word."""
        return self.vocabulary.of_word(self._ids[self._offsets[number] : self._offsets[number + 1]].tolist())

    def listed(self, numbers: np.ndarray, counts: np.ndarray) -> list[SplitWord]:
        """The most frequent of these words."""
        best = numbers[np.argsort(-counts[numbers], kind="stable")][:LISTED_WORDS]
        return [self.split_word(number, counts) for number in best.tolist()]

    def split_word(self, number: int, counts: np.ndarray) -> SplitWord:
        """A word with its pieces."""
        return SplitWord(self.names[number], int(counts[number]), self.of(number))


def _tokenize(words: Sequence[str], preprocessing: "Preprocessing") -> tuple[np.ndarray, np.ndarray]:
    """Pieces of all words end to end, int32 [pieces], and the offset of each word's first, int64 [words + 1]."""
    import tensorflow as tf

    ids, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for start in range(0, len(words), _WORDS_AT_ONCE):
        # The tokenizer may split a word into several words of its own; all their pieces are the word's.
        pieces = preprocessing.segment(tf.constant(words[start : start + _WORDS_AT_ONCE], tf.string)).merge_dims(1, -1)
        ids.append(pieces.flat_values.numpy())
        lengths.append(pieces.row_lengths().numpy())
    return np.concatenate(ids), np.concatenate([[0], np.cumsum(np.concatenate(lengths))])


# === Scripts ===

_SYMBOLS = "punctuation and symbols"


def _script(word: str) -> str | None:
    """The script of a word's first letter, else digits, else symbols; None for the separator of pairs."""
    if word == SEPARATOR:
        return None
    for character in word:
        if character.isascii() and character.isalpha():
            return "Latin"
        if character.isalpha():
            # Python has no table of scripts, but the Unicode name of a letter begins with the name of its script.
            # Normalization replaces narrow, raised and bold forms by the letter itself.
            letter = unicodedata.normalize("NFKC", character)[0]
            name = unicodedata.name(letter, "").split(" ")[0]
            return _SCRIPTS.get(name, name.capitalize().split("-")[0] or _OTHER_LETTERS)
    return "digits" if any(character.isnumeric() for character in word) else _SYMBOLS


def _scripts(words: _Words, counts: np.ndarray) -> list[Script]:
    names = sorted({script for script in words.scripts if script is not None})
    numbers = np.asarray([-1 if script is None else names.index(script) for script in words.scripts], int)
    scripts = []
    for number, name in enumerate(names):
        inside = numbers == number
        occurrences = counts[inside]
        scripts.append(
            Script(
                name,
                words=int(occurrences.sum()),
                pieces=int((occurrences * words.pieces[inside]).sum()),
                unknown=int(occurrences[words.unknown[inside] > 0].sum()),
            )
        )
    return sorted(scripts, key=lambda script: -script.words)


# === Words and rows to show ===


def _most_split(words: _Words, counts: np.ndarray) -> list[SplitWord]:
    """The words whose splitting costs most tokens in all, then the words of most pieces."""
    split = np.flatnonzero((words.pieces > 1) & (words.unknown == 0))
    cost = (words.pieces - 1) * counts
    costliest = split[np.argsort(-cost[split], kind="stable")][: LISTED_WORDS * 2 // 3]
    longest = split[np.argsort(-words.pieces[split], kind="stable")][: LISTED_WORDS // 3]
    return [words.split_word(number, counts) for number in dict.fromkeys([*costliest.tolist(), *longest.tolist()])]


def _examples(words: _Words, lengths: np.ndarray, unknown: np.ndarray, groups: Sequence[np.ndarray]) -> list[Example]:
    """A row of median length of each group, then the rows with most unknown tokens and with most pieces per word."""
    numbers = {}
    for group in groups[:EXAMPLES]:
        if len(group):
            by_length = group[np.argsort(lengths[group], kind="stable")]
            numbers[int(by_length[len(by_length) // 2])] = "median length"
    numbers |= {number: why for number, why in _misfits(words, lengths, unknown) if number not in numbers}
    return [Example(number, why, _first_pieces(words, number), int(lengths[number])) for number, why in numbers.items()]


def _misfits(words: _Words, lengths: np.ndarray, unknown: np.ndarray) -> Iterator[tuple[int, str]]:
    """Rows that the vocabulary fits worst, very short ones left out."""
    enough = lengths >= np.median(lengths) / 2
    pieces = words.corpus.words.sums(words.pieces)
    splitting = np.where(unknown, 0, pieces / np.maximum(words.corpus.word_lengths, 1))
    for measure, least, why in (
        (unknown / lengths, 0.0, "many unknown words"),
        (splitting, 1.5, "words split into many pieces"),
    ):
        worst = np.argsort(-measure * enough, kind="stable").tolist()
        different = itertools.islice(_first_of_each_text(words.corpus, worst), MISFITS)
        yield from ((number, why) for number in different if measure[number] > least)


def _first_of_each_text(corpus: Corpus, numbers: Iterable[int]) -> Iterator[int]:
    keys = set()
    for number in numbers:
        if corpus.keys[number] not in keys:
            keys.add(corpus.keys[number])
            yield number


def _first_pieces(words: _Words, number: int) -> tuple[str, ...]:
    row = words.corpus.words.row(number)
    pieces = [piece for word in row[:EXAMPLE_WORDS] for piece in (words.of(word) or ("[SEP]",))]
    return (*pieces, "…") if len(row) > EXAMPLE_WORDS else tuple(pieces)
