"""Exploration of labeled text before training: classes, lengths, tokens, duplicates, baselines."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_serving.contract import Head, LongTexts
from bert_serving.data.audit import Audit, audit
from bert_serving.data.splits import Splits, label_names
from bert_serving.data.table import LabeledTable
from bert_serving.evaluation.baselines import baselines
from bert_serving.exploration.corpus import Corpus, number_rows
from bert_serving.exploration.duplicates import Duplicates, find_duplicates
from bert_serving.exploration.token_pieces import TokenPieces, split_into_pieces
from bert_serving.exploration.typical_words import TypicalWord, typical_words
from bert_serving.observer import Observer

if TYPE_CHECKING:
    from bert_serving.text.preprocessing import Preprocessing

TRAIN = "train"
WHISKERS = (5, 25, 50, 75, 95)
"""percentiles that describe lengths"""
LENGTHS_TO_TRY = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""sequence lengths to compare"""
HISTOGRAM_BINS = 20
LARGE_TEXT = 5_000_000
"""characters of training text; more are worth a process of their own"""


@dataclass(frozen=True)
class ExplorationInput:
    """The labeled text to explore.

    Attributes:
        tables: by split, "train" first; "train" alone where there is one file only.
        splits: the rows that baselines are fitted and measured on.
        labels: all labels in the model's order; empty for a regression head.
        head: what is predicted.
        sequence_length: tokens of the longest text that is read whole.
        seed: of the baselines.
        long_texts: what is read of a longer one.
    """

    tables: Mapping[str, LabeledTable]
    splits: Splits
    labels: tuple[str, ...]
    head: Head
    sequence_length: int
    seed: int = 0
    long_texts: LongTexts = LongTexts.TRUNCATE

    @property
    def measured(self) -> str:
        """The split that baselines are measured on: "test" where there is one, else "validation"."""
        return list(self.splits.named())[-1]


@dataclass(frozen=True)
class LengthBox:
    """The spread of the lengths of one class's texts: percentiles 5, 25, 50, 75 and 95."""

    label: str
    rows: int
    percentiles: tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Truncation:
    """The effect of a sequence length on the training texts.

    Attributes:
        length: tokens, [CLS] and [SEP] included.
        whole: share of the texts that are not cut, 0 to 1.
        tokens: share of all tokens that are kept, 0 to 1.
    """

    length: int
    whole: float
    tokens: float


