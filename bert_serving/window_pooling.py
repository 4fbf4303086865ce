"""The vectors of a text's windows as one vector, in training and in the serving graphs.

Shapes: the windows of all texts of a batch, one after the other, float32 [W, H], and how many of them each text has, int32 [B].
"""

import tensorflow as tf
import tf_keras

from bert_serving.contract import Head, WindowPooling

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


def logits_alone(head: Head, logits: tf.Tensor, answers: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """The logit of the label that is predicted for a text, of each of its windows alone, float32 [W].

    Args:
        head: what the logits mean; the logit of the first label of a binary head is that of the second with the other sign.
        logits: of the windows, float32 [W, outputs].
        answers: of the texts, by which the predicted label is the greatest, float32 [B, C].
        counts: windows of each text, int32 [B].
    """
    labels = tf.gather(tf.argmax(answers, axis=1, output_type=tf.int32), _text_of(counts))
    if head is Head.BINARY:
        return logits[:, 0] * tf.cast(2 * labels - 1, logits.dtype)
    return tf.gather(logits, labels, axis=1, batch_dims=1)


def deciding_windows(scores: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """The number, from 0, of each text's window with the greatest score, int32 [B]; of equal ones the first.

    Args:
        scores: of the windows, float32 [W].
        counts: windows of each text, int32 [B].
    """
    texts, text_of = tf.shape(counts)[0], _text_of(counts)
    numbers = tf.range(tf.shape(scores)[0]) - tf.gather(tf.cumsum(counts, exclusive=True), text_of)
    is_greatest = scores >= tf.gather(tf.math.unsorted_segment_max(scores, text_of, texts), text_of)
    return tf.math.unsorted_segment_min(tf.where(is_greatest, numbers, tf.int32.max), text_of, texts)


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
