"""GELU's gradient for training: the values of automatic differentiation, and plain operations everywhere else."""

import numpy as np
import pytest
import tensorflow as tf

from bert_serving.encoders.gelu import gelu, short_gelu_gradient

VALUES = np.concatenate([np.linspace(-8, 8, 321), [0.0, -0.0, 1e-30, -40.0, 40.0]]).astype(np.float32)


def value_and_gradient(x: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
    weights = tf.cast(tf.linspace(0.5, 2.0, len(x)), x.dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = gelu(x)
        total = tf.reduce_sum(y * weights)
    return y.numpy(), tape.gradient(total, x).numpy()


def test_the_short_gradient_is_that_of_automatic_differentiation():
    expected, expected_gradient = value_and_gradient(tf.constant(VALUES))
    with short_gelu_gradient():
        found, gradient = value_and_gradient(tf.constant(VALUES))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_narrow_types_keep_the_plain_gradient(dtype):
    x = tf.cast(VALUES, dtype)
    plain = value_and_gradient(x)
    with short_gelu_gradient():
        np.testing.assert_array_equal(value_and_gradient(x), plain)


def operations() -> set[str]:
    spec = tf.TensorSpec([None], tf.float32)
    return {operation.type for operation in tf.function(gelu).get_concrete_function(spec).graph.get_operations()}


def test_outside_of_training_a_graph_has_plain_operations():
    plain = operations()
    assert "IdentityN" not in plain
    with short_gelu_gradient():
        assert "IdentityN" in operations(), "TensorFlow hangs gradients of one's own there"
    assert operations() == plain
