"""Rows of a shard: their texts, keys and kept columns, or what is wrong with them."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bert_serving.data.cells import BadCellError
from bert_serving.errors import DataError
from bert_serving.io.json_text import json_text
from bert_serving.scoring import storage
from bert_serving.scoring.csv_records import CsvRecords, wide_fields
from bert_serving.scoring.input_files import RECORD_END, RECORD_START, InputFile, Kind, Piece, read_piece
from bert_serving.scoring.json_lines import parsed_object
from bert_serving.scoring.tf_examples import feature_value, parsed_example

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Columns:
    """The columns that a job reads.

    Attributes:
        text: of the texts.
        text_pair: of the second texts; None for single texts.
        id: of the identifiers; None where rows are told apart by file and number.
        keep: those that are written beside the answer.
    """

    text: str
    text_pair: str | None = None
    id: str | None = None
    keep: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """All of them, the text first, each once."""
        return list(dict.fromkeys(filter(None, (self.text, self.text_pair, self.id, *self.keep))))


@dataclass
class Row:
    """A row of a shard.

    Attributes:
        number: its number in the file, from 1.
        text: its text; None if `fault` is set.
        pair: the second text; None for single texts.
        id: its identifier, where the job names a column of them.
        kept: the kept columns.
        fault: why it cannot be scored; empty if nothing is known.
        content: what stands in place of its text in the file: bytes for a digest.
    """

    number: int
    text: str | None = None
    pair: str | None = None
    id: Any = None
    kept: tuple[Any, ...] = ()
    fault: str = ""
    content: bytes = b""

    @property
    def digest(self) -> tuple[str, int]:
        """SHA-256 and length in bytes of the text, or of what stands in its place."""
        content = self.content if self.text is None else self.text.encode("utf-8", "surrogatepass")
        return hashlib.sha256(content).hexdigest(), len(content)


@dataclass(frozen=True)
class ShardRows:
    """The rows of a shard.

    Attributes:
        rows: in the order of the file.
        types: type of the identifier and the kept columns in a Parquet file, by name; the others are strings.
    """

    rows: list[Row]
    types: "dict[str, pyarrow.DataType]"


def read_rows(file: InputFile, piece: Piece, columns: Columns) -> ShardRows:
    """Reads the rows of a piece of a file.

    Raises:
        DataError: the file cannot be read, or has other rows than before.
    """
    types: dict[str, Any] = {}
    if file.kind is Kind.PARQUET:
        rows, types = _parquet_rows(file, piece, columns)
    else:
        rows = list(_READERS[file.kind](file, read_piece(file, piece), columns))
    if len(rows) != piece.rows:
        raise DataError(
            f"{file.path}: changed while the job runs: {len(rows)} rows where {piece.rows} were; score it anew"
        )
    for number, row in enumerate(rows, piece.first):
        row.number = number
    return ShardRows(rows, types)


def _row(cells: Sequence[Any], columns: Columns) -> Row:
    """A row from the values of `columns.names`; bytes are read as UTF-8."""
    values = dict(zip(columns.names, cells, strict=True))
    row = Row(0, id=_plain(values.get(columns.id or "")), kept=tuple(_plain(values[name]) for name in columns.keep))
    faults = []
    for name in filter(None, (columns.text, columns.text_pair)):
        try:
            text = _text(values[name], name)
        except BadCellError as error:
            faults.append(str(error))
            text = None
        if name == columns.text:
            row.text = text
        else:
            row.pair = text
    if columns.id is not None and row.id in (None, ""):
        faults.append(f"{columns.id!r} is missing, so that no answer could be told from others")
    if faults:
        row.fault = "; ".join(faults)
        row.text, row.content = None, _bytes(values[columns.text])
    return row


def _text(value: Any, column: str) -> str:
    """A text with something in it.

    Raises:
        BadCellError: it is missing, blank, of another type or not UTF-8.
    """
    if value is None:
        raise BadCellError(f"{column!r} is missing")
    if isinstance(value, str) and _is_undecoded(value):
        value = value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError as error:
            raise BadCellError(f"{column!r} is not valid UTF-8 at byte {error.start}") from None
    # The reasons say nothing of the text, which may be confidential.
    if not isinstance(value, str):
        raise BadCellError(f"{column!r} is no string but of type {type(value).__name__}")
    if not value.strip():
        raise BadCellError(f"{column!r} has no text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadCellError(f"{column!r} holds half a surrogate pair at character {error.start}") from None
    return value


def _is_undecoded(text: str) -> bool:
    """Whether bytes that are not UTF-8 became surrogates."""
    return not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)


def _plain(value: Any) -> Any:
    """A kept value as it can be written: bytes and undecodable text as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str) and _is_undecoded(value):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return value


