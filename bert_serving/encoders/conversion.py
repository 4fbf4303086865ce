"""A Hugging Face BERT folder to a hub-format encoder folder.

An encoder folder holds three things:

    encoder/          SavedModel in TF Hub's format for text encoders
    preprocessing/    SavedModel in TF Hub's format for text preprocessing
    encoder.json      its architecture
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from bert_serving import contract
from bert_serving.encoders.architecture import Architecture, assign_weights, build_network
from bert_serving.encoders.weights_file import read_safetensors
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import VOCABULARY_FILE, write_preprocessing
from bert_serving.text.vocabulary import read_vocabulary

ENCODER = "encoder"
PREPROCESSING = "preprocessing"
DESCRIPTION = "encoder.json"

# tf-models-official's BertEncoder fixes it.
_LAYER_NORM_EPSILON = 1e-12

_ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu"}

# Hugging Face name -> our name; weights of dense layers are stored transposed there.
_EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "word_embeddings/embeddings",
    "embeddings.position_embeddings.weight": "position_embedding/embeddings",
    "embeddings.token_type_embeddings.weight": "type_embeddings/embeddings",
    "embeddings.LayerNorm.weight": "embeddings/layer_norm/gamma",
    "embeddings.LayerNorm.bias": "embeddings/layer_norm/beta",
    "pooler.dense.weight": "pooler_transform/kernel",
    "pooler.dense.bias": "pooler_transform/bias",
}
_LAYER = {
    "attention.self.query.weight": "self_attention/query/kernel",
    "attention.self.query.bias": "self_attention/query/bias",
    "attention.self.key.weight": "self_attention/key/kernel",
    "attention.self.key.bias": "self_attention/key/bias",
    "attention.self.value.weight": "self_attention/value/kernel",
    "attention.self.value.bias": "self_attention/value/bias",
    "attention.output.dense.weight": "self_attention/attention_output/kernel",
    "attention.output.dense.bias": "self_attention/attention_output/bias",
    "attention.output.LayerNorm.weight": "self_attention_layer_norm/gamma",
    "attention.output.LayerNorm.bias": "self_attention_layer_norm/beta",
    "intermediate.dense.weight": "intermediate/kernel",
    "intermediate.dense.bias": "intermediate/bias",
    "output.dense.weight": "output/kernel",
    "output.dense.bias": "output/bias",
    "output.LayerNorm.weight": "output_layer_norm/gamma",
    "output.LayerNorm.bias": "output_layer_norm/beta",
}
# Position ids are a constant; heads of other tasks are not part of the encoder.
_LEFT_OUT = ("embeddings.position_ids", "cls.", "classifier.", "qa_outputs.")


def is_hugging_face_folder(folder: Path) -> bool:
    """Whether `folder` holds a Hugging Face configuration."""
    return (folder / "config.json").is_file()


def convert_hugging_face(source: Path, target: Path) -> None:
    """Writes the encoder folder for a Hugging Face BERT folder.

    Args:
        source: holds config.json, model.safetensors, vocab.txt and perhaps tokenizer_config.json.
        target: folder to fill.

    Raises:
        EncoderError: a file is missing or damaged, the model is no BERT, a tensor is missing or unknown.
    """
    config = _read_json(source / "config.json")
    architecture = read_architecture(config, _read_json(source / "tokenizer_config.json", optional=True))
    read_vocabulary(source / VOCABULARY_FILE, expected_size=architecture.vocabulary_size)
    weights = rename_weights(read_safetensors(source / "model.safetensors"), architecture)
    network = build_network(architecture)
    assign_weights(network, weights)
    target.mkdir(parents=True, exist_ok=True)
    write_encoder(network, target / ENCODER)
    write_preprocessing(source / VOCABULARY_FILE, target / PREPROCESSING, lower_case=architecture.lower_case)
    architecture.save(target / DESCRIPTION)


def read_architecture(config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> Architecture:
    """Translates Hugging Face's configuration of a BERT model and of its tokenizer.

    Raises:
        EncoderError: it is no BERT, a key is missing, or it asks for arithmetic that we do not have.
    """
    if config.get("model_type") != "bert":
        raise EncoderError(f"config.json: model_type is {config.get('model_type')!r}, only 'bert' can be converted")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise EncoderError(
            f"config.json: position_embedding_type {config['position_embedding_type']!r}, only 'absolute' works"
        )
    if config.get("hidden_act") not in _ACTIVATIONS:
        raise EncoderError(
            f"config.json: hidden_act {config.get('hidden_act')!r} is not one of {', '.join(_ACTIVATIONS)}"
        )
    if config.get("layer_norm_eps", _LAYER_NORM_EPSILON) != _LAYER_NORM_EPSILON:
        raise EncoderError(
            f"config.json: layer_norm_eps {config['layer_norm_eps']!r}, only {_LAYER_NORM_EPSILON} works"
        )
    _check_tokenizer(tokenizer)
    try:
        architecture = Architecture(
            vocabulary_size=int(config["vocab_size"]),
            layers=int(config["num_hidden_layers"]),
            width=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            inner_width=int(config["intermediate_size"]),
            positions=int(config["max_position_embeddings"]),
            types=int(config.get("type_vocab_size", 2)),
            activation=_ACTIVATIONS[config["hidden_act"]],
            dropout=float(config.get("hidden_dropout_prob", 0.1)),
            attention_dropout=float(config.get("attention_probs_dropout_prob", 0.1)),
            lower_case=bool(tokenizer.get("do_lower_case", True)),
        )
    except KeyError as error:
        raise EncoderError(f"config.json: key {error} is missing; it must describe a BERT model") from None
    except (TypeError, ValueError) as error:
        raise EncoderError(f"config.json: a size is not a number: {error}") from None
    if architecture.layers < 1:
        raise EncoderError(f"config.json: num_hidden_layers is {architecture.layers}, expected 1 or more")
    if architecture.heads < 1 or architecture.width % architecture.heads:
        raise EncoderError(
            f"config.json: num_attention_heads {architecture.heads} does not divide hidden_size {architecture.width}"
        )
    return architecture


def rename_weights(tensors: Mapping[str, np.ndarray], architecture: Architecture) -> dict[str, np.ndarray]:
    """Translates names and shapes of Hugging Face's BERT tensors into those of our variables.

    Raises:
        EncoderError: a tensor is missing or unknown; all are named.
    """
    names = weight_names(architecture.layers)
    found = {
        name.removeprefix("bert."): tensor
        for name, tensor in tensors.items()
        if not name.removeprefix("bert.").startswith(_LEFT_OUT)
    }
    problems = [f"{name} is missing" for name in names if name not in found]
    problems += [f"{name} is unknown" for name in sorted(found.keys() - names.keys())]
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise EncoderError(
            f"model.safetensors: the tensors are not those of a BERT with {architecture.layers} layers: {shown}"
        )
    try:
        return {f"{ours}:0": _reshape(found[theirs], ours, architecture) for theirs, ours in names.items()}
    except ValueError as error:
        raise EncoderError(f"model.safetensors: a tensor's shape contradicts config.json: {error}") from None


def weight_names(layers: int) -> dict[str, str]:
    """The whole table of names, Hugging Face's to ours, for so many layers."""
    blocks = {
        f"encoder.layer.{i}.{theirs}": f"transformer/layer_{i}/{ours}"
        for i in range(layers)
        for theirs, ours in _LAYER.items()
    }
    return _EMBEDDINGS | blocks


