"""`bert-serving report`: strengths and weaknesses of a trained model, as a page and as tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.options import (
    ModelArgument,
    RunLabelColumn,
    RunTextColumn,
    RunTextPairColumn,
    ServerLabels,
    label_columns,
    labels_option,
)
from bert_serving.cli.training.calibrate import show_fit
from bert_serving.console import command_observer, print_json, show_lines, show_reading, show_table
from bert_serving.contract import Head
from bert_serving.wording import counted, score_name

if TYPE_CHECKING:
    from bert_serving.evaluation.comparison import Comparison
    from bert_serving.evaluation.report import Report

PAGE = "report.html"
_MOST_SLICES = 10
_MOST_LABELS = 20


def report(
    model: ModelArgument,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Labeled text. Repeatable.", show_default="the test split of a run folder, else its validation split"
        ),
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="A second model to compare with on the same rows.", metavar="MODEL")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--slice", help="A column to slice the rows by. Repeatable.", metavar="COLUMN")
    ] = None,
    text: RunTextColumn = None,
    text_pair: RunTextPairColumn = None,
    label: RunLabelColumn = None,
    labels: ServerLabels = None,
    fit_temperature: Annotated[
        bool, typer.Option("--fit-temperature", help="Calibrate the run first, as bert-serving calibrate does.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Page to write.", show_default="report.html in the run folder, else here")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON; a page is written only with --out.")
    ] = False,
) -> None:
    """Report on a model: scores with confidence intervals, slices, calibration, label errors."""
    from bert_serving.extras import require

    require("reports", ("altair", "cleanlab", "jinja2", "vl_convert"), "report")
    from bert_serving.html.page import writable
    from bert_serving.model.model import is_run_folder
    from bert_serving.model.report import ReportInputs, ReportRows, check_rows_given

    check_rows_given(model, data or [])
    page = (
        None
        if as_json and out is None
        else writable(out or (Path(model) / PAGE if is_run_folder(model) else Path(PAGE)))
    )
    observer = command_observer(as_json=as_json)
    rows = ReportRows(data or [], columns or [], text, text_pair, label and label_columns(label))
    inputs = ReportInputs.read(model, rows, other=compare, labels=labels_option(labels), observer=observer)
    if fit_temperature:
        run, fit = inputs.fit_temperature(observer)
        if not as_json:
            show_fit(fit, run)
    result = inputs.report(observer)
    if page is not None:
        with observer.stage("Writing the page"):
            result.write(page)
    if as_json:
        show_reading(inputs.table.reading)
        print_json(result.report.to_json())
        return
    chance = result.report.chance
    if not chance.better:
        observer.note(f"{chance.finding()}. {chance.advice}")
    for note in result.notes:
        observer.note(note)
    _show(result.report, result.rows, model, compare)
    show_lines(f"\n  page: {page}")


def _show(report: "Report", rows: str, model: str, compare: str | None) -> None:
    scores = [
        [score_name(name), f"{interval.value:.4f}", f"{interval.low:.4f} to {interval.high:.4f}"]
        for name, interval in report.intervals.scores.items()
    ]
    show_table(
        f"Scores on {rows}, {counted(len(report.predictions), 'row')}", ("score", "value", "95% interval"), scores
    )
    _show_labels(report)
    _show_slices(report)
    if report.comparison is not None and compare is not None:
        _show_comparison(report.comparison, model, compare)
    if report.label_errors is not None:
        suspicious = report.label_errors.suspicious
        show_lines(f"\n  probable label errors: {suspicious:,} ({suspicious / len(report.predictions):.1%})")
    elif not report.chance.better and report.predictions.head is not Head.REGRESSION:
        show_lines("\n  probable label errors: not looked for, since the model is no better than chance")


def _show_labels(report: "Report") -> None:
    labels = sorted(report.intervals.per_class.items(), key=lambda item: item[1]["f1"].value)
    rows = [
        [
            label,
            f"{report.metrics['per_class'][label]['support']:,}",
            *(f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})" for score in scores.values()),
        ]
        for label, scores in labels[:_MOST_LABELS]
    ]
    if not rows:
        return
    title = "Each label, lowest F1 first"
    if len(rows) < len(labels):
        title = f"The {len(rows)} labels of {len(labels)} with the lowest F1"
    show_table(title, ("label", "rows", "precision", "recall", "F1"), rows)


def _show_slices(report: "Report") -> None:
    short = report.short_slices
    if not short:
        show_lines(f"\n  none of {len(report.slices)} slices is significantly worse than the rest")
        return
    is_regression = report.predictions.head is Head.REGRESSION

    def shown(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value:.3g}" if is_regression else f"{value:.1%}"

    rows = [
        [
            worse.group,
            worse.name,
            f"{len(worse.rows):,}",
            shown(worse.score.value),
            shown(worse.rest),
            f"{worse.p_value:.1e}",
        ]
        for worse in short[:_MOST_SLICES]
    ]
    score = "mean absolute error" if is_regression else "accuracy"
    title = f"Slices that are significantly worse: {len(short)} of {len(report.slices)}"
    show_table(title, ("slice of", "value", "rows", score, "the rest", "corrected p"), rows)


def _show_comparison(comparison: "Comparison", model: str, compare: str) -> None:
    rows = [
        [score_name(name), f"{interval.value:+.4f}", f"{interval.low:+.4f} to {interval.high:+.4f}"]
        for name, interval in comparison.differences.items()
    ]
    show_table(f"{compare} minus {model}", ("score", "difference", "95% interval"), rows)
    show_lines(
        f"  fixed predictions: {len(comparison.fixed):,}, regressed: {len(comparison.regressed):,}; "
        f"{comparison.test}: p = {comparison.p_value:.3g}"
    )
