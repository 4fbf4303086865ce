"""Pictures of data, training and results, as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_serving.contract import Head
from bert_serving.metrics import CALIBRATION_BINS, calibration_bins, expected_calibration_error
from bert_serving.plots.figure import (
    BLUE,
    FAINT,
    INK,
    LIGHT_BLUE,
    ORANGE,
    QUIET,
    SPLIT_COLORS,
    VERMILION,
    abridged,
    add_legend,
    new_figure,
    rgb,
    save,
    set_title,
    shown_share,
    split_color,
    width_of,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bert_serving.explanation.integrated_gradients import Explanation

MOST_CELL_TEXTS = 20
"""a confusion matrix of more labels shows colors only"""
MOST_BARS = 25
"""with more labels the distribution is drawn as dots"""
MOST_TEXTS = 8
MOST_PREDICTED_LABELS = 6
MOST_WORDS = 12
"""of an explained text, the strongest"""
PANEL_WIDTH = 4.7
"""inches for one text's predictions"""


def draw_history(history: Sequence[Mapping[str, float]], path: Path, metric: str | None = None) -> None:
    """Loss, and one metric, after each epoch.

    Args:
        history: one mapping for each epoch: epoch, loss, val_loss, and metrics such as accuracy and val_accuracy.
        path: the PNG file to write.
        metric: name without "val_"; absent: the first metric that was measured on the validation rows.

    Raises:
        ValueError: there are no epochs.
    """
    if not history:
        raise ValueError("history holds no epochs to draw")
    metric = metric or _first_metric(history)
    panels = ["loss"] if metric is None else ["loss", metric]
    figure, axes = new_figure(4.6 * len(panels), 3.6, columns=len(panels))
    for axis, name in zip(axes, panels, strict=True):
        _history_panel(axis, history, name)
    save(figure, path)


def draw_confusion_matrix(metrics: Mapping[str, Any], path: Path) -> None:
    """Counts of predicted labels for each true label; colors are shares of the true label's rows.

    Args:
        metrics: what `classification_metrics` returns.
        path: the PNG file to write.
    """
    from matplotlib.colors import PowerNorm

    counts = np.asarray(metrics["confusion_matrix"], float)
    many = len(counts) > MOST_CELL_TEXTS
    labels = [abridged(label, 30 if many else 24) for label in metrics["per_class"]]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 6 if many else 9
    longest = max(width_of(label) for label in labels) * size / 110  # inches
    cell = 0.155 if many else 1.25 if len(labels) <= 3 else 0.66
    side = cell * len(labels)
    figure, (axis,) = new_figure(side + longest + 2.0, side + longest + 1.2, grid=None)
    # A square root lets the few per cent show that one label loses to another.
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
    right = f"{metrics['accuracy']:.1%} of {metrics['rows']:,} rows right"
    set_title(axis, f"Confusion matrix:{' ' if side > 3.5 else chr(10)}{right}")
    for position in np.arange(len(labels) - 1) + 0.5:
        axis.axhline(position, color="white" if not many else FAINT, linewidth=0.3 if many else 1.5)
        axis.axvline(position, color="white" if not many else FAINT, linewidth=0.3 if many else 1.5)
    bar = figure.colorbar(
        image,
        ax=axis,
        shrink=0.3 if many else 0.8,
        aspect=20,
        ticks=[0, 0.05, 0.2, 0.5, 1],
        format=lambda share, _: f"{share:.0%}",
    )
    bar.set_label("share of the true label's rows", color=INK, fontsize=9)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(length=0, labelsize=9, labelcolor=INK)
    if not many:
        _cell_texts(axis, counts, shares, size=9 if len(labels) <= 3 else 7.5 if len(labels) <= 10 else 6.5)
    save(figure, path)


