"""What to mend or look at before spending compute on labeled text, with the rows that show it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from bert_serving.contract import Head
from bert_serving.data.audit import DOMINANT_SHARE, FEW_ROWS, NOTABLE_CUT, percent
from bert_serving.exploration.duplicates import SIMILAR
from bert_serving.exploration.evidence import (
    Evidence,
    label_counts,
    leaking_texts,
    measured_rows,
    near_texts,
    rows_of,
    words_of,
)
from bert_serving.exploration.explore import TRAIN, Exploration, main_score

MANY = 0.01
"""from this share of a split's rows on something is to be mended, below it is to be looked at"""
NOTABLE_UNKNOWN, MUCH_UNKNOWN = 0.005, 0.05
"""shares of [UNK] tokens"""
MANY_PIECES = 2.0
"""pieces for a word: a vocabulary of another language"""
EASY = 0.98
"""accuracy of the TF-IDF baseline"""
SMALL_GAIN = 0.02
"""of TF-IDF over the majority"""
UNEVEN = 10
"""rows of the largest class for each row of the smallest"""

Level = Literal["good", "look", "fix"]


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        name: of the check, for scripts.
        level: fix: mend it first; look: see whether it is meant; good: nothing wrong.
        title: what was found, in one line.
        detail: what follows from it and what to do.
        evidence: the rows, where there are any.
    """

    name: str
    level: Level
    title: str
    detail: str = ""
    evidence: Evidence | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values without the rows; their number is in "rows"."""
        plain = asdict(self)
        plain["rows"] = self.evidence.total if self.evidence else 0
        del plain["evidence"]
        return plain


def findings(exploration: Exploration) -> list[Finding]:
    """All findings, what must be mended first."""
    checks = (
        _empty,
        _conflicts,
        _leaks,
        _duplicates,
        _near_duplicates,
        _labels,
        _number_labels,
        _vocabulary,
        _lengths,
        _giveaways,
        _baselines,
    )
    found = [finding for check in checks for finding in check(exploration)]
    return sorted(found, key=lambda finding: ("fix", "look", "good").index(finding.level))


# === Texts ===


def _empty(seen: Exploration) -> Iterator[Finding]:
    numbers = [number for number, key in enumerate(seen.corpus.keys) if _has_empty(key)]
    if not numbers:
        return
    yield Finding(
        "empty_texts",
        "fix",
        f"{_rows(len(numbers))} {'has' if len(numbers) == 1 else 'have'} an empty text",
        "A model can learn nothing from them but the labels' shares. Fill the texts in or remove the rows.",
        rows_of(seen, numbers),
    )


def _has_empty(key: Any) -> bool:
    return not key.strip() if isinstance(key, str) else not all(text.strip() for text in key)


def _conflicts(seen: Exploration) -> Iterator[Finding]:
    groups = seen.duplicates.conflicting
    if not groups:
        yield Finding("conflicting_labels", "good", "No text has two different labels")
        return
    rows = sum(len(group.numbers) for group in groups)
    yield Finding(
        "conflicting_labels",
        "fix" if rows >= MANY * seen.rows else "look",
        f"{_texts(len(groups))} {'has' if len(groups) == 1 else 'have'} different labels in different rows",
        "At least one of the labels is wrong, or the task is not clear from the text. Decide on one label, or make the "
        "task multilabel.",
        rows_of(seen, [number for group in groups for number in group.numbers]),
    )


def _duplicates(seen: Exploration) -> Iterator[Finding]:
    groups = seen.duplicates.within(TRAIN)
    if not groups:
        yield Finding("duplicates", "good", "No training text occurs twice")
        return
    spare = sum(len(group.numbers) - 1 for group in groups)
    share = spare / len(seen.material.tables[TRAIN])
    yield Finding(
        "duplicates",
        "look",
        f"{_texts(len(groups))} of train {'occurs' if len(groups) == 1 else 'occur'} more than once "
        f"({_rows(spare)} too many, {percent(share)})",
        "Repeated rows weigh more in training, and validation rows taken from them are known already. Keep one of each, "
        "unless the repetition is meant.",
        rows_of(seen, [number for group in groups for number in group.numbers]),
    )


def _leaks(seen: Exploration) -> Iterator[Finding]:
    splits = list(seen.material.tables)
    pairs = [(first, second) for position, first in enumerate(splits) for second in splits[position + 1 :]]
    clean = True
    for first, second in pairs:
        exact = seen.duplicates.leaks(first, second)
        near = seen.duplicates.near_leaks(first, second)
        if not exact and not near:
            continue
        clean = False
        rows = len(seen.material.tables[second])
        score = "The" if first == TRAIN else "The choice of the best epoch has seen them: the"
        yield Finding(
            f"leak_{first}_{second}",
            "fix" if len(exact) >= MANY * rows else "look",
            _leak_title(first, second, len(exact), len(near), rows),
            f"{score} {second} score may be too good by as much. Remove the rows from {first}.",
            leaking_texts(seen, exact, near),
        )
    if pairs and clean:
        yield Finding("leaks", "good", "No split holds a text of another, nor nearly the same text")