def write_encoder(network: tf_keras.Model, target: Path) -> None:
    """Writes a network as trainable SavedModel in TF Hub's format for text encoders."""
    tf.saved_model.save(_HubEncoder(network), str(target))


class _HubEncoder(tf.train.Checkpoint):
    """The root object of an encoder SavedModel: TF Hub's Reusable SavedModel interface, traced for both training modes.

    https://www.tensorflow.org/hub/reusable_saved_models
    """

    def __init__(self, network: tf_keras.Model):
        super().__init__()
        self._network = network
        self.variables = list(network.variables)
        self.trainable_variables = list(network.trainable_variables)
        self.regularization_losses: list[Any] = []
        spec = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in contract.TOKEN_INPUTS}
        for training in (False, True):
            self.__call__.get_concrete_function(spec, training=training)

    @tf.function
    def __call__(self, inputs, training=False):
        outputs = dict(self._network(inputs, training=training))
        outputs[contract.DEFAULT_OUTPUT] = outputs[contract.POOLED_OUTPUT]
        return outputs


def _check_tokenizer(tokenizer: Mapping[str, Any]) -> None:
    """Refuses what would give other token ids than the encoder was trained with, in silence."""
    lower_case = bool(tokenizer.get("do_lower_case", True))
    strip_accents = tokenizer.get("strip_accents")
    if strip_accents is not None and bool(strip_accents) != lower_case:
        raise EncoderError(
            f"tokenizer_config.json: strip_accents is {strip_accents} while do_lower_case is {lower_case}; only both or "
            "neither can be converted"
        )
    if not tokenizer.get("tokenize_chinese_chars", True):
        raise EncoderError("tokenizer_config.json: tokenize_chinese_chars is False, only True can be converted")
    if tokenizer.get("tokenizer_class") == "BertJapaneseTokenizer":
        raise EncoderError(
            "tokenizer_config.json: tokenizer_class is 'BertJapaneseTokenizer', which splits words by a dictionary; only "
            "'BertTokenizer' can be converted"
        )


def _reshape(tensor: np.ndarray, name: str, architecture: Architecture) -> np.ndarray:
    heads, head_width = architecture.heads, architecture.width // architecture.heads
    if name.endswith("/kernel"):
        tensor = tensor.T
    if "/self_attention/attention_output/kernel" in name:
        return tensor.reshape(heads, head_width, architecture.width)
    if "/self_attention/" in name and "attention_output" not in name:
        leading = [architecture.width] if name.endswith("/kernel") else []
        return tensor.reshape([*leading, heads, head_width])
    return tensor


def _read_json(path: Path, *, optional: bool = False) -> dict[str, Any]:
    if optional and not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise EncoderError(f"{path}: missing; a Hugging Face folder needs it") from None
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path}: cannot read it: {error}") from None
    if not isinstance(content, dict):
        raise EncoderError(f"{path}: cannot read it: holds {type(content).__name__}, expected a JSON object")
    return content
