"""Text without labels: lines of plain files, or one column of a table."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

from bert_serving.data.table import raw_rows
from bert_serving.errors import DataError

_PLAIN = (".txt", ".txt.gz")


def read_texts(paths: Sequence[Path], column: str = "text") -> list[str]:
    """Reads texts that are not empty, in the order of the files.

    Args:
        paths: plain UTF-8 files (`.txt`, also with .gz; each line is a text), tables (TSV, CSV, JSON lines, Parquet), or folders with
            `.txt` files, each of which is a text.
        column: of the tables.

    Raises:
        DataError: a file or folder is missing, empty, of another kind or damaged, or lacks the column.
    """
    if not paths:
        raise DataError("no files were given; name at least one with text")
    texts: list[str] = []
    for path in map(Path, paths):
        found = [text for text in _texts(path, column) if text.strip()]
        if not found:
            raise DataError(f"{path}: holds no text; give another file")
        texts += found
    return texts


def read_pairs(paths: Sequence[Path], columns: tuple[str, str] = ("text", "text_pair")) -> tuple[list[str], list[str]]:
    """Reads first and second texts of tables, of the rows that have both.

    Raises:
        DataError: a file is missing, empty, of another kind or damaged, lacks a column or has no such row.
    """
    firsts: list[str] = []
    seconds: list[str] = []
    for path in paths:
        rows = [["" if value is None else str(value) for value in row] for _, row in raw_rows(path, columns)]
        found = [row for row in rows if all(text.strip() for text in row)]
        if not found:
            raise DataError(f"{path}: has no row with {' and '.join(columns)}; give another file")
        firsts += [first for first, _ in found]
        seconds += [second for _, second in found]
    return firsts, seconds


def _texts(path: Path, column: str) -> list[str]:
    if path.is_dir():
        return [" ".join(_read(file).split()) for file in sorted(path.rglob("*.txt"))]
    if path.name.lower().endswith(_PLAIN):
        return _read(path).splitlines()
    return [str(value) for _, (value,) in raw_rows(path, [column]) if value is not None]


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix.lower() == ".gz" else content).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot be read: {reason}; check the path") from None
