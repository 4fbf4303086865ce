"""Attention with rotary positions: over all tokens, or over a window on each side.

Neither makes the whole matrix of scores where it is large: 8,192 tokens and 12 heads would take 3.2 GB of it, several times.
"""

import math

import numpy as np
import tensorflow as tf
import tf_keras

# Scores of one step of a global layer, all rows and heads together: 64 MiB in float32.
_SCORES = 16 * 1024**2


def rotary_angles(length: tf.Tensor, width: int, theta: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Cosine and sine of the angles of rotary positions, float32 [1, 1, length, width / 2] each.

    Su et al. 2021, "RoFormer" (https://arxiv.org/abs/2104.09864).
    """
    # In the order of roundings of transformers: at position 8,191 one in the last place is an angle of 0.0005.
    powers = np.power(np.float64(np.float32(theta)), np.arange(0, width, 2) / width).astype(np.float32)
    angles = tf.cast(tf.range(length), tf.float32)[:, tf.newaxis] * (np.float32(1.0) / powers)
    return tf.cos(angles)[tf.newaxis, tf.newaxis], tf.sin(angles)[tf.newaxis, tf.newaxis]


def rotated(heads: tf.Tensor, angles: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Queries or keys [B, heads, T, D] at their positions; the first half of the width turns with the second."""
    cosine, sine = angles
    first, second = tf.split(tf.cast(heads, tf.float32), 2, axis=-1)
    turned = tf.concat([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
    return tf.cast(turned, heads.dtype)


def padding_bias(mask: tf.Tensor) -> tf.Tensor:
    """What is added to scores so that no token attends to padding: float32 [B, 1, 1, T] of the mask int32 [B, T]."""
    return _bias(mask != 0)[:, tf.newaxis, tf.newaxis]


def global_attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    bias: tf.Tensor,
    dropout: tf_keras.layers.Layer | None,
    *,
    training: bool,
) -> tf.Tensor:
    """Attention of every token to every token, [B, heads, T, D].

    Inference goes over the queries in steps of as many as `_SCORES` allows, mostly one; training needs the whole matrix for its
    gradient.

    Args:
        query: [B, heads, T, D], scaled.
        key: [B, heads, T, D].
        value: [B, heads, T, D].
        bias: of `padding_bias`.
        dropout: on the probabilities.
        training: whether a gradient is taken.
    """
    if training:
        return _attended(query, key, value, bias, dropout, training=True)
    shape = tf.shape(query)
    rows, heads, length = shape[0], shape[1], shape[2]
    step = tf.maximum(1, _SCORES // tf.maximum(1, rows * heads * length))
    steps = (length + step - 1) // step
    outputs = tf.TensorArray(
        query.dtype, size=steps, infer_shape=False, element_shape=[None, *query.shape[:2], query.shape[3]]
    )

    def body(number: tf.Tensor, done: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        part = query[:, :, number * step : (number + 1) * step]
        attended = _attended(part, key, value, bias, None, training=False)
        # Tokens first, so that steps of different lengths can be joined.
        return number + 1, done.write(number, tf.transpose(attended, [2, 0, 1, 3]))

    _, outputs = tf.while_loop(lambda number, _: number < steps, body, (0, outputs), parallel_iterations=1)
    return tf.reshape(tf.transpose(outputs.concat(), [1, 2, 0, 3]), shape)


def window_bias(mask: tf.Tensor, window: int) -> tf.Tensor:
    """What `local_attention` adds to scores, so that a token attends to real tokens in its window alone.

    A block of queries sees the keys of its own block and of those beside it. A block is as long as the window, so the windows of
    its first and last token end within these.

    Args:
        mask: int32 [B, T].
        window: tokens on each side.

    Returns:
        float32 [B, 1, blocks, block, 3 * block].
    """
    block = tf.maximum(1, tf.minimum(tf.shape(mask)[1], window))
    real = _with_neighbors(_in_blocks(mask[:, tf.newaxis, :, tf.newaxis], block))
    distance = tf.range(3 * block)[tf.newaxis] - block - tf.range(block)[:, tf.newaxis]
    return _bias((real[:, :, :, tf.newaxis, :, 0] != 0) & (tf.abs(distance) <= window))


def local_attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    bias: tf.Tensor,
    dropout: tf_keras.layers.Layer | None,
    *,
    training: bool,
) -> tf.Tensor:
    """Attention of every token to those in its window, [B, heads, T, D]; arguments as of `global_attention`, `bias` of `window_bias`."""
    blocks, block = tf.shape(bias)[2], tf.shape(bias)[3]
    key, value = (_with_neighbors(_in_blocks(each, block)) for each in (key, value))
    attended = _attended(_in_blocks(query, block), key, value, bias, dropout, training=training)
    shape = tf.shape(query)
    whole = tf.reshape(attended, [shape[0], shape[1], blocks * block, query.shape[3]])
    return whole[:, :, : shape[2]]


def _in_blocks(tokens: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
    """[B, heads, T, D] to [B, heads, blocks, block, D], the last block filled up with zeros."""
    shape = tf.shape(tokens)
    blocks = (shape[2] + block - 1) // block
    filled = tf.pad(tokens, [[0, 0], [0, 0], [0, blocks * block - shape[2]], [0, 0]])
    return tf.reshape(filled, [shape[0], shape[1], blocks, block, tokens.shape[3]])


def _with_neighbors(blocks: tf.Tensor) -> tf.Tensor:
    """Each block with the one before and the one after it, [B, heads, blocks, 3 * block, D]; zeros beyond the ends."""
    around = tf.pad(blocks, [[0, 0], [0, 0], [1, 1], [0, 0], [0, 0]])
    return tf.concat([around[:, :, :-2], blocks, around[:, :, 2:]], axis=3)


def _attended(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    bias: tf.Tensor,
    dropout: tf_keras.layers.Layer | None,
    *,
    training: bool,
) -> tf.Tensor:
    # The softmax in float32, as the largest of thousands of probabilities may be small.
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) + bias
    probabilities = tf.cast(tf.nn.softmax(scores), query.dtype)
    if dropout is not None:
        probabilities = dropout(probabilities, training=training)
    return tf.matmul(probabilities, value)


def _bias(allowed: tf.Tensor) -> tf.Tensor:
    """0 where tokens may attend, else so little that nothing is left of it; finite, so that a row of padding alone has numbers."""
    return tf.where(allowed, 0.0, -math.sqrt(float(np.finfo(np.float32).max)))
