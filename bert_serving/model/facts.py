"""Head and labels of a model, read from its files or asked from its server, to check whether two can be compared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bert_serving.contract import Head
from bert_serving.errors import InputError
from bert_serving.model.model import is_run_folder
from bert_serving.model.remote import RemoteModel, shown_labels
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.versions import latest_version
from bert_serving.training.run_folder import RunFolder


@dataclass(frozen=True)
class ModelFacts:
    """Head and labels of a model.

    Attributes:
        name: path or address of the model.
        head: what it predicts; None if unknown.
        labels: names in order; None if unknown.
    """

    name: str
    head: Head | None = None
    labels: tuple[str, ...] | None = None

    @classmethod
    def read(cls, name: str) -> Self:
        """Reads a run file or a manifest, or asks a server; the facts of other models are unknown.

        Raises:
            RunFolderError, ExportError: the folder is damaged, or is not a SavedModel.
            ServerUnavailable: no answer.
        """
        if is_run_folder(name):
            run = RunFolder(Path(name))
            return cls(name, run.config().head.kind, run.labels())
        if "://" in name:
            served = RemoteModel.open(name)
            served.client.close()
            return cls(name, served.head, served.labels)
        if not Path(name).is_dir():
            return cls(name)
        manifest = load_manifest(latest_version(Path(name)))
        return cls(name) if manifest is None else cls(name, manifest.head, manifest.labels)


def check_comparable(first: ModelFacts, second: ModelFacts) -> None:
    """Checks that two models predict the same labels, as far as their files tell.

    Raises:
        InputError: heads or labels differ.
    """
    heads = {facts.head for facts in (first, second) if facts.head is not None}
    if len(heads) > 1 and not heads <= {Head.SOFTMAX, Head.BINARY}:
        raise InputError(
            f"{first.name} has a {first.head} head, {second.name} a {second.head} head; compare models with the same head"
        )
    if first.labels is None or second.labels is None:
        return
    differing = sorted({*first.labels} ^ {*second.labels})
    if differing:
        raise InputError(
            f"{first.name} and {second.name} have different labels "
            f"({shown_labels(differing)}); compare models with the same labels"
        )
