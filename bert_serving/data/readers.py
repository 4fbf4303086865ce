"""Reads rows and texts from files: TSV, CSV, JSON lines, Parquet, and folders of label folders; any but Parquet also with gzip."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bert_serving.errors import DataError

SUFFIXES = (".tsv", ".csv", ".jsonl", ".ndjson", ".json", ".parquet")
COMPRESSIBLE = SUFFIXES[:-1]
UNLABELED_FOLDER = "unsup"
"""texts without a label in the layout of aclImdb"""

_UTF8_BOM = b"\xef\xbb\xbf"
_Row = tuple[str, Sequence[Any]]
"""position of the row in its file, and its values of the requested columns"""


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, which may end in .gz, without a byte order mark.

    Raises:
        DataError: the file is missing, damaged, or not UTF-8.
    """
    return _decode(path, _read_bytes(path))


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.name.lower().endswith(".gz") else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: not an intact gzip file: {error}; compress it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; check the path") from None


def _decode(path: Path, content: bytes) -> str:
    start = len(_UTF8_BOM) if content.startswith(_UTF8_BOM) else 0
    try:
        return content[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        offset = start + error.start
        raise DataError(
            f"{path}: is not valid UTF-8: byte 0x{content[offset]:02x} at offset {offset}; convert the file to UTF-8"
        ) from None


def raw_rows(path: Path, columns: Sequence[str]) -> Iterator[_Row]:
    """The position of each row of a file or folder, and its values of some columns, of any type.

    Raises:
        DataError: the file is missing, empty, of another kind or damaged, or lacks a column.
    """
    if path.is_dir():
        return _folder_rows(path, columns)
    name = path.name.lower()
    kind = Path(name.removesuffix(".gz")).suffix
    if kind not in (COMPRESSIBLE if name.endswith(".gz") else SUFFIXES):
        raise DataError(
            f"{path}: unsupported kind of file; give a label folder or a file ending in "
            f"{', '.join(SUFFIXES)} (all but Parquet also with .gz)"
        )
    content = _read_bytes(path)
    if not content:
        raise DataError(f"{path}: is empty; it needs at least one labeled text")
    match kind:
        case ".parquet":
            return _parquet_rows(path, content, columns)
        case ".tsv":
            return _cells(path, _tsv_records(_decode(path, content)), columns, separator="tab")
        case ".csv":
            return _cells(path, _csv_records(path, _decode(path, content)), columns, separator="comma")
    return _json_rows(path, _decode(path, content), columns)


def _tsv_records(content: str) -> Iterator[tuple[int, list[str]]]:
    # Not pandas: it fills a row that is too short with empty cells, so the error would go unnoticed.
    for number, line in enumerate(content.split("\n"), start=1):
        line = line.removesuffix("\r")
        if line:
            yield number, line.split("\t")


def _csv_records(path: Path, content: str) -> Iterator[tuple[int, list[str]]]:
    number = 1
    # The limit on a field, 128 KiB by default, belongs to the whole process: it is raised during the read only.
    limit = csv.field_size_limit(len(content) + 1)
    try:
        reader = csv.reader(io.StringIO(content, newline=""), strict=True)
        records = []
        for record in reader:
            if record:
                records.append((number, record))
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {number}: is not valid CSV: {error}; check the quotes") from None
    finally:
        csv.field_size_limit(limit)
    return iter(records)


def _cells(
    path: Path, records: Iterator[tuple[int, list[str]]], columns: Sequence[str], *, separator: str
) -> Iterator[_Row]:
    _, header = next(records, (0, []))
    if not header:
        raise DataError(f"{path}: has no header line; its first line must name the columns")
    positions = _positions(path, header, columns)
    for number, cells in records:
        if len(cells) != len(header):
            raise DataError(
                f"{path}, line {number}: has {_count(len(cells), 'column')}, the header has {len(header)}; "
                f"look for a {separator} or line break that is missing or too many"
            )
        yield f"line {number}", [cells[position] for position in positions]


def _positions(path: Path, header: Sequence[str], columns: Sequence[str]) -> list[int]:
    for name in columns:
        if header.count(name) != 1:
            listed = ", ".join(map(quoted, header[:20])) + (" ..." if len(header) > 20 else "")
            fault = f"has no column {name!r}" if name not in header else f"has more than one column {name!r}"
            raise DataError(
                f"{path}: {fault}; its columns are {listed}: set data.text, data.text_pair, data.label (or --slice) to one of them"
            )
    return [header.index(name) for name in columns]


def _json_rows(path: Path, content: str, columns: Sequence[str]) -> Iterator[_Row]:
    objects: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            parsed = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: is not valid JSON: {error}; write one object per line") from None
        if not isinstance(parsed, dict):
            raise DataError(f"{path}, line {number}: expected a JSON object, got {quoted(line)}")
        objects.append((number, parsed))
    if objects:
        _positions(path, list(dict.fromkeys(key for _, parsed in objects for key in parsed)), columns)
    for number, parsed in objects:
        yield f"line {number}", [parsed.get(name) for name in columns]


def _parquet_rows(path: Path, content: bytes, columns: Sequence[str]) -> Iterator[_Row]:
    import pyarrow  # noqa: PLC0415  slow to import
    import pyarrow.parquet  # noqa: PLC0415  as above

    try:
        with pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content)) as file:
            _positions(path, file.schema_arrow.names, columns)
            table = file.read(columns=list(dict.fromkeys(columns)))
            values = [table.column(name).to_pylist() for name in columns]
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: not a readable Parquet file: {reason}; write it again") from None
    for number, row in enumerate(zip(*values, strict=True), start=1):
        yield f"row {number}", row


def _folder_rows(path: Path, columns: Sequence[str]) -> Iterator[_Row]:
    if len(columns) > 2:
        raise DataError(
            f"{path}: a folder of label folders holds single texts and no column {columns[2]!r}; "
            "give pairs of texts and further columns as a file"
        )
    folders = sorted(
        folder
        for folder in path.iterdir()
        if folder.is_dir() and folder.name != UNLABELED_FOLDER and not folder.name.startswith(".")
    )
    if not folders:
        raise DataError(f"{path}: has no label folders; make one sub-folder of .txt files for each label")
    for folder in folders:
        files = sorted(file for file in folder.iterdir() if file.suffix == ".txt")
        if not files:
            raise DataError(f"{folder}: this label folder has no .txt files; add some or remove it")
        for file in files:
            # The line break at the end of a text file does not belong to the text.
            text = read_text(file).removesuffix("\n").removesuffix("\r")
            yield f"{folder.name}/{file.name}", [text, folder.name]


def quoted(value: Any) -> str:
    """A value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
