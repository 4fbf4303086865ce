"""Files to raw tables: columns of cells, before any is taken for a text or a label.

TSV, CSV, JSON lines (or one JSON list) and Parquet; any but Parquet also with gzip.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bert_serving.data.file_text import AS_CSV, check_is_table, decode, read_bytes, split_lines
from bert_serving.data.parquet_file import read_parquet
from bert_serving.data.reading import BLANK_LINE, Reading
from bert_serving.data.separated import OWN_SEPARATORS, read_separated
from bert_serving.errors import DataError
from bert_serving.wording import listed

SUFFIXES = (".tsv", ".csv", ".jsonl", ".ndjson", ".json", ".parquet")
COMPRESSIBLE = SUFFIXES[:-1]
_LISTED_COLUMNS = 20
_LONG_NAME = 10
"""words of a first line's cell that can hardly be the name of a column"""
_LEADING_BLANKS = 1000
_OTHER_SUFFIXES = {
    ".xlsx": AS_CSV,
    ".xls": AS_CSV,
    ".ods": AS_CSV,
    ".zip": "unpack the archive",
    ".tar": "unpack the archive",
    ".arrow": "write it as Parquet",
    ".feather": "write it as Parquet",
}


@dataclass(frozen=True)
class RawTable:
    """The cells of a file.

    Attributes:
        path: the file.
        names: names of the columns, in the file's order; a name may occur twice.
        columns: the cells of each column: strings (TSV, CSV) or values of any type (JSON, Parquet), None where missing.
        positions: where each row is, such as "line 2".
        reading: what was left out and repaired.
        class_names: names for the integers of columns that Hugging Face `datasets` wrote as ClassLabel.
        has_header: whether the names come from a first line, which may be missing.
    """

    path: Path
    names: list[str]
    columns: Sequence[Sequence[Any]]
    positions: list[str]
    reading: Reading = field(default_factory=Reading)
    class_names: dict[str, list[str]] = field(default_factory=dict)
    has_header: bool = False

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.positions)

    def column(self, name: str) -> Sequence[Any]:
        """The cells of a column.

        Raises:
            DataError: there is no such column, or more than one; lists the columns, and names a missing header line.
        """
        if self.names.count(name) == 1:
            return self.columns[self.names.index(name)]
        if name in self.names:
            raise DataError(f"{self.path}: has more than one column {name!r}; rename or remove one")
        self.check_header()
        parts = [part.strip() for part in name.split(",")]
        several = (
            f'; name several columns as a list, such as data.label = {json.dumps(parts)} (--label "{name}")'
            if len(parts) > 1 and set(parts) <= set(self.names)
            else ""
        )
        similar = [repr(other) for other in self.names if other.strip().casefold() == name.strip().casefold()]
        meant = f" (did you mean {listed(similar)}?)" if similar else ""
        raise DataError(
            f"{self.path}: has no column {name!r}{meant}; its columns are {listed(map(quoted, self.names), _LISTED_COLUMNS)}: "
            f"set data.text, data.text_pair or data.label (--text, --text-pair, --label, --slice) to one of them{several}"
        )

    def check_header(self) -> None:
        """Checks that the first line names the columns.

        Raises:
            DataError: it looks like a row of data.
        """
        if not self.has_header or not any(map(_looks_like_data, self.names, self.columns)):
            return
        if self.names == [str(number) for number in range(len(self.names))]:
            return  # pandas' names of columns without a name
        raise DataError(
            f"{self.path}: has no header line: its first line looks like data ({listed(map(quoted, self.names))}); add a first "
            "line that names the columns, such as text and label"
        )


def read_raw_table(path: Path, columns: Sequence[str] | None = None) -> RawTable:
    """Reads a file.

    Args:
        path: the file.
        columns: columns that are needed: they decide between separators, and of a Parquet file only they are read; None for
            all. A missing one is an error of `RawTable.column`.

    Raises:
        DataError: the file is missing, empty, of another kind or damaged.
    """
    name = path.name.lower()
    kind = Path(name.removesuffix(".gz")).suffix
    if kind not in (COMPRESSIBLE if name.endswith(".gz") else SUFFIXES):
        remedy = _OTHER_SUFFIXES.get(kind)
        raise DataError(
            f"{path}: unsupported kind of file; "
            + (f"{remedy}, or " if remedy else "")
            + f"give a label folder or a file ending in {', '.join(SUFFIXES)} (all but Parquet also with .gz)"
        )
    content = read_bytes(path)
    if not content:
        raise DataError(f"{path}: is empty; it needs a row at least")
    reading = Reading()
    if kind == ".parquet":
        names, values, class_names = read_parquet(path, content, columns)
        rows = max(map(len, values), default=0)
        positions = [f"row {number}" for number in range(1, rows + 1)]
        return RawTable(path, names, values, positions, reading, class_names)
    check_is_table(path, content)
    text = decode(path, content, reading)
    if kind in OWN_SEPARATORS:
        header, records = read_separated(path, text, kind, columns, reading)
        positions = [f"line {number}" for number, _ in records]
        cells = list(zip(*(cells for _, cells in records), strict=True)) or [()] * len(header)
        return RawTable(path, header, cells, positions, reading, has_header=True)
    objects = _json_objects(path, text, reading)
    if not objects:
        raise DataError(f"{path}: has no rows; write one JSON object per line")
    names = list(dict.fromkeys(key for _, parsed in objects for key in parsed))
    wanted = names if columns is None else [name for name in names if name in columns]
    by_name = {name: [parsed.get(name) for _, parsed in objects] for name in wanted}
    values = [by_name.get(name, []) for name in names]
    return RawTable(path, names, values, [position for position, _ in objects], reading)


def quoted(value: Any) -> str:
    """A value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _looks_like_data(name: str, cells: Sequence[Any]) -> bool:
    is_number = re.fullmatch(r"[+-]?[0-9]+([.,][0-9]+)?", name.strip()) is not None
    return is_number or len(name.split()) > _LONG_NAME or (name.strip() != "" and name in cells)


# === JSON ===


def _json_objects(path: Path, content: str, reading: Reading) -> list[tuple[str, dict[str, Any]]]:
    """The objects of JSON lines, or of a file that is one JSON list of objects."""
    if (items := _list_of_objects(content)) is not None:
        return [(f"item {number}", item) for number, item in enumerate(items, start=1)]
    found = []
    for number, line in enumerate(split_lines(content), start=1):
        if not line.strip():
            reading.leave_out(BLANK_LINE)
            continue
        try:
            parsed = _parse(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: is not valid JSON: {error}; write one object per line") from None
        if not isinstance(parsed, dict):
            raise DataError(f"{path}, line {number}: expected a JSON object, got {quoted(line)}")
        found.append((f"line {number}", parsed))
    return found


def _list_of_objects(content: str) -> list[dict[str, Any]] | None:
    if not content[:_LEADING_BLANKS].lstrip().startswith("["):
        return None
    try:
        items = _parse(content)
    except (ValueError, RecursionError):
        return None  # its line is told with the error of JSON lines
    return items if items and all(isinstance(item, dict) for item in items) else None


def _parse(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    parsed = dict(pairs)
    if len(parsed) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(
            f"the key {next(name for name in names if names.count(name) > 1)!r} occurs twice in one object"
        )
    return parsed
