"""Charts of classes, lengths, probabilities and points, with one color scale for classes.

page.js sets the fonts and the colors of axes for a light or a dark page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import altair as alt
import pandas

# The first seven from Okabe and Ito's palette, which color-blind readers can tell apart and which stand out on light and
# dark grounds (https://jfly.uni-koeln.de/color/), then the remaining hues of Tableau 10 and its light half.
CLASS_COLORS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#8C8C8C",
    "#76B041",
    "#9C6ADE",
    "#B07D62",
    "#17A2A2",
    "#C44E75",
    "#A0CBE8",
    "#FFBE7D",
    "#8CD17D",
    "#D4A6C8",
    "#B6992D",
    "#86BCB6",
    "#D37295",
    "#BAB0AC",
)
GRAY = "#8C8C8C"
ROW_HEIGHT = 26
"""pixels of one class in a chart with classes one under another"""
_PERCENT, _COUNT, _FOUR_DIGITS = ".1%", ",", ",.4~r"


@dataclass(frozen=True)
class Box:
    """One box of a box plot: five numbers of one class."""

    label: str
    low: float
    first_quartile: float
    median: float
    third_quartile: float
    high: float
    rows: int


@dataclass(frozen=True)
class Bin:
    """One bar of a histogram."""

    start: float
    end: float
    count: int


@dataclass(frozen=True)
class DensityCell:
    """A cell of a grid over points from 0 to 1, for one class.

    Attributes:
        x, y: its lower left corner.
        rows: number of rows of the class in it.
        strength: opacity, from 0 to 1.
    """

    label: str
    x: float
    y: float
    rows: int
    strength: float


@dataclass(frozen=True)
class ReliabilityPoint:
    """A bin of a reliability diagram: mean confidence, accuracy with its interval, and number of rows."""

    confidence: float
    accuracy: float
    low: float
    high: float
    rows: int


# === Shared by all charts ===


def class_scale(labels: Sequence[str]) -> alt.Scale:
    """The colors of classes, the same for the same labels on every page; they repeat after twenty."""
    colors = [CLASS_COLORS[number % len(CLASS_COLORS)] for number in range(len(labels))]
    return alt.Scale(domain=list(labels), range=colors)


def inline_data(rows: Sequence[Mapping[str, object]]) -> alt.Data:
    """Data inside the chart, each value checked against altair's schema."""
    return alt.Data(values=list(rows))  # type: ignore[no-untyped-call]  # altair does not annotate it


def many_rows(rows: Sequence[Mapping[str, object]]) -> pandas.DataFrame:
    """Data of thousands of rows, which altair does not check value by value."""
    return pandas.DataFrame.from_records(rows)


def tooltips(*fields: str | tuple[str, str] | tuple[str, str, str]) -> list[alt.Tooltip]:
    """Tooltips of fields: the name of a text, or (name of a number, format), or (name, format, title)."""
    shown = []
    for field in fields:
        if isinstance(field, str):
            shown.append(alt.Tooltip(f"{field}:N"))
        else:
            name, number_format, title = field if len(field) == 3 else (*field, field[0])
            shown.append(alt.Tooltip(f"{name}:Q", format=number_format, title=title))
    return shown


def diagonal(low: float, high: float, scale: alt.Scale) -> alt.Chart:
    """A dashed line of equal x and y."""
    line = alt.Chart(inline_data([{"at": low}, {"at": high}])).mark_line(strokeDash=[5, 4], strokeWidth=1.2)
    chart: alt.Chart = line.encode(x=alt.X("at:Q", scale=scale), y="at:Q", color=alt.value(GRAY))
    return chart


def _group_color(groups: Sequence[str], field: str = "group") -> alt.Color:
    legend = None
    if len(groups) > 1 and any(groups):
        legend = alt.Legend(orient="top" if len(groups) <= 8 else "right", labelLimit=200, symbolLimit=80)
    return alt.Color(f"{field}:N", scale=class_scale(groups), title=None, legend=legend)


