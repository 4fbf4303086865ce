"""GELU, and its gradient in fewer operations than automatic differentiation makes, for training alone."""

import contextlib
import math
from collections.abc import Iterator

import tensorflow as tf
import tf_keras

# Not a context variable: a strategy of several devices traces the step in threads of its own.
_training = False


@contextlib.contextmanager
def short_gelu_gradient() -> Iterator[None]:
    """Functions traced inside compute GELU's gradient from what the forward pass has at hand; the same but for rounding.

    Only while training: whoever fine-tunes an exported encoder shall find plain operations.
    """
    global _training
    before, _training = _training, True
    try:
        yield
    finally:
        _training = before


def gelu(x: tf.Tensor) -> tf.Tensor:
    """GELU of Hendrycks and Gimpel 2016 (https://arxiv.org/abs/1606.08415) with the error function, elementwise."""
    # In narrower types the order of roundings matters more than the time.
    if _training and x.dtype == tf.float32:
        return _gelu_for_training(x)
    return tf_keras.activations.gelu(x, approximate=False)


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow has no annotations
def _gelu_for_training(x: tf.Tensor) -> tuple[tf.Tensor, object]:
    # The normal distribution's cumulative function, with which the gradient begins, too.
    share = 0.5 * (1.0 + tf.math.erf(x / math.sqrt(2.0)))

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        density = tf.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
        return upstream * (share + x * density)

    return x * share, gradient
