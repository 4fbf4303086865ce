"""int8 quantization of the ragged graph's dense layers.

Static quantization: a layer's input is rounded to 255 steps of a range that was calibrated on texts, its kernel to 255 steps
of each column's own range. One oneDNN operation multiplies, and adds bias, activation and residual in float32 before it writes
its output. With a fixed range an answer does not depend on the other texts of its batch, and oneDNN can keep its compiled
kernels, of which it has one for each range.

An input column that is much larger than the others would leave them only a few steps. The columns are therefore divided by a
factor and the kernel's rows multiplied by it, which shares the difficulty between the two: SmoothQuant (Xiao et al., 2023,
equation 4). This is impossible between the feed-forward layers, because the activation is rounded where it is computed; there
the few widest columns stay in float32, as in LLM.int8() (Dettmers et al., 2022), but always the same ones.

Processors without VNNI multiply by `vpmaddubsw`, which adds the products of two neighboring inputs in 16 bits and saturates.
Kernels are therefore scaled by the greatest sum of two neighbors, not by the greatest value: no input can then saturate, and
the integers are the same on every processor. Other engines halve the kernel's range for the same reason (ONNX Runtime's
`reduce_range`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_library

from bert_serving.saved_model.graphs.dense import Dense, FeedForward, FloatArithmetic, FloatDense, Weights

OPERATION = "_QuantizedMatMul"
"""the newest operation of such a graph: it decides the oldest TensorFlow Serving for it"""
_STEPS = 127
LARGEST_PAIR = 128
"""largest sum of two neighbors of one sign in a kernel of 8-bit integers that cannot saturate: 255 * 128 < 2**15"""
# Range and factor of columns that are always zero.
_SMALLEST = 1e-6
_FUSED = {"gelu": "GeluExact", "gelu_tanh": "GeluApproximate", "relu": "Relu", "tanh": "Tanh"}

Ranges = Mapping[str, np.ndarray]
"""by the names of the dense layers, the largest magnitude of each column of their input, float32 [inputs]"""


# === Measuring ===


@dataclass(frozen=True)
class _ObservedDense(FloatDense):
    """A dense layer that records the range of its input."""

    most: np.ndarray

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        np.maximum(self.most, np.abs(x.numpy()).max(axis=0, initial=0), out=self.most)
        return super().__call__(x)


@dataclass(frozen=True)
class ObservingArithmetic(FloatArithmetic):
    """float32 that records the ranges of the dense layers' inputs; for an encoder that is not traced."""

    dtype: tf.DType = tf.float32
    ranges: dict[str, np.ndarray] = field(default_factory=dict)

    def dense(self, weights: Weights) -> Dense:
        """Makes a dense layer that records the range of its input."""
        most = self.ranges.setdefault(weights.name, np.zeros(len(weights.kernel), np.float32))
        return _ObservedDense(tf.constant(weights.kernel), tf.constant(weights.bias), most)


# === Computing ===


def largest_pair(kernel: np.ndarray) -> np.ndarray:
    """The largest sum of one sign of rows 2i and 2i + 1 in each column, float32 [outputs].

    oneDNN adds 128 to the inputs before it multiplies, so that each is from 0 to 255 and only values of one sign add up.
    """
    rows, columns = kernel.shape
    pairs = np.pad(kernel, ((0, rows % 2), (0, 0))).reshape(-1, 2, columns)
    positive, negative = np.maximum(pairs, 0).sum(axis=1), np.maximum(-pairs, 0).sum(axis=1)
    return np.asarray(np.maximum(positive, negative).max(axis=0))


@dataclass(frozen=True)
class _Product:
    """A kernel of 8-bit integers with its ranges, and the bias.

    Attributes:
        kernel: int8 [inputs, outputs].
        kernel_range: magnitude of each column that 127 stands for, float32 [outputs].
        bias: float32 [outputs].
        input_range: largest magnitude that 127 of the input stands for.
    """

    kernel: tf.Tensor
    kernel_range: tf.Tensor
    bias: tf.Tensor
    input_range: float

    @classmethod
    def of(cls, kernel: np.ndarray, bias: np.ndarray, input_range: float) -> "_Product":
        ranges = np.maximum(largest_pair(kernel), _SMALLEST)
        rounded = np.round(kernel / ranges * _STEPS).astype(np.int8)
        return cls(tf.constant(rounded), tf.constant(ranges), tf.constant(bias), input_range)

    def __call__(
        self,
        x: tf.Tensor,
        *,
        activation: str | None = None,
        residual: tf.Tensor | None = None,
        output_range: float | None = None,
    ) -> tf.Tensor:
        """Returns x, qint8 [N, inputs], times the kernel, plus bias; then the activation, or the residual added.

        Returns:
            float32, or qint8 of `output_range` where that is given; [N, outputs].
        """
        tensors = [x, tf.bitcast(self.kernel, tf.qint8), self.bias]
        limits = [-self.input_range, self.input_range, -self.kernel_range, self.kernel_range]
        fused = ["BiasAdd"]
        if activation is not None:
            fused.append(_FUSED[activation])
        if residual is not None:
            tensors.append(residual)
            fused.append("Add")
        if output_range is not None:
            limits += [-output_range, output_range]
        (result,), _ = op_def_library.apply_op(
            OPERATION,
            name="QuantizedMatMul",  # an operation's own name must not begin with an underscore
            device_inputs=tensors,
            host_inputs=[tf.cast(limit, tf.float32) for limit in limits],
            Tdevice_outputs=[tf.float32 if output_range is None else tf.qint8],
            Thost_outputs=[] if output_range is None else [tf.float32, tf.float32],
            T1=tf.qint8,
            T2=tf.qint8,
            Tbias=tf.float32,
            U=tf.float32,
            Tout=tf.float32 if output_range is None else tf.qint8,
            transpose_a=False,
            transpose_b=False,
            is_weight_const=True,
            is_bias_const=True,
            fused_ops=[*fused, "Dequantize" if output_range is None else "Requantize"],
            input_quant_mode="SCALED",
            output_quant_mode="SCALED",
            leakyrelu_alpha=0.2,
        )
        return result


