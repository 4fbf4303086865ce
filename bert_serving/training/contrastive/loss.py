"""The contrastive loss of a batch: vectors of the same label close together, those of different labels apart."""

import tensorflow as tf


def same_label(targets: tf.Tensor) -> tf.Tensor:
    """Which rows of a batch have a label in common, float32 [B, B] of 0 and 1.

    Args:
        targets: int32 [B] for softmax, else float32 [B, outputs]; one column is that of a binary head, of two labels.
    """
    if targets.shape.rank == 1 or targets.shape[1] == 1:
        numbers = tf.reshape(targets, [-1])
        return tf.cast(numbers[:, tf.newaxis] == numbers, tf.float32)
    return tf.cast(tf.matmul(targets, targets, transpose_b=True) > 0, tf.float32)


def cosine_similarity_loss(vectors: tf.Tensor, same: tf.Tensor) -> tf.Tensor:
    """Squared error of the cosine similarity of all pairs of a batch against 1 for the same label and 0 for different ones.

    The loss of SetFit (Tunstall et al. 2022, https://arxiv.org/abs/2209.11055). Pairs of the same label, and of different ones,
    have half of the weight each, as SetFit draws as many of both.

    Args:
        vectors: one for each row, float32 [B, H].
        same: which rows have a label in common, float32 [B, B].

    Returns:
        The loss, a float32 scalar.
    """
    vectors = tf.math.l2_normalize(vectors, axis=1)
    errors = tf.square(tf.matmul(vectors, vectors, transpose_b=True) - same)
    positive = same * (1 - tf.eye(tf.shape(same)[0]))
    negative = 1 - tf.maximum(same, tf.eye(tf.shape(same)[0]))
    means = [
        tf.math.divide_no_nan(tf.reduce_sum(errors * pairs), tf.reduce_sum(pairs)) for pairs in (positive, negative)
    ]
    return tf.add_n(means) / 2
