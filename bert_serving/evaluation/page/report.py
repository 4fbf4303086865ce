"""The page of `bert-serving report`: evaluation of a model on labeled rows."""

from collections.abc import Iterator

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.chance import CLEAR_GAIN
from bert_serving.evaluation.intervals import LEVEL, RESAMPLES
from bert_serving.evaluation.page.names import ReportNames
from bert_serving.evaluation.page.probabilities import calibration_section, thresholds_section
from bert_serving.evaluation.page.rows import TEXT_CHARACTERS, confusion_matrix, label_errors_table, rows_table
from bert_serving.evaluation.page.scores import comparison_section, scores_section, slices_section
from bert_serving.evaluation.page.verdicts import verdicts
from bert_serving.evaluation.report import Report
from bert_serving.html import curves
from bert_serving.html.page import Page, Section
from bert_serving.html.parts import Chart, Paragraph
from bert_serving.wording import shortened, shown_of

MOST_LOSSES, LEAST_LOSSES = 500, 100
MOST_LABEL_ERRORS = 500
CELL_ROWS, ALL_CELL_ROWS = 200, 3_000
"""rows of one cell of the confusion matrix, and of all cells together; each cell has one at least"""
MOST_POINTS = 3_000


def report_page(report: Report, names: ReportNames) -> Page:
    """Lays a report out."""
    compared = f" · compared with {names.other}" if names.other else ""
    return Page(
        title="Evaluation report",
        subtitle=f"{names.model} on {names.data}, {len(report.predictions):,} rows{compared}",
        sections=tuple(_sections(report, names)),
    )


def _sections(report: Report, names: ReportNames) -> Iterator[Section]:
    yield verdicts(report, names)
    yield scores_section(report, names)
    if report.comparison is not None:
        yield comparison_section(report, report.comparison, names)
    if report.predictions.head is Head.REGRESSION:
        yield _predicted_numbers(report)
    if "confusion_matrix" in report.metrics:
        yield _confusion(report)
    yield _losses(report)
    if report.label_errors is not None:
        yield _label_errors(report)
    yield slices_section(report)
    if report.calibration is not None:
        yield calibration_section(report, report.calibration, names)
    if report.thresholds:
        yield thresholds_section(report)
    yield _methods(report)


def _predicted_numbers(report: Report) -> Section:
    predictions = report.predictions
    chosen = np.arange(len(predictions))
    if len(chosen) > MOST_POINTS:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, MOST_POINTS, replace=False))
    points = [
        (float(predictions.y_true[row]), float(predictions.y_pred[row]), shortened(predictions.table.texts[row], 120))
        for row in chosen
    ]
    chart = Chart(curves.predicted_numbers(points), "Predicted against true values, a point for each row")
    lead = (
        f"On the diagonal predicted and true value are equal. Shown: {shown_of(len(points), len(predictions), 'row')}."
    )
    return Section("Predicted against true values", (chart,), lead)


def _confusion(report: Report) -> Section:
    counts = np.asarray(report.metrics["confusion_matrix"])
    matrix = confusion_matrix(report.predictions, counts, cell_rows=CELL_ROWS, all_cell_rows=ALL_CELL_ROWS)
    lead = "Rows by true label and predicted label. Click a cell, or press Enter on it, to see its texts."
    return Section("Confusion matrix", (matrix,), lead)


def _losses(report: Report) -> Section:
    predictions = report.predictions
    if predictions.head is Head.REGRESSION:
        title, lead = "Largest and smallest errors", "The absolute error: the distance from prediction to true value."
    else:
        title = "Rows by loss"
        lead = (
            "The loss is the negative logarithm of the true label's probability. A high loss points to confident errors, "
            "wrong labels and unusual texts."
        )
    order = predictions.by_loss
    parts = (
        rows_table(predictions, order, MOST_LOSSES, "highest first"),
        rows_table(predictions, order[::-1], LEAST_LOSSES, "lowest first"),
    )
    return Section(title, parts, lead)


def _label_errors(report: Report) -> Section:
    errors = report.label_errors
    lead = (
        "Rows whose label the model contradicts with unusual confidence (confident learning, by cleanlab). Read them: the "
        "label may be wrong, the text ambiguous, or the model mistaken."
    )
    if errors is None or not errors.suspicious:
        return Section("Label errors (confident learning)", (Paragraph("None."),), lead)
    table = label_errors_table(report.predictions, errors, MOST_LABEL_ERRORS)
    return Section("Label errors (confident learning)", (table,), lead)


def _methods(report: Report) -> Section:
    texts = [
        f"Rows are counted from 1 in the order of the files. This page cuts texts after {TEXT_CHARACTERS} characters; the "
        "model reads them up to its sequence length.",
        f"Intervals of scores and differences: {LEVEL:.0%} bootstrap over the rows, {RESAMPLES:,} resamples. "
        "Intervals of shares: Wilson.",
        "A model is better than chance if the Wilson interval of its accuracy lies above the share of the most frequent label, or "
        f"its mean recall is clearly above that of any constant answer (by {CLEAR_GAIN:.0%} of the way to 1); multilabel: micro F1 "
        "instead of the accuracy; regression: Spearman's correlation above 0, by the interval of Fisher's z.",
    ]
    if report.label_errors is not None:
        texts.append(
            "A model reproduces the labels of its training rows: probable label errors are meaningful only on rows that "
            "the model was not trained on."
        )
    return Section("Methods", tuple(Paragraph(text) for text in texts))
