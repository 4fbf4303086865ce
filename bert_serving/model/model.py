"""A model opened by name: a run folder, a SavedModel folder, or the address of a served model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bert_serving.contract import DECIDING_WINDOW, PROBABILITIES, RUN_FILE, WINDOWS, Head, Scaling, Thresholds
from bert_serving.data.splits import check_labels, label_names, sorted_labels
from bert_serving.data.table import LabeledTable
from bert_serving.errors import InputError
from bert_serving.evaluation.predictions import Predictions
from bert_serving.model.remote import RemoteModel, check_answers, check_given_labels

if TYPE_CHECKING:
    from bert_serving.classifier import Classifier
    from bert_serving.saved_model.manifest import Manifest
    from bert_serving.saved_model.reader import ExportedModel

# ruff: noqa: PLC0415
# TensorFlow is imported only for models that this process runs itself.


@dataclass(frozen=True)
class Model:
    """A model that returns probabilities for texts.

    Attributes:
        name: path or address, as passed to `open_model`.
        predict: texts and second texts (or None) to probabilities, float32 [N, C].
        head: what it predicts; None for a server that does not tell.
        labels: names in the order of the probabilities; None for a server that does not tell.
        pairs: whether it takes pairs of texts; None for a server that does not tell.
        lengths: texts and second texts (or None) to their lengths in tokens before truncation, int
            [N]; only for run folders.
        sequence_length: tokens of the longest text that it reads whole; only for run folders.
        scaling: scaling of its logits; None for servers.
        thresholds: by which it predicts labels from probabilities; () without fitted ones.
        answers: as `predict`, with the label that the server answers for each text; only for
            servers.
        windows: texts to probabilities, and to the number, from 0, of the window that decided and
            how many a text has, int [N, 2]; only for models of this process that read texts in
            windows.
    """

    name: str
    predict: Callable[[Sequence[str], Sequence[str] | None], np.ndarray]
    head: Head | None = None
    labels: tuple[str, ...] | None = None
    pairs: bool | None = None
    lengths: Callable[[Sequence[str], Sequence[str] | None], np.ndarray] | None = None
    sequence_length: int | None = None
    scaling: Scaling | None = None
    thresholds: Thresholds = ()
    answers: Callable[[Sequence[str], Sequence[str] | None], tuple[np.ndarray, list[str]]] | None = None
    windows: Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]] | None = None


def is_run_folder(name: str) -> bool:
    """Whether a model's name is that of a run folder."""
    return (Path(name) / RUN_FILE).is_file()


def open_model(name: str, labels: Sequence[str] | None = None) -> Model:
    """Opens a model; of a server, the version that is now the latest, unless the address names one.

    Args:
        name: a run folder, a SavedModel folder (of a version, or of versions, of which the highest
            is opened), or an address: grpc://host:port/name or http://host:port/name, with
            /versions/7 or /labels/canary after the name for one version.
        labels: names of all labels in order, for a server that does not tell; None to leave them
            open there.

    Raises:
        InputError: the name has none of these forms, the SavedModel has no manifest, or the model
            has other labels, or another order of them, than `labels`.
        RunFolderError, ExportError: the folder is incomplete or damaged.
        ServerUnavailable: no answer from a server.
    """
    if "://" in name:
        return _served_model(name, labels)
    if is_run_folder(name):
        model = _run_model(name)
    elif Path(name).is_dir():
        model = _saved_model(name)
    else:
        raise InputError(
            f"{name}: no such model; give a run folder, a SavedModel folder, grpc://host:port/name or http://host:port/name"
        )
    check_given_labels(name, model.labels, labels)
    return model


def check_has_gradients(name: str) -> None:
    """Checks that a model's gradients can be computed, which only a run folder allows.

    Raises:
        InputError: the name is not that of a run folder.
    """
    if is_run_folder(name):
        return
    kind = ""
    if "://" in name:
        kind = "is a server's address"
    elif any(Path(name).glob("**/saved_model.pb")):
        kind = "is a SavedModel"
    if kind:
        raise InputError(f"{name} {kind}, which has no gradients; give the run folder that train wrote")
    raise InputError(f"{name}: not a run folder ({RUN_FILE} is missing); give the folder that train wrote")


