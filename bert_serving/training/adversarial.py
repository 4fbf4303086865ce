"""Adversarial training: each batch is trained on a second time with perturbed word embeddings (fast gradient method, FGM).

A regularizer for small data sets: the classifier must give the same answer in a neighborhood of each text, not only at it.
After Miyato et al. 2017, "Adversarial Training Methods for Semi-Supervised Text Classification"
(https://arxiv.org/abs/1605.07725), with the step taken on the table of word embeddings, so that all occurrences of a token in
a batch move together.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from bert_serving.errors import TrainingError

_WORD_EMBEDDINGS = "word_embeddings/embeddings"
# Keeps the direction finite where the loss is flat.
_SMALLEST_NORM = 1e-12


def adversarial_train_step(model: tf_keras.Model, epsilon: float) -> Callable[[Any], dict[str, tf.Tensor]]:
    """A `train_step` for a compiled Keras model: gradients of the batch plus those of the perturbed batch.

    Args:
        model: holds the encoder's table of word embeddings among its trainable variables.
        epsilon: norm of the perturbation, over the whole table.

    Raises:
        TrainingError: the model has no such table.
    """
    variables = model.trainable_variables
    tables = [index for index, variable in enumerate(variables) if variable.name.startswith(_WORD_EMBEDDINGS)]
    if len(tables) != 1:
        raise TrainingError(
            f"training.adversarial_epsilon is {epsilon:g}, but the encoder has no trainable {_WORD_EMBEDDINGS}; leave it out"
        )
    table_index = tables[0]
    table = variables[table_index]

    def gradients_of(data: Any) -> tuple[dict[int, tf.Tensor], tf.Tensor]:
        inputs, targets, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            predicted = model(inputs, training=True)
            loss = model.compute_loss(inputs, targets, predicted, _of_loss(weights))
        # The loss may not depend on every variable: where tokens are averaged, the pooler has no part in it.
        gradients = {
            index: tf.convert_to_tensor(gradient)
            for index, gradient in enumerate(tape.gradient(loss, variables))
            if gradient is not None
        }
        return gradients, predicted

    def train_step(data: Any) -> dict[str, tf.Tensor]:
        gradients, predicted = gradients_of(data)
        before = tf.identity(table)
        direction = gradients[table_index]
        table.assign_add(epsilon * direction / tf.maximum(tf.norm(direction), _SMALLEST_NORM))
        perturbed, _ = gradients_of(data)
        # Assigned, not subtracted: rounding would add up over the steps.
        table.assign(before)
        model.optimizer.apply_gradients(
            [(gradients[index] + perturbed[index], variables[index]) for index in gradients]
        )
        inputs, targets, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
        metrics: dict[str, tf.Tensor] = model.compute_metrics(inputs, targets, predicted, _of_row(weights))
        return metrics

    return train_step


def _of_row(weights: tf.Tensor | None) -> tf.Tensor | None:
    """The weight of each row, [B], of weights [B] or, as `epoch_dataset` has them with shares, [B, 2]."""
    return weights if weights is None or weights.shape.rank == 1 else weights[:, 0]


def _of_loss(weights: tf.Tensor | None) -> tf.Tensor | None:
    """Weights [B] with which the mean over the batch is the sum of the rows' losses by weight and share."""
    if weights is None or weights.shape.rank == 1:
        return weights
    return weights[:, 0] * weights[:, 1] * tf.cast(tf.shape(weights)[0], weights.dtype)