def draw_class_distribution(counts: Mapping[str, Mapping[str, int]], path: Path) -> None:
    """Each label's share of the rows of each split, most frequent in the first split on top.

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
    places = np.arange(len(labels))
    dots = len(labels) > MOST_BARS
    step = 0.17 if dots else 0.16 * len(counts) + 0.14
    figure, (axis,) = new_figure(7.2, step * len(labels) + 1.5, grid="both" if dots else "x")
    height = 0.8 / len(counts)
    greatest = 0.0
    for number, (split, rows) in enumerate(counts.items()):
        total = sum(rows.values())
        shares = [100 * rows.get(label, 0) / max(total, 1) for label in labels]
        greatest = max(greatest, *shares)
        color, name = split_color(split, number), f"{split} ({total:,} rows)"
        if dots:
            axis.plot(shares, places, "osD^v"[number % 5], markersize=4, alpha=0.85, color=color, label=name)
            continue
        offsets = places + (number - (len(counts) - 1) / 2) * height
        axis.barh(offsets, shares, height * 0.92, color=color, label=name)
        for offset, share, label in zip(offsets, shares, labels, strict=True):
            note = f" {rows.get(label, 0):,}"
            axis.text(share, offset, note, va="center", fontsize=7, color=QUIET)
    axis.set_yticks(places, [abridged(label, 32) for label in labels], fontsize=7 if dots else 9)
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.set_xlim(0, greatest * 1.12)
    axis.set_xlabel("share of the split's rows (%)")
    set_title(axis, f"Distribution of {len(labels)} labels{'' if dots else ', with numbers of rows'}")
    add_legend(axis, below=True, columns=len(counts))
    save(figure, path)


def draw_token_lengths(token_lengths: Mapping[str, np.ndarray], sequence_length: int, path: Path) -> None:
    """How many tokens the texts of each split have, and which share of them is cut.

    Args:
        token_lengths: by split, int [rows]: tokens before cutting, [CLS] and [SEP] included.
        sequence_length: tokens at which a text is cut.
        path: the PNG file to write.
    """
    figure, (axis,) = new_figure(7.2, 3.9, grid="y")
    lengths = {split: np.asarray(values) for split, values in token_lengths.items()}
    right = max([sequence_length * 1.08, *(float(np.percentile(values, 99.5)) for values in lengths.values())])
    width = max(1, round(right / 40))
    edges = np.arange(0, right + 2 * width, width) - 0.5
    beyond = any((values > edges[-1]).any() for values in lengths.values())
    for number, (split, values) in enumerate(lengths.items()):
        cut = float((values > sequence_length).mean())
        # The rare texts beyond the picture's edge are counted in its last bin, so that the shares add up.
        shares = 100 * np.histogram(np.minimum(values, edges[-1] - 0.5), edges)[0] / len(values)
        color = split_color(split, number)
        label = f"{split}: {shown_share(cut)} of {len(values):,} texts are cut"
        axis.stairs(shares, edges, color=color, linewidth=1.6, label=label)
        if number == 0:
            axis.stairs(shares, edges, color=color, alpha=0.18, fill=True)
    axis.axvline(sequence_length + 0.5, color=VERMILION, linewidth=1.4, linestyle=(0, (4, 2)))
    left = sequence_length > 0.3 * edges[-1]  # the side with room for the words
    axis.annotate(
        f" cut at {sequence_length} ",
        (sequence_length + 0.5, 0.97),
        xycoords=("data", "axes fraction"),
        ha="right" if left else "left",
        va="top",
        color=VERMILION,
        fontsize=9,
    )
    axis.set_xlim(0, edges[-1])
    axis.set_ylim(0, axis.dataLim.ymax * 1.15)  # the words stand above the bars
    unit = "token" if width == 1 else f"{width} tokens"
    last = f"; last bar: {edges[-2] + 0.5:.0f} tokens and more" if beyond else ""
    axis.set(xlabel=f"tokens per text, [CLS] and [SEP] included{last}", ylabel=f"texts per {unit} (%)")
    set_title(axis, "Length of the texts")
    add_legend(axis, below=True, columns=1)
    save(figure, path)


def draw_reliability(y_true: np.ndarray, probabilities: np.ndarray, path: Path) -> None:
    """How often the model is right at each confidence, and how often it is that confident.

    Args:
        y_true: int [N], index of the right label.
        probabilities: float [N, C].
        path: the PNG file to write.
    """
    bins = calibration_bins(y_true, probabilities)
    error = expected_calibration_error(y_true, probabilities)
    total = sum(rows for _, rows, _, _ in bins)
    figure, (upper, lower) = new_figure(4.8, 5.8, rows=2, heights=(3, 1), share_x=True)
    width = 100 / CALIBRATION_BINS
    centres = np.asarray([(number + 0.5) * width for number, *_ in bins])
    accuracies = np.asarray([100 * accuracy for _, _, accuracy, _ in bins])
    confidences = np.asarray([100 * confidence for _, _, _, confidence in bins])
    upper.bar(centres, accuracies, width * 0.94, color=LIGHT_BLUE)
    upper.bar(
        centres,
        confidences - accuracies,
        width * 0.94,
        bottom=accuracies,
        facecolor=(*rgb(VERMILION), 0.12),
        edgecolor=(*rgb(VERMILION), 0.8),
        linewidth=0,
        hatch="////",
        label="gap to the mean confidence",
    )
    upper.hlines(
        accuracies, centres - width * 0.47, centres + width * 0.47, color=BLUE, linewidth=2.5, label="accuracy"
    )
    upper.plot([0, 100], [0, 100], color=INK, linewidth=1, linestyle=(0, (4, 2)), label="perfectly calibrated")
    upper.set(xlim=(0, 100), ylim=(0, 102), ylabel="accuracy in the bin (%)")
    lower.bar(centres, [100 * rows / total for _, rows, _, _ in bins], width * 0.94, color=QUIET)
    lower.set(xlabel="confidence: greatest probability (%)", ylabel=f"share of\n{total:,} rows (%)")
    set_title(upper, f"Expected calibration error: {error:.1%}")
    add_legend(upper, columns=1, place="upper left")
    save(figure, path)


def draw_predictions(texts: Sequence[str], labels: Sequence[str], probabilities: np.ndarray, path: Path) -> None:
    """The likeliest labels of up to eight texts, as bars.

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
    figure, axes = new_figure(
        PANEL_WIDTH * columns, rows * (0.24 * shown + 0.95), columns=columns, rows=rows, grid=None
    )
    for axis, text, row in zip(axes, texts, np.asarray(probabilities, float), strict=False):
        _prediction_panel(axis, text, labels, row, shown)
    figure.get_layout_engine().set(h_pad=0.12, w_pad=0.08)  # type: ignore[call-arg, union-attr]
    for axis in axes[len(texts) :]:
        axis.set_axis_off()
    for axis in axes[max(len(texts) - columns, 0) : len(texts)]:
        axis.set_xticks([0, 50, 100])
        axis.set_xlabel("probability (%)", fontsize=8, color=QUIET)
    save(figure, path)


