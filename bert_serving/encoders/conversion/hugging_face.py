"""Converts the encoder of a Hugging Face folder: one of the BERT family, or a ModernBERT."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bert_serving.encoders.architecture import (
    AnyArchitecture,
    Architecture,
    listed_problems,
    neutral_weights,
    rebuild_network,
)
from bert_serving.encoders.conversion.classification_head import is_fine_tuned
from bert_serving.encoders.conversion.families import FAMILIES, POSITIONS
from bert_serving.encoders.conversion.layout import check_layout
from bert_serving.encoders.conversion.modernbert import read_modernbert_architecture, rename_modernbert_weights
from bert_serving.encoders.conversion.other_models import SUPPORTED
from bert_serving.encoders.conversion.tokenizer import Tokenizer, read_tokenizer
from bert_serving.encoders.conversion.tokenizer_files import read_json
from bert_serving.encoders.folder import PREPROCESSING, write_encoder_folder
from bert_serving.encoders.modernbert.architecture import MODEL_TYPE, ModernBertArchitecture
from bert_serving.encoders.safetensors_file import WEIGHTS_FILE, read_safetensors
from bert_serving.errors import EncoderError
from bert_serving.text.vocabulary import check_rows

_ALBERT = "albert"
_LAYER_NORM_EPSILON = 1e-12
# Layer normalization of a DistilBERT has 1e-12, whatever its config.json says.
_FIXED_EPSILON = "distilbert"

# Of torch.compile, and of DataParallel and DistributedDataParallel; a model saved within one has it before every name.
_WRAPPERS = ("_orig_mod.", "module.")

_ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu"}


def is_hugging_face_folder(folder: Path) -> bool:
    """Whether `folder` holds a Hugging Face configuration."""
    return (folder / "config.json").is_file()


def convert_hugging_face(source: Path, target: Path) -> None:
    """Writes the encoder folder for a Hugging Face folder.

    Parts that a DistilBERT or an ELECTRA lacks are filled in (`neutral_weights`). A BERT or ALBERT that was saved without its
    pooler, as a masked language model is, gets the same neutral pooler. A ModernBERT's pooler is the dense layer before the output
    of its masked language model or classifier, if it has one.

    Args:
        source: holds config.json, model.safetensors, the vocabulary (vocab.txt, spiece.model or tokenizer.json) and perhaps
            tokenizer_config.json.
        target: folder to fill.

    Raises:
        EncoderError: a file is missing or damaged, the model is of another family, a tensor is missing or unknown.
    """
    config, tokenizer, architecture = read_description(source)
    architecture, weights = encoder_weights(read_weights(source), architecture, config)
    write_encoder_folder(target, architecture, rebuild_network(architecture, weights))
    tokenizer.pieces.write(target / PREPROCESSING)


def encoder_weights(
    tensors: Mapping[str, np.ndarray], architecture: AnyArchitecture, config: Mapping[str, Any]
) -> tuple[AnyArchitecture, dict[str, np.ndarray]]:
    """The weights of an encoder by the names of our variables, and its architecture with what the tensors alone tell.

    Raises:
        EncoderError: a tensor is missing or unknown, or contradicts the configuration.
    """
    # A classifier's pooler was trained with its head, so it must not be replaced.
    may_lack = not is_fine_tuned(config)
    if isinstance(architecture, ModernBertArchitecture):
        return rename_modernbert_weights(tensors, architecture, pooler_may_lack=may_lack)
    model_type = config["model_type"]
    family = FAMILIES[model_type]
    return architecture, rename_weights(
        tensors,
        architecture,
        model_type,
        first_position=family.first_position(config),
        pooler_may_lack=may_lack or family.head_has_pooler,
    )


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """Tensors of a folder by their names, without what PyTorch's wrappers put before them.

    Raises:
        EncoderError: a file is missing or damaged.
    """
    tensors = read_safetensors(folder)
    while tensors and (
        wrapper := next((each for each in _WRAPPERS if all(name.startswith(each) for name in tensors)), None)
    ):
        tensors = {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
    return tensors


def read_description(source: Path) -> tuple[dict[str, Any], Tokenizer, AnyArchitecture]:
    """Reads config.json, the tokenizer, and the architecture that both describe.

    Raises:
        EncoderError: a file is missing or damaged, or asks for something that is not supported.
    """
    check_layout(source)
    config = read_json(source / "config.json")
    # The architecture first: a family that cannot be converted may have any tokenizer.
    architecture: AnyArchitecture
    if config.get("model_type") == MODEL_TYPE:
        architecture = read_modernbert_architecture(config)
        tokenizer = read_tokenizer(source, config)
    else:
        read_architecture(config)
        tokenizer = read_tokenizer(source, config)
        architecture = read_architecture(config, lower_case=tokenizer.pieces.lower_case)
    check_rows(tokenizer.pieces.size, architecture.vocab_size, str(source))
    return config, tokenizer, architecture


def read_architecture(config: Mapping[str, Any], *, lower_case: bool = True) -> Architecture:
    """Translates Hugging Face's configuration of a model; `lower_case` is told by its tokenizer.

    Raises:
        EncoderError: the family is not supported, a key is missing, or the arithmetic is not that of our network.
    """
    model_type = config.get("model_type")
    if model_type not in FAMILIES:
        raise EncoderError(f"config.json: model_type is {model_type!r}, only {', '.join(SUPPORTED)} can be converted")
    family, keys = FAMILIES[model_type], FAMILIES[model_type].size_keys()
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise EncoderError(
            f"config.json: position_embedding_type {config['position_embedding_type']!r}, only 'absolute' works"
        )
    activation_key = "activation" if model_type == "distilbert" else "hidden_act"
    if config.get(activation_key) not in _ACTIVATIONS:
        raise EncoderError(
            f"config.json: {activation_key} {config.get(activation_key)!r} is not one of {', '.join(_ACTIVATIONS)}"
        )
    if model_type == _ALBERT:
        _check_sharing(config)
    try:
        sizes: dict[str, Any] = {name: int(config[key]) for name, key in keys.items()}
        architecture = Architecture(
            **sizes,
            type_vocab_size=int(config.get("type_vocab_size", 2)),
            activation=_ACTIVATIONS[config[activation_key]],
            dropout=float(config.get("hidden_dropout_prob", config.get("dropout", 0.1))),
            attention_dropout=float(config.get("attention_probs_dropout_prob", config.get("attention_dropout", 0.1))),
            lower_case=lower_case,
            shared_layers=family.shared_layers,
            layer_norm_eps=_LAYER_NORM_EPSILON
            if model_type == _FIXED_EPSILON
            else float(config.get("layer_norm_eps", _LAYER_NORM_EPSILON)),
        )
        architecture = replace(
            architecture,
            max_position_embeddings=architecture.max_position_embeddings - family.first_position(config),
        )
    except KeyError as error:
        raise EncoderError(f"config.json: key {error} is missing; it must describe a {model_type} model") from None
    except (TypeError, ValueError) as error:
        raise EncoderError(f"config.json: a size is not a number: {error}") from None
    if not architecture.layer_norm_eps > 0:
        raise EncoderError(f"config.json: layer_norm_eps is {architecture.layer_norm_eps!r}, expected a number above 0")
    if architecture.num_hidden_layers < 1:
        raise EncoderError(
            f"config.json: {keys['num_hidden_layers']} is {architecture.num_hidden_layers}, expected 1 or more"
        )
    if architecture.num_attention_heads < 1 or architecture.hidden_size % architecture.num_attention_heads:
        raise EncoderError(
            f"config.json: {keys['num_attention_heads']} {architecture.num_attention_heads} does not divide "
            f"{keys['hidden_size']} {architecture.hidden_size}"
        )
    return architecture


def rename_weights(
    tensors: Mapping[str, np.ndarray],
    architecture: Architecture,
    model_type: str = "bert",
    file: str = WEIGHTS_FILE,
    *,
    first_position: int = 0,
    pooler_may_lack: bool = False,
) -> dict[str, np.ndarray]:
    """Translates names and shapes of Hugging Face's tensors into those of our variables.

    Args:
        tensors: by their names, with or without the prefix of a model with a head.
        architecture: of the encoder.
        model_type: a family's name.
        file: name for messages.
        first_position: row of the position table for a text's first token; the rows before it are left out.
        pooler_may_lack: fill in a neutral pooler where the family has one and the tensors have none of its parts.

    Raises:
        EncoderError: a tensor is missing or unknown; the first ones are listed.
    """
    family = FAMILIES[model_type]
    names = family.weight_names(architecture.num_hidden_layers, projection=architecture.has_projection)
    encoder = {
        _modern(name.removeprefix(family.prefix)): tensor
        for name, tensor in tensors.items()
        if not name.removeprefix(family.prefix).startswith(family.left_out)
    }
    pooler = family.pooler_names()
    has_pooler = bool(pooler) and not (pooler_may_lack and pooler.isdisjoint(encoder))
    if not has_pooler:
        names = {theirs: ours for theirs, ours in names.items() if theirs not in pooler}
    _check_sizes(encoder, architecture, model_type, file, first_position)
    encoder = {name: tensor[first_position:] if name == POSITIONS else tensor for name, tensor in encoder.items()}
    problems = [f"{name} is missing" for name in names if name not in encoder]
    problems += [f"{name} is unknown" for name in sorted(encoder.keys() - names.keys())]
    if problems:
        raise EncoderError(
            f"{file}: the tensors are not those of a {model_type} with {architecture.num_hidden_layers} layers: "
            f"{listed_problems(problems)}"
        )
    try:
        renamed = {f"{ours}:0": _reshape(encoder[theirs], ours, architecture) for theirs, ours in names.items()}
    except ValueError as error:
        raise EncoderError(f"{file}: a tensor's shape contradicts config.json: {error}") from None
    return renamed | neutral_weights(architecture, types=not family.has_types, pooler=not has_pooler)


def _check_sizes(
    encoder: Mapping[str, np.ndarray], architecture: Architecture, model_type: str, file: str, first_position: int
) -> None:
    """Refuses sizes in config.json that the tensors contradict; transformers does not load such a model either."""
    family = FAMILIES[model_type]
    keys = family.size_keys()
    for size, (tensor, axis) in family.size_tensors().items():
        told = getattr(architecture, size) + (first_position if tensor == POSITIONS else 0)
        found = encoder[tensor].shape[axis] if tensor in encoder and encoder[tensor].ndim == 2 else told
        if found != told:
            raise EncoderError(
                f"config.json: {keys.get(size, size)} is {told}, but {tensor} in {file} has {found}; correct config.json, or give the "
                "weights that belong to it"
            )
    layers = len(
        {
            name.removeprefix(family.layers)[1:].partition(".")[0]
            for name in encoder
            if name.startswith(f"{family.layers}.")
        }
    )
    if not family.shared_layers and layers not in (0, architecture.num_hidden_layers):
        raise EncoderError(
            f"config.json: {keys['num_hidden_layers']} is {architecture.num_hidden_layers}, but {file} has {layers} layers; correct "
            "config.json, or give the weights that belong to it"
        )


def _modern(name: str) -> str:
    """A tensor's name as in current PyTorch; the first checkpoints have TensorFlow's `gamma` and `beta`."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _check_sharing(config: Mapping[str, Any]) -> None:
    """Refuses an ALBERT whose layers do not all share their weights; no published one is such."""
    for key in ("num_hidden_groups", "inner_group_num"):
        if config.get(key, 1) != 1:
            raise EncoderError(f"config.json: {key} is {config[key]!r}, only 1 can be converted")
    if config.get("embedding_size") == config.get("hidden_size"):
        raise EncoderError(
            f"config.json: embedding_size equals hidden_size ({config.get('hidden_size')}), only a narrower one can be converted"
        )


def _reshape(tensor: np.ndarray, name: str, architecture: Architecture) -> np.ndarray:
    heads, head_width = architecture.num_attention_heads, architecture.hidden_size // architecture.num_attention_heads
    if name.endswith("/kernel"):
        tensor = tensor.T
    if "/self_attention/attention_output/kernel" in name:
        return tensor.reshape(heads, head_width, architecture.hidden_size)
    if "/self_attention/" in name and "attention_output" not in name:
        leading = [architecture.hidden_size] if name.endswith("/kernel") else []
        return tensor.reshape([*leading, heads, head_width])
    return tensor
