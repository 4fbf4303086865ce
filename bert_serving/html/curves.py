"""Charts of thresholds and of predicted numbers."""

from collections.abc import Sequence

import altair as alt
import numpy as np

from bert_serving.html.charts import CLASS_COLORS, class_scale, many_rows

MOST_PANELS = 12
_COLUMNS = 3
_PANEL = 250, 150
"""pixels, width and height"""


def precision_and_recall(curves: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray, float]]) -> alt.FacetChart:
    """Precision and recall over the threshold, a panel for each label; a rule marks the best threshold.

    Args:
        curves: (label, thresholds, precision, recall, best threshold); NaN leaves a gap.
    """
    data = [
        {"label": label, "threshold": float(at), "score": name, "value": float(value), "best": best}
        for label, thresholds, precision, recall, best in curves
        for name, values in (("precision", precision), ("recall", recall))
        for at, value in zip(thresholds, values, strict=True)
        if np.isfinite(value)
    ]
    base = alt.Chart(width=_PANEL[0], height=_PANEL[1])
    lines = base.mark_line(strokeWidth=2).encode(
        x=alt.X("threshold:Q", title="threshold", axis=alt.Axis(format=".1f", tickCount=5)),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5)),
        color=alt.Color(
            "score:N", scale=class_scale(("precision", "recall")), title=None, legend=alt.Legend(orient="top")
        ),
        tooltip=[
            alt.Tooltip("label:N"),
            alt.Tooltip("score:N"),
            alt.Tooltip("threshold:Q", format=".2f"),
            alt.Tooltip("value:Q", format=".1%"),
        ],
    )
    rule = base.mark_rule(strokeDash=[4, 4], color="#8C8C8C").encode(x="mean(best):Q")
    panels = alt.layer(rule, lines, data=many_rows(data))
    return panels.facet(
        facet=alt.Facet(
            "label:N", title=None, sort=[curve[0] for curve in curves], header=alt.Header(labelFontSize=13)
        ),
        columns=_COLUMNS,
    )


def answered_and_right(thresholds: np.ndarray, answered: np.ndarray, right: np.ndarray) -> alt.Chart:
    """Share of the rows answered, and share of the answers that is right, over the least confidence; NaN leaves a gap."""
    names = ("answered", "right among the answered")
    data = [
        {"threshold": float(at), "share of": name, "value": float(value)}
        for name, values in zip(names, (answered, right), strict=True)
        for at, value in zip(thresholds, values, strict=True)
        if np.isfinite(value)
    ]
    return (
        alt.Chart(alt.Data(values=data), width="container", height=260)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("threshold:Q", title="least confidence of an answer", axis=alt.Axis(format=".1f")),
            y=alt.Y("value:Q", title="share of the rows", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            color=alt.Color(
                "share of:N", scale=class_scale(names), title=None, legend=alt.Legend(orient="top", labelLimit=300)
            ),
            tooltip=[
                alt.Tooltip("share of:N"),
                alt.Tooltip("threshold:Q", format=".2f"),
                alt.Tooltip("value:Q", format=".1%"),
            ],
        )
    )


def predicted_numbers(points: Sequence[tuple[float, float, str]]) -> alt.TopLevelMixin:
    """Predicted against right numbers; on the diagonal both are equal.

    Args:
        points: (right, predicted, text).
    """
    data = [{"right": right, "predicted": predicted, "text": text} for right, predicted, text in points]
    numbers = [number for right, predicted, _ in points for number in (right, predicted)]
    edges = [{"at": min(numbers)}, {"at": max(numbers)}]
    scale = alt.Scale(zero=False, padding=8)
    diagonal = alt.Chart(alt.Data(values=edges)).mark_line(strokeDash=[5, 4], strokeWidth=1.2)
    circles = alt.Chart(many_rows(data), width=480, height=440).mark_circle(
        size=28, opacity=0.55, color=CLASS_COLORS[0]
    )
    return alt.layer(
        diagonal.encode(x=alt.X("at:Q", scale=scale), y=alt.Y("at:Q", scale=scale), color=alt.value("#8C8C8C")),
        circles.encode(
            x=alt.X("right:Q", title="right number", scale=scale),
            y=alt.Y("predicted:Q", title="predicted number", scale=scale),
            tooltip=[
                alt.Tooltip("right:Q", format=",.4~r"),
                alt.Tooltip("predicted:Q", format=",.4~r"),
                alt.Tooltip("text:N"),
            ],
        ),
    )
