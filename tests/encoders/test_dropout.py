"""Dropout masks of training: their share, scale and gradient, the same from one seed, and Keras' own everywhere else."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from bert_serving.encoders.dropout import reproducible_dropout, reseed_dropout, short_dropout


def model_of(rate: float, noise_shape=None, dtype=tf.float32) -> tf_keras.Model:
    with reproducible_dropout():
        return tf_keras.Sequential([tf_keras.layers.Dropout(rate, noise_shape, dtype=dtype)])


def dropped(model: tf_keras.Model, x: tf.Tensor, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The output and the gradient of its sum, as float32."""
    if model.built:
        reseed_dropout(model, (seed,))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x, training=True)
    return tf.cast(y, tf.float32).numpy(), tf.cast(tape.gradient(y, x), tf.float32).numpy()


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16])
def test_a_share_of_the_elements_is_dropped_and_the_others_scaled(rate, dtype):
    x = tf.ones([301, 333], dtype)
    model = model_of(rate, dtype=dtype)
    model.build(x.shape)
    with short_dropout(model):
        y, gradient = dropped(model, x)
    noise = 4 * np.sqrt(rate * (1 - rate) / y.size)
    assert (y == 0).mean() == pytest.approx(rate, abs=noise + 1e-5)
    np.testing.assert_allclose(np.unique(y[y != 0]), [1 / (1 - rate)], rtol=1e-4 if dtype is tf.float32 else 1e-2)
    np.testing.assert_array_equal(gradient, y)


@pytest.mark.parametrize("shape", [(0, 3), (1,), (3, 5, 7)])
def test_any_number_of_elements_has_a_mask(shape):
    model = model_of(0.5)
    model.build(shape)
    with short_dropout(model):
        assert dropped(model, tf.ones(shape))[0].shape == shape


def test_a_seed_gives_one_mask_and_each_call_another():
    x = tf.ones([64, 64])
    model = model_of(0.5)
    model.build(x.shape)
    with short_dropout(model):
        first, again, other = (dropped(model, x, seed)[0] for seed in (1, 1, 2))
        following = model(x, training=True).numpy()
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() == pytest.approx(0.5, abs=0.05)
    assert (other != following).mean() == pytest.approx(0.5, abs=0.05)
    # Neighbors and halves of a word are independent.
    assert (first.ravel()[::2] != first.ravel()[1::2]).mean() == pytest.approx(0.5, abs=0.05)


def test_outside_and_where_a_mask_has_a_shape_of_its_own_keras_draws_it():
    x = tf.ones([64, 32])
    for model in (model_of(0.5), model_of(0.5, noise_shape=(64, 1))):
        model.build(x.shape)
        plain = dropped(model, x)[0]
        with short_dropout(model):
            short = dropped(model, x)[0]
        np.testing.assert_array_equal(dropped(model, x)[0], plain)
        assert np.array_equal(short, plain) is (model.layers[0].noise_shape is not None)


def test_inference_drops_nothing():
    x = tf.ones([8, 8])
    model = model_of(0.5)
    with short_dropout(model):
        np.testing.assert_array_equal(model(x, training=False), x)