def _class_axis(order: Sequence[str]) -> alt.Y:
    axis = alt.Axis(labelLimit=220, labelPadding=8, ticks=False, domain=False)
    return alt.Y("label:N", sort=list(order), title=None, axis=axis)


def _height(rows: float) -> float:
    return max(rows, 1.5) * ROW_HEIGHT


# === Charts ===


def stacked_bars(
    shares: Sequence[tuple[str, str, int, float]], *, order: Sequence[str], groups: Sequence[str]
) -> alt.Chart:
    """Classes as rows, one bar for each group (such as a split) in them.

    Args:
        shares: (class, group, rows, share of the group's rows from 0 to 1).
        order: classes from top to bottom.
        groups: groups in the order of their colors.
    """
    data = [{"label": label, "group": group, "rows": rows, "share": share} for label, group, rows, share in shares]
    height = _height(len(order) * max(len(groups), 1) * 0.62)
    chart: alt.Chart = (
        alt.Chart(inline_data(data), width="container", height=height)
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=_class_axis(order),
            yOffset=alt.YOffset("group:N", sort=list(groups)),
            x=alt.X("share:Q", title="share of the rows", axis=alt.Axis(format="%", grid=True)),
            color=_group_color(groups),
            tooltip=tooltips("label", "group", ("rows", _COUNT), ("share", _PERCENT)),
        )
    )
    return chart


def box_plot(
    boxes: Sequence[Box], *, order: Sequence[str], value: str, limit: float | None = None, limit_title: str = ""
) -> alt.TopLevelMixin:
    """One box for each class: quartiles, whiskers from `low` to `high`.

    Args:
        boxes: the numbers.
        order: classes from top to bottom.
        value: what is measured, with its unit.
        limit: where to draw a vertical line, such as the length at which texts are cut.
        limit_title: the line's caption.
    """
    base = alt.Chart(inline_data([asdict(box) for box in boxes]), width="container", height=_height(len(order)))
    y = _class_axis(order)
    numbers = ("low", "first_quartile", "median", "third_quartile", "high")
    tooltip = tooltips("label", *((name, _FOUR_DIGITS, name.replace("_", " ")) for name in numbers), ("rows", _COUNT))
    layers = [
        base.mark_rule().encode(y=y, x=alt.X("low:Q", title=value, scale=alt.Scale(zero=True, nice=True)), x2="high:Q"),
        base.mark_bar(size=14, cornerRadius=2, opacity=1).encode(
            y=y, x="first_quartile:Q", x2="third_quartile:Q", tooltip=tooltip
        ),
        base.mark_tick(size=14, thickness=2.5, color="white").encode(y=y, x="median:Q"),
    ]
    if limit is not None:
        color = CLASS_COLORS[3]
        line = alt.Chart(inline_data([{"limit": limit, "title": limit_title}]))
        layers.append(line.mark_rule(strokeDash=[5, 4], color=color, strokeWidth=1.5).encode(x="limit:Q"))
        caption = line.mark_text(align="left", dx=5, dy=-4, baseline="bottom", color=color)
        layers.append(caption.encode(x="limit:Q", y=alt.value(0), text="title:N"))
    return alt.layer(*layers)


def histogram(bins: Sequence[Bin], *, value: str) -> alt.Chart:
    """Counts of rows over ranges of a number; `value` is what is measured, with its unit."""
    chart: alt.Chart = (
        alt.Chart(inline_data([asdict(bin_) for bin_ in bins]), width="container", height=220)
        .mark_bar()
        .encode(
            x=alt.X("start:Q", bin="binned", title=value),
            x2="end:Q",
            y=alt.Y("count:Q", title="rows"),
            tooltip=tooltips(("start", _FOUR_DIGITS, "from"), ("end", _FOUR_DIGITS, "to"), ("count", _COUNT, "rows")),
        )
    )
    return chart


