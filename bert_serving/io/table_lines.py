"""Lines of table files: the one place that quotes and cleans cells, for TSV, CSV and JSON lines.

Every reader gives back what was written, line by line and through `csv`, pandas and this project: CSV and JSON lines keep
every text; TSV has no way to hold a tab or a line break, so those become blanks.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from bert_serving.errors import InputError
from bert_serving.io.json_text import json_text

_TSV_BREAKS = re.compile("\r\n|[\t\r\n\0]")
_CSV_SPECIAL = re.compile('[",\r\n]')
_SURROGATES = re.compile("[\ud800-\udfff]")


class TableFormat(StrEnum):
    """The format of a table file that is written."""

    TSV = "TSV"
    """cells without tabs and line breaks; one that begins with a quotation mark is quoted as in CSV, for readers that look
    for quotes"""
    CSV = "CSV"
    """RFC 4180 with line feeds"""
    JSON_LINES = "JSON lines"
    """an object a line; numbers that are not finite become null"""

    @classmethod
    def of(cls, path: Path) -> Self:
        """The format that a file's suffix names; TSV for a file without one, such as a pipe.

        Raises:
            InputError: the suffix names another format.
        """
        suffix = path.suffix.lower()
        if suffix not in _FORMATS:
            raise InputError(f"{path}: cannot be written as {suffix}; end its name in .tsv, .csv or .jsonl")
        return cls(_FORMATS[suffix])

    def header(self, columns: Sequence[str]) -> str:
        """The first line; empty for JSON lines, whose objects name their values."""
        return "" if self is TableFormat.JSON_LINES else self._joined(columns) + "\n"

    def line(self, row: Mapping[str, Any]) -> str:
        """The line of a row, from its values by column."""
        text = json_text(row) if self is TableFormat.JSON_LINES else self._joined(row.values())
        return f"{text}\n"

    def beginning(self, row: Mapping[str, Any]) -> str:
        """How the line of a row begins whose first values are these, and which has more."""
        return (
            json_text(row)[:-1] + ", " if self is TableFormat.JSON_LINES else self._joined(row.values()) + self._comma
        )

    def changes(self, text: str) -> bool:
        """Whether another text is written in place of this one."""
        return self is TableFormat.TSV and _TSV_BREAKS.search(text) is not None

    @property
    def _comma(self) -> str:
        return "\t" if self is TableFormat.TSV else ","

    def _joined(self, values: Iterable[Any]) -> str:
        cell = _tsv_cell if self is TableFormat.TSV else _csv_cell
        return self._comma.join(map(cell, map(_text, values)))


_FORMATS = {
    "": TableFormat.TSV,
    ".tsv": TableFormat.TSV,
    ".txt": TableFormat.TSV,
    ".csv": TableFormat.CSV,
    ".jsonl": TableFormat.JSON_LINES,
    ".ndjson": TableFormat.JSON_LINES,
    ".json": TableFormat.JSON_LINES,
}


def distinct(columns: Iterable[str]) -> list[str]:
    """The names of columns, with a number for those that a reader would take for an earlier one."""
    taken: list[str] = []
    for column in columns:
        clean = name = _TSV_BREAKS.sub(" ", column)
        number = 2
        while name in taken:
            name, number = f"{clean}_{number}", number + 1
        taken.append(name)
    return taken


def _text(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return _SURROGATES.sub("\ufffd", text)


def _tsv_cell(text: str) -> str:
    cell = _TSV_BREAKS.sub(" ", text)
    return _quoted(cell) if cell.startswith('"') else cell


def _csv_cell(text: str) -> str:
    # Not csv.writer: it leaves a carriage return unquoted, at which pandas ends the row.
    return _quoted(text) if _CSV_SPECIAL.search(text) else text


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
