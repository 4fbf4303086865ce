"""Adversarial training: one step against gradients taken by hand, and what it cannot be combined with."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from bert_serving.config import parse_run_config
from bert_serving.errors import RunFileError, TrainingError
from bert_serving.training.adversarial import adversarial_train_step

WORDS = np.array([[1, 2, 3], [4, 4, 0]], np.int32)
LABELS = np.array([0, 1], np.int32)
RATE = 0.5
NORM = 0.7


def small_model(embeddings="word_embeddings"):
    """Like an encoder whose tokens are averaged: it has a pooler on which the loss does not depend."""
    tf_keras.utils.set_random_seed(2)
    words = tf_keras.Input((None,), dtype=tf.int32)
    vectors = tf_keras.layers.Embedding(5, 4, name=embeddings)(words)
    encoder = tf_keras.Model(words, [vectors, tf_keras.layers.Dense(4, name="pooler")(vectors[:, 0])])
    logits = tf_keras.layers.Dense(2)(tf.reduce_mean(encoder(words)[0], axis=1))
    model = tf_keras.Model(words, logits)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.legacy.SGD(RATE), loss, weighted_metrics=["accuracy"])
    return model


def gradients_at(model, values):
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    with tf.GradientTape() as tape:
        loss = model.loss(LABELS, model(WORDS, training=True))
    found = tape.gradient(loss, model.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(each).numpy() for each in found]


def test_a_step_adds_the_gradients_at_the_moved_embeddings():
    model = small_model()
    start = [variable.numpy() for variable in model.trainable_variables]
    first = gradients_at(model, start)
    moved = [start[0] + NORM * first[0] / np.linalg.norm(first[0]), *start[1:]]
    second = gradients_at(model, moved)
    expected = [value - RATE * (a + b) for value, a, b in zip(start, first, second, strict=True)]
    gradients_at(model, start)
    model.train_step = adversarial_train_step(model, NORM)
    model.fit(WORDS, LABELS, batch_size=2, epochs=1, verbose=0)
    for variable, value in zip(model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, atol=1e-6)


def test_an_encoder_without_word_embeddings_is_refused_in_one_line():
    with pytest.raises(TrainingError, match=r"no trainable word_embeddings/embeddings; leave it out"):
        adversarial_train_step(small_model("tokens"), NORM)


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("encoder", "trainable", False),
        ("training", "strategy", "mirrored"),
        ("training", "mixed_precision", "float16"),
    ],
)
def test_what_it_cannot_be_combined_with_is_named(table, key, value):
    tables = {"data": {"train": "t.tsv"}, "encoder": {"name": "x"}, "training": {"adversarial_epsilon": 1.0}}
    tables[table][key] = value
    with pytest.raises(RunFileError, match=rf"change {table}\.{key}"):
        parse_run_config(tables)
