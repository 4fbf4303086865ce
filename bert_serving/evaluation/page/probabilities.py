"""Sections of the report's page: calibration and thresholds."""

import numpy as np

from bert_serving.contract import Head, Scaling
from bert_serving.evaluation.calibration import Calibration, CalibrationBin
from bert_serving.evaluation.page.names import ReportNames
from bert_serving.evaluation.report import Report
from bert_serving.evaluation.thresholds import ThresholdCurve
from bert_serving.html import charts, curves
from bert_serving.html.page import Section
from bert_serving.html.parts import Chart, Facts, Field, Paragraph, Part, SortableTable, table_of


def calibration_section(report: Report, calibration: Calibration, names: ReportNames) -> Section:
    """The reliability diagram and its bins."""
    models = {names.model: calibration}
    if report.other_calibration is not None:
        models[names.other] = report.other_calibration
    multilabel = report.predictions.head is Head.MULTILABEL
    lowest = 0.5 if len(report.predictions.labels) == 2 and not multilabel else 0.0
    points = {name: [_point(bin_) for bin_ in measured.bins] for name, measured in models.items()}
    chart = Chart(
        charts.reliability(points, lowest=lowest), "Reliability diagram: accuracy over the mean confidence of the bins"
    )
    lead = (
        "With calibrated probabilities, 80% of the predictions made with a confidence of 80% are correct. Below the diagonal "
        "the model is overconfident, above it underconfident; vertical lines show 95% intervals. "
    ) + (
        "Every label of every row counts as a prediction." if multilabel else "Confidence is the greatest probability."
    )
    parts: list[Part] = [_calibration_facts(calibration, names.scaling)]
    if len(models) > 1:
        parts.append(_models_table(models))
    parts += [chart, _bins_table(calibration, names.model)]
    return Section("Calibration", tuple(parts), lead)


def _point(bin_: CalibrationBin) -> charts.ReliabilityPoint:
    accuracy = bin_.accuracy
    return charts.ReliabilityPoint(bin_.confidence, accuracy.value, accuracy.low, accuracy.high, bin_.count)


def _calibration_facts(calibration: Calibration, scaling: Scaling | None) -> Facts:
    pairs = [
        ("expected calibration error", f"{calibration.expected_error:.1%}"),
        ("mean confidence", f"{calibration.confidence:.1%}"),
        ("accuracy", f"{calibration.accuracy:.1%}"),
    ]
    if scaling is not None:
        pairs.append(("temperature", f"{scaling.temperature:.3f}"))
        pairs += [] if scaling.exponent == 1 else [("exponent", f"{scaling.exponent:.3f}")]
    return Facts(pairs)


def _models_table(models: dict[str, Calibration]) -> SortableTable:
    fields: list[Field[str]] = [
        ("model", "text", lambda name: name),
        ("expected calibration error", "percent", lambda name: models[name].expected_error),
        ("mean confidence", "percent", lambda name: models[name].confidence),
        ("accuracy", "percent", lambda name: models[name].accuracy),
    ]
    return table_of(models, fields, "Calibration of both models", filterable=False)


def _bins_table(calibration: Calibration, model: str) -> SortableTable:
    fields: list[Field[CalibrationBin]] = [
        ("confidence from", "percent", lambda bin_: bin_.low),
        ("to", "percent", lambda bin_: bin_.high),
        ("predictions", "number", lambda bin_: bin_.count),
        ("mean confidence", "percent", lambda bin_: bin_.confidence),
        ("accuracy", "percent", lambda bin_: bin_.accuracy.value),
        ("95% interval", "text", lambda bin_: f"{bin_.accuracy.low:.1%} to {bin_.accuracy.high:.1%}"),
    ]
    return table_of(calibration.bins, fields, f"Bins of the reliability diagram, {model}", filterable=False)


def thresholds_section(report: Report) -> Section:
    """Precision and recall over the threshold of each label, and accuracy over the coverage."""
    lowest = sorted(report.thresholds, key=lambda curve: curve.average_precision)[: curves.MOST_PANELS]
    shown = [curve for curve in report.thresholds if curve in lowest]
    panels = [
        (curve.label, curve.thresholds, curve.precision, curve.recall, _at_best(curve, curve.thresholds))
        for curve in shown
    ]
    parts: list[Part] = [
        Chart(curves.precision_and_recall(panels), "Precision and recall of each label over its threshold")
    ]
    if fitted := report.predictions.thresholds:
        named = zip(report.predictions.labels, fitted, strict=True)
        decides = ", ".join(f"{label} {threshold:.3f}" for label, threshold in named)
        parts.append(Paragraph(f"The model decides by thresholds that were fitted on validation rows: {decides}."))
    if len(shown) < len(report.thresholds):
        labels = f"{len(shown)} labels of {len(report.thresholds)}"
        parts.append(Paragraph(f"The chart shows the {labels} with the lowest average precision."))
    parts.append(_thresholds_table(report.thresholds))
    if report.coverage is not None:
        curve = report.coverage
        text = "Rejecting predictions under a confidence threshold reduces the coverage and usually raises the accuracy of the rest:"
        chart = curves.coverage_and_accuracy(curve.thresholds, curve.coverage, curve.accuracy)
        parts += [Paragraph(text), Chart(chart, "Coverage, and accuracy of the covered rows, over the threshold")]
    lead = (
        "Precision and recall of a label that is predicted whenever its probability reaches the threshold. The dashed line "
        "marks the threshold with the highest F1, where it is not noise. Choose thresholds on other rows: here they look too good."
    )
    return Section("Thresholds", tuple(parts), lead)


def _thresholds_table(thresholds: tuple[ThresholdCurve, ...]) -> SortableTable:
    fields: list[Field[ThresholdCurve]] = [
        ("label", "label", lambda curve: curve.label),
        ("rows", "number", lambda curve: curve.rows),
        ("average precision", "bar", lambda curve: curve.average_precision),
        ("best threshold", "number", lambda curve: _at_best(curve, curve.thresholds)),
        ("precision", "percent", lambda curve: _at_best(curve, curve.precision)),
        ("recall", "percent", lambda curve: _at_best(curve, curve.recall)),
        ("F1", "number", lambda curve: _at_best(curve, curve.f1)),
    ]
    if any(curve.no_advice for curve in thresholds):
        fields.append(("no best threshold:", "text", lambda curve: curve.no_advice))
    caption = "Precision, recall and F1 at the threshold with the highest F1"
    return table_of(thresholds, fields, caption, filterable=len(thresholds) > 12)


def _at_best(curve: ThresholdCurve, values: np.ndarray) -> float | None:
    return None if curve.best is None else float(values[curve.best])
