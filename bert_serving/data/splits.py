"""Training, validation and test rows, and the labels that they share."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.cells import label_name
from bert_serving.data.label_forms import distinguishable, label_form
from bert_serving.data.reading import Reading
from bert_serving.data.table import LabeledTable, read_table
from bert_serving.errors import DataError
from bert_serving.wording import counted

SHOWN_LABELS = 5
"""most labels that a message names"""


@dataclass(frozen=True)
class Splits:
    """Rows for training, for choosing the best epoch, and for the reported scores."""

    train: LabeledTable
    validation: LabeledTable
    test: LabeledTable | None = None

    def named(self) -> dict[str, LabeledTable]:
        """The splits that there are, by name, in the order train, validation, test."""
        tables = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: table for name, table in tables.items() if table is not None}


def load_splits(data: DataConfig, head: Head, seed: int, columns: Sequence[str] = ()) -> Splits:
    """Reads all splits; takes the validation rows from the training rows where the run file has no validation files.

    The division is stratified (softmax and binary heads), and each label keeps at least one training row. `data.max_train_rows`
    and `data.max_rows_per_label` limit the training rows only, so that runs of different sizes are validated on the same rows.
    `columns` are further columns to keep. `data.seed`, where it is set, takes the place of `seed`.

    Raises:
        DataError: a file cannot be read or used, or there are too few rows to divide.
    """
    seed = seed if data.seed is None else data.seed
    train = _read(data.train, data, head, columns)
    test = _read(data.test, data, head, columns) if data.test else None
    if data.validation:
        validation = _read(data.validation, data, head, columns)
    else:
        train, validation = take_validation(train, data, head, seed)
    if data.max_rows_per_label is not None:
        train = train.select(_rows_of_labels(train, data.max_rows_per_label, seed))
    if data.max_train_rows is not None and data.max_train_rows < len(train):
        classes = len(set(train.labels))
        if head in (Head.SOFTMAX, Head.BINARY) and data.max_train_rows < classes:
            raise DataError(
                f"data.max_train_rows is {data.max_train_rows}, fewer than the {classes} labels of train; give at least {classes}"
            )
        kept, _ = _divide(train, data.max_train_rows, head, seed)
        train = train.select(kept)
    return Splits(train, validation, test)


def load_validation(data: DataConfig, head: Head, seed: int, columns: Sequence[str] = ()) -> LabeledTable:
    """The validation rows of `load_splits`; no other split is read where they have files of their own.

    Raises:
        DataError: as `load_splits`.
    """
    if data.validation:
        return _read(data.validation, data, head, columns)
    return load_splits(data.model_copy(update={"test": ()}), head, seed, columns).validation


def load_measured(data: DataConfig, head: Head, seed: int, columns: Sequence[str] = ()) -> tuple[str, LabeledTable]:
    """The split of the reported scores and its name: "test", or "validation" where there is no test split.

    Raises:
        DataError: as `load_splits`.
    """
    if data.test:
        return "test", _read(data.test, data, head, columns)
    return "validation", load_validation(data, head, seed, columns)


def resolve_labels(splits: Splits, data: DataConfig, head: Head) -> tuple[str, ...]:
    """All labels in the order of the model's outputs; () for a regression head.

    The order is that of `data.labels`, else that of the columns of `data.label` where it lists several, else sorted: as
    numbers where all are integers.

    Raises:
        DataError: training rows hold fewer than two labels, a binary head has not exactly two, or a split has labels
            that are not among them.
    """
    if head is Head.REGRESSION:
        return ()
    train = {name for label in splits.train.labels for name in label_names(label)}
    if len(train) < (1 if head is Head.MULTILABEL else 2):
        raise DataError(
            f"train holds {len(train)} label(s){_listed(sorted(train))}, a {head} head needs more; "
            f"check the column {data.label!r} of {splits.train.source}"
        )
    columns = splits.train.label_columns
    labels = (columns or sorted_labels(train)) if data.labels is None else tuple(map(label_name, data.labels))
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    if repeated:
        key = "data.label" if data.labels is None else "data.labels"
        raise DataError(f"{key} names a label more than once{_listed(repeated)}; remove the repetition")
    if columns is not None and set(labels) != set(columns):
        raise DataError(
            f"data.labels{_listed(labels)} must name the columns of data.label{_listed(columns)}, in any order; leave it out for "
            "the columns' own order"
        )
    if head is Head.BINARY and len(labels) != 2:
        raise DataError(
            f"a binary head needs exactly 2 labels, there are {len(labels)}{_listed(labels)}; set head.kind to softmax"
        )
    known = "train" if data.labels is None else "data.labels"
    problems = [
        f"{name} has labels that {known} lacks{problem}"
        for name, table in splits.named().items()
        if (problem := _unknown_labels(table, labels))
    ]
    if problems:
        raise DataError(
            "; ".join(problems) + "; correct the rows, or give such rows to train and name all in data.labels"
        )
    return labels


def label_names(label: str | tuple[str, ...] | float) -> tuple[str, ...]:
    """The names in one row's label: one, several for multilabel heads, none for a regression head."""
    if isinstance(label, str):
        return (label,)
    return label if isinstance(label, tuple) else ()


