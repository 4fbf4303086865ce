"""Batches of like length: every row once, in an order that a seed fixes."""

import numpy as np
import pytest

from bert_serving.contract import MASK, TOKEN_INPUTS, TYPE_IDS, WORD_IDS
from bert_serving.data.batches import BatchPlan, Slices, TokenRows, epoch_dataset, padded_batch, sorted_batches


def rows_of(lengths, padding: int = 9) -> TokenRows:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    words = np.arange(1000, 1000 + offsets[-1], dtype=np.int32)
    return TokenRows(words, (words % 2).astype(np.int32), offsets, padding)


def random_lengths(count: int, seed: int = 0) -> np.ndarray:
    """Lengths as texts have them: many short ones, few long ones."""
    return np.clip(np.random.default_rng(seed).lognormal(3, 0.7, count).astype(int), 2, 128)


def padding_share(lengths: np.ndarray, batches: list[np.ndarray]) -> float:
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    return 1 - sum(lengths[batch].sum() for batch in batches) / padded


# === Order ===


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000, 2003])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_every_row_comes_once_an_epoch(count, batch_size):
    order = BatchPlan(batch_size).order(random_lengths(count), epoch=3)
    assert sorted(np.concatenate([*order, []]).tolist()) == list(range(count))
    assert all(0 < len(batch) <= batch_size for batch in order)
    assert len(order) == -(-count // batch_size)


def test_the_number_of_batches_is_the_same_in_every_epoch():
    lengths = random_lengths(2003)
    assert {len(BatchPlan(32, seed).order(lengths, epoch)) for seed in range(3) for epoch in range(4)} == {63}


def test_seed_and_epoch_alone_fix_the_order():
    lengths = random_lengths(300)

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in BatchPlan(8, seed).order(lengths, epoch)]

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2)
    assert order(1, 1) != order(2, 1)
    assert order(1, 2) != order(2, 1)


def test_batches_of_an_epoch_are_other_batches_than_those_of_the_last():
    lengths = random_lengths(3000)
    first, second = ({frozenset(batch.tolist()) for batch in BatchPlan(16).order(lengths, epoch)} for epoch in (1, 2))
    assert len(first & second) < 0.05 * len(first)


def test_batches_hold_texts_of_like_length():
    lengths = random_lengths(5000)
    grouped = BatchPlan(32).order(lengths, 1)
    shuffled = np.random.default_rng(0).permutation(5000)
    mixed = [shuffled[i : i + 32] for i in range(0, 5000, 32)]
    assert padding_share(lengths, grouped) < 0.08
    assert padding_share(lengths, mixed) > 0.5


def test_long_batches_do_not_all_come_at_the_end():
    lengths = random_lengths(4000)
    longest = [lengths[batch].max() for batch in BatchPlan(16).order(lengths, 1)]
    half = len(longest) // 2
    assert abs(np.mean(longest[:half]) - np.mean(longest[half:])) < 0.25 * np.mean(longest)


@pytest.mark.parametrize(("count", "batches"), [(80, 10), (83, 10), (7, 0)])
def test_a_smaller_last_batch_can_be_left_out(count, batches):
    order = BatchPlan(8, drop_remainder=True).order(random_lengths(count), 1)
    assert [len(batch) for batch in order] == [8] * batches


def test_predictions_start_with_the_longest_texts():
    batches = sorted_batches(np.array([3, 9, 5, 9, 2]), 2)
    assert [batch.tolist() for batch in batches] == [[1, 3], [2, 0], [4]]
    assert sorted_batches(np.array([], int), 2) == []


# === Padding ===


def test_a_batch_holds_its_rows_and_their_mask():
    batch = padded_batch(rows_of([2, 4, 3]), [2, 0])
    assert list(batch) == list(TOKEN_INPUTS)
    assert batch[WORD_IDS].tolist() == [[1006, 1007, 1008], [1000, 1001, 9]]
    assert batch[MASK].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch[TYPE_IDS].tolist() == [[0, 1, 0], [0, 1, 0]]
    assert {array.dtype for array in batch.values()} == {np.dtype(np.int32)}


@pytest.mark.parametrize(
    ("options", "columns"),
    [
        ({}, 9),
        ({"length_step": 8}, 16),
        ({"length_step": 9}, 9),
        ({"length_step": 32}, 32),
        ({"length_step": 32, "longest": 20}, 20),
        ({"length_step": 32, "longest": 9}, 9),
        ({"length_step": 8, "longest": 128}, 16),
        ({"length": 24}, 24),
        ({"length": 24, "length_step": 32, "longest": 24}, 24),
    ],
)
def test_padded_lengths(options, columns):
    batch = padded_batch(rows_of([9, 4]), [0, 1], **options)
    assert batch[WORD_IDS].shape == (2, columns)
    assert batch[MASK].sum(axis=1).tolist() == [9, 4]
    assert (batch[WORD_IDS][1, 4:] == 9).all()


