"""Labeled text as a table, read from files or from folders of text files."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.cells import BadCellError, label_cell, label_name, marked_columns, text_cell
from bert_serving.data.label_folders import read_label_folders
from bert_serving.data.raw_table import RawTable, read_raw_table
from bert_serving.data.reading import Reading
from bert_serving.errors import DataError
from bert_serving.wording import agreeing, counted, listed


@dataclass(frozen=True)
class LabeledTable:
    """Texts and their labels, in the order of the files.

    Attributes:
        texts: the text of each row; may be empty.
        pairs: the second texts; None where the task has single texts.
        labels: str (softmax and binary heads), sorted tuple of str (multilabel) or finite float (regression).
        source: the files, for messages.
        columns: further columns by name, as text; empty unless requested.
        label_columns: the labels that have a column of 0 and 1 each, for multilabel heads; None where cells name the labels.
        reading: what was left out and repaired in reading the files.
    """

    texts: list[str]
    pairs: list[str] | None
    labels: list[Any]
    source: str
    columns: dict[str, list[str]] = field(default_factory=dict)
    label_columns: tuple[str, ...] | None = None
    reading: Reading = field(default_factory=Reading, compare=False)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.texts)

    def select(self, indices: Iterable[int]) -> "LabeledTable":
        """The rows at `indices`, in that order."""
        chosen = [int(index) for index in indices]
        return LabeledTable(
            texts=[self.texts[index] for index in chosen],
            pairs=None if self.pairs is None else [self.pairs[index] for index in chosen],
            labels=[self.labels[index] for index in chosen],
            source=self.source,
            columns={name: [values[index] for index in chosen] for name, values in self.columns.items()},
            label_columns=self.label_columns,
            reading=self.reading,
        )


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
    if head is not Head.MULTILABEL and not isinstance(data.label, str):
        raise DataError(
            f"data.label names {counted(len(data.label), 'column')} ({listed(data.label)}) of 0 and 1, which is for a multilabel "
            f"head, not for a {head} head; set head.kind (--head) to multilabel, or name one column"
        )
    if not paths:
        raise DataError("no data files were given; name at least one in the run file's [data]")
    source = ", ".join(str(path) for path in paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    needed = [data.text, *_label_columns(data), *_pair_column(data), *columns]
    tables = (
        _folder_table(path, data, columns) if path.is_dir() else read_raw_table(path, needed)
        for path in map(Path, paths)
    )
    return join_tables(tables, data, head, source, columns)


def join_tables(
    tables: Iterable[RawTable], data: DataConfig, head: Head, source: str, columns: Sequence[str] = ()
) -> LabeledTable:
    """The rows of raw tables as texts and labels.

    Args:
        tables: the tables.
        data: names of the columns.
        head: decides what a label is.
        source: where the rows are from, for messages.
        columns: further columns to keep.

    Raises:
        DataError: a table has no rows, lacks a column, or has a row that cannot be used.
    """
    whole = LabeledTable(
        [],
        None if data.text_pair is None else [],
        [],
        source,
        {name: [] for name in columns},
        None if isinstance(data.label, str) else tuple(map(label_name, data.label)),
    )
    for table in tables:
        _append(whole, table, data, head)
        if not len(table):
            raise DataError(f"{table.path}: has no rows; add labeled texts or remove it from the run file")
    return whole


def _folder_table(path: Path, data: DataConfig, columns: Sequence[str]) -> RawTable:
    """The rows of label folders as a table with the configured names."""
    labels = _label_columns(data)
    further = [*_pair_column(data), *labels[1:], *(name for name in columns if name != labels[0])]
    if further:
        raise DataError(
            f"{path}: a folder of label folders holds single texts and no column {further[0]!r}; "
            "give pairs of texts and further columns as a file"
        )
    reading = Reading()
    positions, texts, names = zip(*read_label_folders(path, reading), strict=True)
    return RawTable(path, [data.text, labels[0]], [texts, names], list(positions), reading)


def _append(whole: LabeledTable, table: RawTable, data: DataConfig, head: Head) -> None:
    """Appends a file's rows, checked."""
    texts, pairs = table.column(data.text), [table.column(name) for name in _pair_column(data)]
    labels = list(zip(*map(table.column, _label_columns(data)), strict=True))
    further = {name: table.column(name) for name in whole.columns}
    for row, position in enumerate(table.positions):
        try:
            whole.texts.append(text_cell(texts[row], data.text))
            if whole.pairs is not None:
                whole.pairs.append(text_cell(pairs[0][row], str(data.text_pair)))
            if isinstance(data.label, str):
                whole.labels.append(label_cell(labels[row][0], data.label, head, table.class_names.get(data.label)))
            else:
                whole.labels.append(marked_columns(labels[row], data.label))
        except BadCellError as error:
            raise DataError(f"{table.path}, {position}: {error}") from None
    for name, cells in further.items():
        whole.columns[name] += ["" if cell is None else str(cell) for cell in cells]
    whole.reading.add(table.reading)
    if isinstance(data.label, str) and head is not Head.REGRESSION:
        _tell_renamed(whole.reading, table, data.label)


def _tell_renamed(reading: Reading, table: RawTable, column: str) -> None:
    """Tells of labels that are not named as the file writes them."""
    if names := table.class_names.get(column):
        reading.repair(f"{table.path.name}: {column!r} takes the names of its classes from the file: {listed(names)}")
    cells = Counter(cell for cell in table.column(column) if isinstance(cell, str))
    blanks = sum(number for cell, number in cells.items() if cell != cell.strip())
    if blanks:
        reading.repair(
            f"{table.path.name}: {counted(blanks, 'label')} lost the blanks around {agreeing(blanks, 'it', 'them')}"
        )
    renamed = [cell.strip() for cell in cells if label_name(cell) != cell.strip()]
    if renamed:
        shown = listed(f"{cell!r} is {label_name(cell)!r}" for cell in dict.fromkeys(renamed))
        reading.repair(f"{table.path.name}: labels have one name in all formats: {shown}")


def _label_columns(data: DataConfig) -> tuple[str, ...]:
    return (data.label,) if isinstance(data.label, str) else data.label


def _pair_column(data: DataConfig) -> list[str]:
    return [] if data.text_pair is None else [data.text_pair]


def table_sha256(table: LabeledTable) -> str:
    """Digest of a table's rows, independent of the files that they came from."""
    digest = hashlib.sha256()
    pairs: Sequence[str | None] = table.pairs or [None] * len(table)
    for text, pair, label in zip(map(repr, table.texts), pairs, table.labels, strict=True):
        # Without pairs the text counts twice; `repr`, which takes most of the time, is called once.
        second = text if pair is None else repr(pair)
        digest.update(f"({text}, {second}, {label!r})".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
