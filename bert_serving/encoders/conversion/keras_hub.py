"""Converts the encoder of a KerasHub preset.

A preset folder holds config.json (the backbone's class and sizes), model.weights.h5, tokenizer.json and the vocabulary in
assets/tokenizer/. Paths in the weight file are class names in the order of the layers, which Keras keeps stable on purpose
(keras 3, `saving_lib._save_container_state`).
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py  # type: ignore[import-untyped]  # has no annotations
import numpy as np

from bert_serving.encoders.architecture import Architecture, neutral_weights, rebuild_network
from bert_serving.encoders.conversion.keras_hub_pieces import read_keras_hub_pieces
from bert_serving.encoders.conversion.tokenizer_files import read_json, table
from bert_serving.encoders.folder import PREPROCESSING, write_encoder_folder
from bert_serving.errors import EncoderError
from bert_serving.text.keras_hub_words import write_keras_hub_words
from bert_serving.text.preprocessing import (
    SENTENCEPIECE_FILE,
    VOCABULARY_FILE,
    write_sentencepiece_preprocessing,
)
from bert_serving.text.sentencepieces import TextRules, read_sentencepiece
from bert_serving.text.vocabulary import read_vocabulary

WEIGHTS = "model.weights.h5"
_WORDPIECES = "assets/tokenizer/vocabulary.txt"
_SENTENCEPIECES = "assets/tokenizer/vocabulary.spm"

# Parts of a KerasHub TransformerEncoder, KerasHub's name to ours.
_LAYER = {
    "_self_attention_layer/_query_dense": "self_attention/query",
    "_self_attention_layer/_key_dense": "self_attention/key",
    "_self_attention_layer/_value_dense": "self_attention/value",
    "_self_attention_layer/_output_dense": "self_attention/attention_output",
    "_self_attention_layer_norm": "self_attention_layer_norm",
    "_feedforward_intermediate_dense": "intermediate",
    "_feedforward_output_dense": "output",
    "_feedforward_layer_norm": "output_layer_norm",
}


@dataclass(frozen=True)
class _Backbone:
    """One class of backbone.

    Attributes:
        words, positions: paths of the embedding tables.
        types: whether it has embeddings of token types (first or second text).
        pooler: whether it has a dense layer on [CLS].
        activation: between the dense layers, a name in `ACTIVATIONS`.
        shared_layers: whether all layers have the same weights.
        layer_norm_eps: added to the variance in layer normalization.
        lower_case: whether texts are lower-cased where tokenizer.json does not tell.
    """

    words: str = "reversible_embedding"
    positions: str = "position_embedding"
    types: bool = True
    pooler: bool = True
    activation: str = "gelu_tanh"
    shared_layers: bool = False
    layer_norm_eps: float = 1e-12
    lower_case: bool = True


_DISTILBERT = _Backbone(
    words="token_and_position_embedding/token_embedding",
    positions="token_and_position_embedding/position_embedding",
    types=False,
    pooler=False,
    activation="gelu",
)
# Its positions count from 0: the rows that a RoBERTa has before the first position were left out when KerasHub converted it.
_ROBERTA = replace(_DISTILBERT, layer_norm_eps=1e-5, lower_case=False)

_BACKBONES = {
    "BertBackbone": _Backbone(),
    "DistilBertBackbone": _DISTILBERT,
    "ElectraBackbone": _Backbone(),
    "AlbertBackbone": _Backbone(shared_layers=True),
    "RobertaBackbone": _ROBERTA,
    "XLMRobertaBackbone": _ROBERTA,
}


def is_keras_hub_preset(folder: Path) -> bool:
    """Whether `folder` holds a KerasHub preset."""
    if not (folder / "config.json").is_file() or not (folder / WEIGHTS).is_file():
        return False
    return "class_name" in read_json(folder / "config.json")


def convert_keras_hub(source: Path, target: Path) -> None:
    """Writes the encoder folder for a KerasHub preset.

    Args:
        source: holds config.json, model.weights.h5, tokenizer.json and assets/.
        target: folder to fill.

    Raises:
        EncoderError: a file is missing or damaged, or the preset is of no class that can be converted.
    """
    architecture, weights = read_keras_hub(source)
    with TemporaryDirectory() as scratch:
        # The vocabulary is checked before anything is written.
        write = _preprocessing_writer(source, Path(scratch), architecture)
        write_encoder_folder(target, architecture, rebuild_network(architecture, weights))
        write(target / PREPROCESSING)


def read_keras_hub(source: Path) -> tuple[Architecture, dict[str, np.ndarray]]:
    """Architecture and weights, under our names, of a preset's backbone.

    Raises:
        EncoderError: as `convert_keras_hub`.
    """
    description = read_json(source / "config.json")
    name = description.get("class_name")
    if name not in _BACKBONES:
        raise EncoderError(
            f"{source}/config.json: class_name is {name!r}, only {', '.join(_BACKBONES)} can be converted"
        )
    backbone = _BACKBONES[name]
    tokenizer = read_json(source / "tokenizer.json").get("config", {})
    architecture = _architecture(source, backbone, description.get("config", {}), tokenizer)
    return architecture, _read_weights(source / WEIGHTS, backbone, architecture)


def write_keras_hub_preprocessing(source: Path, target: Path, architecture: Architecture) -> None:
    """Writes the preprocessing SavedModel of a preset's tokenizer.

    Raises:
        EncoderError: as `convert_keras_hub`.
    """
    with TemporaryDirectory() as scratch:
        _preprocessing_writer(source, Path(scratch), architecture)(target)


def _preprocessing_writer(source: Path, scratch: Path, architecture: Architecture) -> Callable[[Path], None]:
    if pieces := read_keras_hub_pieces(source, rows=architecture.vocab_size):
        return pieces.write
    vocabulary = _vocabulary(source, scratch, architecture)
    if vocabulary.name == SENTENCEPIECE_FILE:
        model = read_sentencepiece(vocabulary, rows=architecture.vocab_size)
        return lambda target: write_sentencepiece_preprocessing(model, target, rules=TextRules())
    strip_accents = bool(table(read_json(source / "tokenizer.json"), "config").get("strip_accents", False))
    return lambda target: write_keras_hub_words(
        vocabulary, target, lower_case=architecture.lower_case, strip_accents=strip_accents
    )


def _architecture(
    source: Path, backbone: _Backbone, config: Mapping[str, Any], tokenizer: Mapping[str, Any]
) -> Architecture:
    for key in ("num_groups", "num_inner_repetitions"):
        if config.get(key, 1) != 1:
            raise EncoderError(f"{source}/config.json: {key} is {config[key]!r}, only 1 can be converted")
    try:
        architecture = Architecture(
            # ELECTRA's backbone alone has another name.
            vocab_size=int(config["vocab_size"] if "vocab_size" in config else config["vocabulary_size"]),
            num_hidden_layers=int(config["num_layers"]),
            hidden_size=int(config["hidden_dim"]),
            num_attention_heads=int(config["num_heads"]),
            intermediate_size=int(config["intermediate_dim"]),
            max_position_embeddings=int(config["max_sequence_length"]),
            type_vocab_size=int(config.get("num_segments", 2)),
            activation=backbone.activation,
            dropout=float(config.get("dropout", 0.1)),
            attention_dropout=float(config.get("dropout", 0.1)),
            lower_case=bool(tokenizer.get("lowercase", backbone.lower_case)),
            embedding_size=int(config.get("embedding_dim") or config["hidden_dim"]),
            shared_layers=backbone.shared_layers,
            layer_norm_eps=backbone.layer_norm_eps,
        )
    except KeyError as error:
        raise EncoderError(f"{source}/config.json: key {error} is missing in its config") from None
    except (TypeError, ValueError) as error:
        raise EncoderError(f"{source}/config.json: a size is not a number: {error}") from None
    if architecture.shared_layers and not architecture.has_projection:
        raise EncoderError(
            f"{source}/config.json: embedding_dim equals hidden_dim, only a narrower one can be converted"
        )
    return architecture


def _paths(backbone: _Backbone, architecture: Architecture) -> dict[str, str]:
    """Layers in the weight file to our layers."""
    dense = iter(("dense", "dense_1"))
    paths = {"layer_normalization": "embeddings/layer_norm"}
    if architecture.has_projection:
        paths[next(dense)] = "embedding_projection"
    if backbone.pooler:
        paths[next(dense)] = "pooler_transform"
    for number in range(1 if backbone.shared_layers else architecture.num_hidden_layers):
        theirs = f"transformer_encoder_{number}" if number else "transformer_encoder"
        ours = "transformer" if backbone.shared_layers else f"transformer/layer_{number}"
        paths |= {f"{theirs}/{part}": f"{ours}/{name}" for part, name in _LAYER.items()}
    return paths


def _read_weights(path: Path, backbone: _Backbone, architecture: Architecture) -> dict[str, np.ndarray]:
    tables = {backbone.words: "word_embeddings", backbone.positions: "position_embedding"}
    if backbone.types:
        tables["embedding"] = "type_embeddings"
    weights: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path) as file:
            for theirs, ours in tables.items():
                weights[f"{ours}/embeddings:0"] = _array(file, theirs, 0)
            for theirs, ours in _paths(backbone, architecture).items():
                parts = ("gamma", "beta") if ours.endswith("layer_norm") else ("kernel", "bias")
                for number, part in enumerate(parts):
                    weights[f"{ours}/{part}:0"] = _array(file, theirs, number)
    except KeyError as error:
        raise EncoderError(
            f"{path}: {error.args[0]} is missing; the weights are not those of its config.json"
        ) from None
    except OSError as error:
        raise EncoderError(f"{path}: cannot read the weights: {' '.join(str(error).split())}; fetch it again") from None
    return weights | neutral_weights(architecture, types=not backbone.types, pooler=not backbone.pooler)


def _array(file: h5py.File, layer: str, number: int) -> np.ndarray:
    name = f"layers/{layer}/vars/{number}"
    # Keras 3.15 calls the parts of attention query_dense and so on, versions before it _query_dense.
    for spelling in (name, name.replace("_self_attention_layer/_", "_self_attention_layer/")):
        if spelling in file:
            return np.asarray(file[spelling], np.float32)
    raise KeyError(name)


def _vocabulary(source: Path, scratch: Path, architecture: Architecture) -> Path:
    """A copy of the checked vocabulary under the file name that the asset needs."""
    if (source / _SENTENCEPIECES).is_file():
        return Path(shutil.copy(source / _SENTENCEPIECES, scratch / SENTENCEPIECE_FILE))
    read_vocabulary(source / _WORDPIECES, rows=architecture.vocab_size)
    return Path(shutil.copy(source / _WORDPIECES, scratch / VOCABULARY_FILE))