def draw_explanation(explanation: "Explanation", path: Path) -> None:
    """The likeliest labels of one text as bars, and how far its strongest words moved the decision.

    Args:
        explanation: what `evaluation.attribution` found.
        path: the PNG file to write.
    """
    words = explanation.ranking[:MOST_WORDS]
    labels = 0 if explanation.head is Head.REGRESSION else min(len(explanation.labels), MOST_PREDICTED_LABELS)
    heights = [0.24 * count + 0.95 for count in (labels, len(words)) if count]
    figure, axes = new_figure(PANEL_WIDTH, sum(heights), rows=len(heights), heights=heights, grid=None)
    if labels:
        probabilities = np.asarray(explanation.probabilities, float)
        _prediction_panel(axes[0], " ‖ ".join(explanation.texts), explanation.labels, probabilities, labels)
        axes[0].set_xticks([0, 50, 100])
        axes[0].set_xlabel("probability (%)", fontsize=8, color=QUIET)
    axis = axes[-1]
    moved = [word.attribution or 0.0 for word in words]
    axis.barh(range(len(words)), moved, 0.72, color=[BLUE if value > 0 else ORANGE for value in moved])
    reach = max(abs(value) for value in moved) or 1
    for place, value in enumerate(moved):
        side = 1 if value >= 0 else -1
        note = f"{value:+.2f}"
        axis.text(value + side * 0.03 * reach, place, note, va="center", ha="left" if side > 0 else "right", fontsize=8)
    axis.set_yticks(range(len(words)), [abridged(word.text, 22) for word in words], fontsize=8)
    axis.set_ylim(len(words) - 0.4, -0.6)
    axis.set_xlim(min(0, *moved) - 0.3 * reach, max(0, *moved) + 0.3 * reach)
    axis.axvline(0, color=FAINT, linewidth=1)
    axis.tick_params(length=0, labelsize=8)
    unit = "value" if not labels else f"logit of {abridged(explanation.label, 22)}"
    axis.set_xlabel(f"moved the {unit} by", fontsize=8, color=QUIET)
    heading = f"{'Logit' if labels else 'Value'} {explanation.baseline_logit:.2f} with the words masked, {explanation.logit:.2f} with them"
    axis.set_title(heading, loc="left", fontsize=9, color=INK)
    save(figure, path)


