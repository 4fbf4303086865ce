"""The MODEL argument of commands: a run folder, a SavedModel folder, or the address of a model server."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np

from bert_serving import contract
from bert_serving.contract import Head, Scaling
from bert_serving.data.splits import label_array, label_names
from bert_serving.data.table import LabeledTable
from bert_serving.errors import InputError

if TYPE_CHECKING:
    from bert_serving.evaluation.predictions import Predictions

MODEL_HELP = "Run folder, SavedModel folder, grpc://host:port/name or http://host:port/name."


@dataclass(frozen=True)
class Model:
    """Something that answers texts with probabilities.

    Attributes:
        predict: texts and pairs (or None) to probabilities, float32 [N, C].
        head: what it predicts; None when a server does not say.
        labels: in the order of the probabilities; None when a server does not say.
        pairs: whether it takes two texts; None when a server does not say.
        lengths: texts and pairs to their lengths in tokens before cutting, int [N]; None where only answers come out.
        sequence_length: tokens at which it cuts; None when unknown.
        scaling: what is done to its logits; None when a server does not say.
    """

    predict: Callable[[Sequence[str], Sequence[str] | None], np.ndarray]
    head: Head | None
    labels: tuple[str, ...] | None
    pairs: bool | None = None
    lengths: Callable[[Sequence[str], Sequence[str] | None], np.ndarray] | None = None
    sequence_length: int | None = None
    scaling: Scaling | None = None


def open_model(argument: str) -> Model:
    """Opens what the user named.

    Raises:
        InputError: it is none of the known kinds.
    """
    if "://" in argument:
        return _served(argument)
    path = Path(argument)
    if (path / contract.RUN_FILE).is_file():
        return _run(path)
    if path.is_dir():
        return _saved(path)
    raise InputError(
        f"{argument}: no such model; give a run folder, a SavedModel folder, grpc://host:port/name or http://host:port/name"
    )


def answers(
    argument: str, model: Model, table: LabeledTable, head: Head, labels: Sequence[str] | None
) -> "Predictions":
    """A model's answers to labeled rows.

    Args:
        argument: what the user named, for messages.
        model: what it opened as.
        table: the rows.
        head: what the model predicts, or is taken to predict.
        labels: for a server, which does not name them: all labels in order; absent: those of the rows, sorted.

    Raises:
        DataError: a row's label is not among the model's.
        InputError: the labels do not fit the answers.
    """
    from bert_serving.evaluation.predictions import Predictions

    names = model.labels
    if names is None:
        names = tuple(labels or sorted({name for label in table.labels for name in label_names(label)}))
    label_array(table.labels, names, head)  # a label that the model does not know shows before the long work
    values = model.predict(table.texts, table.pairs)
    if model.labels is None and head is not Head.REGRESSION and values.shape[1] != len(names):
        raise InputError(
            f"{argument} answers {values.shape[1]} probabilities, the data has {len(names)} labels; name all in order with --labels"
        )
    return Predictions(head, names, table, values)


def _run(path: Path) -> Model:
    from bert_serving.training.loading import load_classifier
    from bert_serving.training.run_folder import RunFolder

    classifier = load_classifier(RunFolder(path))
    options = classifier.options

    def lengths(texts: Sequence[str], pairs: Sequence[str] | None) -> np.ndarray:
        return classifier.tokenize(texts, pairs)[1]

    return Model(
        predict=classifier.predict,
        head=options.head,
        labels=options.labels,
        pairs=options.pairs,
        lengths=lengths,
        sequence_length=options.sequence_length,
        scaling=options.scaling,
    )


def _saved(path: Path) -> Model:
    from bert_serving.saved_model.reader import ExportedModel
    from bert_serving.saved_model.versions import latest_version

    model = ExportedModel(latest_version(path))
    manifest = model.manifest
    if manifest is None:
        raise InputError(
            f"{model.folder}: has no manifest (assets.extra/bert_serving.json); only exports of this project can be asked"
        )
    return Model(model.predict, manifest.head, manifest.labels, manifest.pairs, scaling=manifest.scaling)


@dataclass(frozen=True)
class ServedModel:
    """A model behind an address.

    Attributes:
        scheme: grpc or grpcs, http or https.
        place: host and port.
        name: name of the model.
        choice: which of its versions is asked, as a client's `predict` takes it: nothing, `version` or `version_label`.
    """

    scheme: str
    place: str
    name: str
    choice: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, object]:
        """What a client of it is made with, besides the address."""
        from bert_serving.clients.tls import ClientTls

        return {"tls": ClientTls()} if self.scheme == "grpcs" else {}

    @property
    def over_grpc(self) -> bool:
        """Whether it is asked over gRPC."""
        return self.scheme.startswith("grpc")

    @property
    def address(self) -> str:
        """What a client takes as its address."""
        return self.place if self.over_grpc else f"{self.scheme}://{self.place}"


def served_model(argument: str) -> ServedModel:
    """The parts of an address.

    Raises:
        InputError: it is none.
    """
    try:
        address = urlsplit(argument)
        _ = address.port  # raises when it is no number
    except ValueError:
        address = urlsplit("")
    name, choice = _choice(address.path.strip("/"))
    if not address.netloc or not name or address.scheme not in ("grpc", "grpcs", "http", "https"):
        raise InputError(
            f"{argument!r} is no address of a model; expected grpc://host:port/name or http://host:port/name, "
            "and for one version /versions/7 or /labels/canary after the name"
        )
    return ServedModel(address.scheme, address.netloc, name, choice)


def _served(argument: str) -> Model:
    served = served_model(argument)
    client: object
    if served.over_grpc:
        from bert_serving.clients.grpc_client import GrpcClient

        client = GrpcClient(served.address, **served.settings)
    else:
        from bert_serving.clients.rest_client import RestClient

        client = RestClient(served.address)

    def predict(texts: Sequence[str], pairs: Sequence[str] | None) -> np.ndarray:
        answers = client.predict(served.name, texts, text_pairs=pairs, **served.choice)  # type: ignore[attr-defined]
        return np.array([answer.probabilities for answer in answers], np.float32)

    return Model(predict, None, None)


def _choice(path: str) -> tuple[str, dict[str, Any]]:
    """The model's name, and which of its versions is meant."""
    match = _CHOICE.fullmatch(path)
    if match is None:
        return "", {}
    name, version, label = match.groups()
    choice = {"version": int(version)} if version else {"version_label": unquote(label)} if label else {}
    return unquote(name), choice


_CHOICE = re.compile(r"([^/]+)(?:/versions/([0-9]+)|/labels/([^/]+))?")
