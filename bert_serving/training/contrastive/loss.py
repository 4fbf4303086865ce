"""The contrastive loss of a batch: vectors of the same label close together, those of different labels apart."""

import tensorflow as tf


def label_similarity(targets: tf.Tensor) -> tf.Tensor:
    """How much the labels of two rows of a batch have in common, float32 [B, B] from 0 to 1.

    One label each: 1 for the same. Several: labels in common by labels of either (Jaccard similarity); rows without labels have
    nothing in common with any.

    Args:
        targets: int32 [B] for softmax, else float32 [B, outputs]; one column is that of a binary head, of two labels.
    """
    if targets.shape.rank == 1 or targets.shape[1] == 1:
        numbers = tf.reshape(targets, [-1])
        return tf.cast(numbers[:, tf.newaxis] == numbers, tf.float32)
    common = tf.matmul(targets, targets, transpose_b=True)
    counts = tf.reduce_sum(targets, axis=1)
    return tf.math.divide_no_nan(common, counts[:, tf.newaxis] + counts - common)


def cosine_similarity_loss(vectors: tf.Tensor, similarity: tf.Tensor) -> tf.Tensor:
    """Squared error of the cosine similarity of all pairs of a batch against that of their labels.

    The loss of SetFit (Tunstall et al. 2022, https://arxiv.org/abs/2209.11055). Pairs with a label in common, and those without,
    have half of the weight each, as SetFit draws as many of both.

    Args:
        vectors: one for each row, float32 [B, H].
        similarity: of their labels, float32 [B, B] from 0 to 1.

    Returns:
        The loss, a float32 scalar.
    """
    vectors = tf.math.l2_normalize(vectors, axis=1)
    errors = tf.square(tf.matmul(vectors, vectors, transpose_b=True) - similarity)
    others = 1 - tf.eye(tf.shape(similarity)[0])
    positive = tf.cast(similarity > 0, tf.float32)
    kinds = (positive * others, (1 - positive) * others)
    means = [tf.math.divide_no_nan(tf.reduce_sum(errors * pairs), tf.reduce_sum(pairs)) for pairs in kinds]
    return tf.add_n(means) / 2