def draw_lengths_per_label(lengths: Mapping[str, np.ndarray], sequence_length: int, path: Path) -> None:
    """How many tokens the texts of each label have, as boxes: quartiles and median, whiskers to 1.5 times the box.

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
    figure, (axis,) = new_figure(7.2, 0.34 * len(labels) + 1.2, grid="x")
    axis.boxplot(
        [lengths[label] for label in labels],
        orientation="horizontal",
        positions=range(len(labels)),
        widths=0.6,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": LIGHT_BLUE, "edgecolor": BLUE},
        medianprops={"color": VERMILION, "linewidth": 1.6},
        whiskerprops={"color": BLUE},
        capprops={"color": BLUE},
    )
    right = axis.get_xlim()[1]
    if sequence_length < 1.2 * right:
        axis.axvline(sequence_length + 0.5, color=VERMILION, linewidth=1.4, linestyle=(0, (4, 2)))
    axis.set_yticks(range(len(labels)), [abridged(label, 32) for label in labels])
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.set_xlim(0, max(right, sequence_length * 1.05 if sequence_length < 1.2 * right else 0))
    axis.set_xlabel("tokens per text, [CLS] and [SEP] included")
    set_title(axis, "Length of the texts of each label")
    save(figure, path)


def draw_densities(densities: Mapping[str, np.ndarray], path: Path) -> None:
    """Where the texts of each label lie in two dimensions, a panel for each.

    Args:
        densities: by label, float [columns, rows]: each cell's share of the label's texts, from below, as
            `evaluation.projection.densities` gives them.
        path: the PNG file to write.

    Raises:
        ValueError: there are no labels.
    """
    if not densities:
        raise ValueError("densities holds no labels to draw")
    columns = min(3, len(densities))
    rows = -(-len(densities) // columns)
    figure, axes = new_figure(2.4 * columns, 2.3 * rows + 0.2, columns=columns, rows=rows, grid=None)
    for axis, (label, grid) in zip(axes, densities.items(), strict=False):
        # A square root lets the thin edge of a cloud show.
        axis.imshow(np.sqrt(grid.T), origin="lower", cmap="Blues", aspect="auto", interpolation="nearest")
        axis.set_xticks([])
        axis.set_yticks([])
        for side in axis.spines.values():
            side.set(visible=True, color=FAINT)
        axis.set_title(abridged(label, 26), loc="left", fontsize=10, color=INK)
    for axis in axes[len(densities) :]:
        axis.set_axis_off()
    save(figure, path)


# === Parts ===


def _first_metric(history: Sequence[Mapping[str, float]]) -> str | None:
    names = [key.removeprefix("val_") for row in history for key in row if key.startswith("val_")]
    return next((name for name in names if name != "loss"), None)


def _history_panel(axis: "Axes", history: Sequence[Mapping[str, float]], name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = np.asarray([row.get("epoch", number) for number, row in enumerate(history, start=1)], float)
    for key, split in ((name, "train"), (f"val_{name}", "validation")):
        values = np.asarray([row.get(key, np.nan) for row in history], float)
        if np.isfinite(values).any():
            mark = "o" if len(history) <= 30 else ""
            label = "training" if split == "train" else split
            axis.plot(epochs, values, marker=mark, markersize=4.5, color=SPLIT_COLORS[split], label=label)
    words = name.replace("_", " ")
    best = np.asarray([row.get(f"val_{name}", np.nan) for row in history], float)
    if np.isfinite(best).any():
        lower = "loss" in name or "error" in name
        position = int(np.nanargmin(best) if lower else np.nanargmax(best))
        axis.plot(epochs[position], best[position], "o", markersize=10, markerfacecolor="none", color=INK)
        heading = f"Validation {words}: best {best[position]:.4g} (epoch {epochs[position]:.0f})"
    else:
        heading = f"Training {words}"
    set_title(axis, heading)
    axis.set(xlabel="epoch", ylabel=words)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.set_xlim(epochs.min() - 0.3, epochs.max() + 0.3)
    axis.margins(y=0.1)
    add_legend(axis)


def _cell_texts(axis: "Axes", counts: np.ndarray, shares: np.ndarray, *, size: float) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if not count:
            continue
        share = float(shares[row, column])
        color = "white" if share > 0.35 else INK
        axis.text(
            column, row, f"{count:.0f}\n{shown_share(share)}", ha="center", va="center", fontsize=size, color=color
        )


def _prediction_panel(axis: "Axes", text: str, labels: Sequence[str], row: np.ndarray, shown: int) -> None:
    order = np.argsort(-row, kind="stable")[:shown]
    shares = 100 * row[order]
    names = [abridged(labels[index], 22) for index in order]
    axis.barh(range(shown), shares, 0.72, color=[BLUE] + [FAINT] * (shown - 1))
    for place, share in enumerate(shares):
        axis.text(share + 1.5, place, f"{share:.1f}", va="center", fontsize=8, color=INK if place == 0 else QUIET)
    axis.set_yticks(range(shown), names, fontsize=8)
    axis.get_yticklabels()[0].set_fontweight("bold")
    axis.set_ylim(shown - 0.4, -0.6)
    axis.set_xlim(0, 116)
    axis.set_xticks([])
    axis.tick_params(length=0, labelsize=8)
    axis.axvline(0, color=FAINT, linewidth=1)
    # The text begins where the bars begin and must end within the panel: the longer the labels, the less room.
    room = PANEL_WIDTH - 0.3 - 0.068 * max(width_of(name) for name in names)  # inches
    heading = "\n".join(wrapped(text, int(room / 0.075), lines=2)) or "(empty text)"
    axis.set_title(heading, loc="left", fontsize=9, color=INK)
