"""Labeled text before training: what it holds, what the encoder will see of it, what should be mended first."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_serving.contract import Head
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
LARGE = 5_000_000
"""characters of training text; starting a process pays from here on"""


@dataclass(frozen=True)
class Material:
    """What is looked at.

    Attributes:
        tables: by split, "train" first; one of that name where there is one file only.
        splits: the rows that baselines learn from and are measured on.
        labels: all labels in the model's order; empty for a regression head.
        head: what is predicted.
        sequence_length: tokens at which texts are cut.
        seed: of the baselines.
    """

    tables: Mapping[str, LabeledTable]
    splits: Splits
    labels: tuple[str, ...]
    head: Head
    sequence_length: int
    seed: int = 0

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
class CutAt:
    """What a sequence length would leave of the training texts.

    Attributes:
        length: tokens, [CLS] and [SEP] included.
        whole: share of the texts that stay whole, 0 to 1.
        tokens: share of all tokens that are kept, 0 to 1.
    """

    length: int
    whole: float
    tokens: float


@dataclass(frozen=True)
class Exploration:
    """Everything that is known of the data before training.

    Attributes:
        material: what was looked at.
        corpus: its rows end to end.
        audit: counts by split.
        classes: rows of the corpus in each class, bool [rows]; for a regression head those above the median number and the
            others.
        duplicates: equal and nearly equal texts.
        pieces: what the encoder's tokenizer makes of the texts.
        typical: words of each class, from the training texts.
        word_boxes: lengths in words of each class's training texts.
        token_boxes: lengths in tokens.
        cuts: what other sequence lengths would cut.
        baselines: scores of simple models, as `evaluation.baselines` gives them.
    """

    material: Material
    corpus: Corpus
    audit: Audit
    classes: dict[str, np.ndarray]
    duplicates: Duplicates
    pieces: TokenPieces
    typical: dict[str, list[TypicalWord]]
    word_boxes: list[LengthBox]
    token_boxes: list[LengthBox]
    cuts: list[CutAt]
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
            "rows": {name: len(table) for name, table in self.material.tables.items()},
            "labels": list(self.material.labels),
            "audit": self.audit.to_json(),
            "words": {box.label: list(box.percentiles) for box in self.word_boxes},
            "tokens": {box.label: list(box.percentiles) for box in self.token_boxes},
            "sequence_lengths": [asdict(cut) for cut in self.cuts],
            "pieces_per_word": self.pieces.pieces_per_word,
            "unknown_share": self.pieces.unknown_share,
            "scripts": [asdict(script) for script in self.pieces.scripts],
            "typical_words": {label: [asdict(word) for word in words] for label, words in self.typical.items()},
            "same_texts": len(self.duplicates.same),
            "conflicting_texts": len(self.duplicates.conflicting),
            "near_duplicates": len(self.duplicates.near),
            "baselines": {"on": self.material.measured, **self.baselines},
        }


def explore(
    material: Material,
    load: "Callable[[], Preprocessing]",
    observer: Observer | None = None,
) -> Exploration:
    """Looks at labeled text.

    Args:
        material: the rows.
        load: gives the preprocessing of the encoder that will be trained. It is called once a second process measures the
            baselines of large data, so that importing TensorFlow there costs no time.
        observer: told of the progress.

    Raises:
        EncoderError: the preprocessing carries no vocabulary.
        InputError: a package for the search for near-duplicates is missing.
    """
    observer = observer or Observer()
    scores = _start_baselines(material)
    with observer.stage("Preparing the tokenizer"):
        preprocessing = load()
    with observer.stage("Splitting texts into words"):
        corpus = number_rows(material.tables)
        classes = _classes(corpus, material)
        train = corpus.span(TRAIN)
        inside = {label: members[train] for label, members in classes.items()}
        word_lengths = corpus.word_lengths
    with observer.stage("Tokenizing"):
        groups = [train.start + np.flatnonzero(members) for members in inside.values()]
        pieces = split_into_pieces(corpus, preprocessing, groups)
        lengths = {name: pieces.lengths[corpus.span(name)] for name in material.tables}
    with observer.stage("Looking for duplicates"):
        duplicates = find_duplicates(corpus)
    with observer.stage("Finding typical words"):
        typical = typical_words(corpus, TRAIN, inside)
    with observer.stage("Measuring baselines"):
        measured = scores()
    return Exploration(
        material=material,
        corpus=corpus,
        audit=audit(material.tables, material.labels, lengths, material.sequence_length),
        classes=classes,
        duplicates=duplicates,
        pieces=pieces,
        typical=typical,
        word_boxes=_boxes(word_lengths[train], inside),
        token_boxes=_boxes(lengths[TRAIN], inside),
        cuts=_cuts(lengths[TRAIN], material.sequence_length),
        baselines=measured,
    )


def _start_baselines(material: Material) -> Callable[[], dict[str, dict[str, Any]]]:
    """What gives the baselines; for large data they are being measured from now on, in a process of their own."""
    splits = material.splits.named()
    arguments = (splits[TRAIN], splits[material.measured], material.labels, material.head, material.seed)
    if sum(map(len, splits[TRAIN].texts)) < LARGE:
        return functools.partial(baselines, *arguments)
    import joblib

    started = joblib.Parallel(n_jobs=2, return_as="generator")([joblib.delayed(baselines)(*arguments)])
    return functools.partial(next, started)


def _classes(corpus: Corpus, material: Material) -> dict[str, np.ndarray]:
    if material.head is not Head.REGRESSION:
        members = {label: np.zeros(len(corpus), bool) for label in material.labels}
        for number, label in enumerate(corpus.labels):
            for name in label_names(label):
                members[name][number] = True
        return members
    numbers = np.asarray(corpus.labels, float)
    middle = float(np.median(numbers[corpus.span(TRAIN)]))
    return {f"up to {middle:g}": numbers <= middle, f"above {middle:g}": numbers > middle}


def _boxes(lengths: np.ndarray, classes: Mapping[str, np.ndarray]) -> list[LengthBox]:
    """One box for all rows, then one for each class that has any."""
    everything = {"all": np.ones(len(lengths), bool), **classes}
    return [
        LengthBox(label, int(inside.sum()), tuple(np.percentile(lengths[inside], WHISKERS).tolist()))
        for label, inside in everything.items()
        if inside.any()
    ]


def _cuts(lengths: np.ndarray, sequence_length: int) -> list[CutAt]:
    """The lengths that make a difference, and the one that is set."""
    longest = int(lengths.max())
    enough = next((length for length in LENGTHS_TO_TRY if length >= longest), LENGTHS_TO_TRY[-1])
    tried = sorted({sequence_length, *(length for length in LENGTHS_TO_TRY if length <= enough)})
    return [
        CutAt(
            length,
            whole=float((lengths <= length).mean()),
            tokens=float(np.minimum(lengths, length).sum() / lengths.sum()),
        )
        for length in tried
    ]


def main_score(scores: Mapping[str, Any]) -> str:
    """Name of the one score that stands for a baseline's metrics."""
    return next(name for name in ("micro_f1", "accuracy", "spearman") if name in scores)


def number_bins(numbers: Sequence[float]) -> list[tuple[float, float, int]]:
    """A histogram of a regression head's labels: (start, end, rows)."""
    counts, edges = np.histogram(np.asarray(numbers, float), bins=HISTOGRAM_BINS)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True))
