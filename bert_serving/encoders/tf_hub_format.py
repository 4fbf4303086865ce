"""The SavedModel of an encoder in TF Hub's format for text encoders: written from a Keras network, read into one.

Interfaces: https://www.tensorflow.org/hub/reusable_saved_models,
https://www.tensorflow.org/hub/common_saved_model_apis/text
"""

# tf.function has no annotations.
# mypy: disable-error-code="untyped-decorator, no-untyped-call"

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras

from bert_serving import contract
from bert_serving.errors import EncoderError
from bert_serving.io.saved_models import write_saved_model


class ReusableEncoder(tf.train.Checkpoint):
    """The root object of an encoder's SavedModel, traced for training and for inference."""

    def __init__(self, network: tf_keras.Model):
        """Traces the network."""
        super().__init__()
        # Hidden from TensorFlow's object tracking, which would trace every layer again and save Keras' own metadata.
        self._call_network = lambda inputs, training: network(inputs, training=training)
        self.variables = list(network.variables)
        self.trainable_variables = list(network.trainable_variables)
        self.regularization_losses: list[Any] = []
        spec = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in contract.TOKEN_INPUTS}
        for training in (False, True):
            self.__call__.get_concrete_function(spec, training=training)

    @tf.function(autograph=False)
    def __call__(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Encodes `TOKEN_INPUTS`, int32 [B, L]; `default` is the pooled output."""
        outputs = dict(self._call_network(inputs, training))
        outputs[contract.DEFAULT_OUTPUT] = outputs[contract.POOLED_OUTPUT]
        return outputs


def write_encoder(network: tf_keras.Model, target: Path) -> None:
    """Writes a network as trainable SavedModel."""
    write_saved_model(ReusableEncoder(network), target)


def read_encoder(network: tf_keras.Model, source: Path) -> None:
    """Gives a network of the same architecture the weights that `write_encoder` wrote.

    Raises:
        EncoderError: the weights are damaged or belong to another architecture.
    """
    try:
        # A SavedModel's variables are a checkpoint of its root object.
        checkpoint = source / tf.saved_model.VARIABLES_DIRECTORY / tf.saved_model.VARIABLES_FILENAME
        read = tf.train.Checkpoint(variables=list(network.variables)).read(str(checkpoint))
        read.assert_existing_objects_matched().expect_partial()
    except (AssertionError, OSError, ValueError, IndexError, tf.errors.OpError) as error:
        raise EncoderError(f"{source}: cannot load the encoder: {str(error).splitlines()[0]}") from None
