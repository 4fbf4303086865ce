"""The parts of an HTML page: paragraphs, figures, verdicts, tables, texts in pieces, matrices, bars, charts.

Every part renders itself as HTML. Input from outside (texts, labels, file names) is escaped: in the markup by
markupsafe, in the data for the browser as JSON that cannot end its script element.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from markupsafe import Markup

from bert_serving.wording import counted

Level = Literal["ok", "check", "fix"]
"""how urgent a finding is"""
_MARKS: dict[Level, str] = {"ok": "✓", "check": "?", "fix": "!"}


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str

    def html(self) -> Markup:
        """A paragraph."""
        return Markup("<p>{}</p>").format(self.text)


@dataclass(frozen=True)
class Facts:
    """Headline figures: (name, figure)."""

    pairs: Sequence[tuple[str, str]]

    def html(self) -> Markup:
        """A definition list."""
        rows = (Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value) for name, value in self.pairs)
        return Markup('<dl class="facts">{}</dl>').format(Markup("").join(rows))


@dataclass(frozen=True)
class Pieces:
    """A text as word pieces or words, with weights.

    Attributes:
        items: each piece with a weight from -1 to 1, or None. A piece that begins with "##" continues the word before it.
    """

    items: Sequence[tuple[str, float | None]]

    def html(self) -> Markup:
        """A paragraph; background colors show the weights, underlines their signs."""
        return Markup('<p class="pieces" dir="auto">{}</p>').format(
            Markup("").join(map(_piece, _group_pieces(self.items)))
        )

    def plain(self) -> list[list[Any]]:
        """The items as JSON."""
        return [[text, _number(weight)] for text, weight in self.items]


Kind = Literal["text", "number", "percent", "label", "bar"]
Cell = str | int | float | None | Pieces


@dataclass(frozen=True)
class Column:
    """A table's column.

    Attributes:
        title: its heading.
        kind: text; number; percent: a share from 0 to 1; label: a name from a small set, which gets a menu to filter by;
            bar: a number with a bar beside it, relative to the greatest number of the column.
    """

    title: str
    kind: Kind = "text"


@dataclass(frozen=True)
class SortableTable:
    """Rows to sort, filter and page through in the browser.

    The page holds the data once, as JSON; the browser renders the rows that it shows.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    filterable: bool = True
    page_size: int = 25

    def html(self) -> Markup:
        """An element that page.js fills from its JSON."""
        return Markup('<div class="table">{}</div>').format(self.data())

    def data(self) -> Markup:
        """The JSON script element."""
        return json_script(
            {
                "columns": [{"title": column.title, "kind": column.kind} for column in self.columns],
                "rows": [[_cell(cell) for cell in row] for row in self.rows],
                "caption": self.caption,
                "filterable": self.filterable,
                "size": self.page_size,
            }
        )


Item = TypeVar("Item")
Field = tuple[str, Kind, Callable[[Item], Cell]]
"""a column's title, its kind, and its value for an item"""


def table_of(
    items: Iterable[Item],
    fields: Sequence[Field[Item]],
    caption: str = "",
    *,
    filterable: bool = True,
    page_size: int = 25,
) -> SortableTable:
    """A table with one row for each item and one column for each field."""
    return SortableTable(
        [Column(title, kind) for title, kind, _ in fields],
        [[value(item) for _, _, value in fields] for item in items],
        caption,
        filterable,
        page_size,
    )


@dataclass(frozen=True)
class Verdict:
    """One finding, and the rows that show it."""

    level: Level
    title: str
    detail: str = ""
    rows: SortableTable | None = None


