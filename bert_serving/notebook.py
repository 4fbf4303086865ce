"""How objects show themselves in a notebook: small HTML without scripts, in the colors of the notebook."""

from collections.abc import Iterable, Sequence
from html import escape

_SHOWN_ROWS = 20
_BAR = (
    '<div style="display:inline-block;vertical-align:middle;width:8em;background:#8882;margin-right:.5em">'
    '<div style="width:{percent:.1f}%;height:.8em;background:#0072b2"></div></div>{share}'
)
_CELL = ' style="text-align:left;vertical-align:top"'


def bar(probability: float) -> str:
    """A probability, 0 to 1, as a bar and a number."""
    return _BAR.format(percent=100 * min(max(probability, 0), 1), share=f"{probability:.3f}")


def text(value: object) -> str:
    """Any value as text of a cell."""
    return escape(f"{value:.4f}" if isinstance(value, float) else str(value))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> str:
    """A table of cells that are HTML already; of many rows the first.

    Args:
        columns: names of the columns; empty for none.
        rows: cells of HTML.
        title: text above the table.
    """
    shown = list(rows)
    head = f"<tr>{''.join(f'<th{_CELL}>{escape(name)}</th>' for name in columns)}</tr>" if columns else ""
    body = "".join(f"<tr>{''.join(f'<td{_CELL}>{cell}</td>' for cell in row)}</tr>" for row in shown[:_SHOWN_ROWS])
    more = f"<div>and {len(shown) - _SHOWN_ROWS:,} more</div>" if len(shown) > _SHOWN_ROWS else ""
    heading = f"<div><b>{escape(title)}</b></div>" if title else ""
    return f"<div>{heading}<table>{head}{body}</table>{more}</div>"


def facts(values: Iterable[tuple[str, object]], title: str = "") -> str:
    """A table of names and values."""
    return table((), [(f"<b>{escape(name)}</b>", text(value)) for name, value in values], title)


def colored(word: str, weight: float | None) -> str:
    """A word on blue (weight 1) to orange (-1); one without a weight was not read."""
    if weight is None:
        return f"<s>{escape(word)}</s>"
    color = "86,180,233" if weight > 0 else "230,159,0"
    return f'<span style="background:rgba({color},{abs(weight):.2f})">{escape(word)}</span>'