@dataclass(frozen=True)
class Exploration:
    """The results of an exploration.

    Attributes:
        data: the labeled text.
        corpus: its rows end to end.
        audit: counts by split.
        classes: rows of the corpus in each class, bool [rows]; for a regression head those above the median number and the
            others.
        duplicates: equal and nearly equal texts.
        pieces: word pieces of the texts, by the encoder's tokenizer.
        typical: words of each class, from the training texts.
        word_boxes: lengths in words of each class's training texts.
        token_boxes: lengths in tokens.
        truncations: the effect of several sequence lengths.
        baselines: scores of simple models, as `evaluation.baselines.baselines` returns them.
    """

    data: ExplorationInput
    corpus: Corpus
    audit: Audit
    classes: dict[str, np.ndarray]
    duplicates: Duplicates
    pieces: TokenPieces
    typical: dict[str, list[TypicalWord]]
    word_boxes: list[LengthBox]
    token_boxes: list[LengthBox]
    truncations: list[Truncation]
    baselines: dict[str, dict[str, Any]]

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return len(self.corpus)

    def split_rows(self, split: str) -> np.ndarray:
        """The numbers of a split's rows in the corpus, int64 [rows]."""
        return np.arange(self.corpus.span(split).start, self.corpus.span(split).stop)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers, ready for `json.dumps`."""
        return {
            "rows": {name: len(table) for name, table in self.data.tables.items()},
            "labels": list(self.data.labels),
            "audit": self.audit.to_json(),
            "words": {box.label: list(box.percentiles) for box in self.word_boxes},
            "tokens": {box.label: list(box.percentiles) for box in self.token_boxes},
            "sequence_lengths": [asdict(cut) for cut in self.truncations],
            "pieces_per_word": self.pieces.pieces_per_word,
            "unknown_share": self.pieces.unknown_share,
            "scripts": [asdict(script) for script in self.pieces.scripts],
            "typical_words": {label: [asdict(word) for word in words] for label, words in self.typical.items()},
            "same_texts": len(self.duplicates.exact),
            "conflicting_texts": len(self.duplicates.conflicting),
            "near_duplicates": len(self.duplicates.near),
            "baselines": {"on": self.data.measured, **self.baselines},
        }


def explore(
    data: ExplorationInput,
    load: "Callable[[], Preprocessing]",
    observer: Observer | None = None,
) -> Exploration:
    """Explores labeled text.

    Args:
        data: the rows.
        load: loads the preprocessing of the encoder that will be trained. It is called after the process that measures the
            baselines of large data has started, so that this process does not import TensorFlow.
        observer: receives the progress.

    Raises:
        EncoderError: the preprocessing carries no vocabulary.
        InputError: datasketch is not installed.
    """
    observer = observer or Observer()
    scores = _start_baselines(data)
    with observer.stage("Preparing the tokenizer"):
        preprocessing = load()
    with observer.stage("Splitting texts into words"):
        corpus = number_rows(data.tables)
        classes = _classes(corpus, data)
        train = corpus.span(TRAIN)
        inside = {label: members[train] for label, members in classes.items()}
        word_lengths = corpus.word_lengths
    with observer.stage("Tokenizing"):
        groups = [train.start + np.flatnonzero(members) for members in inside.values()]
        pieces = split_into_pieces(corpus, preprocessing, groups)
        lengths = {name: pieces.lengths[corpus.span(name)] for name in data.tables}
    with observer.stage("Finding duplicates"):
        duplicates = find_duplicates(corpus)
    with observer.stage("Finding typical words"):
        typical = typical_words(corpus, TRAIN, inside)
    with observer.stage("Measuring baselines"):
        measured = scores()
    return Exploration(
        data=data,
        corpus=corpus,
        audit=audit(data.tables, data.labels, lengths, data.sequence_length, data.long_texts),
        classes=classes,
        duplicates=duplicates,
        pieces=pieces,
        typical=typical,
        word_boxes=_boxes(word_lengths[train], inside),
        token_boxes=_boxes(lengths[TRAIN], inside),
        truncations=_truncations(lengths[TRAIN], data.sequence_length),
        baselines=measured,
    )


def _start_baselines(data: ExplorationInput) -> Callable[[], dict[str, dict[str, Any]]]:
    """A function that returns the baselines; for large data a second process starts to measure them now."""
    splits = data.splits.named()
    arguments = (splits[TRAIN], splits[data.measured], data.labels, data.head, data.seed)
    if sum(map(len, splits[TRAIN].texts)) < LARGE_TEXT:
        return functools.partial(baselines, *arguments)
    import joblib  # type: ignore[import-untyped]  # noqa: PLC0415  not annotated; only large data needs a second process

    started = joblib.Parallel(n_jobs=2, return_as="generator")([joblib.delayed(baselines)(*arguments)])
    return functools.partial(next, started)


def _classes(corpus: Corpus, data: ExplorationInput) -> dict[str, np.ndarray]:
    if data.head is not Head.REGRESSION:
        members = {label: np.zeros(len(corpus), bool) for label in data.labels}
        for number, label in enumerate(corpus.labels):
            for name in label_names(label):
                members[name][number] = True
        return members
    numbers = np.asarray(corpus.labels, float)
    middle = float(np.median(numbers[corpus.span(TRAIN)]))
    return {f"up to {middle:g}": numbers <= middle, f"above {middle:g}": numbers > middle}


def _boxes(lengths: np.ndarray, classes: Mapping[str, np.ndarray]) -> list[LengthBox]:
    """One box for all rows, then one for each class that has any."""
    groups = {"all": np.ones(len(lengths), bool), **classes}
    return [
        LengthBox(label, int(inside.sum()), tuple(np.percentile(lengths[inside], WHISKERS).tolist()))
        for label, inside in groups.items()
        if inside.any()
    ]


def _truncations(lengths: np.ndarray, sequence_length: int) -> list[Truncation]:
    """Sequence lengths up to the longest text, and the one that is set."""
    longest = int(lengths.max())
    enough = next((length for length in LENGTHS_TO_TRY if length >= longest), LENGTHS_TO_TRY[-1])
    tried = sorted({sequence_length, *(length for length in LENGTHS_TO_TRY if length <= enough)})
    return [
        Truncation(
            length,
            whole=float((lengths <= length).mean()),
            tokens=float(np.minimum(lengths, length).sum() / lengths.sum()),
        )
        for length in tried
    ]


def main_score(scores: Mapping[str, Any]) -> str:
    """Name of the main score among a baseline's metrics."""
    return next(name for name in ("micro_f1", "accuracy", "spearman") if name in scores)


def number_bins(numbers: Sequence[float]) -> list[tuple[float, float, int]]:
    """A histogram of a regression head's labels: (start, end, rows)."""
    counts, edges = np.histogram(np.asarray(numbers, float), bins=HISTOGRAM_BINS)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True))
