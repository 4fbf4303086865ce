"""Plots of labeled text: class distribution and text lengths."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bert_serving.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS = 25
"""with more labels the distribution is drawn as dots"""
LABEL_WIDTH = 32
"""columns"""
_TOKENS = "tokens per text, [CLS] and [SEP] included"


def draw_class_distribution(counts: Mapping[str, Mapping[str, int]], path: Path) -> None:
    """Draws each label's share of the rows of each split, most frequent in the first split on top.

    Args:
        counts: by split, rows for each label; at least one label.
        path: the PNG file to write.

    Raises:
        ValueError: there are no labels, as with a regression head.
    """
    first = next(iter(counts.values()), {})
    if not first:
        raise ValueError("counts holds no labels to draw")
    labels = sorted(first, key=lambda label: -first[label])
    dots = len(labels) > MOST_BARS
    step = 0.17 if dots else 0.16 * len(counts) + 0.14
    figure, (axis,) = style.new_figure(7.2, step * len(labels) + 1.5, grid="both" if dots else "x")
    style.label_rows(axis, labels, LABEL_WIDTH, size=7 if dots else 9)
    greatest = 0.0
    for number, (split, rows) in enumerate(counts.items()):
        total = sum(rows.values())
        shares = [100 * rows.get(label, 0) / max(total, 1) for label in labels]
        greatest = max(greatest, *shares)
        color, name = style.split_color(split, number), f"{split} ({total:,} rows)"
        if dots:
            marker = "osD^v"[number % 5]
            axis.plot(shares, range(len(labels)), marker, markersize=4, alpha=0.85, color=color, label=name)
        else:
            height = 0.8 / len(counts)
            offsets = np.arange(len(labels)) + (number - (len(counts) - 1) / 2) * height
            axis.barh(offsets, shares, height * 0.92, color=color, label=name)
            for offset, share, label in zip(offsets, shares, labels, strict=True):
                axis.text(share, offset, f" {rows.get(label, 0):,}", va="center", fontsize=7, color=style.QUIET)
    axis.set_xlim(0, greatest * 1.12)
    axis.set_xlabel("share of the split's rows (%)")
    style.set_title(axis, f"Distribution of {len(labels)} labels{'' if dots else ', with numbers of rows'}")
    style.add_legend(axis, below=True, columns=len(counts))
    style.save(figure, path)


def draw_token_lengths(
    token_lengths: Mapping[str, np.ndarray], sequence_length: int, path: Path, *, windows: bool = False
) -> None:
    """Draws the token lengths of the texts of each split, and the share of texts that are cut.

    Args:
        token_lengths: by split, int [rows]: tokens before cutting, [CLS] and [SEP] included.
        sequence_length: tokens at which a text is cut.
        path: the PNG file to write.
        windows: longer texts are not cut, but read in windows of this length.
    """
    figure, (axis,) = style.new_figure(7.2, 3.9, grid="y")
    lengths = {split: np.asarray(values) for split, values in token_lengths.items()}
    right = max([sequence_length * 1.08, *(float(np.percentile(values, 99.5)) for values in lengths.values())])
    width = max(1, round(right / 40))
    edges = np.arange(0, right + 2 * width, width) - 0.5
    for number, (split, values) in enumerate(lengths.items()):
        cut = float((values > sequence_length).mean())
        # The last bin counts the few longer texts, so that the shares add up.
        shares = 100 * np.histogram(np.minimum(values, edges[-1] - 0.5), edges)[0] / len(values)
        color = style.split_color(split, number)
        label = f"{split}: {style.shown_share(cut)} of {len(values):,} texts {'have several windows' if windows else 'are cut'}"
        axis.stairs(shares, edges, color=color, linewidth=1.6, label=label)
        if number == 0:
            axis.stairs(shares, edges, color=color, alpha=0.18, fill=True)
    _draw_cut(axis, sequence_length)
    left = sequence_length > 0.3 * edges[-1]  # the side with more room for the annotation
    axis.annotate(
        f" window of {sequence_length} " if windows else f" cut at {sequence_length} ",
        (sequence_length + 0.5, 0.97),
        xycoords=("data", "axes fraction"),
        ha="right" if left else "left",
        va="top",
        color=style.VERMILION,
        fontsize=9,
    )
    axis.set_xlim(0, edges[-1])
    axis.set_ylim(0, axis.dataLim.ymax * 1.15)  # room for the annotation above the bars
    unit = "token" if width == 1 else f"{width} tokens"
    beyond = any((values > edges[-1]).any() for values in lengths.values())
    last = f"; last bar: {edges[-2] + 0.5:.0f} tokens and more" if beyond else ""
    axis.set(xlabel=f"{_TOKENS}{last}", ylabel=f"texts per {unit} (%)")
    style.set_title(axis, "Text lengths")
    style.add_legend(axis, below=True, columns=1)
    style.save(figure, path)


def draw_lengths_per_label(lengths: Mapping[str, np.ndarray], sequence_length: int, path: Path) -> None:
    """Draws a box plot of the token lengths of each label: quartiles and median, whiskers to 1.5 times the box.

    Args:
        lengths: by label, int [rows]: tokens before cutting, [CLS] and [SEP] included; no label without rows.
        sequence_length: tokens at which a text is cut; drawn where the boxes come near it.
        path: the PNG file to write.

    Raises:
        ValueError: there are no labels.
    """
    if not lengths:
        raise ValueError("lengths holds no labels to draw")
    labels = sorted(lengths, key=lambda label: -float(np.median(lengths[label])))
    figure, (axis,) = style.new_figure(7.2, 0.34 * len(labels) + 1.2, grid="x")
    axis.boxplot(
        [lengths[label] for label in labels],
        orientation="horizontal",
        positions=range(len(labels)),
        widths=0.6,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": style.LIGHT_BLUE, "edgecolor": style.BLUE},
        medianprops={"color": style.VERMILION, "linewidth": 1.6},
        whiskerprops={"color": style.BLUE},
        capprops={"color": style.BLUE},
    )
    right = axis.get_xlim()[1]
    near = sequence_length < 1.2 * right
    if near:
        _draw_cut(axis, sequence_length)
    style.label_rows(axis, labels, LABEL_WIDTH)
    axis.set_xlim(0, max(right, sequence_length * 1.05) if near else right)
    axis.set_xlabel(_TOKENS)
    style.set_title(axis, "Text lengths by label")
    style.save(figure, path)


def _draw_cut(axis: "Axes", sequence_length: int) -> None:
    axis.axvline(sequence_length + 0.5, color=style.VERMILION, linewidth=1.4, linestyle=(0, (4, 2)))
