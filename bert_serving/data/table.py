"""Labeled text as a table, read from files or from folders of text files."""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.label_folders import read_label_folders
from bert_serving.data.raw_table import RawTable, quoted, read_raw_table
from bert_serving.data.reading import Reading
from bert_serving.errors import DataError


@dataclass(frozen=True)
class LabeledTable:
    """Texts and their labels, in the order of the files.

    Attributes:
        texts: the text of each row; may be empty.
        pairs: the second texts; None where the task has single texts.
        labels: str (softmax and binary heads), sorted tuple of str (multilabel) or finite float (regression).
        source: the files, for messages.
        columns: further columns by name, as text; empty unless requested.
        reading: what was left out and repaired in reading the files.
    """

    texts: list[str]
    pairs: list[str] | None
    labels: list[Any]
    source: str
    columns: dict[str, list[str]] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading, compare=False)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.texts)

    def select(self, indices: Iterable[int]) -> "LabeledTable":
        """The rows at `indices`, in that order; what was left out in reading stays with the whole table."""
        chosen = [int(index) for index in indices]
        return LabeledTable(
            texts=[self.texts[index] for index in chosen],
            pairs=None if self.pairs is None else [self.pairs[index] for index in chosen],
            labels=[self.labels[index] for index in chosen],
            source=self.source,
            columns={name: [values[index] for index in chosen] for name, values in self.columns.items()},
        )


class _BadValueError(ValueError):
    """An invalid value of a cell; the caller adds file and row."""


def read_table(paths: Sequence[Path], data: DataConfig, head: Head, columns: Sequence[str] = ()) -> LabeledTable:
    """Reads TSV, CSV, JSON lines, Parquet or folders of label folders and joins their rows.

    A label folder is named for its label and holds one UTF-8 `.txt` file per text. All files but Parquet may end in
    `.gz`.

    Args:
        paths: files and folders.
        data: names of the columns.
        head: decides what a label is.
        columns: further columns to keep.

    Raises:
        DataError: a file or folder is missing, empty, of another kind or damaged, lacks a column, or has a row that
            cannot be used; names the file and the row.
    """
    if not paths:
        raise DataError("no data files were given; name at least one in the run file's [data]")
    source = ", ".join(str(path) for path in paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    whole = LabeledTable([], None if data.text_pair is None else [], [], source, {name: [] for name in columns})
    for path in map(Path, paths):
        table = _folder_table(path, data, columns) if path.is_dir() else None
        rows_before = len(whole)
        if table is None:
            table = read_raw_table(
                path, [data.text, data.label, *([data.text_pair] if data.text_pair else []), *columns]
            )
        _append(whole, table, data, head)
        if len(whole) == rows_before:
            raise DataError(f"{path}: has no rows; add labeled texts or remove it from the run file")
    return whole


def _folder_table(path: Path, data: DataConfig, columns: Sequence[str]) -> RawTable:
    """The rows of label folders as a table with the configured names."""
    if further := [*([data.text_pair] if data.text_pair else []), *(name for name in columns if name != data.label)]:
        raise DataError(
            f"{path}: a folder of label folders holds single texts and no column {further[0]!r}; "
            "give pairs of texts and further columns as a file"
        )
    reading = Reading()
    positions, texts, labels = zip(*read_label_folders(path, reading), strict=True)
    return RawTable(path, [data.text, data.label], [texts, labels], list(positions), reading)


def _append(whole: LabeledTable, table: RawTable, data: DataConfig, head: Head) -> None:
    """Appends a file's rows, checked."""
    texts, labels = table.column(data.text), table.column(data.label)
    pairs = None if data.text_pair is None else table.column(data.text_pair)
    further = {name: table.column(name) for name in whole.columns}
    for row, position in enumerate(table.positions):
        try:
            whole.texts.append(_text(texts[row], data.text))
            if pairs is not None and whole.pairs is not None:
                whole.pairs.append(_text(pairs[row], str(data.text_pair)))
            whole.labels.append(_label(labels[row], data.label, head))
        except _BadValueError as error:
            raise DataError(f"{table.path}, {position}: {error}") from None
    for name, cells in further.items():
        whole.columns[name] += map(_shown, cells)
    whole.reading.add(table.reading)


# === Values ===


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def _text(value: Any, column: str) -> str:
    if value is None:
        raise _BadValueError(f"{column!r} is missing; give a text (an empty one is allowed) or remove the row")
    if not isinstance(value, str):
        raise _BadValueError(f"{column!r} must be a string, got {quoted(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _BadValueError(f"{column!r} holds half a surrogate pair, got {quoted(value)}") from None
    return value


def _label(value: Any, column: str, head: Head) -> str | tuple[str, ...] | float:
    if value is None:
        raise _BadValueError(f"{column!r} is missing; give a label or remove the row")
    if head is Head.REGRESSION:
        return _number(value, column)
    if head is Head.MULTILABEL:
        return tuple(sorted({_name(name, column) for name in _listed(value, column)}))
    return _name(value, column)


def _number(value: Any, column: str) -> float:
    try:
        # float() would read 1_000 and True as numbers.
        if isinstance(value, bool) or "_" in str(value):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _BadValueError(f"{column!r} must be a finite number for a regression head, got {quoted(value)}")
    return number


def _listed(value: Any, column: str) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str):
        return [value]
    if value.lstrip().startswith("["):
        try:
            return list(json.loads(value))
        except (ValueError, RecursionError):
            raise _BadValueError(f"{column!r} is not a valid JSON list, got {quoted(value)}") from None
    return value.split(",") if value.strip() else []


def _name(value: Any, column: str) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float() | Decimal() if math.isfinite(value):
            return str(int(value)) if value == int(value) else str(value)
        case str():
            name = _text(value, column).strip()
            if not name:
                raise _BadValueError(f"{column!r} is empty; give a label or remove the row")
            if len(name.splitlines()) > 1:
                raise _BadValueError(f"{column!r} must be one line, got {quoted(value)}")
            return name
    raise _BadValueError(f"{column!r} must be a string or a number, got {quoted(value)}")


def table_sha256(table: LabeledTable) -> str:
    """Digest of a table's rows, independent of the files that they came from."""
    digest = hashlib.sha256()
    pairs: Sequence[str | None] = table.pairs or [None] * len(table)
    for text, pair, label in zip(map(repr, table.texts), pairs, table.labels, strict=True):
        # Without pairs the text counts twice; `repr`, which takes most of the time, is called once.
        second = text if pair is None else repr(pair)
        digest.update(f"({text}, {second}, {label!r})".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
