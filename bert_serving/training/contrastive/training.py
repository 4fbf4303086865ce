"""Contrastive training as parts of the training loop: batches of pairs, the training step, and the head after each epoch.

After Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts" (SetFit, https://arxiv.org/abs/2209.11055): the encoder
of a sentence-transformers model learns which texts have the same label, and a logistic regression on its vectors is the head.
Here a batch holds N different texts and all its pairs are compared, at the price of N passes through the encoder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from bert_serving.classifier import Classifier
from bert_serving.data.batches import TokenRows, padded_batch, sorted_batches
from bert_serving.training.contrastive.head import fitted_head
from bert_serving.training.contrastive.loss import cosine_similarity_loss, label_similarity

_BATCH = 64


@dataclass(frozen=True)
class ContrastiveTraining:
    """How a classifier is trained by contrast.

    Attributes:
        trained: whose encoder learns.
        validated: of the same variables; makes the vectors that the head is fitted on.
    """

    trained: Classifier
    validated: Classifier

    def train_step(self, mean_loss: tf_keras.metrics.Mean) -> Callable[[Any], dict[str, tf.Tensor]]:
        """A `train_step` for the compiled token model of `trained`.

        Args:
            mean_loss: gets the loss of each batch.
        """
        model = self.trained.token_model
        pooled = tf_keras.Model(model.input, _pooled(model), name="pooled")

        def train_step(data: Any) -> dict[str, tf.Tensor]:
            inputs, targets, _ = tf_keras.utils.unpack_x_y_sample_weight(data)
            with tf.GradientTape() as tape:
                vectors = tf.cast(pooled(inputs, training=True), tf.float32)
                loss = cosine_similarity_loss(vectors, label_similarity(targets))
            variables = pooled.trainable_variables
            gradients = tape.gradient(loss, variables)
            # The pooler has no part in the mean of the tokens.
            found = [pair for pair in zip(gradients, variables, strict=True) if pair[0] is not None]
            model.optimizer.apply_gradients(found)
            mean_loss.update_state(loss)
            return {"loss": mean_loss.result()}

        return train_step

    def fit_head(self, rows: TokenRows, targets: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        """Gives the head the weights of a logistic regression, and returns its logits of the training rows.

        Args:
            rows: the training rows, as `validated` takes them.
            targets: of the rows, as `targets_of` makes them.
            weights: of the rows, float32 [N]; None for equal weights.

        Returns:
            Logits, float32 [N, outputs].
        """
        features = self._features(rows)
        options = self.validated.options
        kernel, bias = fitted_head(options.head, features, targets, options.outputs, weights)
        head = self.validated.token_model.get_layer("head")
        head.kernel.assign(kernel)
        head.bias.assign(bias)
        logits: np.ndarray = features @ kernel + bias
        return logits

    def _features(self, rows: TokenRows) -> np.ndarray:
        features = np.zeros((len(rows), self.validated.token_model.get_layer("head").input_shape[-1]), np.float32)
        for index in sorted_batches(rows.lengths, _BATCH):
            batch = {name: tf.constant(value) for name, value in padded_batch(rows, index).items()}
            features[index] = self._vectors(batch).numpy()
        return features

    @cached_property
    def _vectors(self) -> tf.types.experimental.ConcreteFunction:
        model = self.validated.token_model
        pooled = tf_keras.Model(model.input, _pooled(model), name="pooled")
        spec = {
            name: tf.TensorSpec([None, None, *tensor.shape[2:]], tensor.dtype, name=name)
            for name, tensor in model.input.items()
        }
        function = tf.function(
            lambda inputs: tf.cast(pooled(inputs, training=False), tf.float32), input_signature=[spec], autograph=False
        )
        return function.get_concrete_function()


def _pooled(model: tf_keras.Model) -> tf.Tensor:
    """What a token model's head sees before dropout; the layers themselves may be those of several models."""
    dropped = model.output.node.keras_inputs[0]
    return dropped.node.keras_inputs[0]
