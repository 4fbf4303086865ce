"""Sections of the report's page: scores, the comparison of two models, slices."""

from bert_serving.contract import Head
from bert_serving.evaluation.comparison import Comparison
from bert_serving.evaluation.intervals import Interval
from bert_serving.evaluation.page.formats import p_value, score_value
from bert_serving.evaluation.page.names import ReportNames
from bert_serving.evaluation.page.rows import changes_table
from bert_serving.evaluation.page.verdicts import slice_rule
from bert_serving.evaluation.report import Report
from bert_serving.evaluation.slices import Slice
from bert_serving.html.page import Section
from bert_serving.html.parts import Column, Facts, Field, Kind, Paragraph, Part, SortableTable, table_of
from bert_serving.wording import score_name

MOST_CHANGED = 300
"""rows of each kind of change"""


def scores_section(report: Report, names: ReportNames) -> Section:
    """Scores with their intervals, for all rows and for each label."""
    scores = dict(report.intervals.scores)
    parts: list[Part] = [
        Facts([(score_name(name), score_value(name, score.value)) for name, score in scores.items()]),
        _intervals_table(scores, "value", f"Scores on {names.data} with 95% confidence intervals"),
    ]
    if report.intervals.per_class:
        parts.append(_labels_table(report))
    lead = (
        "The interval shows how much a score varies with the choice of rows. Two models whose scores differ by less "
        "may be equally good."
    )
    return Section("Scores", tuple(parts), lead)


def _intervals_table(scores: dict[str, Interval], title: str, caption: str) -> SortableTable:
    fields: list[Field[tuple[str, Interval]]] = [
        ("score", "text", lambda item: score_name(item[0])),
        (title, "number", lambda item: item[1].value),
        ("from", "number", lambda item: item[1].low),
        ("to", "number", lambda item: item[1].high),
    ]
    return table_of(scores.items(), fields, caption, filterable=False)


def _labels_table(report: Report) -> SortableTable:
    per_class, metrics = report.intervals.per_class, report.metrics["per_class"]

    def bounds(label: str, score: str) -> str:
        return f"{per_class[label][score].low:.3f} to {per_class[label][score].high:.3f}"

    fields: list[Field[str]] = [
        ("label", "label", lambda label: label),
        ("rows", "number", lambda label: int(metrics[label]["support"])),
        ("precision", "number", lambda label: per_class[label]["precision"].value),
        ("precision, 95% interval", "text", lambda label: bounds(label, "precision")),
        ("recall", "number", lambda label: per_class[label]["recall"].value),
        ("recall, 95% interval", "text", lambda label: bounds(label, "recall")),
        ("F1", "bar", lambda label: per_class[label]["f1"].value),
        ("F1, 95% interval", "text", lambda label: bounds(label, "f1")),
    ]
    return table_of(per_class, fields, "Scores by label", filterable=len(per_class) > 12, page_size=100)


def comparison_section(report: Report, comparison: Comparison, names: ReportNames) -> Section:
    """The differences between two models, and the predictions in which they differ."""
    caption = f"{names.other} minus {names.model}, with 95% confidence intervals"
    parts: list[Part] = [_intervals_table(comparison.differences, "difference", caption)]
    if report.predictions.head is not Head.REGRESSION:
        counts = [
            ("both correct", comparison.both_correct),
            (f"fixed: only {names.other} correct", len(comparison.fixed)),
            (f"regressed: only {names.model} correct", len(comparison.regressed)),
            ("both incorrect", comparison.both_incorrect),
        ]
        columns = [Column("prediction"), Column("rows", "number")]
        parts.append(SortableTable(columns, counts, "Fixed and regressed rows", filterable=False))
    parts.append(Paragraph(f"{comparison.test}: p {p_value(comparison.p_value)}, two-sided."))
    changes = changes_table(report.predictions, comparison, names, MOST_CHANGED)
    parts.append(changes if changes.rows else Paragraph("No prediction changed."))
    lead = f"{names.model} against {names.other} on the same rows: what changed, and whether the difference is significant."
    return Section("Comparison", tuple(parts), lead)


def slices_section(report: Report) -> Section:
    """All slices with their scores and tests."""
    regression = report.predictions.head is Head.REGRESSION
    kind: Kind = "number" if regression else "percent"
    fields: list[Field[Slice]] = [
        ("slice by", "label", lambda part: part.group),
        ("value", "text", lambda part: part.name),
        ("rows", "number", lambda part: len(part.rows)),
        ("mean absolute error" if regression else "accuracy", kind, lambda part: part.score.value),
        ("from", kind, lambda part: part.score.low),
        ("to", kind, lambda part: part.score.high),
        ("rest of the rows", kind, lambda part: part.rest),
        ("corrected p", "text", lambda part: p_value(part.p_value).removeprefix("= ")),
        ("result", "label", _slice_result),
    ]
    return Section("Slices", (table_of(report.slices, fields, "Slices of the rows", page_size=50),), slice_rule(report))


def _slice_result(part: Slice) -> str:
    if part.p_value is None:
        return "too few rows"
    return "lower" if part.short else "not lower"
