"""Findings on labels: spelled in several ways, meaning none, joined, rare, uneven, or no labels at all."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from bert_serving.data.findings.finding import DataFinding
from bert_serving.data.label_forms import (
    distinguishable,
    is_mark_of_nothing,
    label_form,
    labels_of_nothing,
    separator_of,
    spellings,
)
from bert_serving.data.table import LabeledTable
from bert_serving.wording import agreeing, counted, listed

TRAIN = "train"
FEW_ROWS = 10
DOMINANT_SHARE = 0.8
UNEVEN = 10
"""rows of the largest class for each row of the smallest"""
UNIQUE_SHARE = 0.5
"""labels for each training row from which on they are identifiers"""
_NO_NUMBER = (-1, -9, -99, -999, -9999, 99, 999, 9999)
"""numbers that stand for a missing one where they lie apart from all others"""


def label_findings(
    tables: Mapping[str, LabeledTable], labels: Sequence[str], rows_per_class: Mapping[str, Mapping[str, int]]
) -> Iterator[DataFinding]:
    """The findings on labels.

    Args:
        tables: the rows by split; with "train".
        labels: all labels in the model's order; empty for a regression head.
        rows_per_class: by split, the rows of each label.
    """
    train = tables[TRAIN]
    if not labels:
        yield from _numbers(train)
        return
    distinct = sum(rows > 0 for rows in rows_per_class[TRAIN].values())
    if distinct > UNIQUE_SHARE * max(len(train), FEW_ROWS):
        yield _identifiers(distinct, train, labels)
        return
    counts = {label: sum(rows[label] for rows in rows_per_class.values()) for label in labels}
    yield from _names(counts, tables)
    yield from _sizes(rows_per_class, len(train))


# === Names of labels ===


def _names(counts: Mapping[str, int], tables: Mapping[str, LabeledTable]) -> Iterator[DataFinding]:
    is_multilabel = any(isinstance(label, tuple) for label in tables[TRAIN].labels)
    if groups := spellings(counts):
        shown = [" = ".join(_with_rows(distinguishable(group), group, counts)) for group in groups]
        yield DataFinding(
            "label_spellings",
            "fix",
            f"{counted(len(groups), 'label')} {agreeing(len(groups), 'is', 'are')} spelled in several ways: {listed(shown)}",
            "The model learns each spelling as a class. Give a label one spelling: they differ in case, blanks, signs or "
            "Unicode form only.",
            tuple(name for group in groups for name in group),
        )
    if nothing := labels_of_nothing(counts):
        yield DataFinding(
            "no_label",
            "fix" if any(map(is_mark_of_nothing, nothing)) else "check",
            f"{counted(len(nothing), 'label')} may mean that there is no label: {_listed(nothing, counts)}",
            "The model learns it as a class. "
            + (
                "Give such rows an empty list of labels."
                if is_multilabel
                else "Remove its rows, unless it is meant as one."
            ),
            tuple(nothing),
        )
    yield from _joined(counts, tables, is_multilabel=is_multilabel)
    if not is_multilabel and len(counts) > 2 and all(map(_is_number, counts)) and any(map(_has_decimals, counts)):
        example = next(filter(_has_decimals, counts))
        yield DataFinding(
            "number_labels",
            "fix",
            f"All {len(counts)} labels are numbers with decimals, such as {example}",
            'They are read as class names without an order. To predict numbers set head.kind to "regression" (--head '
            "regression for a file).",
        )


def _joined(
    counts: Mapping[str, int], tables: Mapping[str, LabeledTable], *, is_multilabel: bool
) -> Iterator[DataFinding]:
    # Where no row has two labels, a multilabel table was joined by another sign than the comma.
    sure = is_multilabel and all(len(label) < 2 for table in tables.values() for label in table.labels)
    forms = set(map(label_form, counts))
    signs = {name: separator_of(name, forms, sure=sure) for name in counts}
    joined = [name for name, sign in signs.items() if sign]
    if joined:
        sign = Counter(filter(None, signs.values())).most_common(1)[0][0]
        spelled = "a blank" if sign == " " else repr(sign)
        remedy = (
            f"Join the labels of a row by commas instead of {spelled}, or give them as a list (JSON lines, Parquet)."
            if is_multilabel
            else 'Keep one label per row; or join them by commas and set head.kind to "multilabel" (--head multilabel).'
        )
        yield DataFinding(
            "joined_labels",
            "fix",
            f"{counted(len(joined), 'label')} {agreeing(len(joined), 'is', 'are')} several labels joined by {spelled}: "
            f"{_listed(joined, counts)}",
            f"The model learns each combination as a class of its own. {remedy}",
            tuple(joined),
        )


# === Rows of the labels ===


def _sizes(rows_per_class: Mapping[str, Mapping[str, int]], total: int) -> Iterator[DataFinding]:
    train = rows_per_class[TRAIN]
    few = sorted((label for label, rows in train.items() if rows < FEW_ROWS), key=lambda label: train[label])
    if few:
        yield DataFinding(
            "rare_labels",
            "fix",
            f"{_labels_have(len(few))} fewer than {FEW_ROWS} training rows: {_listed(few, train)}",
            "Fine-tuning hardly learns a label from so few rows. Collect more, merge the label with another, leave it out, or set "
            'training.method to "contrastive".',
            tuple(few),
        )
    for split, rows in rows_per_class.items():
        absent = [label for label, count in rows.items() if not count]
        if absent and split != TRAIN:
            yield DataFinding(
                f"absent_labels_{split}",
                "check",
                f"{_labels_have(len(absent))} no rows in {split}: {listed(map(repr, absent))}",
                f"The {split} score does not measure {agreeing(len(absent), 'it', 'them')}. Add such rows to {split}.",
                tuple(absent),
            )
    yield from _balance(train, total)


def _balance(train: Mapping[str, int], total: int) -> Iterator[DataFinding]:
    largest, least = max(train, key=lambda label: train[label]), min(train, key=lambda label: train[label])
    # Not for multilabel tables, whose rows count for several classes: there, one label for all is not a baseline.
    if sum(train.values()) == total and train[largest] >= DOMINANT_SHARE * total:
        others = sorted(train.keys() - {largest}, key=lambda label: -train[label])
        share = f"{min(train[largest] / total, 0.999):.1%}"
        yield DataFinding(
            "dominant_label",
            "check",
            f"{share} of train is {largest!r} ({train[largest]:,}), the rest {_listed(others, train)}",
            f"An accuracy near {share} means that nothing was learned: judge by macro F1, set training.best_metric to "
            '"macro_f1" and try training.class_weights.',
        )
    elif train[largest] >= UNEVEN * max(train[least], 1):
        yield DataFinding(
            "uneven_labels",
            "check",
            f"{largest!r} ({train[largest]:,}) has {train[largest] / max(train[least], 1):,.0f} times the rows of {least!r} "
            f"({train[least]:,})",
            "Accuracy hides errors on rare labels: evaluate by macro F1, and try training.class_weights.",
            tuple(train),
        )


def _identifiers(distinct: int, train: LabeledTable, labels: Sequence[str]) -> DataFinding:
    return DataFinding(
        "unique_labels",
        "fix",
        f"train has {counted(distinct, 'label')} for {counted(len(train), 'row')}, such as {listed(map(repr, labels), 3)}",
        "The label column rather holds identifiers or texts than classes. Name the column of the labels (data.label, or "
        "--label for a file).",
    )


# === Numbers ===


def _numbers(train: LabeledTable) -> Iterator[DataFinding]:
    counts = Counter(train.labels)
    if len(counts) == 1:
        yield DataFinding(
            "constant_numbers",
            "fix",
            f"All {counted(len(train), 'label')} of train are {train.labels[0]:g}",
            "There is nothing to learn. Name the column of the numbers (data.label, or --label for a file).",
        )
        return
    for number in _NO_NUMBER:
        others = [other for other in counts if other != number]
        is_apart = max(others) < number / 2 if number > 0 else min(others) >= 0
        if counts[number] > 1 and is_apart:
            rows = [row for row, label in enumerate(train.labels) if label == number]
            yield DataFinding(
                "no_number",
                "check",
                f"{counted(len(rows), 'label')} of train {agreeing(len(rows), 'is', 'are')} {number}, apart from all others "
                f"({min(others):g} to {max(others):g})",
                "Such a number often means that there is none. Remove its rows, unless it is meant.",
                rows={TRAIN: rows},
            )


# === Wording ===


def _is_number(label: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]*\.?[0-9]+", label) is not None


def _has_decimals(label: str) -> bool:
    return re.search(r"\.0*[1-9]", label) is not None


def _labels_have(count: int) -> str:
    return f"{counted(count, 'label')} {agreeing(count, 'has', 'have')}"


def _with_rows(shown: Sequence[str], names: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    return [f"{text} ({counts[name]:,})" for text, name in zip(shown, names, strict=True)]


def _listed(names: Sequence[str] | Mapping[str, int], counts: Mapping[str, int]) -> str:
    return listed(f"{name!r} ({counts[name]:,})" for name in names)
