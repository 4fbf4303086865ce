"""Markdown with any text escaped: tables, code spans, plain text."""

import re
from collections.abc import Iterable, Sequence

# An underscore between two letters or digits is one to every reader; elsewhere, next to another one included, it may be markup.
_SPECIAL = re.compile(r"([\\`*\[\]<>&~]|(?<![^\W_])_|_(?![^\W_]))")
# It would end a cell, even within a code span.
_PIPE = r"\|"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, words: int | None = None) -> list[str]:
    """A table of Markdown cells; the first `words` columns (None: all) are aligned to the left, the others, of numbers, to the right."""
    marks = ["---" if words is None or column < words else "---:" for column in range(len(columns))]
    return [f"| {' | '.join(cell.replace('|', _PIPE) for cell in cells)} |" for cells in (columns, marks, *rows)]


def code(text: str) -> str:
    """Text of any kind as a code span."""
    line = _line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    # A reader takes one space away on both sides; without it a backtick at the edge would join the fence.
    padded = line.strip() and (line[0] in " `" or line[-1] in " `")
    return f"{fence} {line} {fence}" if padded else f"{fence}{line}{fence}"


def plain(text: str) -> str:
    """Text of any kind as plain Markdown."""
    return _SPECIAL.sub(r"\\\1", _line(text))


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
