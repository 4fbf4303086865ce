"""The dense layers of the ragged graph: their interface for any arithmetic, and floating point.

Shapes: N tokens, float32 [N, inputs] to float32 [N, outputs], or in the arithmetic's own number format where it says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "gelu": lambda x: tf.nn.gelu(x),
    "gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True),
    "relu": tf.nn.relu,
    "tanh": tf.tanh,
}


@dataclass(frozen=True)
class Weights:
    """Kernel [inputs, outputs] and bias [outputs] of a dense layer, float32, and its name in the encoder."""

    name: str
    kernel: np.ndarray
    bias: np.ndarray

    def outputs(self, index: np.ndarray) -> "Weights":
        """The same layer with some of its outputs."""
        return Weights(self.name, np.ascontiguousarray(self.kernel[:, index]), self.bias[index])


class Dense(Protocol):
    """A dense layer."""

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x times kernel, plus bias."""

    def onto(self, residual: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the same, added to a residual, float32 [N, outputs]; float32."""


class FeedForward(Protocol):
    """Two dense layers with an activation between them, and a residual connection around them."""

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x plus the output of the layers, float32 [N, H]."""


class Arithmetic(Protocol):
    """Number format of weights and matrix products."""

    @property
    def dtype(self) -> tf.DType:
        """Number format between the dense layers of attention."""

    def dense(self, weights: Weights) -> Dense:
        """Makes a dense layer."""

    def feed_forward(self, inner: Weights, outer: Weights, activation: str) -> FeedForward:
        """Makes two dense layers, with one of `ACTIVATIONS` between them."""


@dataclass(frozen=True)
class FloatDense:
    """A dense layer in the data type of its kernel."""

    kernel: tf.Tensor
    bias: tf.Tensor

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x times kernel, plus bias."""
        # MatMul, BiasAdd and the activation behind them become one oneDNN operation.
        return tf.nn.bias_add(tf.matmul(tf.cast(x, self.kernel.dtype), self.kernel), self.bias)

    def onto(self, residual: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the same, added to a residual, in float32."""
        return tf.cast(self(x), tf.float32) + residual


@dataclass(frozen=True)
class FloatFeedForward:
    """Feed-forward layers in the data type of their kernels."""

    inner: Dense
    outer: Dense
    activation: Callable[[tf.Tensor], tf.Tensor]

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x plus the output of the layers, float32 [N, H]."""
        return self.outer.onto(x, self.activation(self.inner(x)))


@dataclass(frozen=True)
class FloatArithmetic:
    """float32 or bfloat16."""

    dtype: tf.DType

    def dense(self, weights: Weights) -> Dense:
        """Makes a dense layer."""
        kernel, bias = (part.astype(self.dtype.as_numpy_dtype) for part in (weights.kernel, weights.bias))
        return FloatDense(tf.Variable(kernel, trainable=False), tf.Variable(bias, trainable=False))

    def feed_forward(self, inner: Weights, outer: Weights, activation: str) -> FeedForward:
        """Makes two dense layers with an activation between them."""
        return FloatFeedForward(self.dense(inner), self.dense(outer), ACTIVATIONS[activation])
