"""Hugging Face's ModernBERT (`model_type` "modernbert"; Ettin's encoders, too): its configuration, and names of its tensors."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bert_serving.encoders.architecture import ACTIVATIONS, POOLER_ACTIVATIONS, listed_problems
from bert_serving.encoders.modernbert.architecture import MODEL_TYPE, ModernBertArchitecture
from bert_serving.encoders.safetensors_file import WEIGHTS_FILE
from bert_serving.errors import EncoderError

_PREFIX = "model."
# The output layers of other tasks; that of masked language modeling has a dense layer before it, which is our pooler.
_LEFT_OUT = ("classifier.", "decoder.", "lm_head.")
_POOLER = "head.dense.weight"
_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
_POOLINGS = ("cls", "mean")
# transformers, `ModernBertConfig`: what counts where config.json lacks a key.
_GLOBAL_EVERY = 3
_WINDOW = 128
_GLOBAL_THETA, _LOCAL_THETA = 160_000.0, 10_000.0
_EPSILON = 1e-5
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "tanh": "tanh",
}
# Dense layers and normalizations of a layer, Hugging Face's name to ours.
_DENSE = {
    "attn.Wqkv": "self_attention/query_key_value",
    "attn.Wo": "self_attention/attention_output",
    "mlp.Wi": "intermediate",
    "mlp.Wo": "output",
}
_NORMS = {"attn_norm": "self_attention_layer_norm", "mlp_norm": "mlp_layer_norm"}


def read_modernbert_architecture(config: Mapping[str, Any]) -> ModernBertArchitecture:
    """Translates config.json, with the keys of transformers 4 or 5.

    Raises:
        EncoderError: a key is missing, or the arithmetic is not that of our network.
    """
    try:
        layers = int(config["num_hidden_layers"])
        global_theta, local_theta = _thetas(config)
        architecture = ModernBertArchitecture(
            vocab_size=int(config["vocab_size"]),
            hidden_size=int(config["hidden_size"]),
            num_attention_heads=int(config["num_attention_heads"]),
            intermediate_size=int(config["intermediate_size"]),
            max_position_embeddings=int(config["max_position_embeddings"]),
            global_layers=_global_layers(config, layers),
            window=int(config.get("local_attention", _WINDOW)) // 2,
            global_rope_theta=global_theta,
            local_rope_theta=local_theta,
            layer_norm_eps=_positive("norm_eps", config.get("norm_eps", _EPSILON)),
            layer_norm_bias=_switch(config, "norm_bias"),
            attention_bias=_switch(config, "attention_bias"),
            mlp_bias=_switch(config, "mlp_bias"),
            pooler_bias=_switch(config, "classifier_bias"),
            activation=_activation(config, "hidden_activation", ACTIVATIONS),
            pooler_activation=_activation(config, "classifier_activation", POOLER_ACTIVATIONS),
            pools_mean=_pooling(config) == "mean",
            embedding_dropout=_rate(config, "embedding_dropout"),
            attention_dropout=_rate(config, "attention_dropout"),
            dropout=_rate(config, "mlp_dropout"),
        )
    except KeyError as error:
        raise EncoderError(f"config.json: key {error} is missing; it must describe a {MODEL_TYPE} model") from None
    except (TypeError, ValueError) as error:
        raise EncoderError(f"config.json: a size is not a number: {error}") from None
    _check_heads(config, architecture)
    if architecture.window < 1:
        raise EncoderError(
            f"config.json: local_attention is {config['local_attention']!r}, expected a number of 2 or more"
        )
    return architecture


def rename_modernbert_weights(
    tensors: Mapping[str, np.ndarray],
    architecture: ModernBertArchitecture,
    file: str = WEIGHTS_FILE,
    *,
    pooler_may_lack: bool = False,
) -> tuple[ModernBertArchitecture, dict[str, np.ndarray]]:
    """Translates names and shapes of tensors into those of our variables.

    The dense layer and the normalization before a classifier's or a masked language model's output are the pooler: transformers, too,
    starts a classifier with those of the language model.

    Args:
        tensors: by their names, with or without the prefix of a model with a head.
        architecture: of `read_modernbert_architecture`.
        file: name for messages.
        pooler_may_lack: whether the tensors may be those of an encoder without a head.

    Returns:
        The architecture, with a pooler or without, and the weights.

    Raises:
        EncoderError: a tensor is missing or unknown, or its shape contradicts the configuration.
    """
    theirs = {
        name.removeprefix(_PREFIX): tensor
        for name, tensor in tensors.items()
        if not name.removeprefix(_PREFIX).startswith(_LEFT_OUT)
    }
    architecture = dataclasses.replace(architecture, has_pooler=not pooler_may_lack or _POOLER in theirs)
    names = dict(_names(architecture))
    problems = [f"{name} is missing" for name in names if name not in theirs]
    problems += [f"{name} is unknown" for name in sorted(theirs.keys() - names.keys())]
    if problems:
        raise EncoderError(
            f"{file}: the tensors are not those of a {MODEL_TYPE} with {architecture.num_hidden_layers} layers: "
            f"{listed_problems(problems)}"
        )
    shapes = dict(_shapes(architecture, names))
    problems = [
        f"{name} has shape {theirs[name].shape}, expected {shape}"
        for name, shape in shapes.items()
        if theirs[name].shape != shape
    ]
    if problems:
        raise EncoderError(
            f"config.json: its sizes contradict {file}: {listed_problems(problems)}; correct config.json, or give the weights that "
            "belong to it"
        )
    return architecture, {
        f"{ours}:0": theirs[name].T if ours.endswith("/kernel") else theirs[name] for name, ours in names.items()
    }


def _names(architecture: ModernBertArchitecture) -> Iterator[tuple[str, str]]:
    """All tensors, Hugging Face's name and ours."""
    yield "embeddings.tok_embeddings.weight", "word_embeddings/embeddings"
    yield from _norm("embeddings.norm", "embeddings/layer_norm", architecture)
    for number in range(architecture.num_hidden_layers):
        layer, our_layer = f"layers.{number}", f"transformer/layer_{number}"
        for theirs, ours in _NORMS.items():
            # The embeddings have been normalized just before.
            if number or theirs != "attn_norm":
                yield from _norm(f"{layer}.{theirs}", f"{our_layer}/{ours}", architecture)
        for theirs, ours in _DENSE.items():
            has_bias = architecture.attention_bias if theirs.startswith("attn.") else architecture.mlp_bias
            yield from _dense(f"{layer}.{theirs}", f"{our_layer}/{ours}", has_bias=has_bias)
    yield from _norm("final_norm", "final_layer_norm", architecture)
    if architecture.has_pooler:
        yield from _dense("head.dense", "pooler_transform", has_bias=architecture.pooler_bias)
        yield from _norm("head.norm", "pooler_layer_norm", architecture)