def label_array(labels: Iterable[Any], names: Sequence[str], head: Head) -> np.ndarray:
    """The labels of a table as numbers.

    Returns:
        softmax, binary: int64 [N], index into `names`; multilabel: int64 [N, C] of 0 and 1; regression: float64 [N].

    Raises:
        DataError: a label is not among `names`.
    """
    if head is Head.REGRESSION:
        return np.asarray(list(labels), np.float64)
    # A model of an earlier version may have "1.0" where the data has "1".
    index = {label_name(name): position for position, name in enumerate(names)}
    index |= {name: position for position, name in enumerate(names)}
    try:
        if head is not Head.MULTILABEL:
            return np.asarray([index[label] for label in labels], np.int64)
        rows = [[index[name] for name in label_names(label)] for label in labels]
    except KeyError as error:
        raise DataError(f"the label {error} is not among the model's{_listed(names)}; correct the row") from None
    marks = np.zeros((len(rows), len(names)), np.int64)
    for mark, row in zip(marks, rows, strict=True):
        mark[row] = 1
    return marks


def check_labels(table: LabeledTable, names: Sequence[str], head: Head) -> None:
    """Checks that a model's labels fit a table, before the long work.

    Raises:
        DataError: a row's label is not among `names`, or the table has a column for each label, but not for all of `names`.
    """
    label_array(table.labels, names, head)
    if table.label_columns is not None:
        lacking = [name for name in names if label_name(name) not in table.label_columns]
        if lacking:
            raise DataError(
                f"{table.source}: data.label (--label) names no column for the model's label(s){_listed(lacking)}; name a column "
                "of 0 and 1 for each label of the model"
            )


# === Dividing rows ===


def take_validation(table: LabeledTable, data: DataConfig, head: Head, seed: int) -> tuple[LabeledTable, LabeledTable]:
    """Training and validation rows of a table: `data.validation_fraction` of it, stratified, each label with a training row.

    Raises:
        DataError: there are too few rows to divide.
    """
    classes = len(set(table.labels)) if head in (Head.SOFTMAX, Head.BINARY) else 1
    spare = len(table) - classes
    if spare < 1:
        if classes > 2:
            raise DataError(
                f"{table.source}: column {data.label!r} has another label in each of {len(table)} rows; "
                "give the column of the labels"
            )
        raise DataError(
            f"{table.source}: {len(table)} row(s) of {classes} label(s) are too few to take validation rows from; "
            "name files in data.validation"
        )
    taken = min(max(round(len(table) * data.validation_fraction), 1), spare)
    kept, rest = _divide(table, len(table) - taken, head, seed)
    # What was left out of the files is told once, for train.
    return table.select(kept), dataclasses.replace(table.select(rest), reading=Reading())


