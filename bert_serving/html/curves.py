"""Charts of thresholds, of coverage and of regression."""

from collections.abc import Sequence

import altair as alt
import numpy as np

from bert_serving.html.charts import CLASS_COLORS, GRAY, class_scale, diagonal, inline_data, many_rows, tooltips

MOST_PANELS = 12
_COLUMNS = 3
_PANEL = 250, 150
"""pixels, width and height"""
_THRESHOLD_TIPS = ("threshold", ".2f"), ("value", ".1%")


def precision_and_recall(
    curves: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray, float | None]],
) -> alt.FacetChart:
    """Precision and recall over the threshold, a panel for each label; a dashed line marks the best threshold.

    Args:
        curves: (label, thresholds, precision, recall, best threshold, or None for no line); NaN leaves a gap.
    """
    data = [
        {"label": label, "best": best, **point}
        for label, thresholds, precision, recall, best in curves
        for point in _points(thresholds, {"precision": precision, "recall": recall})
    ]
    base = alt.Chart(width=_PANEL[0], height=_PANEL[1])
    lines = base.mark_line(strokeWidth=2).encode(
        x=alt.X("threshold:Q", title="threshold", axis=alt.Axis(format=".1f", tickCount=5)),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5)),
        color=_curve_color(("precision", "recall")),
        tooltip=tooltips("label", "curve", *_THRESHOLD_TIPS),
    )
    # The mean of no numbers has no place on the axis, and the browser warns of it.
    marked = base.transform_filter("isValid(datum.best)").mark_rule(strokeDash=[4, 4], color=GRAY)
    rules = [marked.encode(x="mean(best):Q")] if any(curve[4] is not None for curve in curves) else []
    header = alt.Header(labelFontSize=13)
    facet = alt.Facet("label:N", title=None, sort=[curve[0] for curve in curves], header=header)
    return alt.layer(*rules, lines, data=many_rows(data)).facet(facet=facet, columns=_COLUMNS)


def coverage_and_accuracy(thresholds: np.ndarray, coverage: np.ndarray, accuracy: np.ndarray) -> alt.Chart:
    """Coverage, and accuracy of the covered rows, over the confidence threshold; NaN leaves a gap."""
    curves = {"coverage": coverage, "accuracy of the covered rows": accuracy}
    chart: alt.Chart = (
        alt.Chart(inline_data(_points(thresholds, curves)), width="container", height=260)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("threshold:Q", title="confidence threshold", axis=alt.Axis(format=".1f")),
            y=alt.Y("value:Q", title="share of the rows", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            color=_curve_color(tuple(curves)),
            tooltip=tooltips("curve", *_THRESHOLD_TIPS),
        )
    )
    return chart


def predicted_numbers(points: Sequence[tuple[float, float, str]]) -> alt.TopLevelMixin:
    """Predicted against true values of a regression; on the diagonal both are equal.

    Args:
        points: (true, predicted, text).
    """
    data = [{"true": true, "predicted": predicted, "text": text} for true, predicted, text in points]
    numbers = [number for true, predicted, _ in points for number in (true, predicted)]
    scale = alt.Scale(zero=False, padding=8)
    circles = alt.Chart(many_rows(data), width=480, height=440).mark_circle(
        size=28, opacity=0.55, color=CLASS_COLORS[0]
    )
    return alt.layer(
        diagonal(min(numbers), max(numbers), scale),
        circles.encode(
            x=alt.X("true:Q", title="true value", scale=scale),
            y=alt.Y("predicted:Q", title="predicted value", scale=scale),
            tooltip=tooltips(("true", ",.4~r"), ("predicted", ",.4~r"), "text"),
        ),
    )


def _points(thresholds: np.ndarray, curves: dict[str, np.ndarray]) -> list[dict[str, object]]:
    return [
        {"threshold": float(threshold), "curve": name, "value": float(value)}
        for name, values in curves.items()
        for threshold, value in zip(thresholds, values, strict=True)
        if np.isfinite(value)
    ]


def _curve_color(names: Sequence[str]) -> alt.Color:
    legend = alt.Legend(orient="top", labelLimit=300)
    return alt.Color("curve:N", scale=class_scale(names), title=None, legend=legend)