def predict_table(
    model: Model, table: LabeledTable, *, head: Head | None = None, labels: Sequence[str] | None = None
) -> Predictions:
    """Predictions of a model for labeled rows.

    Args:
        model: the model.
        table: the rows.
        head: what a model that does not tell is taken to predict; None for softmax.
        labels: names of all labels in order, as another model has them, for a model that does not
            tell; None for those of the rows, sorted.

    Raises:
        DataError: a row's label is not among the model's.
        InputError: the number of labels differs from that of the probabilities, the labels that a
            server answers contradict their order, or a probability is not a number.
    """
    head = head or model.head or Head.SOFTMAX
    names = model.labels
    if names is None:
        names = tuple(
            labels
            or table.label_columns
            or sorted_labels({name for label in table.labels for name in label_names(label)})
        )
    check_labels(table, names, head)
    windows = answered = None
    if model.windows is not None:
        values, windows = model.windows(table.texts)
    elif model.labels is not None or model.answers is None:
        values = model.predict(table.texts, table.pairs)
    else:
        values, answered = model.answers(table.texts, table.pairs)
    if model.labels is None:
        source = "the other model" if labels else "the data"
        check_answers(model.name, head, names, values, answered, source=source)
    if unusable := int((~np.isfinite(values)).any(axis=1).sum()):
        raise InputError(
            f"{model.name} returns NaN or infinity for {unusable:,} of {len(values):,} rows; check its export"
        )
    return Predictions(head, names, table, values, model.thresholds, windows)


def _run_model(name: str) -> Model:
    from bert_serving.training.loading import load_classifier
    from bert_serving.training.run_folder import RunFolder

    return classifier_model(name, load_classifier(RunFolder(Path(name))))


def classifier_model(name: str, classifier: "Classifier") -> Model:
    """A classifier in memory as a model; `name` is for messages."""
    options = classifier.options

    def lengths(texts: Sequence[str], pairs: Sequence[str] | None) -> np.ndarray:
        return classifier.tokenize(texts, pairs)[1]

    return Model(
        name=name,
        predict=classifier.predict,
        head=options.head,
        labels=options.labels,
        pairs=options.pairs,
        lengths=lengths,
        sequence_length=options.reach,
        scaling=options.scaling,
        thresholds=options.thresholds,
        windows=None if options.windows is None else classifier.predict_windows,
    )


def _saved_model(name: str) -> Model:
    from bert_serving.saved_model.reader import ExportedModel
    from bert_serving.saved_model.versions import latest_version

    model = ExportedModel(latest_version(Path(name)))
    if model.manifest is None:
        raise InputError(
            f"{model.folder}: has no manifest (assets.extra/bert_serving.json); give a SavedModel that bert-serving exported"
        )
    return export_model(name, model, model.manifest)


def export_model(name: str, model: "ExportedModel", manifest: "Manifest") -> Model:
    """An export in this process as a model; `name` is for messages."""

    def windows(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        answers = model.answers(texts)
        return answers[PROBABILITIES], np.stack([answers[DECIDING_WINDOW], answers[WINDOWS]], axis=1)

    return Model(
        name,
        model.predict,
        manifest.head,
        manifest.labels,
        manifest.pairs,
        scaling=manifest.scaling,
        thresholds=manifest.thresholds,
        windows=None if manifest.max_windows is None else windows,
    )


def _served_model(name: str, labels: Sequence[str] | None) -> Model:
    served = RemoteModel.open(name, labels)

    def predict(texts: Sequence[str], pairs: Sequence[str] | None) -> np.ndarray:
        return np.array(served.predict(texts, pairs), np.float32)

    def answers(texts: Sequence[str], pairs: Sequence[str] | None) -> tuple[np.ndarray, list[str]]:
        values, answered = served.answers(texts, pairs)
        return np.array(values, np.float32), answered

    thresholds = served.thresholds
    return Model(name, predict, served.head, served.labels, served.pairs, thresholds=thresholds, answers=answers)