def test_a_batch_of_no_rows_is_empty():
    assert padded_batch(rows_of([3]), [])[WORD_IDS].shape == (0, 0)
    assert padded_batch(rows_of([3]), [], length=8)[WORD_IDS].shape == (0, 8)


# === tf.data ===


def test_a_dataset_brings_inputs_targets_and_weights_of_the_same_rows():
    rows = rows_of(random_lengths(50))
    targets = np.arange(50, dtype=np.int32)
    weights = targets.astype(np.float32) / 10
    dataset = epoch_dataset(rows, targets, weights, BatchPlan(8), epoch=1)
    assert int(dataset.cardinality()) == 7
    seen = []
    for inputs, target, weight in dataset.as_numpy_iterator():
        np.testing.assert_array_equal(inputs[WORD_IDS][:, 0], 1000 + rows.offsets[target])
        np.testing.assert_array_equal(inputs[MASK].sum(axis=1), rows.lengths[target])
        np.testing.assert_allclose(weight, target / 10)
        seen += target.tolist()
    assert sorted(seen) == list(range(50))


def test_rows_without_weights_weigh_one():
    dataset = epoch_dataset(rows_of([2, 3]), np.zeros((2, 1), np.float32), None, BatchPlan(2), epoch=1)
    [(_, target, weight)] = dataset.as_numpy_iterator()
    assert target.shape == (2, 1)
    assert weight.tolist() == [1, 1]


def test_a_dataset_of_one_shape_says_so():
    rows = rows_of(random_lengths(20))
    plan = BatchPlan(8, length=128, drop_remainder=True)
    dataset = epoch_dataset(rows, np.zeros(20, np.int32), None, plan, epoch=1)
    inputs, target, weight = dataset.element_spec
    assert {spec.shape for spec in inputs.values()} == {(8, 128)}
    assert target.shape == weight.shape == (8,)
    assert int(dataset.cardinality()) == len(list(dataset)) == 2


def test_the_dataset_is_not_autotuned_because_its_iterator_would_end_late():
    dataset = epoch_dataset(rows_of([3, 4, 5]), np.zeros(3, np.int32), None, BatchPlan(2), epoch=1)
    assert dataset.options().autotune.enabled is False


# === Several machines ===


@pytest.mark.parametrize(("workers", "devices"), [(1, 1), (2, 1), (4, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("rows", [1, 2, 5, 7, 8, 32])
def test_slices_of_a_batch_share_its_rows_and_none_counts_twice(workers, devices, rows):
    batch = np.random.default_rng(0).permutation(100)[:rows]
    every = [Slices(worker * devices, devices, workers * devices) for worker in range(workers)]
    parts = [part for slices in every for part in slices.of(batch)]
    assert len(parts) == workers * devices
    counted = [index for index, share in parts if share]
    assert sorted(np.concatenate(counted)) == sorted(batch)
    assert max(map(len, counted)) - min(map(len, counted)) <= 1
    assert {share for _, share in parts} <= {0.0, 1 / rows}
    # Who has no row of the batch computes one that does not count.
    assert all(len(index) == 1 for index, share in parts if not share)


@pytest.mark.parametrize("size", [5, 7, 8])
def test_the_sum_over_slices_is_the_weighted_mean_over_the_batch(size):
    random = np.random.default_rng(1)
    losses, weights, batch = random.random(20), random.random(20), random.permutation(20)[:size]
    slices = [Slices(number, 1, 3) for number in range(3)]
    total = sum(share * (losses * weights)[index].sum() for part in slices for index, share in part.of(batch))
    np.testing.assert_allclose(total, np.mean((losses * weights)[batch]), rtol=1e-12)
    means = [np.mean((losses * weights)[index]) for part in slices for index, _ in part.of(batch)]
    assert size % 3 == 0 or abs(np.mean(means) - total) > 1e-4, "the mean of means is another number"


def test_data_sets_of_two_workers_have_the_rows_of_one_batch_for_batch():
    rows = rows_of(random_lengths(21))
    targets, weights = np.arange(21, dtype=np.int32), np.linspace(1, 2, 21, dtype=np.float32)
    plan, order = BatchPlan(4), BatchPlan(4).order(rows.lengths, 2)
    workers = [
        epoch_dataset(rows, targets, weights, plan, 2, Slices(number, 1, 2)).take(len(order)).as_numpy_iterator()
        for number in range(2)
    ]
    sizes = []
    for batch, *parts in zip(order, *workers, strict=True):
        rebuilt = np.concatenate([found[scales[:, 1] > 0] for _, found, scales in parts])
        assert sorted(rebuilt) == sorted(batch)
        for inputs, found, scales in parts:
            np.testing.assert_array_equal(scales[:, 0], weights[found])
            assert set(scales[:, 1]) <= {np.float32(1 / len(batch)), np.float32(0)}
            np.testing.assert_array_equal(inputs[WORD_IDS], padded_batch(rows, found)[WORD_IDS])
        sizes.append(tuple(len(found) for _, found, _ in parts))
    assert (1, 1) in sizes, "the epoch has a last batch of one row"
    assert sizes.count((2, 2)) == len(order) - 1
