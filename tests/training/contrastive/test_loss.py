"""The loss of a batch, against sums over its pairs."""

import numpy as np
import pytest
import tensorflow as tf

from bert_serving.training.contrastive.loss import cosine_similarity_loss, label_similarity

VECTORS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
TARGETS = np.asarray([0, 1, 0, 2, 1, 0], np.int32)


def similarity(first: int, second: int) -> float:
    one, other = VECTORS[first].astype(float), VECTORS[second].astype(float)
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize(
    ("targets", "together"),
    [
        (TARGETS, TARGETS[:, None] == TARGETS),
        (np.asarray([[0], [1], [0]], np.float32), [[1, 0, 1], [0, 1, 0], [1, 0, 1]]),
        (
            np.asarray([[1, 0], [1, 1], [0, 1], [0, 0]], np.float32),
            [[1, 0.5, 0, 0], [0.5, 1, 0.5, 0], [0, 0.5, 1, 0], [0, 0, 0, 0]],
        ),
    ],
    ids=["softmax", "binary", "multilabel"],
)
def test_rows_are_as_similar_as_their_labels(targets, together):
    np.testing.assert_array_equal(label_similarity(tf.constant(targets)), np.asarray(together, np.float32))


def test_both_kinds_of_pairs_have_half_of_the_weight():
    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    same = [(similarity(i, j) - 1) ** 2 for i, j in pairs if TARGETS[i] == TARGETS[j]]
    other = [similarity(i, j) ** 2 for i, j in pairs if TARGETS[i] != TARGETS[j]]
    loss = cosine_similarity_loss(tf.constant(VECTORS), label_similarity(tf.constant(TARGETS)))
    assert float(loss) == pytest.approx((np.mean(same) + np.mean(other)) / 2, rel=1e-5)


def test_a_batch_of_one_label_has_a_loss_too():
    loss = float(cosine_similarity_loss(tf.constant(VECTORS), tf.ones((6, 6))))
    assert 0 < loss < 2


def test_the_loss_does_not_depend_on_lengths():
    same = label_similarity(tf.constant(TARGETS))
    assert float(cosine_similarity_loss(tf.constant(7 * VECTORS), same)) == pytest.approx(
        float(cosine_similarity_loss(tf.constant(VECTORS), same)), rel=1e-5
    )