def _bytes(value: Any) -> bytes:
    """What stands in the file in place of a text, as bytes."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape" if _is_undecoded(value) else "surrogatepass")
    return json_text(value).encode()


# === Formats ===


def _separated_rows(file: InputFile, content: bytes, columns: Columns) -> Iterator[Row]:
    dialect = file.dialect
    if dialect is None:
        raise DataError(f"{file.path}: the job's records do not say how its cells are separated; score it anew")
    positions = [file.columns.index(name) for name in columns.names]
    lines = _Remembered(io.BytesIO(content))
    with wide_fields():
        for record in CsvRecords(iter(lines), dialect):
            source = lines.taken()
            if record.cells is None:
                yield Row(0, fault=f"is not valid CSV: {record.fault}", content=source)
            elif len(record.cells) != len(file.columns):
                fault = f"has {len(record.cells)} columns, the header has {len(file.columns)}"
                yield Row(0, fault=fault, content=source)
            else:
                yield _row([record.cells[position] for position in positions], columns)


class _Remembered:
    """Lines that are remembered until they are asked for."""

    def __init__(self, lines: Iterator[bytes] | io.BytesIO):
        self._lines, self._taken = lines, b""

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self._taken += line
            yield line

    def taken(self) -> bytes:
        """The lines since the last call."""
        taken, self._taken = self._taken, b""
        return taken


def _json_rows(_: InputFile, content: bytes, columns: Columns) -> Iterator[Row]:
    for line in io.BytesIO(content):
        if not line.strip():
            continue
        value, fault = parsed_object(line)
        if value is None:
            yield Row(0, fault=f"the line {fault}", content=line.rstrip(b"\r\n"))
            continue
        cells = [value.get(name) for name in columns.names]
        row = _row(cells, columns)
        row.id = _as_text(row.id)
        row.kept = tuple(map(_as_text, row.kept))
        yield row


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _text_rows(_: InputFile, content: bytes, columns: Columns) -> Iterator[Row]:
    for line in io.BytesIO(content):
        yield _row([line.removesuffix(b"\n").removesuffix(b"\r")], columns)


def _example_rows(_: InputFile, content: bytes, columns: Columns) -> Iterator[Row]:
    checksum = _checksum()
    position = 0
    while position < len(content):
        length = int.from_bytes(content[position : position + 8], "little")
        start = position + RECORD_START
        record = content[start : start + length]
        position = start + length + RECORD_END
        if int.from_bytes(content[position - RECORD_END : position], "little") != checksum(record):
            yield Row(0, fault="the record's checksum is wrong", content=record)
        elif (example := parsed_example(record)) is None:
            yield Row(0, fault="the record is no tf.Example", content=record)
        else:
            row = _row([feature_value(example, name) for name in columns.names], columns)
            row.id = _as_text(row.id)
            row.kept = tuple(map(_as_text, row.kept))
            yield row


def _checksum() -> Callable[[bytes], int]:
    """The masked CRC of TFRecord files (tensorflow/core/lib/hash/crc32c.h)."""
    import google_crc32c  # noqa: PLC0415  only for these files

    def masked(record: bytes) -> int:
        value = int(google_crc32c.value(record))
        return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF

    return masked


_READERS: dict[Kind, Callable[[InputFile, bytes, Columns], Iterator[Row]]] = {
    Kind.CSV: _separated_rows,
    Kind.TSV: _separated_rows,
    Kind.JSON_LINES: _json_rows,
    Kind.TEXT: _text_rows,
    Kind.TF_RECORD: _example_rows,
}


def _parquet_rows(file: InputFile, piece: Piece, columns: Columns) -> tuple[list[Row], dict[str, Any]]:
    import pyarrow  # noqa: PLC0415  slow to import
    import pyarrow.parquet  # noqa: PLC0415  as above

    groups = list(range(piece.start, piece.start + piece.length))
    try:
        with storage.seekable(file.path) as opened:
            table = pyarrow.parquet.ParquetFile(opened).read_row_groups(groups, columns=columns.names)
        table = table.slice(piece.skip, piece.rows)
        cells = [
            _cells(table.column(name), is_text=name in (columns.text, columns.text_pair)) for name in columns.names
        ]
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{file.path}: not a readable Parquet file: {str(error).splitlines()[0]}; write it again"
        ) from None
    types = {name: table.schema.field(name).type for name in filter(None, (columns.id, *columns.keep))}
    return [_row(values, columns) for values in zip(*cells, strict=True)], types


def _cells(column: "pyarrow.ChunkedArray", *, is_text: bool) -> list[Any]:
    """The values; texts as bytes, since one that is not UTF-8 would spoil all."""
    import pyarrow  # noqa: PLC0415  slow to import

    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if is_text and not pyarrow.types.is_binary(column.type):
        column = column.cast(pyarrow.large_binary())
    values: list[Any] = column.to_pylist()
    return values
