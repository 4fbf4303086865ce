"""Records of TSV and CSV files, whatever separator they really have."""

import csv
import io
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bert_serving.data.file_text import split_lines
from bert_serving.data.reading import BLANK_LINE, Reading
from bert_serving.errors import DataError
from bert_serving.wording import agreeing, counted

OWN_SEPARATORS = {".tsv": "\t", ".csv": ","}
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_QUOTED = re.compile('"[^"]*(?:""[^"]*)+"')
"""a cell as `csv` and pandas write one with quotation marks; others begin with one by chance"""
_QUOTED_HEADER = re.compile(r'"[^"\t\r\n]+"(?:\t"[^"\t\r\n]+")*(?:[\r\n]|$)')
_EXCEL_LINE = re.compile(r'"?sep=(.)"?[ \t]*(?:\r\n|\n|\r|$)', re.IGNORECASE)
_SAMPLE = 200_000
"""characters that decide between separators"""
_MOST = 0.5
"""share of the records that must be as wide as the header for another separator to be taken"""

Record = tuple[int, list[str]]
"""the number of its first line, and its cells"""


def read_separated(
    path: Path, content: str, kind: str, columns: Sequence[str] | None, reading: Reading
) -> tuple[list[str], list[Record]]:
    """The header and the records of a TSV or CSV file.

    A TSV file that tabs separate has no quoting: a line is a row. Only a cell that is unmistakably quoted, since it begins and
    ends with a quotation mark and doubles those inside, is read without. A TSV file whose header is quoted, as R and pandas
    can write it, and everything else is read as CSV.

    Args:
        path: for messages.
        content: the file's text.
        kind: ".tsv" or ".csv".
        columns: names that decide between separators; None where none is known.
        reading: is told of blank lines and of another separator.

    Raises:
        DataError: there is no header line, quotes are wrong, or a record has more or fewer cells than the header.
    """
    dialect = find_dialect(path, content, kind, columns, reading)
    content, first_line = content[len(dialect.excel_line) :], 2 if dialect.excel_line else 1
    separator, kind = dialect.separator, ".csv" if dialect.is_quoted else ".tsv"
    try:
        records, blank = _records(content, separator, kind, first_line)
    except _QuoteError as error:
        raise DataError(
            f"{path}, line {error.line}: is not valid CSV: {error}; check the quotes: one inside a quoted cell is doubled"
        ) from None
    if not records:
        raise DataError(f"{path}: has no header line; its first line must name the columns")
    reading.leave_out(BLANK_LINE, blank)
    if not dialect.is_quoted:
        records = _without_quotes(path, records, reading)
    (_, header), *rows = records
    for number, cells in rows:
        if len(cells) != len(header):
            name = _NAMES.get(separator, repr(separator))
            raise DataError(
                f"{path}, line {number}: has {counted(len(cells), 'column')}, the header has {len(header)}; look for a "
                f"{name} or line break that is missing or too many"
                + (", or quote the cell that holds it" if dialect.is_quoted else "")
            )
    return header, rows


@dataclass(frozen=True)
class Dialect:
    """How the cells of a file are separated.

    Attributes:
        separator: one character.
        is_quoted: whether cells may be quoted as in CSV; else a line is a row.
        excel_line: a first line that names the separator, which is no row; empty where there is none.
    """

    separator: str
    is_quoted: bool
    excel_line: str = ""


def find_dialect(path: Path, content: str, kind: str, columns: Sequence[str] | None, reading: Reading) -> Dialect:
    """How a TSV or CSV file separates its cells, whatever its name says.

    Args:
        path: for messages.
        content: the file's text, or a beginning of it with some rows.
        kind: ".tsv" or ".csv".
        columns: names that decide between separators; None where none is known.
        reading: is told of another separator, and of quotes in a TSV file.
    """
    own, excel_line = OWN_SEPARATORS[kind], ""
    if line := _EXCEL_LINE.match(content):
        separator, excel_line = line[1], line[0]
        content = content[len(excel_line) :]
        reading.repair(f"{path.name}: its first line, {line[0].strip()!r}, names the separator, as Excel reads it")
    else:
        separator = _separator(content, own, kind, columns)
        if separator != own:
            name, expected = _NAMES[separator], _NAMES[own]
            reading.repair(f"{path.name}: cells are separated by a {name}, not by a {expected}")
    if kind == ".tsv" and _QUOTED_HEADER.match(content):
        kind = ".csv"
        reading.repair(f"{path.name}: its header is quoted, so quotation marks around cells are not taken for text")
    return Dialect(separator, not _is_unquoted(kind, separator), excel_line)


class _QuoteError(ValueError):
    """Wrong quotes in the record that begins in a line, after some right records."""

    def __init__(self, message: str, line: int, records: list[Record]):
        super().__init__(message)
        self.line = line
        self.records = records


def _is_unquoted(kind: str, separator: str) -> bool:
    return kind == ".tsv" and separator == "\t"


def _without_quotes(path: Path, records: Sequence[Record], reading: Reading) -> list[Record]:
    found = [(number, list(map(without_quote, cells))) for number, cells in records]
    changed = sum(map(operator.ne, chain(*(cells for _, cells in records)), chain(*(cells for _, cells in found))))
    if changed:
        reading.repair(
            f"{path.name}: {counted(changed, 'quoted cell')} lost the quotation marks of {agreeing(changed, 'its', 'their')} writer"
        )
    return found


def without_quote(cell: str) -> str:
    """A cell of a TSV file without the quotation marks of its writer, where it is unmistakably quoted."""
    return cell[1:-1].replace('""', '"') if cell.startswith('"') and _QUOTED.fullmatch(cell) else cell


def _records(content: str, separator: str, kind: str, first_line: int = 1) -> tuple[list[Record], int]:
    """Records, and the number of blank lines."""
    if _is_unquoted(kind, separator):
        # Not pandas: it fills a row that is too short with empty cells, so the error would go unnoticed.
        lines = split_lines(content)
        records = [(number, line.split("\t")) for number, line in enumerate(lines, first_line) if line]
        return records, len(lines) - len(records)
    records, blank, number = [], 0, first_line
    # The limit on a field, 128 KiB by default, belongs to the whole process: it is raised during the read only.
    limit = csv.field_size_limit(len(content) + 1)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    try:
        for record in reader:
            if record:
                records.append((number, record))
            blank += not record
            number = first_line + reader.line_num
    except csv.Error as error:
        raise _QuoteError(str(error), number, records) from None
    finally:
        csv.field_size_limit(limit)
    return records, blank


def _separator(content: str, own: str, kind: str, columns: Sequence[str] | None) -> str:
    """The separator under which the columns are found; else the one under which most records are as wide as the header."""
    sample = content[:_SAMPLE]
    shares: dict[str, float] = {}
    for separator in [own, *(other for other in _NAMES if other != own)]:
        records = _sampled(sample, separator, kind, is_cut=len(sample) < len(content))
        if not records:
            continue
        header = records[0]
        if columns and set(columns) <= set(header):
            return separator
        share = sum(len(cells) == len(header) for cells in records) / len(records)
        if len(header) > 1 and (separator == own or share > _MOST):
            shares[separator] = share
    return max(shares, key=lambda separator: shares[separator], default=own)


def _sampled(sample: str, separator: str, kind: str, *, is_cut: bool) -> list[list[str]]:
    """The cells of the sample's records, as far as their quotes are right."""
    try:
        records, _ = _records(sample, separator, kind)
    except _QuoteError as error:
        records = error.records
    else:
        if is_cut and len(records) > 1:
            records.pop()
    return [cells for _, cells in records]
