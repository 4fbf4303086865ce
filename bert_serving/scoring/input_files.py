"""Input files: their kinds, and what one look at each tells, namely its columns, its rows and where shards can begin."""

import hashlib
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from bert_serving.data.raw_table import quoted
from bert_serving.data.reading import Reading
from bert_serving.data.separated import Dialect, find_dialect
from bert_serving.errors import DataError
from bert_serving.scoring import storage
from bert_serving.scoring.csv_records import CsvRecords, wide_fields
from bert_serving.scoring.json_lines import parsed_object
from bert_serving.scoring.tf_examples import parsed_example
from bert_serving.wording import listed

_CHUNK = 1 << 20
_MARK_ROWS = 1000
_MOST_ROWS = 50_000
_SHARDS_OF_WORKER = 20
_SAMPLE = 200_000
"""bytes of a table that decide how its cells are separated"""
_SHARD_BYTES = 32 << 20
_LISTED_COLUMNS = 20
_RECORD_FRAME = struct.Struct("<QI")
"""length and its checksum before each record of a TFRecord file"""
RECORD_END = 4
"""bytes of the checksum after each record"""
RECORD_START = _RECORD_FRAME.size
_LONGEST_RECORD = 1 << 31
_UTF8_MARK = b"\xef\xbb\xbf"


class Kind(StrEnum):
    """Kind of an input file, by its name."""

    PARQUET = "parquet"
    CSV = "csv"
    TSV = "tsv"
    JSON_LINES = "jsonl"
    TEXT = "txt"
    TF_RECORD = "tfrecord"


_SUFFIXES = {
    ".parquet": Kind.PARQUET,
    ".csv": Kind.CSV,
    ".tsv": Kind.TSV,
    ".jsonl": Kind.JSON_LINES,
    ".ndjson": Kind.JSON_LINES,
    ".json": Kind.JSON_LINES,
    ".txt": Kind.TEXT,
    ".text": Kind.TEXT,
    ".tfrecord": Kind.TF_RECORD,
    ".tfrecords": Kind.TF_RECORD,
}
_SHARD_SUFFIX = re.compile(r"-\d+-of-\d+$")


@dataclass(frozen=True)
class InputFile:
    """An input file as the job found it.

    Attributes:
        path: path or URL.
        kind: kind of the file.
        size: bytes.
        changed: time of the last change, seconds since 1970.
        rows: number of rows.
        sha256: of the decompressed content; of a Parquet file, of its schema and the places and sizes of its columns.
        columns: names of the columns, where the file lists them.
        dialect: of a CSV or TSV file.
    """

    path: str
    kind: Kind
    size: int
    changed: float
    rows: int
    sha256: str
    columns: tuple[str, ...] = ()
    dialect: Dialect | None = None


@dataclass(frozen=True)
class Piece:
    """Rows of a file that lie beside each other.

    Attributes:
        first: number of the first row, from 1.
        rows: number of rows.
        start: first byte; in a Parquet file the first row group.
        length: bytes; in a Parquet file the number of row groups.
        skip: rows of the first row group that belong to earlier pieces; only in a Parquet file.
    """

    first: int
    rows: int
    start: int
    length: int
    skip: int = 0


@dataclass
class Found:
    """A file after one look at it.

    Attributes:
        file: the file.
        pieces: its rows, in pieces of `shard_rows` at most.
        reading: what was repaired.
    """

    file: InputFile
    pieces: list[Piece]
    reading: Reading = field(default_factory=Reading)


def kind_of(path: str) -> Kind:
    """The kind that a file's name tells, with or without .gz, and with a suffix such as -00001-of-00010.

    Raises:
        DataError: it tells none.
    """
    name = _SHARD_SUFFIX.sub("", path.rpartition("/")[2].lower().removesuffix(".gz"))
    kind = _SUFFIXES.get(Path(name).suffix)
    if kind is None or (kind is Kind.PARQUET and path.lower().endswith(".gz")):
        raise DataError(
            f"{path}: unsupported kind of file; give Parquet, or CSV, TSV, JSON lines, plain text (.txt), TFRecord, each also as .gz"
        )
    return kind