def _divide(table: LabeledTable, size: int, head: Head, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of two parts, stratified where a row has one label; the first has `size` rows and every label."""
    rows = np.arange(len(table))
    names = [label_names(label) for label in table.labels]
    counts = Counter(name for row in names for name in row)
    strata = np.asarray([row[0] for row in names]) if head in (Head.SOFTMAX, Head.BINARY) else None
    if strata is None:
        first, second = _sample(rows, size, None, seed)
    else:
        single = np.asarray([counts[name] == 1 for name in strata], bool)
        first, second = _sample(rows[~single], size - int(single.sum()), strata[~single], seed)
        first = np.concatenate([rows[single], first])
    kept, rest = _with_every_label(first.tolist(), second.tolist(), names)
    return np.sort(kept), np.sort(rest)


def _rows_of_labels(table: LabeledTable, most: int, seed: int) -> np.ndarray:
    """Numbers of at most so many rows of each label, ascending; a row of several labels counts for all of them.

    Rows of rare labels are taken first. A label whose rows all have frequent labels, too, keeps one of them.
    """
    # Rows without any of the labels count as those of a label of their own.
    names = [label_names(label) or ("",) for label in table.labels]
    counts = Counter(name for row in names for name in row)
    order = np.random.default_rng(seed).permutation(len(names)).tolist()
    order.sort(key=lambda row: min(counts[name] for name in names[row]))
    kept: list[int] = []
    taken: Counter[str] = Counter()
    for row in order:
        if all(taken[name] < most for name in names[row]) or any(taken[name] == 0 for name in names[row]):
            kept.append(row)
            taken.update(names[row])
    return np.sort(np.asarray(kept))


def _sample(rows: np.ndarray, size: int, strata: np.ndarray | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import train_test_split  # noqa: PLC0415  slow to import

    if size == 0:
        return rows[:0], rows
    if strata is not None and min(size, len(rows) - size) < len(set(strata)):
        strata = None  # each side of a stratified division needs as many rows as there are labels
    first, second = train_test_split(rows, train_size=size, random_state=seed, stratify=strata)
    return first, second


def _with_every_label(
    first: list[int], second: list[int], names: Sequence[tuple[str, ...]]
) -> tuple[list[int], list[int]]:
    """Exchanges rows until the first part has every label, also the rare ones."""
    counts = Counter(name for row in first for name in names[row])
    for row in sorted(second):
        if all(counts[name] for name in names[row]):
            continue
        # The row given in exchange must not be the last of its labels: take it from the most frequent ones.
        spared = max(first, key=lambda kept: min((counts[name] for name in names[kept]), default=len(first)))
        if min((counts[name] for name in names[spared]), default=2) > 1:
            first[first.index(spared)] = row
            second[second.index(row)] = spared
            counts.subtract(names[spared])
        else:
            first.append(row)
            second.remove(row)
        counts.update(names[row])
    return first, second


def _read(paths: Sequence[Path], data: DataConfig, head: Head, columns: Sequence[str]) -> LabeledTable:
    # An absolute path, as after loading a run file, is unchanged.
    return read_table([data.folder / path for path in paths], data, head, columns)


# === Labels ===


def sorted_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels in the order that a model has where none is given: numbers by their value, others by their texts."""
    names = sorted(labels)
    if all(re.fullmatch(r"[+-]?[0-9]+", name) for name in names):
        names.sort(key=int)
    return tuple(names)


def _unknown_labels(table: LabeledTable, labels: Sequence[str]) -> str:
    counts = Counter(name for label in table.labels for name in label_names(label))
    unknown = [(name, count) for name, count in counts.most_common() if name not in labels]
    spelled = {label_form(name): name for name in labels}
    return _joined(
        [
            f"{name!r} ({counted(count, 'row')}{_other_spelling(name, spelled.get(label_form(name)))})"
            for name, count in unknown
        ]
    )


def _other_spelling(name: str, known: str | None) -> str:
    return "" if known is None else f", another spelling of {distinguishable((known, name))[0]}"


def _listed(labels: Sequence[str]) -> str:
    return _joined([repr(label) for label in labels])


def _joined(shown: Sequence[str]) -> str:
    if not shown:
        return ""
    more = f" and {len(shown) - SHOWN_LABELS} more" if len(shown) > SHOWN_LABELS else ""
    return ": " + ", ".join(shown[:SHOWN_LABELS]) + more