@dataclass(frozen=True)
class QuantizedDense:
    """A dense layer that rounds its input.

    Attributes:
        product: the matrix product.
        steps: factors of the input's columns before they are rounded, float32 [inputs].
    """

    product: _Product
    steps: tf.Tensor

    @classmethod
    def of(cls, weights: Weights, ranges: np.ndarray, share: float) -> "QuantizedDense":
        """Rounds a kernel.

        Args:
            weights: float32.
            ranges: largest magnitude of each column of the input, float32 [inputs].
            share: how much of the difficulty of rounding goes to the kernel (SmoothQuant's alpha), 0 to 1.
        """
        columns = np.maximum(ranges, _SMALLEST)
        rows = np.maximum(np.abs(weights.kernel).max(axis=1), _SMALLEST)
        factors = columns**share / rows ** (1 - share)
        input_range = float((columns / factors).max())
        product = _Product.of(weights.kernel * factors[:, np.newaxis], weights.bias, input_range)
        return cls(product, tf.constant((_STEPS / input_range / factors).astype(np.float32)))

    def round(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the input in 255 steps, qint8 [N, inputs]."""
        # One operation; rounding, clipping and casting would be three that read and write everything again.
        return tf.raw_ops.QuantizeV2(
            input=x * self.steps,
            min_range=-float(_STEPS),
            max_range=float(_STEPS),
            T=tf.qint8,
            mode="SCALED",
            round_mode="HALF_TO_EVEN",
            narrow_range=True,
        ).output

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x times kernel, plus bias."""
        return self.product(self.round(x))

    def onto(self, residual: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the same, added to a residual."""
        return self.product(self.round(x), residual=residual)


@dataclass(frozen=True)
class _QuantizedFeedForward:
    """Feed-forward layers with 8-bit integers between them, except for a few columns in float32.

    Attributes:
        inner, outer, activation: the layers without these columns.
        wide: the layers of these columns alone, without the outer bias.
    """

    inner: QuantizedDense
    outer: _Product
    activation: str
    wide: FeedForward

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        inside = self.inner.product(
            self.inner.round(x), activation=self.activation, output_range=self.outer.input_range
        )
        return self.outer(inside, residual=self.wide(x))


@dataclass(frozen=True)
class QuantizedArithmetic:
    """8-bit integers in the dense layers of the Transformer; float32 between them.

    Attributes:
        all_ranges: ranges of the layers' inputs.
        share: how much of the difficulty of rounding goes to the kernels; SmoothQuant's authors take 0.5 to 0.75.
        wide_columns: fraction of the columns between the feed-forward layers that stay in float32; at least one does.
        dtype: number format between the dense layers of attention.
    """

    all_ranges: Ranges
    share: float = 0.65
    wide_columns: float = 1 / 96
    dtype: tf.DType = tf.float32

    def dense(self, weights: Weights) -> Dense:
        """Makes a quantized dense layer."""
        return QuantizedDense.of(weights, self.all_ranges[weights.name], self.share)

    def feed_forward(self, inner: Weights, outer: Weights, activation: str) -> FeedForward:
        """Makes quantized feed-forward layers; the widest columns between them stay in float32."""
        ranges = self.all_ranges[outer.name]
        in_float = max(1, round(len(ranges) * self.wide_columns))
        rest, wide = (np.sort(columns) for columns in np.split(np.argsort(ranges), [-in_float]))
        widest = max(float(ranges[rest].max()), _SMALLEST)
        return _QuantizedFeedForward(
            QuantizedDense.of(inner.outputs(rest), self.all_ranges[inner.name], self.share),
            _Product.of(outer.kernel[rest], outer.bias, widest),
            activation,
            FloatArithmetic(tf.float32).feed_forward(
                inner.outputs(wide), Weights(outer.name, outer.kernel[wide], np.zeros_like(outer.bias)), activation
            ),
        )
