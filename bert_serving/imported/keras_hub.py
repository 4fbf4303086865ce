"""A KerasHub task preset: a text classifier as `save_to_preset` writes it, backbone, head and tokenizer.

Beside the files of a preset (`encoders/conversion/keras_hub.py`) it holds task.json, task.weights.h5 with the head, and
preprocessor.json.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]  # has no annotations
import numpy as np

from bert_serving.classifier import ClassifierOptions
from bert_serving.contract import Head
from bert_serving.encoders.architecture import Architecture
from bert_serving.encoders.conversion.keras_hub import read_keras_hub, write_keras_hub_preprocessing
from bert_serving.encoders.conversion.tokenizer_files import read_json, table
from bert_serving.encoders.license import licensing_of_readme
from bert_serving.errors import EncoderError
from bert_serving.hugging_face import ConvertedClassifier, trained_length
from bert_serving.imported.assembly import assemble
from bert_serving.imported.head import OUTPUT_ACTIVATIONS, ambiguous, check_labels, choose_head
from bert_serving.imported.options import ImportOptions
from bert_serving.io.cache import folder_sha256
from bert_serving.text.preprocessing import load_preprocessing

TASK = "task.json"
_WEIGHTS = "task.weights.h5"
_PREPROCESSOR = "preprocessor.json"
_POOLER = ("pooler_transform/kernel:0", "pooler_transform/bias:0")


@dataclass(frozen=True)
class _Task:
    """One class of task.

    Attributes:
        pooler: activation of the head's own dense layer on [CLS]; None where the head stands on the backbone's pooled output.
        dropout: rate before the last layer where task.json has none.
    """

    pooler: str | None = None
    dropout: float = 0.1


_TASKS = {
    "BertTextClassifier": _Task(),
    "AlbertTextClassifier": _Task(),
    "DistilBertTextClassifier": _Task(pooler="relu", dropout=0.2),
    "RobertaTextClassifier": _Task(pooler="tanh", dropout=0.0),
    "XLMRobertaTextClassifier": _Task(pooler="tanh", dropout=0.0),
}


def convert_task(folder: Path, scratch: Path, options: ImportOptions) -> ConvertedClassifier:
    """Builds the classifier of a task preset.

    Args:
        folder: that `save_to_preset` of a text classifier wrote.
        scratch: folder for the preprocessing SavedModel; must exist as long as the classifier is used.
        options: labels.

    Raises:
        EncoderError: a file is missing or damaged, or the task is of no class that can be converted.
        ExportError: the labels do not fit.
    """
    name, task, config = _read_task(folder)
    architecture, weights = read_keras_hub(folder)
    layers = _read_head(folder / _WEIGHTS, 1 if task.pooler is None else 2)
    if task.pooler is not None:
        _check_width(folder, len(layers[0][1]), architecture)
        weights |= dict(zip(_POOLER, layers[0], strict=True))
        architecture = replace(architecture, pooler_activation=task.pooler)
    outputs, activation = len(layers[-1][1]), _activation(folder, config)
    head = choose_head(str(folder), activation, outputs, options)
    check_labels(str(folder), head, outputs, options.labels)
    write_keras_hub_preprocessing(folder, scratch / "preprocessing", architecture)
    chosen = ClassifierOptions(
        labels=options.labels,
        head=head,
        sequence_length=options.sequence_length or _length(folder, architecture.max_position_embeddings),
        pairs=options.pairs,
        dropout=float(config.get("dropout", task.dropout)),
    )
    preprocessing = load_preprocessing(scratch / "preprocessing")
    classifier = assemble(str(folder), architecture, weights, layers[-1], preprocessing, chosen)
    notes = tuple(_notes(head, activation, outputs, options))
    return ConvertedClassifier(
        classifier, folder_sha256(folder), licensing_of_readme(folder), f"{name} of KerasHub", None, notes
    )


def _notes(head: Head, activation: str, outputs: int, options: ImportOptions) -> Iterator[str]:
    if line := ambiguous(head, activation, outputs, options):
        yield line


def _read_task(folder: Path) -> tuple[str, _Task, Mapping[str, Any]]:
    if not (folder / TASK).is_file():
        raise EncoderError(
            f"{folder}: a KerasHub preset without {TASK}, so an encoder and no classifier; save the classifier with save_to_preset, or "
            "name this encoder in encoder.path of a run file"
        )
    description = read_json(folder / TASK)
    name = str(description.get("class_name"))
    if name not in _TASKS:
        raise EncoderError(f"{folder / TASK}: class_name is {name!r}, only {', '.join(_TASKS)} can be converted")
    return name, _TASKS[name], table(description, "config")


def _read_head(path: Path, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias of the head's dense layers, in their order."""
    names = ["dense", *(f"dense_{number}" for number in range(1, count))]
    try:
        with h5py.File(path) as file:
            return [(_array(file, name, 0), _array(file, name, 1)) for name in names]
    except KeyError as error:
        raise EncoderError(
            f"{path}: has no head of its {TASK}: {' '.join(str(error).split())}; save the classifier again"
        ) from None
    except OSError as error:
        raise EncoderError(f"{path}: cannot read the head: {' '.join(str(error).split())}; save it again") from None


def _check_width(folder: Path, outputs: int, architecture: Architecture) -> None:
    if outputs != architecture.hidden_size:
        raise EncoderError(
            f"{folder / _WEIGHTS}: its first dense layer has {outputs} outputs, only {architecture.hidden_size}, the backbone's "
            "hidden_dim, can be converted"
        )


def _array(file: h5py.File, layer: str, number: int) -> np.ndarray:
    return np.asarray(file[f"layers/{layer}/vars/{number}"], np.float32)


def _activation(folder: Path, config: Mapping[str, Any]) -> str:
    """Name of the last layer's activation; Keras writes a name, or an object that names a function of its own."""
    value = config.get("activation") or "linear"
    name = value.get("config") if isinstance(value, Mapping) else value
    if name not in OUTPUT_ACTIVATIONS:
        raise EncoderError(
            f"{folder / TASK}: activation is {value!r}, only {', '.join(OUTPUT_ACTIVATIONS)} can be converted"
        )
    return str(name)


def _length(folder: Path, positions: int) -> int:
    """Tokens at which the preset's preprocessor cuts texts."""
    value = table(read_json(folder / _PREPROCESSOR, optional=True), "config").get("sequence_length")
    return trained_length(value if isinstance(value, int) else None, positions)
