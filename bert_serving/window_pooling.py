"""The vectors of a text's windows as one vector, in training and in the serving graphs.

Shapes: the windows of all texts of a batch, one after the other, float32 [W, H], and how many of them each text has, int32 [B].
"""

import tensorflow as tf
import tf_keras

from bert_serving.contract import WindowPooling

NAME = "window_pooling"
"""name of the layer; its variable has it as a prefix"""


def pooled_windows(
    pooling: WindowPooling, vectors: tf.Tensor, counts: tf.Tensor, kernel: tf.Tensor | None = None
) -> tf.Tensor:
    """One vector for each text, float32 [B, H]; that of a text of one window is the window's.

    Args:
        pooling: how they are pooled.
        vectors: of the windows, float32 [W, H].
        counts: windows of each text, int32 [B].
        kernel: of the score of a window, float32 [H, 1]; for attention.
    """
    texts, text_of = tf.shape(counts)[0], _text_of(counts)
    if pooling is WindowPooling.MAX:
        return tf.math.unsorted_segment_max(vectors, text_of, texts)
    if pooling is WindowPooling.ATTENTION:
        return tf.math.unsorted_segment_sum(vectors * attention_weights(vectors, counts, kernel), text_of, texts)
    total = tf.math.unsorted_segment_sum(vectors, text_of, texts)
    return total / tf.cast(counts, vectors.dtype)[:, tf.newaxis]


def attention_weights(vectors: tf.Tensor, counts: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The weight of each window, float32 [W, 1]: the softmax, over the windows of its text, of its vector times the kernel."""
    texts, text_of = tf.shape(counts)[0], _text_of(counts)
    scores = tf.matmul(vectors, kernel)
    # The greatest score is subtracted so that no exponential overflows.
    powers = tf.exp(scores - tf.gather(tf.math.unsorted_segment_max(scores, text_of, texts), text_of))
    return powers / tf.gather(tf.math.unsorted_segment_sum(powers, text_of, texts), text_of)


def _text_of(counts: tf.Tensor) -> tf.Tensor:
    """The number of each window's text, int32 [W]."""
    return tf.repeat(tf.range(tf.shape(counts)[0]), counts)


class WindowPool(tf_keras.layers.Layer):
    """`pooled_windows` as a layer of float32, with the kernel of attention; called with vectors and counts."""

    def __init__(self, pooling: WindowPooling):
        """Keeps the pooling."""
        super().__init__(name=NAME, dtype=tf.float32)
        self.pooling = pooling
        self.kernel: tf.Variable | None = None

    def build(self, shapes: list[tf.TensorShape]) -> None:
        """Makes the kernel; of zeros, so that training begins with the mean."""
        if self.pooling is WindowPooling.ATTENTION:
            self.kernel = self.add_weight("kernel", [shapes[0][-1], 1], initializer="zeros")
        super().build(shapes)

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """The vectors [W, H] and the counts [B] to float32 [B, H]."""
        vectors, counts = inputs
        return pooled_windows(self.pooling, tf.cast(vectors, tf.float32), counts, self.kernel)
