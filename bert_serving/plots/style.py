"""The shared style of all plots: figures, titles, legends, colors, fonts for all scripts, texts that fit.

The plots use matplotlib's objects, never pyplot, so that no global state changes and any thread may draw.
"""

# matplotlib is imported where it is needed: it takes a second.
# ruff: noqa: PLC0415

import io
import unicodedata
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_serving.io.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150

# From Okabe and Ito's palette, which color-blind readers can tell apart (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SPLIT_COLORS = {"train": BLUE, "validation": ORANGE, "test": GREEN}
LIGHT_BLUE = "#99C6E0"
INK, QUIET, FAINT = "#222222", "#6B6B6B", "#D9D9D9"

# Tried in this order for characters that the first lacks; those not installed are left out.
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Arial Unicode MS",
    "WenQuanYi Micro Hei",
)


def new_figure(
    width: float,
    height: float,
    *,
    columns: int = 1,
    rows: int = 1,
    heights: Sequence[float] | None = None,
    share_x: bool = False,
    grid: Any = "y",
) -> "tuple[Figure, list[Axes]]":
    """An empty figure and its axes, row by row; size in inches, `heights` are the rows' shares of the height."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        rows, columns, squeeze=False, sharex=share_x, gridspec_kw={"height_ratios": heights} if heights else None
    )
    for axis in axes.flat:
        axis.set_axisbelow(True)
        for side in ("top", "right") if grid else ("top", "right", "left", "bottom"):
            axis.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axis.spines[side].set_color(FAINT)
        axis.tick_params(color=FAINT, labelcolor=INK, labelsize=9)
        if grid:
            axis.grid(axis=grid, color=FAINT, linewidth=0.6)
    return figure, list(axes.flat)


def set_title(axis: "Axes", text: str) -> None:
    """Sets the title, left-aligned."""
    axis.set_title(text, loc="left", fontsize=11, color=INK, pad=10)


def add_legend(axis: "Axes", *, below: bool = False, columns: int = 1, location: str = "best") -> None:
    """Adds a legend if anything has a label; `below` puts it under all axes of the figure."""
    handles, names = axis.get_legend_handles_labels()
    if not names:
        return
    owner, location = (axis.figure, "outside lower center") if below else (axis, location)
    owner.legend(handles, names, loc=location, ncols=columns, frameon=False, fontsize=9)


def label_rows(axis: "Axes", labels: Sequence[str], width: int, *, size: float = 9) -> list[str]:
    """Labels the rows of a horizontal chart from top to bottom, abridged to `width` columns; returns the labels."""
    names = [abridged(label, width) for label in labels]
    axis.set_yticks(range(len(names)), names, fontsize=size)
    axis.set_ylim(len(names) - 0.4, -0.6)
    return names


def split_color(split: str, number: int) -> str:
    """The color of a split; a split without a color of its own gets the color of its number."""
    return SPLIT_COLORS.get(split, (BLUE, ORANGE, GREEN, VERMILION)[number % 4])


def rgb(color: str) -> tuple[float, float, float]:
    """A color as red, green and blue, each from 0 to 1."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(color)
    return red, green, blue


def save(figure: "Figure", path: Path) -> None:
    """Writes a PNG file and creates its folder; each letter is drawn in an installed font that has it."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_fontfamily(_installed_fonts())
    picture = io.BytesIO()
    with warnings.catch_warnings():
        # A script that no installed font covers shows as boxes; the rest of the plot is still useful.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support .* natively")
        figure.savefig(picture, format="png", dpi=DPI)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, picture.getvalue())


@cache
def _installed_fonts() -> list[str]:
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [name for name in _FONTS if name in installed]


def wrapped(text: str, width: int, *, lines: int) -> list[str]:
    """The text in at most `lines` lines of `width` columns, broken between words where possible."""
    broken: list[str] = []
    rest = _printable(text)
    while rest and len(broken) < lines:
        if width_of(rest) <= width:
            broken.append(rest)
            break
        head = _head(rest, width if len(broken) < lines - 1 else width - 1)
        space = head.rfind(" ") if rest[len(head)] != " " else len(head)
        head = head[:space] if space > len(head) // 2 else head
        rest = rest[len(head) :].lstrip()
        broken.append(head if len(broken) < lines - 1 else head + "…")
    return [_literal(line) for line in broken]


def abridged(label: str, width: int) -> str:
    """At most `width` columns; the middle is left out, because labels that start alike often end differently."""
    line = _printable(label)
    if width_of(line) > width:
        tail = _head(line[::-1], (width - 1) // 2)[::-1]
        line = _head(line, width - 1 - width_of(tail)) + "…" + tail
    return _literal(line)


def _head(text: str, width: int) -> str:
    used = 0
    for position, letter in enumerate(text):
        used += width_of(letter)
        if used > width:
            return text[:position]
    return text


def _printable(text: str) -> str:
    return " ".join("".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in text).split())


def _literal(text: str) -> str:
    # matplotlib reads text between two dollar signs as mathematics.
    return text.replace("$", r"\$")


def width_of(text: str) -> int:
    """The width of a text in columns; a wide East Asian letter takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def shown_share(share: float) -> str:
    """A share in percent, with a decimal where it is small."""
    return f"{share:.0%}" if share in (0, 1) or share >= 0.1 else f"{share:.1%}"
