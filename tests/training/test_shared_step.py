"""The training step of several workers, with one: Keras' own step, and rows that do not count."""

import numpy as np
import pytest
import tf_keras

from bert_serving.classifier import loss_of
from bert_serving.contract import Head
from bert_serving.training.shared_step import shared_train_step

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(5, 4)).astype(np.float32)
WEIGHTS = np.array([1, 2, 0.5, 1, 3], np.float32)
TARGETS = {
    Head.SOFTMAX: (3, np.array([0, 1, 2, 1, 0], np.int32)),
    Head.BINARY: (1, np.array([[0], [1], [1], [0], [1]], np.float32)),
    Head.MULTILABEL: (2, np.array([[0, 1], [1, 1], [0, 0], [1, 0], [1, 1]], np.float32)),
    Head.REGRESSION: (1, np.array([[0.5], [1], [-1], [2], [0]], np.float32)),
}


def fitted(head: Head, weights: np.ndarray, inputs: np.ndarray, targets: np.ndarray, *, shared: bool):
    tf_keras.utils.set_random_seed(3)
    model = tf_keras.Sequential([tf_keras.layers.Dense(TARGETS[head][0], input_shape=(4,))])
    metrics = {
        Head.SOFTMAX: [tf_keras.metrics.SparseCategoricalAccuracy("accuracy")],
        Head.REGRESSION: [],
    }.get(head, [tf_keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)])
    model.compile(tf_keras.optimizers.legacy.SGD(0.5), loss_of(head), weighted_metrics=metrics)
    if shared:
        model.train_step = shared_train_step(model, loss_of(head), tf_keras.metrics.Mean("loss"))
    history = model.fit(inputs, targets, sample_weight=weights, batch_size=8, shuffle=False, verbose=0).history
    return history, model.get_weights()


@pytest.mark.parametrize("head", Head)
def test_one_worker_steps_as_keras_does(head):
    _, targets = TARGETS[head]
    scales = np.stack([WEIGHTS, np.full(5, 1 / 5, np.float32)], axis=1)
    expected, weights = fitted(head, WEIGHTS, INPUTS, targets, shared=False)
    history, ours = fitted(head, scales, INPUTS, targets, shared=True)
    assert history.keys() == expected.keys()
    np.testing.assert_allclose(list(history.values()), list(expected.values()), rtol=1e-6)
    for mine, keras in zip(ours, weights, strict=True):
        np.testing.assert_allclose(mine, keras, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("head", Head)
def test_a_row_that_does_not_count_changes_nothing(head):
    _, targets = TARGETS[head]
    scales = np.stack([WEIGHTS, np.full(5, 1 / 5, np.float32)], axis=1)
    expected, weights = fitted(head, scales, INPUTS, targets, shared=True)
    more = np.concatenate([scales, [[1, 0]]]).astype(np.float32)
    inputs, all_targets = (np.concatenate([values, values[:1]]) for values in (INPUTS, targets))
    history, ours = fitted(head, more, inputs, all_targets, shared=True)
    np.testing.assert_allclose(list(history.values()), list(expected.values()), rtol=1e-6)
    for mine, other in zip(ours, weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)
