"""Loads an encoder folder as a Keras layer that a classifier can be built on."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

from bert_serving import contract
from bert_serving.encoders.architecture import (
    ACTIVATIONS,
    AnyArchitecture,
    Architecture,
    assign_weights,
    build_network,
    load_architecture,
    rebuild_network,
    sample_inputs,
)
from bert_serving.encoders.dropout import reproducible_dropout
from bert_serving.encoders.folder import DESCRIPTION, EncoderFolder
from bert_serving.encoders.modernbert.architecture import ModernBertArchitecture
from bert_serving.encoders.tf_hub_format import read_encoder
from bert_serving.errors import EncoderError

# Largest difference of two implementations of one encoder, which is rounding; a wrong activation differs by 1e-3 and more.
_SAME_ENCODER = 1e-4
# The names that TF Hub's encoders give their tables.
_POSITIONS, _WORDS, _TYPES = (
    f"{name}/embeddings:0" for name in ("position_embedding", "word_embeddings", "type_embeddings")
)

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder in memory.

    Attributes:
        layer: Keras layer from a dict of `TOKEN_INPUTS` to a dict of outputs.
        architecture: known for encoders rebuilt as Keras networks; None for a `hub.KerasLayer`.
    """

    layer: tf_keras.layers.Layer
    architecture: AnyArchitecture | None

    @property
    def positions(self) -> int | None:
        """Longest sequence that the encoder takes, in tokens; None where there is no limit or it is not known."""
        if isinstance(self.architecture, ModernBertArchitecture):
            return self.architecture.max_position_embeddings
        return self._rows(_POSITIONS)

    @property
    def vocabulary(self) -> int | None:
        """Number of token ids that the encoder has embeddings for; None where it is not known."""
        return self._rows(_WORDS)

    @property
    def types(self) -> int | None:
        """Number of token types; None where it is not known, or makes no difference."""
        return self._rows(_TYPES)

    def _rows(self, table: str) -> int | None:
        return next((int(weight.shape[0]) for weight in self.layer.weights if weight.name.endswith(table)), None)

    def check_length(self, tokens: int, name: str) -> None:
        """Refuses sequences that are longer than the encoder takes.

        Args:
            tokens: length of the sequences.
            name: the option that sets it, for the message.

        Raises:
            EncoderError: the sequences are too long.
        """
        if self.positions is not None and tokens > self.positions:
            raise EncoderError(f"{name} is {tokens}, the encoder takes at most {self.positions} tokens; lower it")


def load_encoder(folder: EncoderFolder, *, trainable: bool = True, rebuild: bool = True) -> LoadedEncoder:
    """Loads an encoder for training or inference.

    A BERT encoder is rebuilt as a Keras network from the variables of its SavedModel, which allows mixed precision, seeded
    dropout and other serving graphs. Where the architecture is not known from conversion, the rebuilt network must give the
    outputs of the SavedModel. Any other encoder, or every one when `rebuild` is false, becomes a `hub.KerasLayer`.

    Raises:
        EncoderError: the folder holds no loadable encoder.
    """
    if not (folder.encoder / contract.GRAPH_FILE).is_file():
        raise EncoderError(
            f"{folder.encoder}: no encoder SavedModel here (saved_model.pb is missing); check encoder.path"
        )
    if rebuild and folder.architecture is not None:
        architecture, network = folder.architecture, network_from(folder.architecture, blank=True)
        read_encoder(network, folder.encoder)
    else:
        examined = _outside_strategies(lambda: _examine(folder, rebuild=rebuild))
        if examined is None:
            return LoadedEncoder(hub.KerasLayer(_load(folder.encoder), trainable=trainable, name="encoder"), None)
        architecture, weights = examined
        network = network_from(architecture, blank=True)
        assign_weights(network, weights)
    network.trainable = trainable
    return LoadedEncoder(network, architecture)


def network_from(architecture: AnyArchitecture, *, blank: bool = False) -> tf_keras.Model:
    """An encoder network, as `build_network` makes it, whose dropout can be seeded."""
    with reproducible_dropout():
        return build_network(architecture, blank=blank)