def _leak_title(first: str, second: str, exact: int, near: int, rows: int) -> str:
    be = "is" if exact + near == 1 else "are"
    if not near:
        what = f"{be} in {first} too"
    elif not exact:
        what = f"{be} nearly the same as rows of {first}"
    else:
        what = f"{be} in {first} too, {near:,} of them nearly the same"
    return f"{_rows(exact + near)} of {second} {what} ({percent((exact + near) / rows)})"


def _near_duplicates(seen: Exploration) -> Iterator[Finding]:
    near = [each for each in seen.duplicates.near if seen.corpus.splits[each.number] == TRAIN]
    conflicting = [each for each in seen.duplicates.near if each.conflicting]
    if conflicting:
        yield Finding(
            "conflicting_near_duplicates",
            "look",
            f"{_texts(len(conflicting))} {'has' if len(conflicting) == 1 else 'have'} another label than nearly the same "
            "text elsewhere",
            "A small change may well change the label; where it does not, one of the two is wrong.",
            near_texts(seen, conflicting),
        )
    if not near:
        yield Finding("near_duplicates", "good", "No two training texts are nearly the same")
        return
    share = len(near) / len(seen.material.tables[TRAIN])
    yield Finding(
        "near_duplicates",
        "look",
        f"{_texts(len(near))} of train {'is' if len(near) == 1 else 'are'} nearly the same as another ({percent(share)})",
        f"At least {SIMILAR:.0%} of their pairs of neighboring words are the same, upper case and punctuation aside. Templates "
        "and copies teach less than their number suggests.",
        near_texts(seen, near),
    )


# === Labels ===


def _labels(seen: Exploration) -> Iterator[Finding]:
    train = seen.audit.splits[TRAIN].rows_per_class
    if not train:
        return
    few = {label: rows for label, rows in train.items() if rows < FEW_ROWS}
    if few:
        yield Finding(
            "rare_labels",
            "fix",
            f"{_labels_have(len(few))} fewer than {FEW_ROWS} training rows: {_listed(few)}",
            "So few rows teach nothing that holds. Collect more, merge the label with another, or leave it out.",
            label_counts(seen, few),
        )
    for name, split in seen.audit.splits.items():
        absent = [label for label, rows in split.rows_per_class.items() if not rows]
        if absent and name != TRAIN:
            yield Finding(
                f"absent_labels_{name}",
                "look",
                f"{_labels_have(len(absent))} no rows in {name}: {_listed(absent)}",
                f"The {name} score says nothing about {'it' if len(absent) == 1 else 'them'}.",
            )
    yield from _balance(seen, train)


def _balance(seen: Exploration, train: dict[str, int]) -> Iterator[Finding]:
    total = seen.audit.splits[TRAIN].rows
    largest, least = max(train, key=lambda label: train[label]), min(train, key=lambda label: train[label])
    if sum(train.values()) == total and train[largest] >= DOMINANT_SHARE * total:
        yield Finding(
            "dominant_label",
            "look",
            f"{percent(train[largest] / total)} of train is {largest!r}",
            f"An accuracy near {percent(train[largest] / total)} means that nothing was learnt: judge by macro F1, set "
            'training.best_metric to "macro_f1" and try training.class_weights.',
        )
    elif train[largest] >= UNEVEN * train[least]:
        yield Finding(
            "uneven_labels",
            "look",
            f"{largest!r} has {train[largest] / max(train[least], 1):,.0f} times the rows of {least!r}",
            "Accuracy hides how the small labels fare: judge by macro F1, and try training.class_weights.",
            label_counts(seen, train),
        )
    else:
        yield Finding(
            "balance", "good", f"The labels are even enough: from {train[least]:,} to {train[largest]:,} rows"
        )


def _number_labels(seen: Exploration) -> Iterator[Finding]:
    """A number with decimals in a column of names is most often a score."""
    labels = seen.material.labels
    decimal = all(map(_is_number, labels)) and any("." in label for label in labels)
    if seen.material.head is Head.SOFTMAX and len(labels) > 2 and decimal:
        yield Finding(
            "number_labels",
            "fix",
            f"All {len(labels)} labels are numbers with decimals, such as {next(label for label in labels if '.' in label)}",
            'They are taken for names without an order. For numbers to be predicted set head.kind to "regression" '
            "(--head regression for a file).",
        )


