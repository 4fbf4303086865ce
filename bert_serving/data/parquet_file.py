"""Columns of Parquet files, with the class names that Hugging Face `datasets` keeps in the schema."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_serving.errors import DataError

if TYPE_CHECKING:
    import pyarrow


def read_parquet(
    path: Path, content: bytes, columns: Sequence[str] | None
) -> tuple[list[str], list[Sequence[Any]], dict[str, list[str]]]:
    """Names of all columns, their values, and the names of their classes by column.

    Args:
        path: for messages.
        content: the file.
        columns: the columns to read, where the file has them; the others are empty. None for all.

    Raises:
        DataError: this is no readable Parquet file.
    """
    import pyarrow  # noqa: PLC0415  slow to import
    import pyarrow.parquet  # noqa: PLC0415  as above

    try:
        with pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content)) as file:
            schema = file.schema_arrow
            names = list(schema.names)
            wanted = [name for name in dict.fromkeys(columns or names) if names.count(name) == 1]
            table = file.read(columns=wanted)
            by_name = {name: _values(table.column(name)) for name in wanted}
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: not a readable Parquet file: {reason}; write it again") from None
    return names, [by_name.get(name, ()) for name in names], _class_names(schema.metadata)


def _values(column: "pyarrow.ChunkedArray") -> list[Any]:
    import pyarrow  # noqa: PLC0415  slow to import

    if pyarrow.types.is_float32(column.type):
        # By its shortest decimal: as float64, 0.1 would be 0.10000000149011612.
        column = column.cast("string").cast("double")
    elif pyarrow.types.is_binary(column.type) or pyarrow.types.is_large_binary(column.type):
        column = column.cast("string")  # some writers do not mark strings as such
    values: list[Any] = column.to_pylist()
    return values


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        found = {column: _names_of(feature) for column, feature in features.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
    return {column: names for column, names in found.items() if names}


def _names_of(feature: Any) -> list[str]:
    """The names of a ClassLabel, also of one inside a list."""
    if isinstance(feature, list):
        return _names_of(feature[0]) if feature else []
    if not isinstance(feature, Mapping):
        return []
    if feature.get("_type") == "ClassLabel":
        return [str(name) for name in feature.get("names") or ()]
    return _names_of(feature.get("feature"))
