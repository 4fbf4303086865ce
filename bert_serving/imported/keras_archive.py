"""The content of a .keras or .h5 file, read as data: description of the layers, weights."""

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]  # has no annotations
import numpy as np

from bert_serving.errors import EncoderError

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_KERAS_3 = "3."


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        kind: its class.
        name: in the model.
        config: its settings.
        group: path of its weights in the file.
        inputs: layers that it takes outputs of, each with the place among their outputs, flattened.
    """

    kind: str
    name: str
    config: Mapping[str, Any]
    group: str
    inputs: tuple[tuple[str, int], ...]

    @property
    def trainable(self) -> bool:
        """Whether it was fine-tuned."""
        return bool(self.config.get("trainable", False))


@dataclass(frozen=True)
class KerasArchive:
    """A file of Keras.

    Attributes:
        path: of the file.
        kind: class of the model.
        layers: in their order.
        named: whether weights have names.
        content: the HDF5 file with the weights.
    """

    path: Path
    kind: str
    layers: Sequence[Layer]
    named: bool
    content: bytes

    @property
    def is_row(self) -> bool:
        """Whether each layer takes nothing but the outputs of the one before it."""
        names = ["", *(layer.name for layer in self.layers)]
        return all(
            {source for source, _ in layer.inputs} <= {before}
            for layer, before in zip(self.layers, names, strict=False)
        )

    def weights(self, layer: Layer) -> list[np.ndarray]:
        """A layer's weights in their order.

        Raises:
            EncoderError: they are missing.
        """
        with _reading(self.path), h5py.File(io.BytesIO(self.content)) as file:
            group = file[layer.group]
            names = self._names(group) if self.named else [str(number) for number in range(len(group))]
            return [np.asarray(group[name]) for name in names]

    def weight_names(self, layer: Layer) -> list[str]:
        """Their names; none in a .keras file, which has them by number."""
        with _reading(self.path), h5py.File(io.BytesIO(self.content)) as file:
            return self._names(file[layer.group]) if self.named else []

    @staticmethod
    def _names(group: h5py.Group) -> list[str]:
        return [name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs["weight_names"]]


def read_archive(path: Path) -> KerasArchive:
    """Reads a file that `model.save` of Keras 2 (tf_keras) wrote.

    Raises:
        EncoderError: it is damaged, holds weights alone, or is a model of Keras 3.
    """
    with _reading(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _check_version(path, json.loads(archive.read(_METADATA)).get("keras_version"), archive)
                return _described(path, json.loads(archive.read(_CONFIG)), archive.read(_WEIGHTS), named=False)
        with h5py.File(path) as file:
            described = file.attrs.get("model_config")
            version = file.attrs.get("keras_version")
        if described is None:
            raise EncoderError(
                f"{path}: holds weights alone, without the model's layers; save the whole model: model.save"
            )
        _check_version(path, version, None)
        return _described(path, json.loads(described), path.read_bytes(), named=True)


def _check_version(path: Path, version: Any, archive: zipfile.ZipFile | None) -> None:
    told = version.decode() if isinstance(version, bytes) else str(version)
    if told.startswith(_KERAS_3):
        kind = json.loads(archive.read(_CONFIG)).get("class_name") if archive is not None else "model"
        raise EncoderError(
            f"{path}: a {kind} of Keras {told}; only models of Keras 2 (tf_keras) with hub.KerasLayer can be converted from one file; a "
            "KerasHub classifier can, once save_to_preset wrote it to a folder"
        )


def _described(path: Path, model: Mapping[str, Any], content: bytes, *, named: bool) -> KerasArchive:
    config = model["config"]
    described = config["layers"] if isinstance(config, dict) and isinstance(config.get("layers"), list) else []
    layers: list[Layer] = []
    counts: dict[str, int] = {}
    for entry in described:
        kind = str(entry["class_name"])
        base = _snake(kind)
        counts[base] = counts.get(base, 0) + 1
        numbered = base if counts[base] == 1 else f"{base}_{counts[base] - 1}"
        # Sequential leaves the name to the settings.
        name = str(entry.get("name") or entry["config"]["name"])
        group = f"model_weights/{name}" if named else f"layers/{numbered}/vars"
        layers.append(Layer(kind, name, entry["config"], group, tuple(_sources(entry.get("inbound_nodes") or []))))
    return KerasArchive(path, str(model["class_name"]), layers, named, content)


def _sources(nodes: Any) -> Iterator[tuple[str, int]]:
    """`inbound_nodes` has lists of any nesting around [layer, node, output, arguments]."""
    if isinstance(nodes, Mapping):
        nodes = list(nodes.values())
    if isinstance(nodes, list):
        if nodes and isinstance(nodes[0], str):
            yield nodes[0], int(nodes[2])
        else:
            for node in nodes:
                yield from _sources(node)


def _snake(name: str) -> str:
    """As Keras names the groups of its weight files: `KerasLayer` to `keras_layer`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError, zipfile.BadZipFile) as error:
        raise EncoderError(
            f"{path}: cannot read the file of Keras: {' '.join(str(error).split())}; save it again"
        ) from None