def reliability(points: Mapping[str, Sequence[ReliabilityPoint]], *, lowest: float = 0.0) -> alt.TopLevelMixin:
    """A reliability diagram: accuracy over confidence, with intervals and the diagonal of perfect calibration.

    Args:
        points: by model, or by state of it (such as "before" and "after"), the bins.
        lowest: where the axis of the confidence begins; with two classes no confidence is below 0.5.
    """
    data = [{"name": name, **asdict(point)} for name, bins in points.items() for point in bins]
    scale = alt.Scale(domain=[lowest, 1], nice=False)
    base = alt.Chart(inline_data(data), width=420, height=380)
    x = alt.X("confidence:Q", title="mean confidence", scale=scale, axis=alt.Axis(format="%"))
    y = alt.Y("accuracy:Q", title="accuracy", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    color = _group_color(list(points), "name")
    interval = ("low", _PERCENT, "from"), ("high", _PERCENT, "to")
    return alt.layer(
        diagonal(lowest, 1, scale),
        base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=color),
        base.mark_circle(opacity=0.85).encode(
            x=x,
            y=y,
            color=color,
            size=alt.Size("rows:Q", scale=alt.Scale(range=[25, 500]), legend=None),
            tooltip=tooltips("name", ("confidence", _PERCENT), ("accuracy", _PERCENT), *interval, ("rows", _COUNT)),
        ),
    )


def scatter(points: Sequence[tuple[float, float, str, str]], *, labels: Sequence[str]) -> alt.Chart:
    """Points in two dimensions: the tooltip shows the text, the legend picks classes, wheel and drag zoom and move.

    Args:
        points: (x, y, label, text).
        labels: in the order of their colors.
    """
    data = [{"x": x, "y": y, "label": label, "text": text} for x, y, label, text in points]
    picked = alt.selection_point(fields=["label"], bind="legend")
    scale = alt.Scale(zero=False, padding=10)
    chart: alt.Chart = (
        alt.Chart(many_rows(data), width="container", height=520)
        .mark_circle(size=26, opacity=0.65)
        .encode(
            x=alt.X("x:Q", axis=None, scale=scale),
            y=alt.Y("y:Q", axis=None, scale=scale),
            color=_group_color(labels, "label"),
            opacity=alt.condition(picked, alt.value(0.65), alt.value(0.04)),
            tooltip=tooltips("label", "text"),
        )
        .add_params(picked)
        .interactive()
    )
    return chart


def density_panels(
    cells: Sequence[DensityCell], *, labels: Sequence[str], shown: Sequence[str], step: float
) -> alt.TopLevelMixin:
    """One panel for each class: the density of its rows in two dimensions from 0 to 1.

    Args:
        cells: of a grid; those without rows can be left out.
        labels: all classes in the order of their colors.
        shown: the classes that get a panel, in this order.
        step: width and height of a cell.
    """
    data = [{**asdict(cell), "x2": cell.x + step, "y2": cell.y + step} for cell in cells]
    scale = alt.Scale(domain=[0, 1])
    border = alt.ViewBackground(stroke=GRAY, strokeOpacity=0.4)
    panels: alt.TopLevelMixin = (
        alt.Chart(many_rows(data), width=250, height=210, view=border)
        .mark_rect()
        .encode(
            x=alt.X("x:Q", scale=scale, axis=None),
            x2="x2:Q",
            y=alt.Y("y:Q", scale=scale, axis=None),
            y2="y2:Q",
            color=alt.Color("label:N", scale=class_scale(labels), legend=None),
            opacity=alt.Opacity("strength:Q", scale=alt.Scale(domain=[0, 1], range=[0.15, 1]), legend=None),
            tooltip=tooltips("label", ("rows", _COUNT)),
        )
        .facet(facet=alt.Facet("label:N", sort=list(shown), title=None), columns=3, spacing=22)
    )
    return panels