def infer_architecture(weights: Mapping[str, np.ndarray]) -> Architecture | None:
    """Reads the sizes of a BERT encoder off its variables; None when they are not those of a BERT."""
    try:
        vocab_size, embedding_size = weights["word_embeddings/embeddings:0"].shape
        positions, _ = weights["position_embedding/embeddings:0"].shape
        types, _ = weights["type_embeddings/embeddings:0"].shape
        hidden_size, heads, _ = weights["transformer/layer_0/self_attention/query/kernel:0"].shape
        _, intermediate_size = weights["transformer/layer_0/intermediate/kernel:0"].shape
    except (KeyError, ValueError):
        return None
    layers = {int(match[1]) for name in weights if (match := re.match(r"transformer/layer_(\d+)/", name))}
    return Architecture(
        vocab_size=vocab_size,
        num_hidden_layers=max(layers) + 1,
        hidden_size=hidden_size,
        num_attention_heads=heads,
        intermediate_size=intermediate_size,
        max_position_embeddings=positions,
        type_vocab_size=types,
        embedding_size=None if embedding_size == hidden_size else embedding_size,
    )


def _outside_strategies(function: Callable[[], _Result]) -> _Result:
    """Calls `function` where no `tf.distribute` scope is entered; scopes are a thread's own.

    A SavedModel loaded within the scope of several replicas can only be called on a replica.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function).result()


def _examine(folder: EncoderFolder, *, rebuild: bool) -> tuple[AnyArchitecture, dict[str, np.ndarray]] | None:
    """Architecture and weights of an encoder that can be rebuilt; None for another text encoder."""
    model = _load(folder.encoder)
    description = folder.encoder.parent / DESCRIPTION
    if rebuild:
        # TF Hub's encoders hold more than weights: whether to lower-case is a boolean variable there.
        variables = getattr(model, "variables", [])
        weights = {variable.name: variable.numpy() for variable in variables if variable.dtype.is_floating}
        described = load_architecture(description) if description.is_file() else None
        if (architecture := _same_architecture(model, weights, described)) is not None:
            return architecture, weights
    _check_interface(model, folder.encoder)
    return None


def _load(path: Path) -> Any:
    try:
        return tf.saved_model.load(str(path))
    except (OSError, ValueError, IndexError, tf.errors.OpError) as error:
        # IndexError is what TensorFlow makes of a file of variables that is too short.
        raise EncoderError(f"{path}: cannot load the encoder: {str(error).splitlines()[0]}") from None


def _same_architecture(
    model: Any, weights: Mapping[str, np.ndarray], described: AnyArchitecture | None
) -> AnyArchitecture | None:
    """The architecture whose network gives the outputs of `model`; None when there is none."""
    inferred = described or infer_architecture(weights)
    if inferred is None:
        return None
    inputs = sample_inputs(inferred.vocab_size)
    try:
        expected = model(inputs, training=False)[contract.SEQUENCE_OUTPUT]
    except (KeyError, TypeError, ValueError, tf.errors.OpError):
        return None
    # The variables tell every size, but not the activation between the dense layers.
    for activation in [described.activation] if described else ACTIVATIONS:
        candidate = replace(inferred, activation=activation)
        try:
            with _float32():
                network = rebuild_network(candidate, weights)
        except EncoderError:
            return None
        if float(tf.reduce_max(tf.abs(network(inputs)[contract.SEQUENCE_OUTPUT] - expected))) < _SAME_ENCODER:
            return candidate
    return None


@contextlib.contextmanager
def _float32() -> Iterator[None]:
    """Layers built inside compute in float32, so that rounding cannot hide a different activation."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("float32")
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


def _check_interface(model: Any, path: Path) -> None:
    try:
        outputs = hub.KerasLayer(model)(sample_inputs(1))
    except (TypeError, ValueError, tf.errors.OpError):
        outputs = None
    if not isinstance(outputs, Mapping) or contract.POOLED_OUTPUT not in outputs:
        raise EncoderError(
            f"{path}: not a text encoder of TF Hub's format, which takes {', '.join(contract.TOKEN_INPUTS)} and gives "
            f"{contract.POOLED_OUTPUT}; check encoder.path"
        )
