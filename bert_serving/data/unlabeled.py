"""Unlabeled text: lines of plain files, or columns of a table."""

from collections.abc import Sequence
from pathlib import Path

from bert_serving.data.file_text import read_text, split_lines
from bert_serving.data.label_folders import text_files
from bert_serving.data.raw_table import read_raw_table
from bert_serving.data.reading import Reading
from bert_serving.errors import DataError

_PLAIN = (".txt", ".txt.gz")


def read_texts(paths: Sequence[Path], column: str = "text") -> list[str]:
    """Reads texts, in the order of the files; empty ones are left out.

    Args:
        paths: plain UTF-8 files (`.txt`, also with .gz; one text per line), tables (TSV, CSV, JSON lines, Parquet), or folders with
            `.txt` files, each of which is a text.
        column: of the tables.

    Raises:
        DataError: a file or folder is missing, empty, of another kind or damaged, or lacks the column.
    """
    if not paths:
        raise DataError("no files with text; name at least one")
    texts: list[str] = []
    for path in map(Path, paths):
        nonempty = [text for text in _texts(path, column) if text.strip()]
        if not nonempty:
            raise DataError(f"{path}: has no text; give another file")
        texts += nonempty
    return texts


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, also of one with .gz: one text per line, empty ones included.

    Raises:
        DataError: the file is missing, damaged, or not UTF-8.
    """
    return split_lines(read_text(path))


def read_pairs(paths: Sequence[Path], columns: tuple[str, str] = ("text", "text_pair")) -> tuple[list[str], list[str]]:
    """Reads first and second texts of tables, from the rows that have both.

    Raises:
        DataError: a file is missing, empty, of another kind or damaged, lacks a column, or no row has both texts.
    """
    firsts: list[str] = []
    seconds: list[str] = []
    for path in paths:
        table = read_raw_table(path, columns)
        rows = [
            ["" if value is None else str(value) for value in row]
            for row in zip(*map(table.column, columns), strict=True)
        ]
        pairs = [row for row in rows if all(text.strip() for text in row)]
        if not pairs:
            raise DataError(f"{path}: has no row with {' and '.join(columns)}; give another file")
        firsts += [first for first, _ in pairs]
        seconds += [second for _, second in pairs]
    return firsts, seconds


def _texts(path: Path, column: str) -> list[str]:
    if path.is_dir():
        return [" ".join(read_text(file).split()) for file in text_files(path, Reading())]
    if path.name.lower().endswith(_PLAIN):
        return read_lines(path)
    return [str(value) for value in read_raw_table(path, [column]).column(column) if value is not None]
