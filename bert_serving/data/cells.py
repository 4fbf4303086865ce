"""Cells of a table as texts and labels, with one name for a label in all formats."""

import ast
import json
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from bert_serving.contract import Head, label_fault
from bert_serving.data.raw_table import quoted
from bert_serving.wording import listed

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)\.0+")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?[0-9]+,[0-9]+\s*")
_MARKS = {"0": False, "1": True, "false": False, "true": True}


class BadCellError(ValueError):
    """An invalid value of a cell; the caller adds file and row."""


def label_name(value: str | float | Decimal) -> str:
    """The name of a label, the same for every type that a format may give it.

    Whole numbers have no point, booleans are lower case, names have no blanks around them: 1, 1.0 and "1.0" are "1"; True
    and "TRUE" are "true". A tab is a blank, and a byte order mark does not belong to a name.
    """
    if isinstance(value, str):
        name = value.replace("\t", " ").strip().strip("\ufeff").strip()
        if name.lower() in ("true", "false"):
            return name.lower()
        return str(int(name.partition(".")[0])) if _WHOLE.fullmatch(name) else name
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if value == int(value) else str(value)


def text_cell(value: Any, column: str) -> str:
    """A text.

    Raises:
        BadCellError: it is missing or not a string.
    """
    if value is None:
        raise BadCellError(f"{column!r} is missing; give a text (an empty one is allowed) or remove the row")
    if not isinstance(value, str):
        raise BadCellError(f"{column!r} must be a string, got {quoted(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadCellError(f"{column!r} holds half a surrogate pair, got {quoted(value)}") from None
    return value


def label_cell(
    value: Any, column: str, head: Head, class_names: Sequence[str] | None = None
) -> str | tuple[str, ...] | float:
    """A label: a name, for multilabel heads a sorted tuple of names, for regression heads a number.

    Args:
        value: the cell.
        column: its column, for messages.
        head: decides what a label is.
        class_names: names for integers.

    Raises:
        BadCellError: it is missing, empty or of another kind.
    """
    if _is_missing(value):
        raise BadCellError(f"{column!r} is missing; give a label or remove the row")
    if head is Head.REGRESSION:
        return _number(value, column)
    if head is Head.MULTILABEL:
        names = [_name(item, column, class_names) for item in _items(value, column)]
        if len(set(names)) < len(names) and set(names) <= _MARKS.keys():
            raise BadCellError(
                f"{column!r} looks like one 0 or 1 for each label, got {quoted(value)}; give each label a column of its own "
                "and name these as data.label"
            )
        return tuple(sorted(set(names)))
    return _name(value, column, class_names)


def marked_columns(cells: Sequence[Any], columns: Sequence[str]) -> tuple[str, ...]:
    """The labels of a row that has a column of 0 and 1 for each label: sorted names of the columns with 1.

    Raises:
        BadCellError: a cell is empty or neither 0, 1, true nor false.
    """
    names = []
    for value, column in zip(cells, columns, strict=True):
        is_plain = isinstance(value, str | int | Decimal) or (isinstance(value, float) and math.isfinite(value))
        mark = _MARKS.get(label_name(value)) if is_plain else None
        if mark is None:
            is_empty = _is_missing(value) or value == ""
            raise BadCellError(
                f"{column!r} "
                + ("is empty" if is_empty else f"must be 0 or 1, got {quoted(value)}")
                + "; in a column for "
                "one label of several, give 1 or true where the text has the label, else 0 or false"
            )
        if mark:
            names.append(_valid(label_name(column), "data.label"))
    return tuple(sorted(names))


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | Decimal) and math.isnan(value))


def _number(value: Any, column: str) -> float:
    try:
        # float() would read 1_000 and True as numbers.
        if isinstance(value, bool) or "_" in str(value):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        remedy = "; write a decimal point" if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value) else ""
        raise BadCellError(f"{column!r} must be a finite number for a regression head, got {quoted(value)}{remedy}")
    return number


def _items(value: Any, column: str) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str):
        return [value]
    if not value.lstrip().startswith("["):
        return value.split(",") if value.strip() else []
    for parse in (json.loads, ast.literal_eval):  # pandas writes a list as Python does
        try:
            return list(parse(value.strip()))
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    raise BadCellError(f"{column!r} is not a valid JSON list, got {quoted(value)}")


def _name(value: Any, column: str, class_names: Sequence[str] | None) -> str:
    if class_names and isinstance(value, int) and not isinstance(value, bool):
        return _class_name(value, column, class_names)
    match value:
        case str():
            return _valid(label_name(text_cell(value, column)), column)
        case int():
            return label_name(value)
        case float() | Decimal() if math.isfinite(value):
            return label_name(value)
    raise BadCellError(f"{column!r} must be a string or a number, got {quoted(value)}")


def _class_name(value: int, column: str, class_names: Sequence[str]) -> str:
    if value == -1:
        raise BadCellError(
            f"{column!r} is -1, which Hugging Face datasets write for no label; give one or remove the row"
        )
    if not 0 <= value < len(class_names):
        named = f"{len(class_names)} classes ({listed(class_names)})"
        raise BadCellError(f"{column!r} must be a number of one of {named}, got {value}")
    return _valid(label_name(class_names[value]), column)


def _valid(name: str, column: str) -> str:
    if not name:
        raise BadCellError(f"{column!r} is empty; give a label or remove the row")
    if fault := label_fault(name):
        raise BadCellError(f"{column!r} {fault}, got {quoted(name)}")
    return name
