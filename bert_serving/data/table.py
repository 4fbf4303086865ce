"""A table of labeled text, read from files or from folders of text files."""

import csv
import gzip
import hashlib
import io
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.errors import DataError

SUFFIXES = (".tsv", ".csv", ".jsonl", ".ndjson", ".json", ".parquet")
COMPRESSIBLE = SUFFIXES[:-1]
UNLABELLED_FOLDER = "unsup"
"""texts without a label in the layout of aclImdb"""

_UTF8_BOM = b"\xef\xbb\xbf"
_Row = tuple[str, Sequence[Any]]
"""the row's place in its file, and its values in the order of the wanted columns"""


@dataclass(frozen=True)
class LabeledTable:
    """Texts and their labels, in the order of the files.

    Attributes:
        texts: one text for each row; may be empty.
        pairs: the second texts, None where the task has single texts.
        labels: str (softmax and binary heads), sorted tuple of str (multilabel) or finite float (regression).
        source: the files, for messages.
        columns: further columns by name, as text; empty unless they were asked for.
    """

    texts: list[str]
    pairs: list[str] | None
    labels: list
    source: str
    columns: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
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
        )


class _BadValueError(ValueError):
    """A value that a cell must not hold; the caller adds file and row."""


def read_table(paths: Sequence[Path], data: DataConfig, head: Head, columns: Sequence[str] = ()) -> LabeledTable:
    """Reads TSV (unquoted), CSV, JSON lines, Parquet or folders of label folders and joins their rows.

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
    pair_column = [] if data.text_pair is None else [data.text_pair]
    wanted = [data.text, data.label, *pair_column, *columns]
    texts: list[str] = []
    pairs: list[str] = []
    labels: list = []
    kept: list[list[str]] = []
    for path in map(Path, paths):
        rows_before = len(texts)
        for place, (text, label, *others) in raw_rows(path, wanted):
            try:
                texts.append(_text(text, data.text))
                pairs.extend(_text(value, str(data.text_pair)) for value in others[: len(pair_column)])
                labels.append(_label(label, data.label, head))
                kept.append([_shown(value) for value in others[len(pair_column) :]])
            except _BadValueError as error:
                raise DataError(f"{path}, {place}: {error}") from None
        if len(texts) == rows_before:
            raise DataError(f"{path}: has no rows; add labeled texts or remove it from the run file")
    source = ", ".join(str(path) for path in paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    by_name = dict(zip(columns, map(list, zip(*kept, strict=True)), strict=True)) if columns else {}
    return LabeledTable(texts, None if data.text_pair is None else pairs, labels, source, by_name)


# === Readers: each yields the place of a row and its wanted values ===


def raw_rows(path: Path, wanted: Sequence[str]) -> Iterator[_Row]:
    """The place of each row of a file or folder and its values of some columns, whatever they are.

    Raises:
        DataError: the file is missing, empty, of another kind or damaged, or lacks a column.
    """
    if path.is_dir():
        return _folder_rows(path, wanted)
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
            return _parquet_rows(path, content, wanted)
        case ".tsv":
            return _cells(path, _tsv_records(_decode(path, content)), wanted, separator="tab")
        case ".csv":
            return _cells(path, _csv_records(path, _decode(path, content)), wanted, separator="comma")
    return _json_rows(path, _decode(path, content), wanted)


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.name.lower().endswith(".gz") else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is no intact gzip file: {error}; compress it again") from None
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


def _tsv_records(content: str) -> Iterator[tuple[int, list[str]]]:
    # pandas fills up a row that is too short with empty texts, so that the fault could not be told from an empty cell.
    for number, line in enumerate(content.split("\n"), start=1):
        line = line.removesuffix("\r")
        if line:
            yield number, line.split("\t")


def _csv_records(path: Path, content: str) -> Iterator[tuple[int, list[str]]]:
    number = 1
    # The limit, 128 KiB unless changed, is the whole process's: it is lifted for the read alone.
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
    path: Path, records: Iterator[tuple[int, list[str]]], wanted: Sequence[str], *, separator: str
) -> Iterator[_Row]:
    _, header = next(records, (0, []))
    if not header:
        raise DataError(f"{path}: has no header line; its first line must name the columns")
    positions = _positions(path, header, wanted)
    for number, cells in records:
        if len(cells) != len(header):
            raise DataError(
                f"{path}, line {number}: has {_count(len(cells), 'column')}, the header has {len(header)}; "
                f"look for a {separator} or line break that is missing or too many"
            )
        yield f"line {number}", [cells[position] for position in positions]


def _positions(path: Path, columns: Sequence[str], wanted: Sequence[str]) -> list[int]:
    for name in wanted:
        if columns.count(name) != 1:
            listed = ", ".join(_quoted(column) for column in columns[:20]) + (" ..." if len(columns) > 20 else "")
            fault = f"has no column {name!r}" if name not in columns else f"has more than one column {name!r}"
            raise DataError(
                f"{path}: {fault}; its columns are {listed}: set data.text, data.text_pair, data.label (or --slice) to one of them"
            )
    return [columns.index(name) for name in wanted]


def _json_rows(path: Path, content: str, wanted: Sequence[str]) -> Iterator[_Row]:
    objects: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            parsed = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: is not valid JSON: {error}; write one object per line") from None
        if not isinstance(parsed, dict):
            raise DataError(f"{path}, line {number}: expected a JSON object, got {_quoted(line)}")
        objects.append((number, parsed))
    if objects:
        _positions(path, list(dict.fromkeys(key for _, parsed in objects for key in parsed)), wanted)
    for number, parsed in objects:
        yield f"line {number}", [parsed.get(name) for name in wanted]


def _parquet_rows(path: Path, content: bytes, wanted: Sequence[str]) -> Iterator[_Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content)) as file:
            _positions(path, file.schema_arrow.names, wanted)
            table = file.read(columns=list(dict.fromkeys(wanted)))
            columns = [table.column(name).to_pylist() for name in wanted]
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: is no readable Parquet file: {reason}; write it again") from None
    for number, values in enumerate(zip(*columns, strict=True), start=1):
        yield f"row {number}", values


def _folder_rows(path: Path, wanted: Sequence[str]) -> Iterator[_Row]:
    if len(wanted) > 2:
        raise DataError(
            f"{path}: a folder of label folders holds single texts and no column {wanted[2]!r}; "
            "give pairs of texts and further columns as a file"
        )
    folders = sorted(
        folder
        for folder in path.iterdir()
        if folder.is_dir() and folder.name != UNLABELLED_FOLDER and not folder.name.startswith(".")
    )
    if not folders:
        raise DataError(f"{path}: has no label folders; make one sub-folder of .txt files for each label")
    for folder in folders:
        files = sorted(file for file in folder.iterdir() if file.suffix == ".txt")
        if not files:
            raise DataError(f"{folder}: this label folder has no .txt files; add some or remove it")
        for file in files:
            text = _decode(file, _read_bytes(file))
            # The line break that ends a text file is no part of the text.
            yield f"{folder.name}/{file.name}", [text.removesuffix("\n").removesuffix("\r"), folder.name]


# === Values ===


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def _text(value: Any, column: str) -> str:
    if value is None:
        raise _BadValueError(f"{column!r} is missing; give a text (an empty one is allowed) or remove the row")
    if not isinstance(value, str):
        raise _BadValueError(f"{column!r} must be a string, got {_quoted(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _BadValueError(f"{column!r} holds half a surrogate pair, got {_quoted(value)}") from None
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
        raise _BadValueError(f"{column!r} must be a finite number for a regression head, got {_quoted(value)}")
    return number


def _listed(value: Any, column: str) -> list:
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str):
        return [value]
    if value.lstrip().startswith("["):
        try:
            return list(json.loads(value))
        except (ValueError, RecursionError):
            raise _BadValueError(f"{column!r} is no valid JSON list, got {_quoted(value)}") from None
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
                raise _BadValueError(f"{column!r} must be one line, got {_quoted(value)}")
            return name
    raise _BadValueError(f"{column!r} must be a string or a number, got {_quoted(value)}")


def _quoted(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def table_sha256(table: LabeledTable) -> str:
    """Digest of a table's rows, whatever files they came from."""
    digest = hashlib.sha256()
    pairs: Sequence[str | None] = table.pairs or [None] * len(table)
    for text, pair, label in zip(map(repr, table.texts), pairs, table.labels, strict=True):
        # Where there are no pairs the text stands for its own; `repr`, which takes the time, is not called on it again.
        second = text if pair is None else repr(pair)
        digest.update(f"({text}, {second}, {label!r})".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
