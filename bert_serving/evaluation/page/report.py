"""The page of `bert-serving report`: what a model does well, and what it does not."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from bert_serving.contract import Head, Scaling
from bert_serving.evaluation.calibration import Calibration
from bert_serving.evaluation.comparison import Comparison
from bert_serving.evaluation.intervals import LEVEL, RESAMPLES
from bert_serving.evaluation.label_errors import LabelErrors
from bert_serving.evaluation.page.rows import TEXT_CHARACTERS, changes_table, label_errors_table, rows_table
from bert_serving.evaluation.page.verdicts import slice_rule, verdicts
from bert_serving.evaluation.page.words import Names, figure, out_of, p_value, spelled
from bert_serving.evaluation.report import Report
from bert_serving.evaluation.slices import Slice
from bert_serving.html import charts, curves
from bert_serving.html.page import Page, Section
from bert_serving.html.parts import Cell, Chart, Column, Facts, Matrix, Paragraph, Part, Table, shortened

MOST_LOSSES, LEAST_LOSSES = 500, 100
MOST_LABEL_ERRORS = 500
MOST_CHANGED = 300
"""of each kind of change"""
CELL_ROWS, ALL_CELL_ROWS = 200, 3_000
"""rows of one cell of the confusion matrix, and of all cells together; each cell has one at least"""
MOST_POINTS = 3_000


def report_page(report: Report, names: Names) -> Page:
    """Lays a report out."""
    rows = len(report.predictions)
    beside = f" · compared with {names.other}" if names.other else ""
    sections = [
        verdicts(report, names),
        _scores(report, names),
        *([_comparison(report, report.comparison, names)] if report.comparison is not None else []),
        *([_numbers(report)] if report.predictions.head is Head.REGRESSION else []),
        *([_confusion(report)] if "confusion_matrix" in report.metrics else []),
        _losses(report),
        *([_label_errors(report, report.label_errors)] if report.label_errors is not None else []),
        _slices(report),
        *([_calibration(report, report.calibration, names)] if report.calibration is not None else []),
        *([_thresholds(report)] if report.thresholds else []),
        _method(report),
    ]
    return Page(
        title="After training",
        subtitle=f"{names.model} on {names.data}, {rows:,} rows{beside}",
        sections=tuple(sections),
    )


# === Scores ===


def _scores(report: Report, names: Names) -> Section:
    scores = report.intervals.scores
    parts: list[Part] = [
        Facts([(spelled(name), figure(name, each.value)) for name, each in scores.items()]),
        Table(
            [Column("score"), Column("value", "number"), Column("from", "number"), Column("to", "number")],
            [[spelled(name), each.value, each.low, each.high] for name, each in scores.items()],
            caption=f"Scores on {names.data} with 95% intervals",
            filterable=False,
        ),
    ]
    if report.intervals.per_class:
        parts.append(_classes_table(report))
    lead = (
        "An interval says how far a score could lie elsewhere with other rows of the same kind. "
        "A difference between two models that is smaller than it may be chance."
    )
    return Section("Scores", tuple(parts), lead)


def _classes_table(report: Report) -> Table:
    columns = [Column("label", "label"), Column("rows", "number")]
    for name in ("precision", "recall", "F1"):
        columns += [Column(name, "bar" if name == "F1" else "number"), Column(f"{name} 95%")]
    rows: list[list[Cell]] = []
    for label, scores in report.intervals.per_class.items():
        row: list[Cell] = [label, int(report.metrics["per_class"][label]["support"])]
        for name in ("precision", "recall", "f1"):
            row += [scores[name].value, f"{scores[name].low:.3f} to {scores[name].high:.3f}"]
        rows.append(row)
    return Table(columns, rows, caption="Each label", filterable=len(rows) > 12, page_size=100)


# === Comparison ===


def _comparison(report: Report, found: Comparison, names: Names) -> Section:
    parts: list[Part] = [
        Table(
            [Column("score"), Column("difference", "number"), Column("from", "number"), Column("to", "number")],
            [[spelled(name), each.value, each.low, each.high] for name, each in found.differences.items()],
            caption=f"{names.other} minus {names.model}, with 95% intervals",
            filterable=False,
        )
    ]
    if report.predictions.head is not Head.REGRESSION:
        counts: list[list[Cell]] = [
            ["both right", found.both_right],
            [f"only {names.other} right", len(found.mended)],
            [f"only {names.model} right", len(found.broken)],
            ["both wrong", found.both_wrong],
        ]
        parts.append(
            Table(
                [Column("answer"), Column("rows", "number")], counts, caption="Rows by who is right", filterable=False
            )
        )
    parts.append(Paragraph(f"{found.test}: p {p_value(found.p_value)}, two-sided."))
    if any(len(rows) for rows in (found.mended, found.broken, found.otherwise)):
        parts.append(changes_table(report.predictions, found, names, MOST_CHANGED))
    else:
        parts.append(Paragraph("No answer changed."))
    return Section(
        "Comparison",
        tuple(parts),
        f"{names.model} against {names.other}, on the same rows: what changed, and whether it is more than chance.",
    )


# === Answers ===


def _numbers(report: Report) -> Section:
    predictions = report.predictions
    chosen = np.arange(len(predictions))
    if len(chosen) > MOST_POINTS:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, MOST_POINTS, replace=False))
    points = [
        (float(predictions.y_true[row]), float(predictions.y_pred[row]), shortened(predictions.table.texts[row], 120))
        for row in chosen
    ]
    chart = Chart(curves.predicted_numbers(points), "Predicted numbers against right numbers, a point for each row")
    lead = "On the diagonal both are equal. " + out_of("Points", len(points), len(predictions)) + "."
    return Section("Predicted against right numbers", (chart,), lead)


def _confusion(report: Report) -> Section:
    predictions, counts = report.predictions, np.asarray(report.metrics["confusion_matrix"])
    filled = np.argwhere(counts)
    most = min(CELL_ROWS, max(1, ALL_CELL_ROWS // len(filled)))
    order = np.argsort(-predictions.losses, kind="stable")
    cells = {}
    for true, predicted in filled.tolist():
        rows = order[(predictions.y_true[order] == true) & (predictions.y_pred[order] == predicted)]
        cells[true, predicted] = rows_table(predictions, rows, most, "highest loss first")
    matrix = Matrix(predictions.labels, counts.tolist(), "label", "answer", cells)
    lead = "How often a label (rows) got an answer (columns). A cell opens its texts, by click or with the Enter key."
    return Section("Confusion matrix", (matrix,), lead)


def _losses(report: Report) -> Section:
    predictions = report.predictions
    order = np.argsort(-predictions.losses, kind="stable")
    if predictions.head is Head.REGRESSION:
        title, lead = (
            "Largest and smallest residuals",
            "The distance of the prediction from the right number, in its unit.",
        )
    else:
        title = "Rows by loss"
        lead = (
            "The loss is the negative logarithm of the probability that the right label got. At the top stand confident "
            "mistakes, wrong labels and odd texts; at the bottom what the model finds easiest."
        )
    parts = (
        rows_table(predictions, order, MOST_LOSSES, "highest first"),
        rows_table(predictions, order[::-1], LEAST_LOSSES, "lowest first"),
    )
    return Section(title, parts, lead)


def _label_errors(report: Report, found: LabelErrors) -> Section:
    lead = (
        "Rows whose label the model contradicts more firmly than it does on average for this label (confident learning, by "
        "cleanlab). Read them: some labels are wrong, some texts are hard, some models are."
    )
    table = label_errors_table(report.predictions, found, MOST_LABEL_ERRORS)
    return Section("Probable label errors", (table if found.suspicious else Paragraph("None."),), lead)


def _slices(report: Report) -> Section:
    regression = report.predictions.head is Head.REGRESSION
    score = "mean distance" if regression else "right"
    kind: Literal["number", "percent"] = "number" if regression else "percent"
    columns = [
        Column("slice of", "label"),
        Column("value"),
        Column("rows", "number"),
        Column(score, kind),
        Column("from", kind),
        Column("to", kind),
        Column("the rest", kind),
        Column("corrected p"),
        Column("verdict", "label"),
    ]
    rows: list[list[Cell]] = [
        [
            each.group,
            each.name,
            len(each.rows),
            each.score.value,
            each.score.low,
            each.score.high,
            each.rest,
            p_value(each.p_value).removeprefix("= "),
            _slice_word(each),
        ]
        for each in report.slices
    ]
    return Section("Slices", (Table(columns, rows, caption="Slices of the rows", page_size=50),), slice_rule(report))


def _slice_word(each: Slice) -> str:
    if each.p_value is None:
        return "too few rows"
    return "falls short" if each.short else "fine"


# === Probabilities ===


def _calibration(report: Report, found: Calibration, names: Names) -> Section:
    both = {names.model: found}
    if report.other_calibration is not None:
        both[names.other] = report.other_calibration
    points = {
        name: [
            charts.Confidence(each.confidence, each.right.value, each.right.low, each.right.high, each.count)
            for each in shown.bins
        ]
        for name, shown in both.items()
    }
    columns = [
        Column("confidence from", "percent"),
        Column("to", "percent"),
        Column("answers", "number"),
        Column("mean confidence", "percent"),
        Column("right", "percent"),
        Column("right 95%"),
    ]
    rows: list[list[Cell]] = [
        [
            each.low,
            each.high,
            each.count,
            each.confidence,
            each.right.value,
            f"{each.right.low:.1%} to {each.right.high:.1%}",
        ]
        for each in found.bins
    ]
    multilabel = report.predictions.head is Head.MULTILABEL
    lead = (
        "Of the answers given with a confidence of 80%, 80% should be right. Under the diagonal the model is too sure of "
        "itself, above it not sure enough; a line shows the 95% interval. "
    ) + ("Every label of every row counts as an answer." if multilabel else "Confidence is the greatest probability.")
    parts: tuple[Part, ...] = (
        _calibration_facts(found, names.scaling),
        *([_calibration_table(both)] if len(both) > 1 else []),
        Chart(
            charts.reliability(points, lowest=0.5 if len(report.predictions.labels) == 2 and not multilabel else 0.0),
            "Reliability diagram: the share of right answers over the mean confidence",
        ),
        Table(columns, rows, caption=f"The bins of the diagram, {names.model}", filterable=False),
    )
    return Section("Calibration", parts, lead)


def _calibration_facts(found: Calibration, scaling: Scaling | None) -> Facts:
    pairs = [
        ("calibration error", f"{found.expected_error:.1%}"),
        ("mean confidence", f"{found.confidence:.1%}"),
        ("right", f"{found.right:.1%}"),
    ]
    if scaling is not None:
        pairs.append(("temperature", f"{scaling.temperature:.3f}"))
        pairs += [] if scaling.exponent == 1 else [("exponent", f"{scaling.exponent:.3f}")]
    return Facts(pairs)


def _calibration_table(both: Mapping[str, Calibration]) -> Table:
    titles = ("calibration error", "mean confidence", "right")
    rows: list[list[Cell]] = [[name, each.expected_error, each.confidence, each.right] for name, each in both.items()]
    return Table(
        [Column("model"), *(Column(title, "percent") for title in titles)],
        rows,
        caption="Both models",
        filterable=False,
    )


def _thresholds(report: Report) -> Section:
    hardest = sorted(report.thresholds, key=lambda curve: curve.average_precision)[: curves.MOST_PANELS]
    shown = [curve for curve in report.thresholds if curve in hardest]
    panels = [
        (curve.label, curve.thresholds, curve.precision, curve.recall, float(curve.thresholds[curve.best]))
        for curve in shown
    ]
    parts: list[Part] = [
        Chart(curves.precision_and_recall(panels), "Precision and recall of each label over the threshold")
    ]
    if len(shown) < len(report.thresholds):
        parts.append(
            Paragraph(f"Drawn: the {len(shown)} labels of {len(report.thresholds)} with the lowest average precision.")
        )
    columns = [
        Column("label", "label"),
        Column("rows", "number"),
        Column("average precision", "bar"),
        Column("best threshold", "number"),
        Column("precision there", "percent"),
        Column("recall there", "percent"),
        Column("F1 there", "number"),
    ]
    rows: list[list[Cell]] = [
        [
            curve.label,
            curve.rows,
            curve.average_precision,
            float(curve.thresholds[curve.best]),
            float(curve.precision[curve.best]),
            float(curve.recall[curve.best]),
            float(curve.f1[curve.best]),
        ]
        for curve in report.thresholds
    ]
    parts.append(
        Table(columns, rows, caption="The threshold with the greatest F1 for each label", filterable=len(rows) > 12)
    )
    if report.coverage is not None:
        each = report.coverage
        parts += [
            Paragraph("If answers under a confidence are withheld, fewer rows are answered, and more of them rightly:"),
            Chart(
                curves.answered_and_right(each.thresholds, each.answered, each.right),
                "Share of the rows answered, and of those right, over the least confidence of an answer",
            ),
        ]
    lead = (
        "What precision and recall of a label become if it is answered from a probability on, whatever the other labels get. "
        "The dashed line marks the greatest F1; a threshold chosen on these rows flatters itself a little on them."
    )
    return Section("Thresholds", tuple(parts), lead)


def _method(report: Report) -> Section:
    said = [
        f"Rows are counted from 1 in the order of the files. Texts over {TEXT_CHARACTERS} characters are cut here; the model "
        "read them up to its sequence length.",
        f"Intervals of scores and differences: {LEVEL:.0%} bootstrap over the rows, {RESAMPLES:,} resamples. "
        "Intervals of shares: Wilson.",
    ]
    if report.label_errors is not None:
        said.append(
            "A model that has learnt from a row repeats its label: probable label errors mean something only on rows that "
            "the model was not trained on."
        )
    return Section("How this was measured", tuple(Paragraph(text) for text in said))
