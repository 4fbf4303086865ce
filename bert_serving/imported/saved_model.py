"""A classifier in a SavedModel of Keras, as TensorFlow's tutorial "Classify text with BERT" writes it with `model.save`.

Its signature takes strings (preprocessing, encoder and head are all in the file) or token ids (`BertClassifier` of
tf-models-official, the token model of this project), for which the vocabulary has to be named.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from google.protobuf.message import DecodeError
from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata

from bert_serving import contract
from bert_serving.contract import TOKEN_INPUTS
from bert_serving.encoders.architecture import sample_inputs
from bert_serving.encoders.license import licensing_of_readme
from bert_serving.encoders.trust import check_harmless
from bert_serving.errors import EncoderError
from bert_serving.hugging_face import ConvertedClassifier, trained_length
from bert_serving.imported.interface import Interface, interface_of
from bert_serving.imported.options import ImportOptions
from bert_serving.imported.original import Original, Sample
from bert_serving.imported.preprocessing import named_vocabulary, own_preprocessing, parts_of
from bert_serving.imported.rebuilding import rebuild
from bert_serving.io.cache import folder_sha256
from bert_serving.io.saved_models import write_saved_model

KERAS_METADATA = "keras_metadata.pb"
_POSITIONS = "position_embedding/embeddings:0"


def convert_saved_model(folder: Path, scratch: Path, options: ImportOptions) -> ConvertedClassifier:
    """Builds the classifier of a SavedModel.

    Args:
        folder: that `model.save` wrote.
        scratch: folder for the preprocessing SavedModel; must exist as long as the classifier is used.
        options: labels, and the vocabulary of a model that takes token ids.

    Raises:
        EncoderError: it has unsafe operations, is damaged, is no classifier, or cannot be rebuilt with the same answers.
        ExportError: the labels do not fit.
    """
    return _converted(folder, scratch, options, name=str(folder), kind="Keras SavedModel")


def convert_keras_model(model: tf_keras.Model, scratch: Path, options: ImportOptions) -> ConvertedClassifier:
    """Builds the classifier of a Keras model in memory, as `convert_saved_model` of what its `save` writes.

    Raises:
        EncoderError: it cannot be saved, is no classifier, or cannot be rebuilt with the same answers.
        ExportError: the labels do not fit.
    """
    name = f"Keras model {model.name!r}"
    try:
        model.save(str(scratch / "original"), include_optimizer=False, save_format="tf")
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise EncoderError(f"{name}: cannot be saved as a SavedModel: {str(error).splitlines()[0]}") from None
    return _converted(scratch / "original", scratch, options, name=name, kind="Keras model")


def _converted(folder: Path, scratch: Path, options: ImportOptions, *, name: str, kind: str) -> ConvertedClassifier:
    """`name` stands for the model in messages, `kind` for its form."""
    if (folder / contract.MANIFEST_FILE).is_file():
        raise EncoderError(
            f"{name}: was exported by bert-serving already; serve it, or give the run that it was made of"
        )
    check_harmless(folder, remedy="save the model again without them")
    model = _load(folder, name)
    interface = interface_of(model, name)
    pairs = options.pairs or interface.pairs
    options = ImportOptions(**{**vars(options), "pairs": pairs})
    weights = {
        variable.name: variable.numpy() for variable in interface.function.variables if variable.dtype.is_floating
    }
    if interface.takes_tokens:
        positions = next((len(value) for key, value in weights.items() if key.endswith(_POSITIONS)), None)
        length = interface.length or options.sequence_length or (trained_length(None, positions) if positions else None)
        preprocessing = named_vocabulary(name, weights, scratch, options.vocabulary)
    else:
        length = _trained_length(folder) or options.sequence_length
        preprocessing = own_preprocessing(model, name, scratch, options.vocabulary)
    if length is None:
        raise EncoderError(f"{name}: does not tell at how many tokens it cuts texts; give its --sequence-length")
    original = Original(name, _asked(interface), weights, lambda: _encoder(model, scratch))
    rebuilt = rebuild(original, preprocessing, options, length=length)
    notes = [
        f"answers as {Path(name).name}: {rebuilt.rows} texts, a probability differs by {rebuilt.difference:.1e} at most",
        *rebuilt.notes,
    ]
    digest = folder_sha256(folder / contract.VARIABLES_FOLDER)
    return ConvertedClassifier(rebuilt.classifier, digest, licensing_of_readme(folder), kind, None, tuple(notes))


def _encoder(model: Any, scratch: Path) -> Any:
    """The layer of a loaded SavedModel that is an encoder of TF Hub's format, as a SavedModel of its own; None where there is none."""
    inputs = sample_inputs(1)
    for part in parts_of(model):
        # A Keras layer around the encoder takes the same inputs, but saves Keras' own metadata.
        if not callable(part) or not hasattr(part, "variables") or hasattr(part, "keras_api"):
            continue
        try:
            outputs = part(inputs, training=False)
        except (TypeError, ValueError, tf.errors.OpError):
            continue
        if isinstance(outputs, Mapping) and contract.POOLED_OUTPUT in outputs:
            write_saved_model(part, scratch / "encoder")
            return tf.saved_model.load(str(scratch / "encoder"))
    return None


def _load(folder: Path, name: str) -> Any:
    try:
        return tf.saved_model.load(str(folder))
    except (OSError, ValueError, IndexError, KeyError, AttributeError, tf.errors.OpError) as error:
        raise EncoderError(f"{name}: cannot load the SavedModel: {str(error).splitlines()[0]}; save it again") from None


def _asked(interface: Interface) -> Callable[[Sample], np.ndarray]:
    """The signature as a function of a sample."""

    def ask(sample: Sample) -> np.ndarray:
        if interface.takes_tokens:
            values: Mapping[str, tf.Tensor] = {name: tf.constant(sample.tokens[name]) for name in TOKEN_INPUTS}
        else:
            columns = [sample.texts] if sample.pairs is None else [sample.texts, sample.pairs]
            values = dict(zip(interface.inputs, map(tf.constant, columns), strict=True))
        return interface.call(values)

    return ask


def _trained_length(folder: Path) -> int | None:
    """The length of the encoder's inputs, from Keras' description of its layers; None where it has none."""
    try:
        nodes = SavedMetadata.FromString((folder / KERAS_METADATA).read_bytes()).nodes
        described = [json.loads(node.metadata) for node in nodes]
    except (OSError, DecodeError, ValueError):
        return None
    for layer in described:
        shape = layer.get("build_input_shape") if isinstance(layer, dict) else None
        word_ids = shape.get(contract.WORD_IDS) if isinstance(shape, dict) else None
        length = word_ids["items"][-1] if isinstance(word_ids, dict) and word_ids.get("items") else None
        if isinstance(length, int):
            return length
    return None
