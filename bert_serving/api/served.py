"""A model on a server, and opening any model by path or address."""

import os
from collections.abc import Sequence
from pathlib import Path

from bert_serving.api.export import Export
from bert_serving.api.predictor import Predictor
from bert_serving.api.run import Run
from bert_serving.errors import InputError
from bert_serving.model.model import Model, is_run_folder, open_model
from bert_serving.training.run_folder import RunFolder


class ServedModel(Predictor):
    """One version of a model on a server; `load` makes it.

    Attributes:
        address: its address.

    ```python
    import bert_serving as bs

    model = bs.load("http://localhost:8501/tiny")
    print(model.labels, model.predict("a good film")[0].scores)
    ```
    """

    def __init__(self, address: str, labels: Sequence[str] | None = None):
        """Asks the server for the version, the head and the labels.

        Args:
            address: grpc://host:port/name or http://host:port/name.
            labels: names of all labels in order, for a server that does not tell.

        Raises:
            InputError: the address has another form, or the model tells other labels.
            ServerUnavailable: no answer.
        """
        self.address = address
        self._model = open_model(address, labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the probabilities in order; empty for a regression, and for a server that does not tell."""
        return self._model.labels or ()

    def _opened(self) -> Model:
        return self._model

    def __repr__(self) -> str:
        """The address."""
        return f"ServedModel({self._model.name!r}, labels={list(self.labels)})"


def load(source: str | os.PathLike[str], labels: Sequence[str] | None = None) -> Run | Export | ServedModel:
    """Opens a model: a run folder, a SavedModel folder, or a model on a server.

    Args:
        source: a run folder; a version folder, or a folder of versions, of which the highest is opened; or an address:
            grpc://host:port/name or http://host:port/name, with /versions/7 or /labels/canary after the name for one version.
        labels: names of all labels in order, for a server that does not tell.

    Returns:
        a `Run`, an `Export` or a `ServedModel`, which all have `predict`, `evaluate` and `labels`.

    Raises:
        InputError: the source has none of these forms.
        RunFolderError, ExportError: the folder is incomplete or damaged.
        ServerUnavailable: no answer from a server.

    ```python
    import bert_serving as bs

    print(bs.load("models/tiny").predict("a good film")[0].scores)
    ```
    """
    name = os.fspath(source)
    if "://" in name:
        return ServedModel(name, labels)
    if not Path(name).is_dir():
        raise InputError(
            f"{name}: no such model; give a run folder, a SavedModel folder, grpc://host:port/name or http://host:port/name"
        )
    if labels is not None:
        raise InputError("labels are for a server that does not tell its own; leave them out")
    return Run(RunFolder(Path(name))) if is_run_folder(name) else Export(Path(name))
