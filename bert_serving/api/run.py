"""A training run: from a run file to a trained and evaluated classifier."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_serving import notebook
from bert_serving.api.classifier import TextClassifier
from bert_serving.api.predictor import Predictor, Scores
from bert_serving.api.progress import observer_of
from bert_serving.config import RunConfig, load_run_file
from bert_serving.errors import InputError
from bert_serving.extras import require
from bert_serving.model.model import Model
from bert_serving.observer import Observer
from bert_serving.run_file import parse_tables
from bert_serving.saved_model.manifest import EncoderOrigin
from bert_serving.training.run_folder import HISTORY, METRICS, SEEDS, RunFolder
from bert_serving.wording import score_name

if TYPE_CHECKING:
    from bert_serving.classifier import Classifier
    from bert_serving.explanation.attribution import Explanation
    from bert_serving.model.report import ModelReport
    from bert_serving.training.run import Trained

# ruff: noqa: PLC0415
# TensorFlow is imported when something needs it.


class Run(Predictor):
    """A complete run folder: scores, history, and the classifier with the best epoch's weights.

    `train` and `load` make one.

    Attributes:
        folder: the run folder.

    ```python
    import bert_serving as bs

    run = bs.load("runs/tiny")
    print(run.labels, run.scores["accuracy"], run.config.training.epochs)
    print([(row["epoch"], row["loss"]) for row in run.history])
    ```
    """

    def __init__(self, folder: RunFolder, trained: "Trained | None" = None):
        """Opens a run folder.

        Args:
            folder: of a complete run.
            trained: the run in memory, right after training.

        Raises:
            RunFolderError: the folder is not a run folder, or the run is not complete.
        """
        folder.config()
        folder.check_complete(METRICS)
        self.folder = folder
        self._trained = trained

    @property
    def path(self) -> Path:
        """Path of the run folder."""
        return self.folder.path

    @property
    def config(self) -> RunConfig:
        """The run file, with every key resolved."""
        return self.folder.config()

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the probabilities in order; empty for a regression."""
        return self.folder.labels()

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Scores of the validation and test split and of the baselines, as metrics.json has them."""
        metrics: dict[str, Any] = self.folder.read_json(METRICS)
        return metrics

    @property
    def scores(self) -> dict[str, Any]:
        """Scores on the test split, or on the validation split of a run without test data."""
        return Scores(self.metrics["test" if "test" in self.metrics else "validation"])

    @cached_property
    def seeds(self) -> dict[str, Any] | None:
        """Scores of all seeds, their mean and deviation, as seeds.json has them; None for a run of one seed."""
        if not (self.path / SEEDS).is_file():
            return None
        seeds: dict[str, Any] = self.folder.read_json(SEEDS)
        return seeds

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """A row for each epoch: loss, validation scores, seconds, rows per second."""
        history: list[dict[str, Any]] = self.folder.read_json(HISTORY)
        return history

    @cached_property
    def classifier(self) -> TextClassifier:
        """The classifier in memory."""
        if self._trained is not None:
            classifier = self._trained.classifier
        else:
            from bert_serving.training.loading import load_classifier

            classifier = load_classifier(self.folder)
        encoder = {
            name: value for name, value in self.folder.facts()["encoder"].items() if name in EncoderOrigin.model_fields
        }
        return TextClassifier(classifier, EncoderOrigin(**encoder))

    @property
    def in_memory(self) -> "Classifier | None":
        """The classifier's parts, if they are loaded already."""
        if self._trained is not None:
            return self._trained.classifier
        return self.classifier.classifier if "classifier" in vars(self) else None

    def report(
        self,
        data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        *,
        compare: "str | os.PathLike[str] | Run | None" = None,
        slices: Sequence[str] = (),
        to: str | os.PathLike[str] | None = None,
        progress: bool | Observer | None = None,
    ) -> "ModelReport":
        """Analyzes the predictions: confidence intervals, slices, calibration, probable label errors, a comparison.

        Args:
            data: files of labeled rows with the columns of the run file; None for the run's own test or validation split.
            compare: a second model to compare with on the same rows: a run, or a path or an address.
            slices: further columns to slice the rows by.
            to: HTML page to write.
            progress: whether to print the progress, or an observer; None prints it in a notebook and on a terminal.

        Raises:
            InputError: the extra `report` is not installed, or the models cannot be compared.
            DataError: the rows cannot be read.

        ```python
        import bert_serving as bs

        report = bs.load("runs/tiny").report(to="report.html")
        print(report.report.intervals.scores["accuracy"])
        ```
        """
        require("reports", ("altair", "cleanlab", "jinja2", "vl_convert"), "report")
        from bert_serving.html.page import writable
        from bert_serving.model.report import ReportInputs, ReportRows

        page = None if to is None else writable(Path(to))
        observer = observer_of(progress)
        other = str(compare.path) if isinstance(compare, Run) else None if compare is None else os.fspath(compare)
        rows = ReportRows(_paths(data), slices)
        report = ReportInputs.read(str(self.path), rows, other=other, observer=observer).report(observer)
        if page is not None:
            report.write(page)
        return report

    def explain(
        self,
        text: str,
        text_pair: str | None = None,
        *,
        label: str | None = None,
        progress: bool | Observer | None = None,
    ) -> "Explanation":
        """Shows how much each word contributed to a prediction (integrated gradients); in a notebook colored words.

        Args:
            text: the text.
            text_pair: the second text, for a classifier of pairs.
            label: the label whose logit is explained; None for the predicted one.
            progress: whether to print the progress, or an observer; None prints it in a notebook and on a terminal.

        Raises:
            InputError: the label is unknown, or the classifier takes pairs and got a single text, or the other way round.

        ```python
        import bert_serving as bs

        explanation = bs.load("runs/tiny").explain("a good film")
        print([(word.text, word.attribution) for word in explanation.ranking])
        ```
        """
        from bert_serving.explanation.integrated_gradients import explain

        return explain(self.classifier.classifier, text, text_pair, label=label, observer=observer_of(progress))

    def _columns(self) -> dict[str, Any]:
        names = {name: getattr(self.config.data, name) for name in ("text", "label", "text_pair")}
        return {name: column for name, column in names.items() if column is not None}

    def _opened(self) -> Model:
        return self.classifier._opened()  # noqa: SLF001  the same model under this run's name

    def __repr__(self) -> str:
        """The path and the main score."""
        name = next((name for name in ("accuracy", "spearman") if name in self.scores), None)
        score = "" if name is None else f", {name}={self.scores[name]:.4f}"
        return f"Run({str(self.path)!r}{score})"

    def _repr_html_(self) -> str:
        splits = {name: self.metrics[name] for name in ("validation", "test") if name in self.metrics}
        baselines = {name: scores for name, scores in self.metrics.get("baselines", {}).items() if name != "on"}
        columns: dict[str, Any] = splits | {score_name(name): scores for name, scores in baselines.items()}
        names = [name for name, value in next(iter(splits.values())).items() if isinstance(value, float)]
        rows = [
            (notebook.text(score_name(name)), *(notebook.text(scores.get(name, "")) for scores in columns.values()))
            for name in names
        ]
        return notebook.table(("score", *columns), rows, f"Run {self.path}")


