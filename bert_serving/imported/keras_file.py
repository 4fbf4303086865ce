"""A classifier in one file of Keras, .keras or .h5, as `model.save` of TensorFlow's tutorial "Classify text with BERT" writes it.

The file holds the layers' description and their weights, but neither the graph of the encoder nor the vocabulary: `hub.KerasLayer` keeps
a handle, an address or a path, under which both must still be found. The description is read as data; Keras would import and call what
it names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from bert_serving import contract
from bert_serving.config import EncoderConfig, is_address
from bert_serving.encoders.license import UNKNOWN
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.encoders.trust import check_harmless
from bert_serving.errors import BertServingError, EncoderError
from bert_serving.hugging_face import ConvertedClassifier
from bert_serving.imported.head import OUTPUT_ACTIVATIONS
from bert_serving.imported.keras_archive import KerasArchive, Layer, read_archive
from bert_serving.imported.options import ImportOptions
from bert_serving.imported.original import Original, Sample
from bert_serving.imported.rebuilding import rebuild
from bert_serving.io.cache import file_sha256
from bert_serving.text.preprocessing import load_preprocessing

_FOLDER_INSTEAD = 'save the model as a folder, which holds everything: model.save("imdb_bert")'
# What the layers between the encoder and the last one may be.
_IDLE = ("Dropout",)


def convert_keras_file(path: Path, scratch: Path, options: ImportOptions) -> ConvertedClassifier:
    """Builds the classifier of a file.

    Args:
        path: that `model.save` wrote.
        scratch: not used: the preprocessing is where its handle tells.
        options: labels.

    Raises:
        EncoderError: it is damaged, has other layers than the tutorial's, or a handle cannot be found.
        ExportError: the labels do not fit.
    """
    del scratch
    archive = read_archive(path)
    chain = _chain(path, archive)
    preprocessing_folder, encoder_folder = _resolved(path, chain, named=archive.named)
    module = _load(encoder_folder)
    layer = hub.KerasLayer(module, trainable=chain.encoder.trainable)
    weights = _assigned(path, archive, chain.encoder, layer)
    kernel, bias = archive.weights(chain.head)[:2]
    preprocessing = load_preprocessing(preprocessing_folder)
    packed = preprocessing.model(tf.constant([""]))[contract.WORD_IDS]
    length = int(packed.shape[1])

    def ask(sample: Sample) -> np.ndarray:
        pooled = tf.nest.flatten(layer(preprocessing.model(tf.constant(sample.texts))))[chain.output]
        if pooled.shape.rank != 2:
            raise EncoderError(
                f"{path}: its last layer stands on all tokens, not on one vector for each text; {_FOLDER_INSTEAD}"
            )
        return np.asarray(chain.activation(tf.matmul(pooled, kernel) + bias))

    head = {"head/kernel:0": kernel, "head/bias:0": bias}
    rebuilt = rebuild(Original(str(path), ask, weights | head, lambda: module), preprocessing, options, length=length)
    notes = (
        f"answers as {path.name}: {rebuilt.rows} texts, a probability differs by {rebuilt.difference:.1e} at most",
        *rebuilt.notes,
    )
    return ConvertedClassifier(rebuilt.classifier, file_sha256(path), UNKNOWN, "Keras file", None, notes)


@dataclass(frozen=True)
class _Chain:
    """The layers of the tutorial's model.

    Attributes:
        preprocessing, encoder: the two `hub.KerasLayer`.
        head: the dense layer.
        activation: its function.
        output: place of the encoder's output that goes on, among all its outputs.
    """

    preprocessing: Layer
    encoder: Layer
    head: Layer
    activation: Callable[[tf.Tensor], tf.Tensor]
    output: int


def _chain(path: Path, archive: KerasArchive) -> _Chain:
    """The layers, if they are those of the tutorial and stand in one row."""
    classes = [layer.kind for layer in archive.layers if layer.kind not in _IDLE]
    if "Lambda" in classes:
        raise EncoderError(f"{path}: has a Lambda layer, which is Python code and is never run here; {_FOLDER_INSTEAD}")
    layers = [layer for layer in archive.layers if layer.kind not in _IDLE]
    if classes != ["InputLayer", "KerasLayer", "KerasLayer", "Dense"] or not archive.is_row:
        listed = ", ".join(dict.fromkeys(layer.kind for layer in archive.layers))
        of_layers = f" of the layers {listed}" if listed else ""
        raise EncoderError(
            f"{path}: a {archive.kind}{of_layers}; in one file, supported is the tutorial's row of an InputLayer, a KerasLayer of "
            f"preprocessing, a KerasLayer of an encoder, Dropout and Dense; else {_FOLDER_INSTEAD}"
        )
    activation = layers[-1].config.get("activation") or "linear"
    if activation not in OUTPUT_ACTIVATIONS:
        raise EncoderError(
            f"{path}: its last layer has the activation {activation!r}, only {', '.join(OUTPUT_ACTIVATIONS)} can be converted"
        )
    output = next(place for layer in archive.layers for source, place in layer.inputs if source == layers[2].name)
    return _Chain(layers[1], layers[2], layers[3], OUTPUT_ACTIVATIONS[activation], output)


def _resolved(path: Path, chain: _Chain, *, named: bool) -> tuple[Path, Path]:
    """Folders of the preprocessing and of the encoder."""
    handles = [str(layer.config.get("handle") or "") for layer in (chain.preprocessing, chain.encoder)]
    if any(map(is_address, handles)) and all(map(is_address, handles)):
        try:
            found = find_encoder_folder(EncoderConfig(name=handles[1], preprocessing=handles[0]))
        except BertServingError as error:
            raise EncoderError(
                f"{path}: needs {' and '.join(handles)}, which hub.KerasLayer read: {error}; or {_FOLDER_INSTEAD}"
            ) from None
        if found.architecture is not None and not named:
            raise EncoderError(
                f"{path}: has its weights without names, in the order of {handles[1]}, which was found in another form; {_FOLDER_INSTEAD}"
            )
        return found.preprocessing, found.encoder
    for handle in handles:
        if not (Path(handle) / contract.GRAPH_FILE).is_file():
            raise EncoderError(
                f"{path}: needs {handle or 'a layer without a handle'}, which hub.KerasLayer read: no SavedModel there; put it back, or "
                f"{_FOLDER_INSTEAD}"
            )
        check_harmless(Path(handle), remedy=_FOLDER_INSTEAD)
    return Path(handles[0]), Path(handles[1])


def _load(folder: Path) -> Any:
    try:
        return tf.saved_model.load(str(folder))
    except (OSError, ValueError, IndexError, tf.errors.OpError) as error:
        raise EncoderError(f"{folder}: cannot load the encoder: {str(error).splitlines()[0]}") from None


def _assigned(path: Path, archive: KerasArchive, described: Layer, layer: hub.KerasLayer) -> dict[str, np.ndarray]:
    """Gives the encoder the file's weights, and returns them by name."""
    values = archive.weights(described)
    names = archive.weight_names(described) or [variable.name for variable in layer.weights]
    by_name = dict(zip(names, values, strict=False))
    variables = {variable.name: variable for variable in layer.weights}
    if len(names) != len(values) or {name: value.shape for name, value in by_name.items()} != {
        name: tuple(variable.shape) for name, variable in variables.items()
    }:
        raise EncoderError(
            f"{path}: its weights do not fit {described.config['handle']}, which is not the encoder that it was trained with; "
            f"put that back, or {_FOLDER_INSTEAD}"
        )
    for name, variable in variables.items():
        variable.assign(by_name[name])
    return {name: value for name, value in by_name.items() if np.issubdtype(value.dtype, np.floating)}