@dataclass(frozen=True)
class Verdicts:
    """A list of findings that open to their details."""

    items: Sequence[Verdict]

    def html(self) -> Markup:
        """A list of disclosure elements."""
        return Markup('<ul class="verdicts">{}</ul>').format(Markup("").join(map(_verdict, self.items)))


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix whose cells open their rows.

    Attributes:
        labels: names of rows and columns.
        counts: [labels][labels], rows first.
        row_title: what the rows are, such as "true label".
        column_title: what the columns are.
        cells: the rows to show for (row, column), where there are any.
    """

    labels: Sequence[str]
    counts: Sequence[Sequence[int]]
    row_title: str
    column_title: str
    cells: Mapping[tuple[int, int], SortableTable] = field(default_factory=dict)

    def html(self) -> Markup:
        """An HTML table with buttons, and below it an element for the rows of one cell."""
        head = Markup("").join(
            Markup('<th scope="col"><span dir="auto">{}</span></th>').format(name) for name in self.labels
        )
        template = Markup(
            '<div class="matrix" data-rows="{}" data-columns="{}"><div class="scroll" tabindex="0" role="region" '
            'aria-label="{} by {}"><table><caption>rows: {}, columns: {}</caption><thead><tr><td></td>{}</tr></thead>'
            '<tbody>{}</tbody></table></div><div class="opened" aria-live="polite"></div>{}</div>'
        )
        titles = (self.row_title, self.column_title)
        body = Markup("").join(self._row(number) for number in range(len(self.labels)))
        stored = Markup("").join(
            Markup('<div class="table" data-cell="{}-{}" hidden>{}</div>').format(row, column, table.data())
            for (row, column), table in self.cells.items()
        )
        return template.format(*titles, *titles, *titles, head, body, stored)

    def _row(self, row: int) -> Markup:
        total = max(sum(self.counts[row]), 1)
        cells = (self._cell(row, column, int(count), count / total) for column, count in enumerate(self.counts[row]))
        return Markup('<tr><th scope="row"><span dir="auto">{}</span></th>{}</tr>').format(
            self.labels[row], Markup("").join(cells)
        )

    def _cell(self, row: int, column: int, count: int, share: float) -> Markup:
        kind = "correct" if row == column else "incorrect"
        if (row, column) not in self.cells:
            shown = Markup("<span>{}</span>").format(f"{count:,}" if count else "·")
        else:
            said = (
                f"{self.row_title} {self.labels[row]}, {self.column_title} {self.labels[column]}: {counted(count, 'row')}, "
                f"{share:.0%} of the row"
            )
            shown = Markup(
                '<button type="button" aria-expanded="false" aria-label="{}" title="{}" data-opens="{}-{}">{}</button>'
            ).format(said, said, row, column, f"{count:,}")
        # The square root makes small shares visible.
        return Markup('<td class="{}" style="--share:{}">{}</td>').format(kind, f"{math.sqrt(share):.3f}", shown)


@dataclass(frozen=True)
class Bars:
    """Horizontal bars: (label, share from 0 to 1, text beside the bar)."""

    items: Sequence[tuple[str, float, str]]

    def html(self) -> Markup:
        """A list with one bar in each item."""
        rows = (
            Markup(
                '<li><span class="name" dir="auto">{}</span><span class="track"><span style="width:{}%"></span></span>'
                '<span class="figure">{}</span></li>'
            ).format(label, f"{min(max(share, 0), 1) * 100:.2f}", text)
            for label, share, text in self.items
        )
        return Markup('<ul class="bars">{}</ul>').format(Markup("").join(rows))


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite chart made with altair.

    Attributes:
        spec: the altair chart, of any kind (layered and joined charts too).
        description: alternative text for screen readers.
    """

    spec: Any
    description: str

    def html(self) -> Markup:
        """An element that page.js draws into, with the chart as JSON."""
        import altair  # noqa: PLC0415  altair takes a second to import; pages without charts do not need it

        with altair.data_transformers.enable("default", max_rows=None):
            spec = self.spec.to_dict()
        return Markup('<figure class="chart"><div class="plot" role="img" aria-label="{}"></div>{}</figure>').format(
            self.description, json_script(spec)
        )


Part = Paragraph | Facts | Verdicts | SortableTable | Pieces | Matrix | Bars | Chart


def json_script(value: Any) -> Markup:
    """Data for the browser as a script element that no text inside can end."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_from_numpy)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup('<script type="application/json">{}</script>').format(Markup(text))


def _group_pieces(items: Sequence[tuple[str, float | None]]) -> list[list[tuple[str, float | None]]]:
    """The pieces grouped by word."""
    words: list[list[tuple[str, float | None]]] = []
    for item in items:
        if words and item[0].startswith("##") and len(item[0]) > 2:
            words[-1].append(item)
        else:
            words.append([item])
    return words


def _piece(word: Sequence[tuple[str, float | None]]) -> Markup:
    pieces = Markup("").join(_span(text, weight) for text, weight in word)
    return Markup('<span class="word">{}</span> ').format(pieces)


def _span(text: str, weight: float | None) -> Markup:
    if weight is None or not math.isfinite(weight) or weight == 0:
        return Markup('<span class="piece{}">{}</span>').format(" unknown" if text == "[UNK]" else "", text)
    sign = "for" if weight > 0 else "against"
    return Markup('<span class="piece {}" style="--weight:{}" title="{}">{}</span>').format(
        sign, f"{min(abs(weight), 1):.3f}", f"{weight:+.3f}", text
    )


def _verdict(item: Verdict) -> Markup:
    title = Markup('<span class="level">{}<span class="said">{}</span></span><span>{}</span>').format(
        Markup('<span class="mark" aria-hidden="true">{}</span>').format(_MARKS[item.level]),
        item.level,
        item.title,
    )
    if not item.detail and item.rows is None:
        return Markup('<li class="{}"><p class="summary">{}</p></li>').format(item.level, title)
    detail = Markup("<p>{}</p>").format(item.detail) if item.detail else Markup("")
    rows = item.rows.html() if item.rows is not None else Markup("")
    return Markup('<li class="{}"><details><summary>{}</summary><div class="detail">{}{}</div></details></li>').format(
        item.level, title, detail, rows
    )


def _cell(value: Cell) -> Any:
    if isinstance(value, Pieces):
        return {"pieces": value.plain()}
    return _number(value) if isinstance(value, float) else value


def _number(value: float | None) -> float | None:
    """A number for JSON, rounded to five digits; None where JSON has no such number."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.5g}") if abs(value) < 1e4 else float(value)


def _from_numpy(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
        return _number(value) if isinstance(value, float) else value
    raise TypeError(f"a page cannot hold a {type(value).__name__}")
