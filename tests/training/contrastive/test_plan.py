"""Batches of pairs: every row, with another one of its label."""

import numpy as np
import pytest

from bert_serving.data.batches import TokenRows
from bert_serving.training.contrastive.plan import ContrastivePlan, iterations_of

SOFTMAX = np.asarray([0] * 7 + [1] * 4 + [2], np.int32)
BINARY = np.asarray([[0], [1], [1], [0], [1]], np.float32)
MULTILABEL = np.asarray([[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 1], [0, 0, 1]], np.float32)


def order_of(targets: np.ndarray, epoch: int = 1, **settings: int) -> list[np.ndarray]:
    plan = ContrastivePlan(**{"batch_size": 4, "seed": 3} | settings, targets=targets)
    tokens = np.zeros(len(targets), np.int32)
    return plan.batches(TokenRows(tokens, tokens, np.arange(len(targets) + 1)), epoch)


@pytest.mark.parametrize("targets", [SOFTMAX, BINARY, MULTILABEL])
@pytest.mark.parametrize("iterations", [1, 3])
def test_an_iteration_has_each_row_once_and_an_odd_one_twice(targets, iterations):
    counts = np.bincount(np.concatenate(order_of(targets, iterations=iterations)), minlength=len(targets))
    assert counts.min() == iterations
    assert counts.max() <= 2 * iterations


@pytest.mark.parametrize("targets", [SOFTMAX, BINARY])
def test_neighbors_in_a_batch_have_the_same_label(targets):
    for batch in order_of(targets, iterations=5):
        first, second = batch.reshape(-1, 2).T
        np.testing.assert_array_equal(targets[first], targets[second])


def test_rows_of_several_labels_are_paired_by_one_that_is_drawn():
    seen = set()
    for batch in order_of(MULTILABEL, iterations=30):
        for first, second in batch.reshape(-1, 2):
            both = MULTILABEL[first] @ MULTILABEL[second]
            assert both > 0 or MULTILABEL[first].sum() == MULTILABEL[second].sum() == 0
            seen.add((first, second))
    assert len({second for first, second in seen if first == 0} | {first for first, second in seen if second == 0}) > 2


def test_batches_are_no_larger_than_asked_for():
    assert max(map(len, order_of(SOFTMAX, batch_size=5))) <= 5


def test_each_epoch_has_an_order_of_its_own_that_the_seed_decides():
    first, again, second = order_of(SOFTMAX, 1), order_of(SOFTMAX, 1), order_of(SOFTMAX, 2)
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))
    assert not np.array_equal(np.concatenate(first), np.concatenate(order_of(SOFTMAX, 1, seed=4)))


@pytest.mark.parametrize(
    ("rows", "epochs", "iterations"),
    [(2, 1, 20), (48, 1, 20), (96, 1, 10), (96, 3, 3), (1000, 1, 3), (5000, 3, 1), (9, 50, 1)],
)
def test_the_more_rows_the_fewer_iterations(rows, epochs, iterations):
    assert iterations_of(rows, epochs) == iterations
