"""Findings on labeled text before training: problems to fix or check, with the rows that show them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from bert_serving.data.audit import NOTABLE_CUT
from bert_serving.data.findings.finding import DataFinding
from bert_serving.data.reading import BLANK_LINE
from bert_serving.exploration.duplicates import SIMILAR, DuplicateGroup
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
from bert_serving.wording import agreeing, counted, listed, percent, score_name

MANY = 0.01
"""a problem in this share of a split's rows must be fixed, in a smaller one checked"""
NOTABLE_UNKNOWN, MUCH_UNKNOWN = 0.005, 0.05
"""shares of [UNK] tokens"""
MANY_PIECES = 2.0
"""pieces per word that indicate a vocabulary of another language"""
EASY = 0.98
"""accuracy of the TF-IDF baseline"""
SMALL_GAIN = 0.02
"""of TF-IDF over the majority"""
_UNBALANCED = {"dominant_label", "uneven_labels", "unique_labels"}


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        name: of the check, for scripts.
        level: fix: fix it before training; check: check whether it is intended; ok: no problem.
        title: the finding in one line.
        detail: the consequence and what to do.
        evidence: the rows, where there are any.
    """

    name: str
    level: Literal["ok", "check", "fix"]
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
    """All findings, the most urgent first."""
    checks = (
        _reading,
        _empty,
        _conflicts,
        _leaks,
        _duplicates,
        _near_duplicates,
        _data,
        _vocabulary,
        _lengths,
        _giveaways,
        _baselines,
    )
    items = [finding for check in checks for finding in check(exploration)]
    return sorted(items, key=lambda finding: ("fix", "check", "ok").index(finding.level))


def _reading(exploration: Exploration) -> Iterator[Finding]:
    """What the files hold that did not become rows as it stands; blank lines are in the table alone."""
    for name, table in exploration.data.tables.items():
        if table.reading.repairs or set(table.reading.left_out) - {BLANK_LINE}:
            yield Finding(
                f"reading_{name}",
                "check",
                f"{name}: {'; '.join(table.reading.lines())}",
                "If this is not meant, correct the files.",
            )


# === Texts ===


def _empty(exploration: Exploration) -> Iterator[Finding]:
    numbers = [number for number, key in enumerate(exploration.corpus.keys) if _has_empty(key)]
    if numbers:
        yield Finding(
            "empty_texts",
            "fix",
            f"{counted(len(numbers), 'row')} {agreeing(len(numbers), 'has', 'have')} an empty text",
            "A model can only learn the label frequencies from them. Fill the texts in or remove the rows.",
            rows_of(exploration, numbers),
        )


def _has_empty(key: Any) -> bool:
    return not key.strip() if isinstance(key, str) else not all(text.strip() for text in key)


def _conflicts(exploration: Exploration) -> Iterator[Finding]:
    groups = exploration.duplicates.conflicting
    if not groups:
        yield Finding("conflicting_labels", "ok", "No text has conflicting labels")
        return
    numbers = _numbers(groups)
    yield Finding(
        "conflicting_labels",
        "fix" if len(numbers) >= MANY * exploration.rows else "check",
        f"{counted(len(groups), 'text')} {agreeing(len(groups), 'has', 'have')} conflicting labels in different rows",
        "At least one of the labels is wrong, or the text does not determine the label. Decide on one label, or make the "
        "task multilabel.",
        rows_of(exploration, numbers),
    )


def _duplicates(exploration: Exploration) -> Iterator[Finding]:
    groups = exploration.duplicates.within(TRAIN)
    if not groups:
        yield Finding("duplicates", "ok", "No duplicates in train")
        return
    numbers = _numbers(groups)
    surplus = len(numbers) - len(groups)
    share = percent(surplus / len(exploration.data.tables[TRAIN]))
    yield Finding(
        "duplicates",
        "check",
        f"{counted(len(groups), 'text')} of train {agreeing(len(groups), 'occurs', 'occur')} more than once "
        f"({counted(surplus, 'surplus row')}, {share})",
        "Duplicates weigh more in training, and leak into validation rows that are split off from train. Keep one row of "
        "each text, unless the repetition is intended.",
        rows_of(exploration, numbers),
    )


def _numbers(groups: Sequence[DuplicateGroup]) -> list[int]:
    return [number for group in groups for number in group.numbers]


def _leaks(exploration: Exploration) -> Iterator[Finding]:
    splits = list(exploration.data.tables)
    pairs = [(first, second) for position, first in enumerate(splits) for second in splits[position + 1 :]]
    clean = True
    for first, second in pairs:
        exact = exploration.duplicates.leaks(first, second)
        near = exploration.duplicates.near_leaks(first, second)
        if not exact and not near:
            continue
        clean = False
        rows = len(exploration.data.tables[second])
        score = "The" if first == TRAIN else "They influence the choice of the best epoch: the"
        yield Finding(
            f"leak_{first}_{second}",
            "fix" if len(exact) >= MANY * rows else "check",
            _leak_title(first, second, len(exact), len(near), rows),
            f"{score} {second} score may be too high by this share. Remove the rows from {first}.",
            leaking_texts(exploration, exact, near),
        )
    if pairs and clean:
        yield Finding("leaks", "ok", "No leaks: no split holds a duplicate or near-duplicate of another's rows")


def _leak_title(first: str, second: str, exact: int, near: int, rows: int) -> str:
    count = exact + near
    be = agreeing(count, "is", "are")
    if not near:
        where = f"{be} also in {first}"
    elif not exact:
        where = f"{be} {agreeing(count, 'a near-duplicate', 'near-duplicates')} of rows of {first}"
    else:
        where = f"{be} also in {first}, {near:,} of them as {agreeing(near, 'a near-duplicate', 'near-duplicates')}"
    return f"{counted(count, 'row')} of {second} {where} ({percent(count / rows)})"


def _near_duplicates(exploration: Exploration) -> Iterator[Finding]:
    near = [pair for pair in exploration.duplicates.near if exploration.corpus.splits[pair.number] == TRAIN]
    conflicting = [pair for pair in exploration.duplicates.near if pair.conflicting]
    if conflicting:
        yield Finding(
            "conflicting_near_duplicates",
            "check",
            f"{counted(len(conflicting), 'near-duplicate')} {agreeing(len(conflicting), 'has', 'have')} conflicting labels",
            "A small change of the text may change the label; where it does not, one of the labels is wrong.",
            near_texts(exploration, conflicting),
        )
    if not near:
        yield Finding("near_duplicates", "ok", "No near-duplicates in train")
        return
    share = percent(len(near) / len(exploration.data.tables[TRAIN]))
    yield Finding(
        "near_duplicates",
        "check",
        f"{counted(len(near), 'text')} of train {agreeing(len(near), 'is a near-duplicate', 'are near-duplicates')} ({share})",
        f"At least {SIMILAR:.0%} of their pairs of neighboring words are the same, ignoring case and punctuation. Copies and "
        "templates add less information than their number suggests.",
        near_texts(exploration, near),
    )


# === Labels ===


def _data(exploration: Exploration) -> Iterator[Finding]:
    """What the audit found in labels and texts, and that it found nothing wrong with the balance."""
    for found in exploration.audit.findings:
        yield Finding(found.name, found.level, found.title, found.advice, _evidence(exploration, found))
    train = exploration.audit.splits[TRAIN].rows_per_class
    if train and not _UNBALANCED & {found.name for found in exploration.audit.findings}:
        least, largest = min(train.values()), max(train.values())
        yield Finding("balance", "ok", f"The labels are balanced: {least:,} to {largest:,} rows per label")


def _evidence(exploration: Exploration, found: DataFinding) -> Evidence | None:
    if found.rows:
        starts = exploration.corpus.starts
        return rows_of(exploration, [starts[split] + row for split, rows in found.rows.items() for row in rows])
    return label_counts(exploration, found.labels) if found.labels else None


# === Tokens ===


def _vocabulary(exploration: Exploration) -> Iterator[Finding]:
    pieces, share = exploration.pieces, exploration.pieces.unknown_share
    if share >= NOTABLE_UNKNOWN:
        much = share >= MUCH_UNKNOWN
        advice = (
            "Choose an encoder that was trained on this language."
            if much
            else "Section “Tokens” lists the words; check whether they matter."
        )
        yield Finding(
            "unknown_words",
            "fix" if much else "check",
            f"{percent(share)} of the tokens are unknown to the vocabulary",
            f"All of them become [UNK], so that the model cannot tell them apart. {advice}",
            measured_rows(exploration, np.flatnonzero(pieces.unknown).tolist(), "unknown tokens", pieces.unknown),
        )
    if pieces.pieces_per_word >= MANY_PIECES:
        yield Finding(
            "split_words",
            "check",
            f"A word is split into {pieces.pieces_per_word:.1f} pieces on average",
            "The vocabulary was built from other texts: token sequences get long, and single pieces carry little meaning. An "
            "encoder for this language or domain does better.",
        )
    if share < NOTABLE_UNKNOWN and pieces.pieces_per_word < MANY_PIECES:
        yield Finding(
            "vocabulary",
            "ok",
            f"The vocabulary fits: {pieces.pieces_per_word:.2f} pieces per word, {percent(share)} unknown tokens",
        )


def _lengths(exploration: Exploration) -> Iterator[Finding]:
    length, train = exploration.data.sequence_length, exploration.audit.splits[TRAIN]
    if train.cut_share < NOTABLE_CUT:
        yield Finding(
            "cut_texts", "ok", f"{percent(1 - train.cut_share)} of the training texts fit into {length} tokens"
        )
        return
    kept = next(cut.tokens for cut in exploration.truncations if cut.length == length)
    better = next((cut for cut in exploration.truncations if cut.whole >= 1 - NOTABLE_CUT), None)
    advice = f" {better.length} tokens would hold {better.whole:.0%} of the texts." if better else ""
    lengths = exploration.pieces.lengths
    numbers = [number for number in exploration.split_rows(TRAIN).tolist() if lengths[number] > length]
    yield Finding(
        "cut_texts",
        "check",
        f"{percent(train.cut_share)} of the training texts are longer than {length} tokens and are cut",
        f"The model does not read the rest: {1 - kept:.0%} of all tokens.{advice} A greater sequence length takes more time "
        "and memory, and often the beginning is enough. data.long_texts chooses what is read.",
        measured_rows(exploration, numbers, "tokens", lengths),
    )


# === Simple models ===


def _giveaways(exploration: Exploration) -> Iterator[Finding]:
    words = [word for typical in exploration.typical.values() for word in typical if word.gives_away]
    if words:
        yield Finding(
            "giveaway_words",
            "check",
            f"{counted(len(words), 'word')} {agreeing(len(words), 'gives its label', 'give their labels')} away: "
            + listed(repr(word.word) for word in words),
            "Nearly every text with the word has the same label. If the word is missing in production (a tag, a signature, the "
            "label's own name), the model has learned the wrong feature.",
            words_of(words),
        )


def _baselines(exploration: Exploration) -> Iterator[Finding]:
    tfidf = exploration.baselines.get("tfidf_logistic_regression")
    if tfidf is None:
        return
    measure, split = main_score(tfidf), exploration.data.measured
    score, least = tfidf[measure], exploration.baselines["majority"][measure]
    name = score_name(measure)
    if score >= EASY:
        yield Finding(
            "easy",
            "check",
            f"TF-IDF alone reaches {name} {score:.3f} on {split}",
            "Either the task is easy and needs no large model, or a word in the text gives the label away.",
        )
    elif score < least + SMALL_GAIN:
        yield Finding(
            "hard",
            "check",
            f"TF-IDF reaches {name} {score:.3f}, {'hardly' if score > least else 'not'} more than the majority baseline ({least:.3f})",
            "Single words predict the labels badly: the labels depend on meaning or word order, or they are noisy. Read some "
            "rows before training.",
        )
    else:
        yield Finding(
            "baselines",
            "ok",
            f"The texts predict the labels: TF-IDF reaches {name} {score:.3f} on {split}, the majority baseline {least:.3f}",
        )
