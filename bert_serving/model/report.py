"""A report on a model's predictions for labeled rows, optionally against a second model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bert_serving import notebook
from bert_serving.config import DataConfig
from bert_serving.contract import Head, Scaling
from bert_serving.data.splits import check_labels, load_measured
from bert_serving.data.table import LabeledTable, read_table, table_sha256
from bert_serving.errors import InputError
from bert_serving.evaluation.page.names import ReportNames
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.report import Report, TextLengths, make_report
from bert_serving.model.facts import ModelFacts, check_comparable
from bert_serving.model.model import Model, is_run_folder, open_model, predict_table
from bert_serving.model.remote import check_given_labels
from bert_serving.names import version_number
from bert_serving.observer import Observer
from bert_serving.training.run_folder import RunFolder
from bert_serving.wording import score_name

if TYPE_CHECKING:
    from bert_serving.evaluation.temperature import TemperatureFit

_ON_TRAINING_ROWS = (
    "the model was trained on these rows: scores are too high and wrong labels are not detected; measure on other rows"
)
_SHOWN_FILES = 3


@dataclass(frozen=True)
class ReportRows:
    """Which rows to read.

    Attributes:
        files: labeled text; empty for the run's own test split, or its validation split if it has
            no test split.
        slices: further columns to slice the rows by.
        text: column of the text; None for the run's own, else "text".
        text_pair: column of the second text, for pairs; None for the run's own, else none.
        label: column of the label, or one of 0 and 1 for each label; None for the run's own, else "label".
    """

    files: Sequence[Path] = ()
    slices: Sequence[str] = ()
    text: str | None = None
    text_pair: str | None = None
    label: str | tuple[str, ...] | None = None

    def read(self, run: RunFolder | None, head: Head) -> tuple[str, LabeledTable]:
        """Reads the rows.

        Args:
            run: the model's run folder; None for other models.
            head: decides what a label is.

        Returns:
            description of the rows, and the rows.

        Raises:
            DataError: a file cannot be read or lacks a column.
        """
        columns = {name: getattr(self, name) for name in ("text", "text_pair", "label")}
        columns = {name: column for name, column in columns.items() if column is not None}
        data = None if run is None else run.config().data
        if not self.files and data is not None and run is not None:
            seed = run.config().training.seed
            split, table = load_measured(data.model_copy(update=columns), head, seed, self.slices)
            return f"its own {split} split", table
        if data is not None:
            columns = {name: getattr(data, name) for name in ("text", "text_pair", "label")} | columns
        described = DataConfig(train=tuple(self.files), **columns)
        shown = ", ".join(path.name for path in self.files[:_SHOWN_FILES])
        more = " ..." if len(self.files) > _SHOWN_FILES else ""
        return f"{shown}{more}", read_table(self.files, described, head, self.slices)


@dataclass(frozen=True)
class ModelReport:
    """A report with the names of what it compares.

    Attributes:
        report: the report.
        rows: description of the rows.
        names: short names of the model and of the second one; the second is empty if there is none.
        scaling: scaling of the model's logits; None if unknown.
        notes: warnings about the report.
    """

    report: Report
    rows: str
    names: tuple[str, str]
    scaling: Scaling | None
    notes: tuple[str, ...]

    def write(self, page: Path) -> None:
        """Writes the report as an HTML page.

        Raises:
            InputError: the page cannot be written.
        """
        from bert_serving.evaluation.page.report import report_page  # noqa: PLC0415  brings the charts

        names = ReportNames(self.names[0], self.rows, self.names[1], self.scaling, self.notes)
        report_page(self.report, names).write(page)

    def _repr_html_(self) -> str:
        rows = [
            (score_name(name), f"{value.value:.4f} ({value.low:.4f} to {value.high:.4f})")
            for name, value in self.report.intervals.scores.items()
        ]
        return notebook.facts(rows, f"{self.names[0]} on {self.rows}, with 95% intervals")


@dataclass(frozen=True)
class ReportInputs:
    """Everything that a report needs, read and checked before any model is loaded.

    Attributes:
        model: the model, as `open_model` takes it.
        other: the second model; None for none.
        head: what the models predict.
        given: names of all labels in order, as the user gave them; None if not.
        labels: names of all labels in order, as given or as a model tells; None if unknown.
        rows: description of the rows.
        table: the rows.
    """

    model: str
    other: str | None
    head: Head
    given: tuple[str, ...] | None
    labels: tuple[str, ...] | None
    rows: str
    table: LabeledTable

    @classmethod
    def read(
        cls,
        model: str,
        rows: ReportRows,
        *,
        other: str | None = None,
        labels: Sequence[str] | None = None,
        observer: Observer,
    ) -> Self:
        """Checks that the models can be compared and reads the rows.

        Args:
            model: the model, as `open_model` takes it.
            rows: the rows to read.
            other: a second model to compare with; None for none.
            labels: names of all labels in order, for a server that does not tell; None for those of
                the second model, else of the rows.
            observer: told of the progress.

        Raises:
            InputError: the models differ in head or labels, or the rows are not given for a model
                that is not a run folder.
            DataError: the rows cannot be read, or a label is not among the model's.
            RunFolderError, ExportError: a folder is damaged, or is not a SavedModel.
        """
        check_rows_given(model, rows.files)
        facts = [ModelFacts.read(name) for name in (model, other) if name is not None]
        check_comparable(facts[0], facts[-1])
        head = next((known.head for known in facts if known.head is not None), Head.SOFTMAX)
        known_labels = next((known.labels for known in facts if known.labels), None)
        given = tuple(labels) if labels else None
        for known in facts:
            check_given_labels(known.name, known.labels, given)
        all_labels = given or known_labels
        run = RunFolder(Path(model)) if is_run_folder(model) else None
        with observer.stage("Reading the data"):
            description, table = rows.read(run, head)
            if all_labels:
                check_labels(table, all_labels, head)
        return cls(model, other, head, given, all_labels, description, table)

    def fit_temperature(self, observer: Observer) -> tuple[RunFolder, "TemperatureFit"]:
        """Calibrates the run, as `training.calibrate.calibrate` does.

        Returns:
            the run folder and the fit.

        Raises:
            InputError: the model is not a run folder, or its head has no probabilities.
            RunFolderError: the run is incomplete, or its validation data has changed.
        """
        if not is_run_folder(self.model):
            raise InputError(f"{self.model}: --fit-temperature needs a run folder; give the folder that train wrote")
        from bert_serving.training.calibrate import calibrate  # noqa: PLC0415  imports TensorFlow

        run = RunFolder(Path(self.model))
        return run, calibrate(run, observer=observer)

    def report(self, observer: Observer) -> ModelReport:
        """Loads the models, predicts the rows and analyzes the predictions.

        Raises:
            InputError: a model cannot be opened, or its labels do not fit.
            RunFolderError, ExportError: a folder is incomplete or damaged.
        """
        with observer.stage("Loading the model"):
            model = open_model(self.model, self.given)
        with observer.stage("Predicting"):
            predictions = predict_table(model, self.table, head=self.head, labels=self.labels)
        other_predictions = None
        if self.other is not None:
            with observer.stage("Loading the second model"):
                other = open_model(self.other, self.given)
            with observer.stage("Predicting with the second model"):
                other_predictions = _with_label_order(
                    predict_table(other, self.table, head=self.head, labels=self.labels), predictions.labels
                )
        lengths = _text_lengths(model, self.table, observer)
        with observer.stage("Analyzing"):
            report = make_report(predictions, lengths=lengths, other=other_predictions)
        notes = (*self.table.reading.lines(), *([_ON_TRAINING_ROWS] if _was_trained_on(self.model, self.table) else []))
        return ModelReport(report, self.rows, _short_names(self.model, self.other or ""), model.scaling, notes)


def check_rows_given(model: str, files: Sequence[Path]) -> None:
    """Checks that rows to measure on are given: only run folders have rows of their own.

    Raises:
        InputError: they are not.
    """
    if not files and not is_run_folder(model):
        raise InputError(f"{model}: only a run folder has rows of its own; give labeled text with --data")


def _with_label_order(predictions: Predictions, labels: tuple[str, ...]) -> Predictions:
    """The same predictions with their columns in the order of `labels`."""
    if predictions.labels == labels:
        return predictions
    columns = [predictions.labels.index(label) for label in labels]
    thresholds = tuple(predictions.thresholds[column] for column in columns) if predictions.thresholds else ()
    return replace(predictions, labels=labels, values=predictions.values[:, columns], thresholds=thresholds)


def _text_lengths(model: Model, table: LabeledTable, observer: Observer) -> TextLengths | None:
    if model.lengths is None or model.sequence_length is None:
        return None
    with observer.stage("Counting tokens"):
        return TextLengths(model.lengths(table.texts, table.pairs), model.sequence_length)


def _was_trained_on(model: str, table: LabeledTable) -> bool:
    if not is_run_folder(model):
        return False
    return bool(RunFolder(Path(model)).facts()["data_sha256"].get("train") == table_sha256(table))


def _short_names(*models: str) -> tuple[str, str]:
    """Names for headings: the last part of a path, unless both would be the same."""
    first, second = (_short_name(model) for model in models)
    return (models[0], models[1]) if first == second else (first, second)


def _short_name(model: str) -> str:
    if "://" in model or not model:
        return model
    path = Path(model).resolve()
    return path.name if version_number(path.name) is None else f"{path.parent.name}/{path.name}"
