"""Plots of a search for better values of a run file's keys."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_serving.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_WIDTH = 30
_COLUMNS = 3
# More whole numbers than these are drawn on an axis of numbers.
_MOST_NAMES = 8


def draw_trials(trials: Sequence[Mapping[str, Any]], metric: str, better: str, path: Path) -> None:
    """Draws the score of each trial and the best so far; of a pruned trial its last score.

    Args:
        trials: rows with `trial`, `score` and `validation` (scores by epoch), as `Tuning.trials` has them.
        metric: name of the score.
        better: "higher" or "lower".
        path: the PNG file to write.
    """
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  matplotlib takes a second to import

    complete = [row for row in trials if row["score"] is not None]
    pruned = [row for row in trials if row["state"] == "pruned" and row["validation"]]
    figure, (axis,) = style.new_figure(6.4, 3.8)
    numbers, scores = [row["trial"] for row in complete], [row["score"] for row in complete]
    best = np.minimum.accumulate(scores) if better == "lower" else np.maximum.accumulate(scores)
    axis.step(numbers, best, where="post", color=style.ORANGE, label="best so far")
    axis.plot(numbers, scores, "o", markersize=5, color=style.BLUE, label="complete")
    if pruned:
        last = [row["validation"][-1] for row in pruned]
        axis.plot([row["trial"] for row in pruned], last, "x", color=style.QUIET, label="pruned, last epoch")
    axis.set(xlabel="trial", ylabel=f"{metric} on validation ({better} is better)")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    style.set_title(axis, f"Best {metric}: {best[-1]:.4g}")
    style.add_legend(axis, below=True, columns=3)
    style.save(figure, path)


def draw_importances(importances: Mapping[str, float], path: Path) -> None:
    """Draws the share of each key in the spread of the scores.

    Args:
        importances: shares that add up to 1, by key.
        path: the PNG file to write.
    """
    keys = sorted(importances, key=lambda key: -importances[key])
    figure, (axis,) = style.new_figure(6.4, 1.2 + 0.34 * len(keys), grid="x")
    axis.barh(range(len(keys)), [100 * importances[key] for key in keys], color=style.BLUE)
    style.label_rows(axis, keys, _LABEL_WIDTH)
    axis.set(xlabel="share of the spread of the scores (%)", xlim=(0, 100))
    style.set_title(axis, "Importance of the keys (fANOVA)")
    style.save(figure, path)


def draw_slices(
    trials: Sequence[Mapping[str, Any]], keys: Sequence[str], logs: Sequence[str], metric: str, path: Path
) -> None:
    """Draws the scores over the values of each key; later trials are darker.

    Args:
        trials: rows with `trial`, `score` and `values`, as `Tuning.trials` has them.
        keys: in the order of the panels.
        logs: keys with a logarithmic axis.
        metric: name of the score.
        path: the PNG file to write.
    """
    complete = [row for row in trials if row["score"] is not None]
    columns = min(_COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    figure, axes = style.new_figure(3.2 * columns, 2.9 * rows, columns=columns, rows=rows)
    numbers = [row["trial"] for row in complete]
    for axis, key in zip(axes, keys, strict=False):
        places = _placed(axis, [row["values"][key] for row in complete], is_log=key in logs)
        axis.scatter(places, [row["score"] for row in complete], c=numbers, cmap="Blues", vmin=-len(numbers), s=26)
        axis.set(xlabel=key, ylabel=metric)
        axis.margins(0.08)
    for axis in axes[len(keys) :]:
        axis.set_visible(False)
    style.save(figure, path)


def _placed(axis: "Axes", values: Sequence[Any], *, is_log: bool) -> list[float]:
    """Where on the axis each value is drawn: numbers at their place, a few whole numbers and words side by side."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415  slow to import

    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        distinct = sorted(set(values))
        if any(isinstance(value, float) for value in values) or len(distinct) > _MOST_NAMES:
            if is_log:
                axis.set_xscale("log")
                axis.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=6))
                axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.xaxis.set_minor_formatter(NullFormatter())
            return list(values)
        names = [str(value) for value in distinct]
    else:
        names = sorted({str(value) for value in values})
    axis.set_xticks(range(len(names)), [style.abridged(name, 12) for name in names])
    axis.set_xlim(-0.5, len(names) - 0.5)
    return [names.index(str(value)) for value in values]
