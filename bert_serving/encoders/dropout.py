"""Dropout masks that a seed decides, and that cost little to draw."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

# A mask compares 16 random bits with the rate: 0.1 becomes 6554 / 65536.
_STEPS = 1 << 16


@contextlib.contextmanager
def reproducible_dropout() -> Iterator[None]:
    """Layers built inside draw their dropout masks from generators that `reseed_dropout` can seed.

    Keras' default, one hidden counter for each operation, cannot be reset: a resumed run would differ from an uninterrupted one.
    """
    backend = tf_keras.backend.experimental
    before = backend.is_tf_random_generator_enabled()
    backend.enable_tf_random_generator()
    try:
        yield
    finally:
        if not before:
            backend.disable_tf_random_generator()


def reseed_dropout(model: tf_keras.Model, seed: tuple[int, ...]) -> None:
    """Sets every dropout generator of `model` to a state that depends only on `seed` and its position in the model."""
    generators = [source._generator for source in _sources(model)]  # noqa: SLF001  Keras has no public way
    for position, generator in enumerate(generator for generator in generators if generator is not None):
        state = np.random.SeedSequence((*seed, position)).generate_state(1, np.uint64)[0]
        generator.reset_from_seed(int(state >> np.uint64(1)))


@contextlib.contextmanager
def short_dropout(model: tf_keras.Model) -> Iterator[None]:
    """Dropout layers of `model` that are traced inside take half the random numbers, and fewer operations.

    On a processor, Keras' own dropout takes longer: it draws a random float for each element, and selects, forward and backward,
    where a product is enough.
    """
    sources = _sources(model)
    for source in sources:
        source.dropout = functools.partial(_dropout, source)
    try:
        yield
    finally:
        for source in sources:
            del source.dropout


def _dropout(source: Any, inputs: tf.Tensor, rate: float, noise_shape: tf.Tensor | None = None) -> tf.Tensor:
    """`inputs` with a share `rate` of its elements set to zero, and the others scaled up so that the sum is expected to stay.

    Args:
        source: Keras' source of random numbers of the layer.
        inputs: float, any shape.
        rate: share, at a resolution of 1 / 65536.
        noise_shape: shape of the mask; None for that of `inputs`.
    """
    dropped = round(rate * _STEPS)
    generator = getattr(source, "_generator", None)
    if generator is None or noise_shape is not None or dropped >= _STEPS:
        return type(source).dropout(source, inputs, rate, noise_shape)
    shape, size = tf.shape(inputs), tf.size(inputs)
    words = generator.uniform_full_int([(size + 1) // 2], tf.uint32)
    bits = tf.reshape(tf.reshape(tf.bitcast(words, tf.uint16), [-1])[:size], shape)
    kept = tf.cast(bits >= tf.constant(dropped, tf.uint16), inputs.dtype)
    return inputs * (kept * tf.cast(_STEPS / (_STEPS - dropped), inputs.dtype))


def _sources(model: tf_keras.Model) -> list[Any]:
    """Keras' sources of random numbers of a model's dropout layers, in their order."""
    layers = [layer for layer in model.submodules if isinstance(layer, tf_keras.layers.Dropout)]
    return [layer._random_generator for layer in layers]  # noqa: SLF001  Keras has no public way
