"""Charts that more than one page draws, with one color scale for classes.

All are as wide as their page; page.js sets fonts and the colors of axes for a light or a dark page.
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
_GRAY = "#8C8C8C"
ROW_HEIGHT = 26
"""pixels of one class in a chart with classes one under another"""


@dataclass(frozen=True)
class Box:
    """One box of a box plot: five numbers of one class in one group."""

    label: str
    group: str
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
    group: str = ""


@dataclass(frozen=True)
class DensityCell:
    """A cell of a grid over points from 0 to 1, for one class.

    Attributes:
        x, y: its lower left corner.
        rows: of the class that lie in it.
        strength: how dark it is, from 0 to 1.
    """

    label: str
    x: float
    y: float
    rows: int
    strength: float


@dataclass(frozen=True)
class Confidence:
    """Answers of like confidence: their mean confidence, how many are right, with the interval, and how many they are."""

    confidence: float
    accuracy: float
    low: float
    high: float
    rows: int


def class_scale(labels: Sequence[str]) -> alt.Scale:
    """The colors of classes, the same for the same labels on every page; they repeat after twenty."""
    colors = [CLASS_COLORS[number % len(CLASS_COLORS)] for number in range(len(labels))]
    return alt.Scale(domain=list(labels), range=colors)


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
    return (
        alt.Chart(alt.Data(values=data), width="container", height=_height(len(order) * max(len(groups), 1) * 0.62))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=alt.Y("label:N", sort=list(order), title=None, axis=_names()),
            yOffset=alt.YOffset("group:N", sort=list(groups)),
            x=alt.X("share:Q", title="share of the rows", axis=alt.Axis(format="%", grid=True)),
            color=alt.Color("group:N", scale=class_scale(groups), title=None, legend=_legend(groups)),
            tooltip=[
                alt.Tooltip("label:N"),
                alt.Tooltip("group:N"),
                alt.Tooltip("rows:Q", format=","),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
    )


def box_plot(
    boxes: Sequence[Box], *, order: Sequence[str], value: str, limit: float | None = None, limit_title: str = ""
) -> alt.TopLevelMixin:
    """One box for each class: quartiles, whiskers from `low` to `high`.

    Args:
        boxes: the numbers; the group's name is shown under the pointer.
        order: classes from top to bottom.
        value: what is measured, with its unit.
        limit: where to draw a line across, such as the length at which texts are cut.
        limit_title: what stands at the line.
    """
    base = alt.Chart(alt.Data(values=[asdict(box) for box in boxes]), width="container", height=_height(len(order)))
    y = alt.Y("label:N", sort=list(order), title=None, axis=_names())
    figures = ("low", "first_quartile", "median", "third_quartile", "high")
    tooltip = [alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=",.4~r") for name in figures]
    scale = alt.Scale(zero=True, nice=True)
    layers = [
        base.mark_rule().encode(y=y, x=alt.X("low:Q", title=value, scale=scale), x2="high:Q"),
        base.mark_bar(size=14, cornerRadius=2, opacity=1).encode(
            y=y,
            x="first_quartile:Q",
            x2="third_quartile:Q",
            tooltip=[alt.Tooltip("label:N"), *tooltip, alt.Tooltip("rows:Q", format=",")],
        ),
        base.mark_tick(size=14, thickness=2.5, color="white").encode(y=y, x="median:Q"),
    ]
    if limit is not None:
        line = alt.Chart(alt.Data(values=[{"limit": limit, "title": limit_title}]))
        layers.append(line.mark_rule(strokeDash=[5, 4], color=CLASS_COLORS[3], strokeWidth=1.5).encode(x="limit:Q"))
        layers.append(
            line.mark_text(align="left", dx=5, dy=-4, baseline="bottom", color=CLASS_COLORS[3]).encode(
                x="limit:Q", y=alt.value(0), text="title:N"
            )
        )
    return alt.layer(*layers)


def histogram(bins: Sequence[Bin], *, value: str, groups: Sequence[str] = (), count: str = "rows") -> alt.Chart:
    """Counts over ranges of a number; several groups stand behind one another as lines.

    Args:
        bins: the bars.
        value: what is measured, with its unit.
        groups: names of the groups in the order of their colors; one group or none gives bars.
        count: what is counted.
    """
    base = alt.Chart(alt.Data(values=[asdict(each) for each in bins]), width="container", height=220)
    tooltip = [
        alt.Tooltip("start:Q", title="from", format=",.4~r"),
        alt.Tooltip("end:Q", title="to", format=",.4~r"),
        alt.Tooltip("count:Q", title=count, format=","),
    ]
    x = alt.X("start:Q", title=value, scale=alt.Scale(nice=False))
    if len(groups) <= 1:
        return base.mark_bar().encode(
            x=alt.X("start:Q", bin="binned", title=value),
            x2="end:Q",
            y=alt.Y("count:Q", title=count),
            tooltip=tooltip,
        )
    return base.mark_line(interpolate="step-after", strokeWidth=2).encode(
        x=x,
        y=alt.Y("count:Q", title=count),
        color=alt.Color("group:N", scale=class_scale(groups), title=None, legend=_legend(groups)),
        tooltip=[alt.Tooltip("group:N"), *tooltip],
    )


def reliability(points: Mapping[str, Sequence[Confidence]], *, lowest: float = 0.0) -> alt.TopLevelMixin:
    """Accuracy against confidence, with intervals: on the diagonal, probabilities mean what they say.

    Args:
        points: for each model or state of it (such as "before" and "after") the answers by bin of confidence.
        lowest: where the axis of the confidence begins; with two classes none is below 0.5.
    """
    data = [{"name": name, **asdict(each)} for name, bins in points.items() for each in bins]
    scale = alt.Scale(domain=[lowest, 1], nice=False)
    base = alt.Chart(alt.Data(values=data), width=420, height=380)
    x = alt.X("confidence:Q", title="confidence", scale=scale, axis=alt.Axis(format="%"))
    y = alt.Y("accuracy:Q", title="accuracy", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    color = alt.Color("name:N", scale=class_scale(list(points)), title=None, legend=_legend(list(points)))
    diagonal = alt.Chart(alt.Data(values=[{"at": lowest}, {"at": 1}])).mark_line(strokeDash=[5, 4], strokeWidth=1.2)
    return alt.layer(
        diagonal.encode(x=alt.X("at:Q", scale=scale), y="at:Q", color=alt.value(_GRAY)),
        base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=color),
        base.mark_circle(opacity=0.85).encode(
            x=x,
            y=y,
            color=color,
            size=alt.Size("rows:Q", scale=alt.Scale(range=[25, 500]), legend=None),
            tooltip=[
                alt.Tooltip("name:N"),
                alt.Tooltip("confidence:Q", format=".1%"),
                alt.Tooltip("accuracy:Q", format=".1%"),
                alt.Tooltip("low:Q", title="from", format=".1%"),
                alt.Tooltip("high:Q", title="to", format=".1%"),
                alt.Tooltip("rows:Q", format=","),
            ],
        ),
    )


def many_rows(rows: Sequence[Mapping[str, object]]) -> pandas.DataFrame:
    """Data of thousands of rows: altair checks each value of an `alt.Data` against its schema, of a data frame none."""
    return pandas.DataFrame.from_records(rows)


def scatter(
    points: Sequence[tuple[float, float, str, str]], *, labels: Sequence[str], titles: tuple[str, str] = ("", "")
) -> alt.Chart:
    """Points in two dimensions; the text is under the pointer, the legend picks classes, wheel and drag zoom and move.

    Args:
        points: (x, y, label, text).
        labels: in the order of their colors.
        titles: of the two axes; "" for axes without a meaning of their own, which are left out.
    """
    data = [{"x": x, "y": y, "label": label, "text": text} for x, y, label, text in points]
    picked = alt.selection_point(fields=["label"], bind="legend")
    axes = [alt.Axis(title=title) if title else None for title in titles]
    scale = alt.Scale(zero=False, padding=10)
    return (
        alt.Chart(many_rows(data), width="container", height=520)
        .mark_circle(size=26, opacity=0.65)
        .encode(
            x=alt.X("x:Q", axis=axes[0], scale=scale),
            y=alt.Y("y:Q", axis=axes[1], scale=scale),
            color=alt.Color("label:N", scale=class_scale(labels), title=None, legend=_legend(labels)),
            opacity=alt.condition(picked, alt.value(0.65), alt.value(0.04)),
            tooltip=[alt.Tooltip("label:N"), alt.Tooltip("text:N")],
        )
        .add_params(picked)
        .interactive()
    )


def density_panels(
    cells: Sequence[DensityCell], *, labels: Sequence[str], shown: Sequence[str], step: float
) -> alt.TopLevelMixin:
    """One small picture for each class of where its rows lie in two dimensions from 0 to 1.

    Args:
        cells: of a grid; those without rows can be left out.
        labels: all classes in the order of their colors.
        shown: the classes that get a picture, in this order.
        step: width and height of a cell.
    """
    data = [
        {
            "x": each.x,
            "x2": each.x + step,
            "y": each.y,
            "y2": each.y + step,
            "label": each.label,
            "rows": each.rows,
            "is": each.strength,
        }
        for each in cells
    ]
    scale = alt.Scale(domain=[0, 1])
    return (
        alt.Chart(many_rows(data), width=250, height=210, view=alt.ViewBackground(stroke=_GRAY, strokeOpacity=0.4))
        .mark_rect()
        .encode(
            x=alt.X("x:Q", scale=scale, axis=None),
            x2="x2:Q",
            y=alt.Y("y:Q", scale=scale, axis=None),
            y2="y2:Q",
            color=alt.Color("label:N", scale=class_scale(labels), legend=None),
            opacity=alt.Opacity("is:Q", scale=alt.Scale(domain=[0, 1], range=[0.15, 1]), legend=None),
            tooltip=[alt.Tooltip("label:N"), alt.Tooltip("rows:Q", format=",")],
        )
        .facet(facet=alt.Facet("label:N", sort=list(shown), title=None), columns=3, spacing=22)
    )


def _height(rows: float) -> float:
    return max(rows, 1.5) * ROW_HEIGHT


def _names() -> alt.Axis:
    return alt.Axis(labelLimit=220, labelPadding=8, ticks=False, domain=False)


def _legend(names: Sequence[str]) -> alt.Legend | None:
    if not any(names) or len(names) < 2:
        return None
    return alt.Legend(orient="top" if len(names) <= 8 else "right", labelLimit=200, symbolLimit=80)