@dataclass(frozen=True)
class ShardSize:
    """How large shards are.

    Attributes:
        rows: largest number of rows; None to choose it by the number of workers and of rows.
        workers: number of worker processes.
    """

    rows: int | None
    workers: int

    def of(self, rows: int) -> int:
        """Rows of a shard of a file: 20 shards for each worker, so that they end together and little is lost by a failure."""
        return self.rows or min(max(rows // (self.workers * _SHARDS_OF_WORKER), _MARK_ROWS), _MOST_ROWS)

    @property
    def mark_rows(self) -> int:
        """Rows between two places where a shard can begin."""
        return min(self.rows or _MARK_ROWS, _MARK_ROWS)


def look_at(status: storage.FileStatus, columns: Sequence[str], size: ShardSize) -> Found:
    """Looks through a file: counts its rows, checks its columns, and divides it into pieces.

    Args:
        status: the file.
        columns: those that the job reads, the text first.
        size: how large pieces are.

    Raises:
        DataError: it is damaged, of another kind than its name says, or lacks a column.
    """
    kind = kind_of(status.path)
    if kind is Kind.PARQUET:
        return _look_at_parquet(status, columns, size)
    reading = Reading()
    with storage.open_file(status.path) as file:
        content = DigestedLines(file, status.path)
        dialect: Dialect | None = None
        names: tuple[str, ...] = ()
        if kind in (Kind.CSV, Kind.TSV):
            content.check_beginning()
            dialect = _dialect(content, status.path, kind, columns, reading)
            content.skip_bytes(len(dialect.excel_line.encode()))
            marks, names = _table_marks(content, status.path, dialect, size)
            _check_columns(status.path, names, columns)
        elif kind is Kind.TF_RECORD:
            marks = _record_marks(content, status.path, columns, size)
        else:
            content.check_beginning()
            if kind is Kind.JSON_LINES:
                _check_json(content, status.path, columns)
            elif len(columns) > 1:
                raise DataError(f"{status.path}: lines of plain text have no column {columns[1]!r}; give a table")
            marks = _line_marks(content, kind, size)
    rows = marks.rows
    found = InputFile(
        status.path, kind, status.size, status.changed, rows, content.digest.hexdigest(), tuple(names), dialect
    )
    return Found(found, marks.pieces(size.of(rows)), reading)


def read_piece(file: InputFile, piece: Piece) -> bytes:
    """The bytes of a piece of a file that is not Parquet."""
    with storage.open_file(file.path) as opened:
        opened.seek(piece.start)
        parts, left = [], piece.length
        while left and (part := opened.read(left)):
            parts.append(part)
            left -= len(part)
    if left:
        raise DataError(
            f"{file.path}: changed while the job runs: it is shorter than before; score it anew into another folder"
        )
    return b"".join(parts)


class DigestedLines:
    """The lines of a file with their line feeds, its position, and the digest of what was read."""

    def __init__(self, file: IO[bytes], path: str):
        """Reads the beginning of a file."""
        self.digest = hashlib.sha256()
        self.position = 0
        self._file, self._path = file, path
        self._buffer = b""
        self._more()

    def beginning(self, size: int) -> bytes:
        """The next bytes, which stay."""
        while len(self._buffer) < size and self._more():
            pass
        return self._buffer[:size]

    def skip_bytes(self, size: int) -> None:
        """Passes over some of the bytes that `beginning` showed."""
        self._buffer = self._buffer[size:]
        self.position += size

    def read(self, size: int) -> bytes:
        """The next bytes; fewer at the end of the file."""
        content = self.beginning(size)
        self.skip_bytes(len(content))
        return content

    def __iter__(self) -> Iterator[bytes]:
        """The lines; `position` is the end of the last one that was given."""
        more = True
        while more or self._buffer:
            lines = self._buffer.split(b"\n")
            if len(lines) == 1 and more:
                more = self._more()
                continue
            self._buffer = lines.pop()
            for line in lines:
                self.position += len(line) + 1
                yield line + b"\n"
            if not more:
                last, self._buffer = self._buffer, b""
                if last:
                    self.position += len(last)
                    yield last
                return
            more = self._more()

    def check_beginning(self) -> None:
        """Passes over a byte order mark.

        Raises:
            DataError: the file is in another encoding than UTF-8.
        """
        start = self.beginning(4096)
        if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start.count(0) * 4 >= len(start) > 0:
            raise DataError(f"{self._path}: is UTF-16 or UTF-32, or no text at all; convert it to UTF-8")
        if b"\r" in start and b"\n" not in start:
            raise DataError(f"{self._path}: its lines end with carriage returns alone; convert them to line feeds")
        if start.startswith(_UTF8_MARK):
            self.skip_bytes(len(_UTF8_MARK))

    def _more(self) -> bool:
        try:
            chunk = self._file.read(_CHUNK)
        except Exception as error:  # noqa: BLE001  gzip, zlib and every file system raise their own
            reason = str(error).splitlines()[:1] or [type(error).__name__]
            raise DataError(f"{self._path}: cannot be read: {reason[0]}; write it again") from None
        self.digest.update(chunk)
        self._buffer += chunk
        return bool(chunk)


class _Marks:
    """Places where a shard can begin: the first row, and one after every thousand rows or so."""

    def __init__(self, start: int, size: ShardSize):
        self._every = size.mark_rows
        self.rows = 0
        self.end = start
        self._places = [(0, start)]

    def add(self, end: int) -> None:
        """Counts a row that ends there."""
        self.rows += 1
        self.end = end
        if self.rows - self._places[-1][0] >= self._every or end - self._places[-1][1] >= _SHARD_BYTES:
            self._places.append((self.rows, end))

    def pieces(self, most: int) -> list[Piece]:
        """Pieces of `most` rows, rounded down to whole marks, and of 32 MB at most, unless one row is larger."""
        places = [*self._places, (self.rows, self.end)] if self._places[-1][0] < self.rows else self._places
        pieces: list[Piece] = []
        begin = places[0]
        for before, place in zip(places, [*places[1:], None], strict=True):
            is_full = place is not None and (place[0] - begin[0] > most or place[1] - begin[1] > _SHARD_BYTES)
            if before[0] > begin[0] and (place is None or is_full):
                pieces.append(Piece(begin[0] + 1, before[0] - begin[0], begin[1], before[1] - begin[1]))
                begin = before
        return pieces


def _line_marks(content: DigestedLines, kind: Kind, size: ShardSize) -> _Marks:
    marks = _Marks(content.position, size)
    for line in content:
        if kind is Kind.TEXT or line.strip():
            marks.add(content.position)
        else:
            marks.end = content.position
    return marks


def _table_marks(
    content: DigestedLines, path: str, dialect: Dialect, size: ShardSize
) -> tuple[_Marks, tuple[str, ...]]:
    with wide_fields():
        records = CsvRecords(iter(content), dialect)
        header = next(iter(records), None)
        if header is None or header.cells is None:
            raise DataError(f"{path}: has no header line; its first line must name the columns")
        names = tuple(cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for cell in header.cells)
        marks = _Marks(content.position, size)
        for record in records:
            if record.is_unclosed:
                raise DataError(
                    f"{path}: row {marks.rows + 1} has a quotation mark that is never closed, so that no row after it can be told; "
                    "close it: a quotation mark inside a quoted cell is doubled"
                )
            marks.add(content.position)
    return marks, names


def _record_marks(content: DigestedLines, path: str, columns: Sequence[str], size: ShardSize) -> _Marks:
    marks, is_checked = _Marks(0, size), False
    while frame := content.read(RECORD_START):
        length = _RECORD_FRAME.unpack(frame)[0] if len(frame) == RECORD_START else _LONGEST_RECORD
        record = content.read(length + RECORD_END) if length < _LONGEST_RECORD else b""
        if len(record) < length + RECORD_END:
            raise DataError(f"{path}: not an intact TFRecord file after {marks.rows:,} records; write it again")
        # A damaged record may come first.
        if not is_checked and (example := parsed_example(record[:length])) and example.features.feature:
            _check_columns(path, sorted(example.features.feature), columns[:1])
            is_checked = True
        marks.add(content.position)
    return marks


def _dialect(content: DigestedLines, path: str, kind: Kind, columns: Sequence[str], reading: Reading) -> Dialect:
    sample = content.beginning(_SAMPLE).decode("utf-8", "replace")
    if len(sample) > _SAMPLE // 4:
        # Without the last line, which may be cut.
        sample = sample[: sample.rfind("\n") + 1] or sample
    return find_dialect(Path(path), sample, f".{kind}", list(columns), reading)


def _check_json(content: DigestedLines, path: str, columns: Sequence[str]) -> None:
    """Checks the first lines: that they are no single list, and that an object has a text."""
    start = content.beginning(_SAMPLE)
    if start.lstrip().startswith(b"["):
        raise DataError(f"{path}: is a JSON list; write JSON lines, one object a line")
    objects = [value for line in start.split(b"\n")[:100] if (value := parsed_object(line)[0]) is not None]
    names = tuple(dict.fromkeys(name for value in objects for name in value))
    if objects and columns[0] not in names:
        _check_columns(path, names, columns[:1])


def _check_columns(path: str, names: Sequence[str], columns: Sequence[str]) -> None:
    for column in columns:
        if list(names).count(column) != 1:
            fault = f"has no column {column!r}" if column not in names else f"has more than one column {column!r}"
            raise DataError(
                f"{path}: {fault}; its columns are {listed(map(quoted, names), _LISTED_COLUMNS) or 'none'}: "
                "set text, text_pair, id and keep to some of them"
            )


# === Parquet ===


def _look_at_parquet(status: storage.FileStatus, columns: Sequence[str], size: ShardSize) -> Found:
    import pyarrow  # noqa: PLC0415  slow to import
    import pyarrow.parquet  # noqa: PLC0415  as above

    try:
        with storage.seekable(status.path) as opened:
            file = pyarrow.parquet.ParquetFile(opened)
            metadata, schema = file.metadata, file.schema_arrow
            groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
            footer = "\n".join([schema.to_string(), *_group_places(metadata)])
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{status.path}: not a readable Parquet file: {reason}; write it again") from None
    _check_columns(status.path, schema.names, columns)
    text = schema.field(columns[0]).type
    value = text.value_type if pyarrow.types.is_dictionary(text) else text
    if not any(check(value) for check in _string_checks()):
        raise DataError(f"{status.path}: column {columns[0]!r} holds {text}, not strings; name a column of texts")
    file_found = InputFile(
        status.path,
        Kind.PARQUET,
        status.size,
        status.changed,
        sum(groups),
        hashlib.sha256(footer.encode()).hexdigest(),
        tuple(schema.names),
    )
    return Found(file_found, _group_pieces(groups, size.of(sum(groups))))


def _group_places(metadata: Any) -> Iterator[str]:
    """Where the columns of each row group lie, and their sizes; not their statistics, which may be no text."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = [group.column(column) for column in range(group.num_columns)]
        yield " ".join(
            f"{column.data_page_offset}:{column.total_compressed_size}:{column.total_uncompressed_size}"
            for column in columns
        )


def _string_checks() -> list[Callable[[Any], bool]]:
    from pyarrow import types  # noqa: PLC0415  slow to import

    return [types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary]


def _group_pieces(groups: Sequence[int], most: int) -> list[Piece]:
    """Small row groups together, large ones divided."""
    pieces: list[Piece] = []
    first, number = 1, 0
    while number < len(groups):
        together, rows = 1, groups[number]
        while number + together < len(groups) and rows + groups[number + together] <= most:
            rows += groups[number + together]
            together += 1
        for skip in range(0, rows, most):
            size = min(most, rows - skip)
            pieces.append(Piece(first + skip, size, number, together, skip))
        first, number = first + rows, number + together
    return pieces
