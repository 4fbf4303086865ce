"""Unlabeled text: lines of plain files, files of a folder, or columns of a table."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bert_serving.contract import LABEL, TEXT
from bert_serving.data.cells import BadCellError, text_cell
from bert_serving.data.file_text import decode, read_bytes, split_lines
from bert_serving.data.label_folders import text_files
from bert_serving.data.raw_table import RawTable, quoted, read_raw_table
from bert_serving.data.reading import Reading
from bert_serving.errors import DataError
from bert_serving.observer import Observer
from bert_serving.wording import listed

STANDARD_INPUT = Path("-")
_PLAIN = ("", ".txt", ".text")
"""suffixes of files with one text a line; pipes have none"""
_VALUE = re.compile(r"[\W\d_]*(?:[TE][\W\d_]*Z?)?|true|false|none|null|nan|inf", re.IGNORECASE)
"""a number, a date or a truth value, which is no text"""
_SAMPLE = 4096
_UTF8_MARK = b"\xef\xbb\xbf"


class TextRow(NamedTuple):
    """A row of unlabeled text.

    Attributes:
        position: where it is, such as "line 2".
        text: the text; may be empty.
        pair: the second text; None for single texts.
        size: its share of the source's `size`.
    """

    position: str
    text: str
    pair: str | None
    size: int


@dataclass(frozen=True)
class TextColumns:
    """The columns of a table that hold the texts.

    Attributes:
        text: None for "text", or else the only column of texts.
        text_pair: column of the second texts; None for single texts.
        ignored: columns of another kind, which are never taken for the texts.
        option: how the caller's `text` is set, for messages.
    """

    text: str | None = None
    text_pair: str | None = None
    ignored: tuple[str, ...] = (LABEL,)
    option: str = "--text"


class TextSource:
    """The rows of a file or folder; they can be read more than once.

    Attributes:
        path: the file.
        reading: what was left out and repaired; complete after the rows were read.
        size: what the sizes of the rows add up to.
        identity: differs for other rows.
        is_table: whether its rows have columns.
    """

    def __init__(self, path: Path, columns: TextColumns = TextColumns()):
        """Reads a table, or the beginning of a plain file.

        Args:
            path: a plain UTF-8 file (`.txt`, also with .gz; one text a line), a table (TSV, CSV, JSON lines, Parquet), a folder
                of `.txt` files, each of which is a text, or - for lines of standard input.
            columns: of a table.

        Raises:
            DataError: the file is missing, empty, of another kind or damaged, lacks a column, or has several columns of texts
                of which none is named.
        """
        self.path = path
        self.reading = Reading()
        self.is_table = not is_plain(path) and not path.is_dir()
        self.identity = f"{path.resolve()}\n{columns.text}\n{columns.text_pair}"
        self._rows: list[TextRow] | None = None
        if is_plain(path):
            if columns.text_pair is not None:
                raise DataError(f"{path}: lines are single texts; give pairs of texts as a table")
            if not _is_streamed(path):
                content = sys.stdin.buffer.read() if path == STANDARD_INPUT else read_bytes(path)
                self._rows = _line_rows(split_lines(decode(path, content, self.reading)))
        else:
            self._rows = self._table_rows(columns) if self.is_table else self._file_rows(columns)
        self.size = path.stat().st_size if self._rows is None else len(self._rows)

    def __iter__(self) -> Iterator[TextRow]:
        """The rows, in the order of the file.

        Raises:
            DataError: a line is not UTF-8.
        """
        return _streamed_rows(self.path) if self._rows is None else iter(self._rows)

    def _file_rows(self, columns: TextColumns) -> list[TextRow]:
        if columns.text_pair is not None:
            raise DataError(f"{self.path}: a folder holds single texts; give pairs of texts as a table")
        files = text_files(self.path, self.reading)
        # The line break at the end of a text file does not belong to the text.
        texts = [decode(file, read_bytes(file), self.reading).removesuffix("\n").removesuffix("\r") for file in files]
        places = [str(file.relative_to(self.path)) for file in files]
        return [TextRow(place, text, None, 1) for place, text in zip(places, texts, strict=True)]

    def _table_rows(self, columns: TextColumns) -> list[TextRow]:
        named = [name for name in (columns.text, columns.text_pair) if name is not None]
        table = read_raw_table(self.path, named if columns.text is not None else None)
        self.reading.add(table.reading)
        text = self._texts_of(table, columns.text or self._text_column(table, columns))
        pair = [None] * len(table) if columns.text_pair is None else self._texts_of(table, columns.text_pair)
        return [TextRow(*row, 1) for row in zip(table.positions, text, pair, strict=True)]

    def _texts_of(self, table: RawTable, column: str) -> list[str]:
        texts = []
        for position, cell in zip(table.positions, table.column(column), strict=True):
            try:
                texts.append("" if cell is None else text_cell(cell, column))
            except BadCellError as error:
                raise DataError(f"{self.path}, {position}: {error}") from None
        return texts

    def _text_column(self, table: RawTable, columns: TextColumns) -> str:
        """The column of the texts, where none is named."""
        if TEXT in table.names and columns.text_pair != TEXT:
            return TEXT
        ignored = {name.casefold() for name in columns.ignored}
        others = [
            name for name in dict.fromkeys(table.names) if name != columns.text_pair and name.casefold() not in ignored
        ]
        found = [name for name in others if _holds_texts(table.columns[table.names.index(name)])]
        found = others if len(others) == 1 else found
        table.check_header()
        if len(table.names) == 1 and any(separator in table.names[0] for separator in ",;|\t"):
            raise DataError(
                f"{self.path}: has one column, {quoted(table.names[0])}, which looks like several: quote the cells that hold the "
                f"separator, or name the column with {columns.option}"
            )
        if len(found) == 1:
            self.reading.repair(f"{self.path.name}: the texts are those of its column {found[0]!r}")
            return found[0]
        fault = f"has several columns of texts ({listed(map(quoted, found), 20)})"
        if not found:
            fault = f"has no column of texts; its columns are {listed(map(quoted, table.names), 20)}"
        raise DataError(f"{self.path}: {fault}; name the one to read with {columns.option}")


@dataclass(frozen=True)
class UnlabeledTable:
    """Unlabeled texts.

    Attributes:
        texts: the texts, in the order of the files.
        pairs: their second texts; None for single texts.
    """

    texts: list[str]
    pairs: list[str] | None


def read_unlabeled(
    paths: Sequence[Path], columns: TextColumns = TextColumns(), observer: Observer | None = None
) -> UnlabeledTable:
    """Reads all texts of files, as `TextSource` does; rows without a text are left out.

    Args:
        paths: files and folders.
        columns: of the tables.
        observer: told what was left out and repaired.

    Raises:
        DataError: as `TextSource`, or a file has no text.
    """
    if not paths:
        raise DataError("no files with text; name at least one")
    found, reading = UnlabeledTable([], None if columns.text_pair is None else []), Reading()
    for path in map(Path, paths):
        source = TextSource(path, columns)
        rows = list(source)
        kept = [row for row in rows if row.text.strip() and (row.pair is None or row.pair.strip())]
        if not kept:
            both = "" if columns.text_pair is None else f" in {columns.text or TEXT} and {columns.text_pair}"
            raise DataError(f"{path}: has no text{both}; give another file")
        found.texts.extend(row.text for row in kept)
        if found.pairs is not None:
            found.pairs.extend(row.pair or "" for row in kept)
        source.reading.leave_out("empty text", len(rows) - len(kept))
        reading.add(source.reading)
    for line in reading.lines():
        (observer or Observer()).note(line)
    return found


def is_plain(path: Path) -> bool:
    """Whether a file holds one text a line, by its name."""
    return not path.is_dir() and Path(path.name.lower().removesuffix(".gz")).suffix in _PLAIN


def _holds_texts(cells: Sequence[Any]) -> bool:
    return any(isinstance(cell, str) and not _VALUE.fullmatch(cell) for cell in cells)


# === Plain files ===


def _line_rows(lines: Sequence[str]) -> list[TextRow]:
    return [TextRow(f"line {number}", line, None, 1) for number, line in enumerate(lines, start=1)]


def _is_streamed(path: Path) -> bool:
    """Whether the lines can be read one at a time: the file is UTF-8 with line feeds, as far as its beginning tells."""
    if not path.is_file() or path.name.lower().endswith(".gz"):
        return False
    try:
        with path.open("rb") as file:
            sample = file.read(_SAMPLE)
    except OSError:
        return False  # told when all of it is read
    return b"\0" not in sample and not sample.startswith((b"\xff", b"\xfe")) and (b"\n" in sample or not sample)


def _streamed_rows(path: Path) -> Iterator[TextRow]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            content = line.removeprefix(_UTF8_MARK) if number == 1 else line
            try:
                text = content.decode()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}: line {number}: not UTF-8 at byte {error.start} of the line; convert the file"
                ) from None
            yield TextRow(f"line {number}", text.removesuffix("\n").removesuffix("\r"), None, len(line))
