"""The training step of several workers: each computes its rows of a batch, and together they do what one would do with all.

Keras takes the mean over each replica's rows, and the mean of these means: where replicas have different numbers of rows, as in
the last batch of an epoch, a row would count more in one than in another. Here the losses of all rows are added up, each
multiplied by its share in the mean over the whole batch.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras


def shared_train_step(
    model: tf_keras.Model, loss: tf_keras.losses.Loss, mean_loss: tf_keras.metrics.Mean
) -> Callable[[Any], dict[str, tf.Tensor]]:
    """A `train_step` for a compiled Keras model, over batches with `slices` of `epoch_dataset`.

    Args:
        model: compiled with weighted metrics.
        loss: between targets and logits; its reduction is set to that of each row.
        mean_loss: gets the loss of each row; made in the strategy's scope.
    """
    loss.reduction = tf_keras.losses.Reduction.NONE

    def train_step(data: Any) -> dict[str, tf.Tensor]:
        inputs, targets, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
        weight, share = weights[:, 0], weights[:, 1]
        with tf.GradientTape() as tape:
            predicted = model(inputs, training=True)
            losses = tf.cast(loss(targets, predicted), tf.float32) * weight
            total = tf.reduce_sum(losses * share)
        model.optimizer.minimize(total, model.trainable_variables, tape=tape)
        is_row = tf.cast(share > 0, tf.float32)
        mean_loss.update_state(losses, sample_weight=is_row)
        model.compiled_metrics.update_state(targets, predicted, sample_weight=weight * is_row)
        measured = [mean_loss, *model.compiled_metrics.metrics]
        return {metric.name: metric.result() for metric in measured}

    return train_step