def _is_number(label: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]*\.?[0-9]+", label) is not None


# === What the encoder sees ===


def _vocabulary(seen: Exploration) -> Iterator[Finding]:
    pieces, share = seen.pieces, seen.pieces.unknown_share
    if share >= NOTABLE_UNKNOWN:
        much = share >= MUCH_UNKNOWN
        numbers = np.flatnonzero(pieces.unknown).tolist()
        yield Finding(
            "unknown_words",
            "fix" if much else "look",
            f"The vocabulary does not know {percent(share)} of the tokens",
            "All of them look the same to the model. "
            + (
                "Take an encoder that was trained on this language."
                if much
                else "See below which words they are, and whether they matter."
            ),
            measured_rows(seen, numbers, "unknown tokens", pieces.unknown),
        )
    if pieces.pieces_per_word >= MANY_PIECES:
        yield Finding(
            "split_words",
            "look",
            f"A word becomes {pieces.pieces_per_word:.1f} pieces on average",
            "The vocabulary was made for other texts: they get longer than they need be, and their words say less. An encoder "
            "for this language or field does better.",
        )
    if share < NOTABLE_UNKNOWN and pieces.pieces_per_word < MANY_PIECES:
        yield Finding(
            "vocabulary",
            "good",
            f"The vocabulary fits: {pieces.pieces_per_word:.2f} pieces for a word, {percent(share)} unknown",
        )


def _lengths(seen: Exploration) -> Iterator[Finding]:
    length, train = seen.material.sequence_length, seen.audit.splits[TRAIN]
    if train.cut_share < NOTABLE_CUT:
        yield Finding(
            "cut_texts", "good", f"{length} tokens hold {percent(1 - train.cut_share)} of the training texts whole"
        )
        return
    kept = next(cut.tokens for cut in seen.cuts if cut.length == length)
    better = next((cut for cut in seen.cuts if cut.whole >= 1 - NOTABLE_CUT), None)
    advice = f" {better.length} tokens would keep {better.whole:.0%} of the texts whole." if better else ""
    numbers = [number for number in seen.split_rows(TRAIN).tolist() if seen.pieces.lengths[number] > length]
    yield Finding(
        "cut_texts",
        "look",
        f"{percent(train.cut_share)} of the training texts are longer than {length} tokens and are cut",
        f"The model never sees what comes after: {1 - kept:.0%} of all tokens.{advice} Longer texts take more time and memory, "
        "and often the beginning is enough.",
        measured_rows(seen, numbers, "tokens", seen.pieces.lengths),
    )


# === What simple models say ===


def _giveaways(seen: Exploration) -> Iterator[Finding]:
    words = [word for listed in seen.typical.values() for word in listed if word.gives_away]
    if words:
        yield Finding(
            "giveaway_words",
            "look",
            f"{len(words)} {'word gives its' if len(words) == 1 else 'words give their'} label away: "
            + _listed([word.word for word in words]),
            "Nearly every text with the word has the same label. If the word will not be there in use (a tag, a signature, the "
            "label's own name), the model learns the wrong thing.",
            words_of(words),
        )


def _baselines(seen: Exploration) -> Iterator[Finding]:
    tfidf = seen.baselines.get("tfidf_logistic_regression")
    if tfidf is None:
        return
    measure = main_score(tfidf)
    score, least = tfidf[measure], seen.baselines["majority"][measure]
    name = measure.replace("micro_f1", "micro F1")
    if score >= EASY:
        yield Finding(
            "easy",
            "look",
            f"TF-IDF alone reaches {name} {score:.3f} on {seen.material.measured}",
            "Either the task is easy and needs no large model, or something in the text gives the label away.",
        )
    elif score < least + SMALL_GAIN:
        yield Finding(
            "hard",
            "look",
            f"TF-IDF reaches {name} {score:.3f}, hardly more than always the commonest label ({least:.3f})",
            "Single words say little here: the labels depend on meaning or order, or they are noisy. Read some rows before "
            "training.",
        )
    else:
        yield Finding(
            "baselines",
            "good",
            f"The texts tell of the labels: TF-IDF reaches {name} {score:.3f} on {seen.material.measured}, the commonest label "
            f"{least:.3f}",
        )


# === Words ===


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _texts(count: int) -> str:
    return "1 text" if count == 1 else f"{count:,} texts"


def _labels_have(count: int) -> str:
    return "1 label has" if count == 1 else f"{count:,} labels have"


def _listed(names: Iterable[str], most: int = 5) -> str:
    named = [repr(name) for name in names]
    return ", ".join(named[:most]) + (" ..." if len(named) > most else "")