def _norm(theirs: str, ours: str, architecture: ModernBertArchitecture) -> Iterator[tuple[str, str]]:
    yield f"{theirs}.weight", f"{ours}/gamma"
    if architecture.layer_norm_bias:
        yield f"{theirs}.bias", f"{ours}/beta"


def _dense(theirs: str, ours: str, *, has_bias: bool) -> Iterator[tuple[str, str]]:
    yield f"{theirs}.weight", f"{ours}/kernel"
    if has_bias:
        yield f"{theirs}.bias", f"{ours}/bias"


def _shapes(architecture: ModernBertArchitecture, names: Mapping[str, str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The shape of each tensor in PyTorch, whose dense layers have [outputs, inputs]."""
    width, inner = architecture.hidden_size, architecture.intermediate_size
    outputs = {"query_key_value": 3 * width, "intermediate": 2 * inner}
    for theirs, ours in names.items():
        *_, layer, kind = ours.split("/")
        rows = outputs.get(layer, width)
        if kind == "kernel":
            yield theirs, (rows, inner if layer == "output" else width)
        else:
            yield theirs, (architecture.vocab_size, width) if kind == "embeddings" else (rows,)


def _global_layers(config: Mapping[str, Any], layers: int) -> tuple[bool, ...]:
    if layers < 1:
        raise EncoderError(f"config.json: num_hidden_layers is {layers}, expected 1 or more")
    types = config.get("layer_types")
    if types is None:
        every = int(config.get("global_attn_every_n_layers", _GLOBAL_EVERY))
        if every < 1:
            raise EncoderError(f"config.json: global_attn_every_n_layers is {every}, expected 1 or more")
        return tuple(number % every == 0 for number in range(layers))
    if not isinstance(types, list) or len(types) != layers or not all(each in (_GLOBAL, _LOCAL) for each in types):
        raise EncoderError(
            f"config.json: layer_types is {types!r}, expected {_GLOBAL} or {_LOCAL} for each of the {layers} layers"
        )
    return tuple(each == _GLOBAL for each in types)


def _thetas(config: Mapping[str, Any]) -> tuple[float, float]:
    """Bases of the rotary positions in global and in local layers."""
    if scaling := config.get("rope_scaling"):
        raise EncoderError(
            f"config.json: rope_scaling is {scaling!r}, only rotary positions without scaling can be converted"
        )
    given = config.get("rope_parameters") or {}
    try:
        of_kind: dict[str, Mapping[str, Any]] = {kind: dict(given.get(kind) or {}) for kind in (_GLOBAL, _LOCAL)}
    except (AttributeError, TypeError, ValueError):
        raise EncoderError(
            f"config.json: rope_parameters is {given!r}, expected objects for {_GLOBAL} and {_LOCAL}"
        ) from None
    for kind, parameters in of_kind.items():
        if (rope := parameters.get("rope_type", "default")) != "default":
            raise EncoderError(f"config.json: rope_type of {kind} is {rope!r}, only 'default' can be converted")
    theta = of_kind[_GLOBAL].get("rope_theta", config.get("global_rope_theta", _GLOBAL_THETA))
    local = of_kind[_LOCAL].get("rope_theta", config.get("local_rope_theta", _LOCAL_THETA))
    # transformers 4 takes null for the same base in all layers.
    return _positive("rope_theta", theta), _positive("rope_theta", theta if local is None else local)


def _check_heads(config: Mapping[str, Any], architecture: ModernBertArchitecture) -> None:
    width, heads = architecture.hidden_size, architecture.num_attention_heads
    if heads < 1 or width % heads:
        raise EncoderError(f"config.json: num_attention_heads {heads} does not divide hidden_size {width}")
    if architecture.head_size % 2:
        raise EncoderError(
            f"config.json: attention heads have a width of {architecture.head_size} (hidden_size / num_attention_heads), rotary positions "
            "need an even one"
        )
    if config.get("head_dim") not in (None, architecture.head_size):
        raise EncoderError(
            f"config.json: head_dim is {config['head_dim']!r}, only hidden_size / num_attention_heads ({architecture.head_size}) can be "
            "converted"
        )


def _positive(key: str, value: Any) -> float:
    if not float(value) > 0:
        raise EncoderError(f"config.json: {key} is {float(value)}, expected a number above 0")
    return float(value)


def _rate(config: Mapping[str, Any], key: str) -> float:
    rate = float(config.get(key, 0.0))
    if not 0 <= rate < 1:
        raise EncoderError(f"config.json: {key} is {rate}, expected a number from 0 to below 1")
    return rate


def _switch(config: Mapping[str, Any], key: str) -> bool:
    value = config.get(key, False)
    if not isinstance(value, bool):
        raise EncoderError(f"config.json: {key} is {value!r}, expected true or false")
    return value


def _activation(config: Mapping[str, Any], key: str, known: Mapping[str, Any]) -> str:
    name = _ACTIVATIONS.get(str(config.get(key, "gelu")))
    if name is None or name not in known:
        names = [theirs for theirs, ours in _ACTIVATIONS.items() if ours in known]
        raise EncoderError(f"config.json: {key} {config.get(key)!r} is not one of {', '.join(names)}")
    return name


def _pooling(config: Mapping[str, Any]) -> str:
    pooling = config.get("classifier_pooling", _POOLINGS[0])
    if pooling not in _POOLINGS:
        raise EncoderError(f"config.json: classifier_pooling is {pooling!r}, expected {' or '.join(_POOLINGS)}")
    return str(pooling)