def train(
    source: str | os.PathLike[str] | RunConfig | Mapping[str, Any],
    out: str | os.PathLike[str] | None = None,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    seeds: int | None = None,
    progress: bool | Observer | None = None,
) -> Run:
    """Fine-tunes and evaluates a classifier as a run file says.

    Args:
        source: path of a run file (TOML), its content as a dict (paths are relative to the working folder), or a `RunConfig`.
        out: run folder to write; None for runs/<name of the run file>, or runs/<export.name>.
        overrides: keys that replace those of the run file, such as "training.epochs=2".
        resume: go on with the unfinished run in `out`.
        seeds: train with this many seeds, from `training.seed` on, and return the run that is best by validation; its
            `seeds` has the scores of all. None trains once.
        progress: whether to print the progress, or an observer; None prints it in a notebook and on a terminal.

    Raises:
        RunFileError: the run file is wrong; names every problem.
        RunFolderError: `out` holds a run already, or nothing to resume.
        DataError: the data cannot be read or used.
        EncoderError, SourceError: the encoder cannot be loaded or fetched.
        TrainingError: the loss is not a finite number.

    ```python
    import bert_serving as bs

    run = bs.train("tiny.toml", out="runs/another", overrides=["training.epochs=1"])
    print(run.scores["accuracy"], run.history[-1]["loss"])
    ```
    """
    name, config = config_of(source, overrides)
    observer = observer_of(progress)
    with observer.stage("Starting TensorFlow"):
        from bert_serving.training import run
    folder = Path("runs") / name if out is None else Path(out)
    try:
        if seeds is not None:
            from bert_serving.tuning.seeds import train_seeds

            return Run(train_seeds(config, folder, seeds=seeds, resume=resume, observer=observer).run)
        trained = run.train(config, folder, resume=resume, observer=observer)
    finally:
        observer.close()
    return Run(trained.run, trained)


def config_of(source: Any, overrides: Sequence[str]) -> tuple[str, RunConfig]:
    """Name and content of a run file, by its path, as a dict or as a `RunConfig`.

    Raises:
        RunFileError: it is wrong.
        InputError: it is none of these, or there are overrides for what is no file.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return path.stem, load_run_file(path, list(overrides))
    if overrides:
        raise InputError(
            f"overrides are for a path of a run file, got {overrides[0]!r}; change the dict or the RunConfig"
        )
    if isinstance(source, Mapping):
        source = parse_tables(source, RunConfig, "the run file")
    if not isinstance(source, RunConfig):
        raise InputError(f"expected the path of a run file, a dict or a RunConfig, got {source!r}")
    resolved = {name: table.resolve_paths(Path.cwd()) for name, table in source}
    return source.export.name, source.model_copy(update=resolved)


def _paths(data: Any) -> list[Path]:
    if data is None:
        return []
    return [Path(data)] if isinstance(data, str | os.PathLike) else [Path(path) for path in data]
