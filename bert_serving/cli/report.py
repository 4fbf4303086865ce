"""`bert-serving report`: what a model does well and what it does not, as a page and in the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving import contract
from bert_serving.cli.calibrate import show_fit
from bert_serving.cli.display import ConsoleObserver, console, print_json, show_table, spelled
from bert_serving.cli.model_argument import MODEL_HELP, Model, answers, open_model
from bert_serving.contract import Head
from bert_serving.data.splits import label_array
from bert_serving.errors import InputError

if TYPE_CHECKING:
    from bert_serving.config import RunConfig
    from bert_serving.data.table import LabeledTable
    from bert_serving.evaluation.comparison import Comparison
    from bert_serving.evaluation.predictions import Predictions
    from bert_serving.evaluation.report import Report
    from bert_serving.observer import Observer

PAGE = "report.html"
_MOST_SLICES = 10
_MOST_LABELS = 20
_ON_TRAINING_ROWS = (
    "these are the rows that the model was trained on: scores are too good and wrong labels hide; measure on other rows"
)


@dataclass(frozen=True)
class _Wanted:
    """The options that say which rows to read."""

    data: list[Path]
    columns: list[str]
    text: str | None
    text_pair: str | None
    label: str | None


@dataclass(frozen=True)
class _Kind:
    """What a model answers; None where only the model itself could tell."""

    head: Head | None = None
    labels: tuple[str, ...] | None = None


def report(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
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
    text: Annotated[
        str | None, typer.Option(help="Name of the text column.", show_default="the run's own, else text")
    ] = None,
    text_pair: Annotated[
        str | None, typer.Option(help="Name of the second text column, for pairs.", show_default="the run's own")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Name of the label column.", show_default="the run's own, else label")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="For a server: all labels in order, joined by commas.")] = None,
    fit_temperature: Annotated[
        bool, typer.Option("--fit-temperature", help="Calibrate the run first, as bert-serving calibrate does.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Page to write.", show_default="report.html in the run folder, else here")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON; a page is written with --out only.")
    ] = False,
) -> None:
    """Look at what a trained model does well and what it does not."""
    from bert_serving.extras import require
    from bert_serving.observer import Observer

    require("reports", ("altair", "cleanlab", "jinja2", "vl_convert"), "report")
    from bert_serving.html.page import writable

    is_run = (Path(model) / contract.RUN_FILE).is_file()
    if not is_run and not data:
        raise InputError(f"{model}: only a run folder brings rows of its own; name labeled text with --data")
    page = None if as_json and out is None else writable(out or (Path(model) / PAGE if is_run else Path(PAGE)))
    observer = Observer() if as_json else ConsoleObserver()
    kinds = [_kind(each) for each in (model, compare) if each is not None]
    _check_alike([model, compare or ""], kinds)
    head = next((kind.head for kind in kinds if kind.head is not None), Head.SOFTMAX)
    known = next((kind.labels for kind in kinds if kind.labels), None)
    # A server's labels are those named, else those of the model that it is compared with.
    names = tuple(labels.split(",")) if labels else known
    with observer.stage("Reading the data"):
        name, table = _read(model, _Wanted(data or [], columns or [], text, text_pair, label), head, is_run=is_run)
        if known or names:
            label_array(table.labels, known or names or (), head)  # an unknown label shows before the long work
    if fit_temperature:
        _calibrate(model, observer, is_run=is_run, shown=not as_json)
    with observer.stage("Loading the model"):
        first = open_model(model)
    with observer.stage("Predicting"):
        predictions = answers(model, first, table, head, names)
    other = None
    if compare is not None:
        with observer.stage("Loading the second model"):
            second = open_model(compare)
        with observer.stage("Predicting with the second model"):
            other = _in_order(answers(compare, second, table, head, names), predictions.labels)
    found = _analysed(predictions, other, first, observer)
    notes = (_ON_TRAINING_ROWS,) if is_run and _trained_on(Path(model), table) else ()
    if page is not None:
        from bert_serving.evaluation.page.names import ReportNames
        from bert_serving.evaluation.page.report import report_page

        with observer.stage("Writing the page"):
            shown = _short_names(model, compare)
            report_page(found, ReportNames(shown[0], name, shown[1], first.scaling, notes)).write(page)
    if as_json:
        print_json(found.to_json())
        return
    for note in notes:
        observer.note(note)
    _show(found, name, model, compare)
    console.print(f"\n  page: {page}", soft_wrap=True, markup=False)


# === Rows and answers ===


def _calibrate(model: str, observer: "Observer", *, is_run: bool, shown: bool) -> None:
    if not is_run:
        raise InputError(f"{model}: --fit-temperature needs a run folder; give the folder that train wrote")
    from bert_serving.training.calibrate import calibrate
    from bert_serving.training.run_folder import RunFolder

    run = RunFolder(Path(model))
    fit = calibrate(run, observer=observer)
    if shown:
        show_fit(fit, run)


def _kind(model: str) -> _Kind:
    """What can be known of a model without loading it."""
    path = Path(model)
    if (path / contract.RUN_FILE).is_file():
        from bert_serving.training.run_folder import RunFolder

        run = RunFolder(path)
        return _Kind(run.config().head.kind, run.labels())
    if "://" in model or not path.is_dir():
        return _Kind()
    from bert_serving.saved_model.manifest import load_manifest
    from bert_serving.saved_model.versions import latest_version

    manifest = load_manifest(latest_version(path))
    return _Kind() if manifest is None else _Kind(manifest.head, manifest.labels)


def _check_alike(models: Sequence[str], kinds: Sequence[_Kind]) -> None:
    """Two models can be compared when they answer the same question."""
    heads = {kind.head for kind in kinds if kind.head is not None}
    if len(heads) > 1 and not heads <= {Head.SOFTMAX, Head.BINARY}:
        raise InputError(
            f"{models[0]} has a {kinds[0].head} head, {models[1]} a {kinds[1].head} head; compare models of one kind"
        )
    known = [set(kind.labels) for kind in kinds if kind.labels is not None]
    differing = sorted(known[0] ^ known[-1]) if known else []
    if differing:
        raise InputError(
            f"{models[0]} and {models[1]} have different labels ({', '.join(map(repr, differing[:5]))}"
            f"{' ...' if len(differing) > 5 else ''}); compare models with the same labels"
        )


def _read(model: str, wanted: _Wanted, head: Head, *, is_run: bool) -> tuple[str, "LabeledTable"]:
    """The rows, and what to call them."""
    from bert_serving.config import DataConfig
    from bert_serving.data.splits import load_measured
    from bert_serving.data.table import read_table

    config = _config(model) if is_run else None
    named = {key: value for key in ("text", "text_pair", "label") if (value := getattr(wanted, key)) is not None}
    if not wanted.data and config is not None:
        split, table = load_measured(config.data.model_copy(update=named), head, config.training.seed, wanted.columns)
        return f"its own {split} split", table
    names = {} if config is None else {key: getattr(config.data, key) for key in ("text", "text_pair", "label")}
    described = DataConfig(train=tuple(wanted.data), **(names | named))
    shown = ", ".join(path.name for path in wanted.data[:3]) + (" ..." if len(wanted.data) > 3 else "")
    return shown, read_table(wanted.data, described, head, wanted.columns)


def _config(model: str) -> "RunConfig":
    from bert_serving.training.run_folder import RunFolder

    return RunFolder(Path(model)).config()


def _in_order(predictions: "Predictions", labels: tuple[str, ...]) -> "Predictions":
    """The same answers with their columns in the order of `labels`."""
    from bert_serving.evaluation.predictions import Predictions

    if predictions.labels == labels:
        return predictions
    places = [predictions.labels.index(label) for label in labels]
    return Predictions(predictions.head, labels, predictions.table, predictions.values[:, places])


def _trained_on(run: Path, table: "LabeledTable") -> bool:
    from bert_serving.data.table import table_sha256
    from bert_serving.training.run_folder import RunFolder

    return RunFolder(run).facts()["data_sha256"].get("train") == table_sha256(table)


def _analysed(predictions: "Predictions", other: "Predictions | None", model: Model, observer: "Observer") -> "Report":
    from bert_serving.evaluation.report import TextLengths, make_report

    table, lengths = predictions.table, None
    if model.lengths is not None and model.sequence_length is not None:
        with observer.stage("Counting tokens"):
            lengths = TextLengths(model.lengths(table.texts, table.pairs), model.sequence_length)
    with observer.stage("Analysing"):
        return make_report(predictions, lengths=lengths, other=other)


def _short_names(model: str, compare: str | None) -> tuple[str, str]:
    """Names for headings: the last part of a path, unless both would be called the same."""
    names = [_short_name(each) for each in (model, compare or "")]
    return (model, compare or "") if names[0] == names[1] else (names[0], names[1])


def _short_name(model: str) -> str:
    if "://" in model or not model:
        return model
    path = Path(model).resolve()
    return f"{path.parent.name}/{path.name}" if path.name.isdigit() else path.name


# === The terminal ===


def _show(found: "Report", name: str, model: str, compare: str | None) -> None:
    rows = [
        [spelled(score), f"{each.value:.4f}", f"{each.low:.4f} to {each.high:.4f}"]
        for score, each in found.intervals.scores.items()
    ]
    show_table(f"Scores on {name}, {len(found.predictions):,} rows", ("score", "value", "95% interval"), rows)
    _show_labels(found)
    _show_slices(found)
    if found.comparison is not None and compare is not None:
        _show_comparison(found.comparison, model, compare)
    if found.label_errors is not None:
        share = found.label_errors.suspicious / len(found.predictions)
        console.print(f"\n  probable label errors: {found.label_errors.suspicious:,} ({share:.1%})", markup=False)


def _show_labels(found: "Report") -> None:
    worst = sorted(found.intervals.per_class.items(), key=lambda item: item[1]["f1"].value)[:_MOST_LABELS]
    rows = [
        [
            label,
            f"{found.metrics['per_class'][label]['support']:,}",
            *(f"{scores[name].value:.3f} ({scores[name].low:.3f} to {scores[name].high:.3f})" for name in scores),
        ]
        for label, scores in worst
    ]
    if not rows:
        return
    total = len(found.intervals.per_class)
    title = (
        "Each label, lowest F1 first" if total == len(rows) else f"The {len(rows)} labels of {total} with the lowest F1"
    )
    show_table(title, ("label", "rows", "precision", "recall", "F1"), rows)


def _show_slices(found: "Report") -> None:
    short = found.short_slices
    if not short:
        console.print(f"\n  no slice of {len(found.slices)} scores significantly lower than the rest", markup=False)
        return
    regression = found.predictions.head is Head.REGRESSION

    def shown(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value:.3g}" if regression else f"{value:.1%}"

    rows = [
        [each.group, each.name, f"{len(each.rows):,}", shown(each.score.value), shown(each.rest), f"{each.p_value:.1e}"]
        for each in short[:_MOST_SLICES]
    ]
    score = "mean absolute error" if regression else "accuracy"
    title = f"Slices that score significantly lower: {len(short)} of {len(found.slices)}"
    show_table(title, ("slice of", "value", "rows", score, "rest", "corrected p"), rows)


def _show_comparison(comparison: "Comparison", model: str, compare: str) -> None:
    rows = [
        [spelled(score), f"{each.value:+.4f}", f"{each.low:+.4f} to {each.high:+.4f}"]
        for score, each in comparison.differences.items()
    ]
    show_table(f"{compare} minus {model}", ("score", "difference", "95% interval"), rows)
    console.print(
        f"  fixed predictions: {len(comparison.fixed):,}, regressed: {len(comparison.regressed):,}; "
        f"{comparison.test}: p = {comparison.p_value:.3g}",
        soft_wrap=True,
        markup=False,
    )
