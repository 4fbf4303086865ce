"""Re-initialization: the encoder's last layers forget what they learned in pretraining, and learn the task from new weights.

After Zhang et al. 2020, "Revisiting Few-sample BERT Fine-tuning" (https://arxiv.org/abs/2006.05987), section 5: the last layers
are specialized on pretraining's task, and new ones make the training of few rows more stable.
"""

import re

import tensorflow as tf

from bert_serving.contract import Pooling
from bert_serving.encoders.architecture import Architecture
from bert_serving.encoders.loading import LoadedEncoder
from bert_serving.errors import EncoderError

_LAYER = re.compile(r"transformer/layer_(\d+)/")
_POOLER = ("pooler_transform/", "pooler_layer_norm/")
# Of kernels, drawn from a normal distribution cut at two deviations, as in google-research/bert, modeling.py.
_STDDEV = 0.02


def reinitialize(
    encoder: LoadedEncoder, layers: int, *, pooling: Pooling = Pooling.POOLER, frozen: int = 0, seed: int = 0
) -> None:
    """Gives the last layers of an encoder, and its pooler where the head uses it, new weights as BERT's.

    Kernels are drawn, biases are 0, layer normalizations change nothing (scale 1, offset 0).

    Args:
        encoder: rebuilt as a Keras network, its layers with weights of their own.
        layers: number of Transformer layers, counted from the last, at least 1.
        pooling: of the head.
        frozen: number of frozen layers, counted from the first; the new layers must be above them.
        seed: of the kernels.

    Raises:
        EncoderError: the encoder's layers are not known or share their weights, there are fewer of them, or some are frozen.
    """
    total = _number_of_layers(encoder, layers)
    if layers + frozen > total:
        others = f", {frozen} of them frozen" if frozen else ""
        raise EncoderError(
            f"encoder.reinitialized_layers is {layers}, the encoder has {total} layers{others}; lower it"
        )
    variables = sorted(encoder.layer.variables, key=lambda variable: str(variable.name))
    for number, variable in enumerate(variables):
        match = _LAYER.match(variable.name)
        is_pooler = pooling is Pooling.POOLER and variable.name.startswith(_POOLER)
        if is_pooler or (match and int(match[1]) >= total - layers):
            variable.assign(_new_value(variable, (seed, number)))


def _number_of_layers(encoder: LoadedEncoder, layers: int) -> int:
    architecture = encoder.architecture
    if architecture is None or (isinstance(architecture, Architecture) and architecture.shared_layers):
        raise EncoderError(
            f"encoder.reinitialized_layers is {layers}, and needs an encoder whose layers are known and have weights of their "
            "own; leave it out"
        )
    return architecture.num_hidden_layers


def _new_value(variable: tf.Variable, seed: tuple[int, int]) -> tf.Tensor:
    if variable.name.endswith("/kernel:0"):
        return tf.random.stateless_truncated_normal(variable.shape, seed, stddev=_STDDEV, dtype=variable.dtype)
    return (tf.ones if variable.name.endswith("/gamma:0") else tf.zeros)(variable.shape, variable.dtype)
