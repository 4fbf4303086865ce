"""Plots of the training history."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bert_serving.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_history(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draws the loss, and the first metric that was measured on the validation rows, over the epochs.

    Args:
        history: one mapping for each epoch: epoch, loss, val_loss, and metrics such as accuracy and val_accuracy.
        path: the PNG file to write.

    Raises:
        ValueError: there are no epochs.
    """
    if not history:
        raise ValueError("history holds no epochs to draw")
    metric = _first_metric(history)
    panels = ["loss"] if metric is None else ["loss", metric]
    figure, axes = style.new_figure(4.6 * len(panels), 3.6, columns=len(panels))
    for axis, name in zip(axes, panels, strict=True):
        _draw_panel(axis, history, name)
    style.save(figure, path)


def _first_metric(history: Sequence[Mapping[str, float]]) -> str | None:
    names = [key.removeprefix("val_") for row in history for key in row if key.startswith("val_")]
    return next((name for name in names if name != "loss"), None)


def _draw_panel(axis: "Axes", history: Sequence[Mapping[str, float]], name: str) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  matplotlib takes a second to import

    epochs = np.asarray([row.get("epoch", number) for number, row in enumerate(history, start=1)], float)
    trained, validated = (np.asarray([row.get(key, np.nan) for row in history], float) for key in (name, f"val_{name}"))
    for values, split, label in ((trained, "train", "training"), (validated, "validation", "validation")):
        if np.isfinite(values).any():
            mark = "o" if len(history) <= 30 else ""
            axis.plot(epochs, values, marker=mark, markersize=4.5, color=style.SPLIT_COLORS[split], label=label)
    title = name.replace("_", " ")
    if np.isfinite(validated).any():
        lower = "loss" in name or "error" in name
        best = int(np.nanargmin(validated) if lower else np.nanargmax(validated))
        axis.plot(epochs[best], validated[best], "o", markersize=10, markerfacecolor="none", color=style.INK)
        style.set_title(axis, f"Validation {title}: best {validated[best]:.4g} (epoch {epochs[best]:.0f})")
    else:
        style.set_title(axis, f"Training {title}")
    axis.set(xlabel="epoch", ylabel=title)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.set_xlim(epochs.min() - 0.3, epochs.max() + 0.3)
    axis.margins(y=0.1)
    style.add_legend(axis)
