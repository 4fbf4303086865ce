"""Adversarial training: each batch is learned a second time with its word embeddings moved to where the loss rises fastest.

A regularizer for small data sets: the classifier must give the same answer in a neighborhood of each text, not only at it. After
Miyato et al. 2017, "Adversarial Training Methods for Semi-Supervised Text Classification" (https://arxiv.org/abs/1605.07725), with the
step taken on the table of word embeddings, so that all occurrences of a word piece in a batch move together.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from bert_serving.errors import TrainingError

_WORD_EMBEDDINGS = "word_embeddings/embeddings"
# Keeps the direction finite where the loss is flat.
_SMALLEST_NORM = 1e-12


def adversarial_train_step(model: tf_keras.Model, norm: float) -> Callable[[Any], dict[str, tf.Tensor]]:
    """A `train_step` for a compiled Keras model: gradients of the batch plus those of the moved batch.

    Args:
        model: holds the encoder's table of word embeddings among its trainable variables.
        norm: length of the step, over the whole table.

    Raises:
        TrainingError: the table cannot be found.
    """
    variables = model.trainable_variables
    places = [place for place, variable in enumerate(variables) if variable.name.startswith(_WORD_EMBEDDINGS)]
    if len(places) != 1:
        raise TrainingError(
            f"training.adversarial_epsilon is {norm:g}, but the encoder has no trainable {_WORD_EMBEDDINGS}; leave it out"
        )
    table = variables[places[0]]

    def gradients_of(data: Any) -> tuple[dict[int, tf.Tensor], tf.Tensor]:
        inputs, targets, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            predicted = model(inputs, training=True)
            loss = model.compute_loss(inputs, targets, predicted, weights)
        found = tape.gradient(loss, variables)
        # The loss may not depend on each variable: where tokens are averaged, nothing asks the pooler.
        return {
            place: tf.convert_to_tensor(gradient) for place, gradient in enumerate(found) if gradient is not None
        }, predicted

    def train_step(data: Any) -> dict[str, tf.Tensor]:
        gradients, predicted = gradients_of(data)
        before = tf.identity(table)
        direction = gradients[places[0]]
        table.assign_add(norm * direction / tf.maximum(tf.norm(direction), _SMALLEST_NORM))
        moved, _ = gradients_of(data)
        # Assigned, not subtracted: rounding would add up over the steps.
        table.assign(before)
        model.optimizer.apply_gradients([(gradients[place] + moved[place], variables[place]) for place in gradients])
        inputs, targets, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
        return model.compute_metrics(inputs, targets, predicted, weights)

    return train_step
