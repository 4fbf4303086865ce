"""Plots of results: confusion matrix, reliability diagram, predictions, explanations and feature densities."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_serving.contract import Head
from bert_serving.metrics import CALIBRATION_BINS, calibration_bins, expected_calibration_error
from bert_serving.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bert_serving.explanation.attribution import Explanation, Word

MOST_CELL_TEXTS = 20
"""a confusion matrix of more labels shows colors only"""
MOST_TEXTS = 8
MOST_PREDICTED_LABELS = 6
MOST_WORDS = 12
"""of an explained text, those with the greatest attribution"""
PANEL_WIDTH = 4.7
"""inches for the predictions of one text"""
LABEL_WIDTH = 22
"""columns"""


# === Confusion matrix ===


def draw_confusion_matrix(metrics: Mapping[str, Any], path: Path) -> None:
    """Draws counts of predicted labels for each true label; colors are shares of the true label's rows.

    Args:
        metrics: what `classification_metrics` returns.
        path: the PNG file to write.
    """
    from matplotlib.colors import PowerNorm  # noqa: PLC0415  matplotlib takes a second to import

    counts = np.asarray(metrics["confusion_matrix"], float)
    many = len(counts) > MOST_CELL_TEXTS
    labels = [style.abridged(label, 30 if many else 24) for label in metrics["per_class"]]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 6 if many else 9
    longest = max(style.width_of(label) for label in labels) * size / 110  # inches
    cell = 0.155 if many else 1.25 if len(labels) <= 3 else 0.66
    side = cell * len(labels)
    figure, (axis,) = style.new_figure(side + longest + 2.0, side + longest + 1.2, grid=None)
    # The square root makes small shares visible.
    image = axis.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1), aspect="equal")
    if longest < cell:
        axis.set_xticks(range(len(labels)), labels, fontsize=size)
    elif many:
        axis.set_xticks(range(len(labels)), labels, fontsize=size, rotation=90)
    else:
        axis.set_xticks(range(len(labels)), labels, fontsize=size, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(labels)), labels, fontsize=size)
    axis.tick_params(length=0)
    axis.set(xlabel="predicted label", ylabel="true label")
    accuracy = f"accuracy {metrics['accuracy']:.1%}, {metrics['rows']:,} rows"
    style.set_title(axis, f"Confusion matrix:{' ' if side > 3.5 else chr(10)}{accuracy}")
    color, width = (style.FAINT, 0.3) if many else ("white", 1.5)
    for position in np.arange(len(labels) - 1) + 0.5:
        axis.axhline(position, color=color, linewidth=width)
        axis.axvline(position, color=color, linewidth=width)
    bar = figure.colorbar(
        image,
        ax=axis,
        shrink=0.3 if many else 0.8,
        aspect=20,
        ticks=[0, 0.05, 0.2, 0.5, 1],
        format=lambda share, _: f"{share:.0%}",
    )
    bar.set_label("share of the true label's rows", color=style.INK, fontsize=9)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=9, labelcolor=style.INK)
    if not many:
        _write_cells(axis, counts, shares, size=9 if len(labels) <= 3 else 7.5 if len(labels) <= 10 else 6.5)
    style.save(figure, path)


def _write_cells(axis: "Axes", counts: np.ndarray, shares: np.ndarray, *, size: float) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            share = float(shares[row, column])
            color = "white" if share > 0.35 else style.INK
            text = f"{count:.0f}\n{style.shown_share(share)}"
            axis.text(column, row, text, ha="center", va="center", fontsize=size, color=color)


# === Reliability diagram ===


def draw_reliability(y_true: np.ndarray, probabilities: np.ndarray, path: Path) -> None:
    """Draws a reliability diagram: the accuracy at each confidence, and the share of rows with that confidence.

    Args:
        y_true: int [N], index of the true label.
        probabilities: float [N, C].
        path: the PNG file to write.
    """
    bins = calibration_bins(y_true, probabilities)
    error = expected_calibration_error(y_true, probabilities)
    total = sum(rows for _, rows, _, _ in bins)
    figure, (upper, lower) = style.new_figure(4.8, 5.8, rows=2, heights=(3, 1), share_x=True)
    step = 100 / CALIBRATION_BINS
    width = step * 0.94
    centers = np.asarray([(number + 0.5) * step for number, *_ in bins])
    accuracies = np.asarray([100 * accuracy for _, _, accuracy, _ in bins])
    confidences = np.asarray([100 * confidence for _, _, _, confidence in bins])
    upper.bar(centers, accuracies, width, color=style.LIGHT_BLUE)
    upper.bar(
        centers,
        confidences - accuracies,
        width,
        bottom=accuracies,
        facecolor=(*style.rgb(style.VERMILION), 0.12),
        edgecolor=(*style.rgb(style.VERMILION), 0.8),
        linewidth=0,
        hatch="////",
        label="gap to the mean confidence",
    )
    upper.hlines(
        accuracies, centers - width / 2, centers + width / 2, color=style.BLUE, linewidth=2.5, label="accuracy"
    )
    upper.plot([0, 100], [0, 100], color=style.INK, linewidth=1, linestyle=(0, (4, 2)), label="perfectly calibrated")
    upper.set(xlim=(0, 100), ylim=(0, 102), ylabel="accuracy in the bin (%)")
    lower.bar(centers, [100 * rows / total for _, rows, _, _ in bins], width, color=style.QUIET)
    lower.set(xlabel="confidence: greatest probability (%)", ylabel=f"share of\n{total:,} rows (%)")
    style.set_title(upper, f"Expected calibration error: {error:.1%}")
    style.add_legend(upper, columns=1, location="upper left")
    style.save(figure, path)


# === Predictions ===


def draw_predictions(texts: Sequence[str], labels: Sequence[str], probabilities: np.ndarray, path: Path) -> None:
    """Draws the most probable labels of up to eight texts as bars.

    Args:
        texts: the texts; more than eight are left out.
        labels: C names, in the order of the columns.
        probabilities: float [N, C].
        path: the PNG file to write.

    Raises:
        ValueError: there are no texts.
    """
    texts = list(texts)[:MOST_TEXTS]
    if not texts:
        raise ValueError("there are no texts to draw")
    columns = 1 if len(texts) < 3 else 2
    rows = -(-len(texts) // columns)
    shown = min(len(labels), MOST_PREDICTED_LABELS)
    figure, axes = style.new_figure(
        PANEL_WIDTH * columns, rows * _panel_height(shown), columns=columns, rows=rows, grid=None
    )
    for axis, text, row in zip(axes, texts, np.asarray(probabilities, float), strict=False):
        _draw_probabilities(axis, text, labels, row, shown)
    figure.get_layout_engine().set(h_pad=0.12, w_pad=0.08)  # type: ignore[call-arg, union-attr]  # it is a constrained layout
    for axis in axes[len(texts) :]:
        axis.set_axis_off()
    for axis in axes[max(len(texts) - columns, 0) : len(texts)]:
        _probability_axis(axis)
    style.save(figure, path)


def _panel_height(bars: int) -> float:
    return 0.24 * bars + 0.95


def _draw_probabilities(axis: "Axes", text: str, labels: Sequence[str], row: np.ndarray, shown: int) -> None:
    order = np.argsort(-row, kind="stable")[:shown]
    shares = 100 * row[order]
    axis.barh(range(shown), shares, 0.72, color=[style.BLUE] + [style.FAINT] * (shown - 1))
    for number, share in enumerate(shares):
        color = style.INK if number == 0 else style.QUIET
        axis.text(share + 1.5, number, f"{share:.1f}", va="center", fontsize=8, color=color)
    names = style.label_rows(axis, [labels[index] for index in order], LABEL_WIDTH, size=8)
    axis.get_yticklabels()[0].set_fontweight("bold")
    axis.set_xlim(0, 116)
    axis.set_xticks([])
    axis.tick_params(length=0, labelsize=8)
    axis.axvline(0, color=style.FAINT, linewidth=1)
    # The text begins at the bars' left end and must fit into the panel: long labels leave it less room.
    room = PANEL_WIDTH - 0.3 - 0.068 * max(style.width_of(name) for name in names)  # inches
    heading = "\n".join(style.wrapped(text, int(room / 0.075), lines=2)) or "(empty text)"
    axis.set_title(heading, loc="left", fontsize=9, color=style.INK)


def _probability_axis(axis: "Axes") -> None:
    axis.set_xticks([0, 50, 100])
    axis.set_xlabel("probability (%)", fontsize=8, color=style.QUIET)


# === Explanations ===


def draw_explanation(explanation: "Explanation", path: Path) -> None:
    """Draws the most probable labels of one text as bars, and the greatest attributions of its words.

    Args:
        explanation: what `explanation.integrated_gradients.explain` returns.
        path: the PNG file to write.
    """
    words = explanation.ranking[:MOST_WORDS]
    labels = 0 if explanation.head is Head.REGRESSION else min(len(explanation.labels), MOST_PREDICTED_LABELS)
    heights = [_panel_height(bars) for bars in (labels, len(words)) if bars]
    figure, axes = style.new_figure(PANEL_WIDTH, sum(heights), rows=len(heights), heights=heights, grid=None)
    if labels:
        probabilities = np.asarray(explanation.probabilities, float)
        _draw_probabilities(axes[0], " ‖ ".join(explanation.texts), explanation.labels, probabilities, labels)
        _probability_axis(axes[0])
    axis = axes[-1]
    _draw_attributions(axis, words)
    output = f"logit of {style.abridged(explanation.label, LABEL_WIDTH)}" if labels else "value"
    axis.set_xlabel(f"attribution to the {output}", fontsize=8, color=style.QUIET)
    title = "Logit" if labels else "Value"
    heading = f"{title} {explanation.baseline_logit:.2f} with all words masked, {explanation.logit:.2f} with the text"
    axis.set_title(heading, loc="left", fontsize=9, color=style.INK)
    style.save(figure, path)


def _draw_attributions(axis: "Axes", words: Sequence["Word"]) -> None:
    values = [word.attribution or 0.0 for word in words]
    axis.barh(range(len(words)), values, 0.72, color=[style.BLUE if value > 0 else style.ORANGE for value in values])
    reach = max(abs(value) for value in values) or 1
    for number, value in enumerate(values):
        offset, side = (0.03 * reach, "left") if value >= 0 else (-0.03 * reach, "right")
        axis.text(value + offset, number, f"{value:+.2f}", va="center", ha=side, fontsize=8)
    style.label_rows(axis, [word.text for word in words], LABEL_WIDTH, size=8)
    axis.set_xlim(min(0, *values) - 0.3 * reach, max(0, *values) + 0.3 * reach)
    axis.axvline(0, color=style.FAINT, linewidth=1)
    axis.tick_params(length=0, labelsize=8)


# === Features ===


def draw_densities(densities: Mapping[str, np.ndarray], path: Path) -> None:
    """Draws the density of each label's texts in two dimensions, a panel for each label.

    Args:
        densities: by label, float [columns, rows]: each cell's share of the label's texts, from below, as
            `features.projection.densities` returns them.
        path: the PNG file to write.

    Raises:
        ValueError: there are no labels.
    """
    if not densities:
        raise ValueError("densities holds no labels to draw")
    columns = min(3, len(densities))
    rows = -(-len(densities) // columns)
    figure, axes = style.new_figure(2.4 * columns, 2.3 * rows + 0.2, columns=columns, rows=rows, grid=None)
    for axis, (label, grid) in zip(axes, densities.items(), strict=False):
        # The square root makes sparse cells visible.
        axis.imshow(np.sqrt(grid.T), origin="lower", cmap="Blues", aspect="auto", interpolation="nearest")
        axis.set_xticks([])
        axis.set_yticks([])
        for side in axis.spines.values():
            side.set(visible=True, color=style.FAINT)
        axis.set_title(style.abridged(label, 26), loc="left", fontsize=10, color=style.INK)
    for axis in axes[len(densities) :]:
        axis.set_axis_off()
    style.save(figure, path)
