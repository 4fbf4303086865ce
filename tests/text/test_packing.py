"""Our cuts and frames against tensorflow_text's own trimmer, which old model servers lack."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text

from bert_serving import contract
from bert_serving.text.packing import LENGTH_STEP, combine_segments, pad, trimmed_length
from bert_serving.text.vocabulary import SpecialIds

SPECIAL = SpecialIds(start_of_sequence=101, end_of_segment=102, padding=7)


def ragged(lengths) -> tf.RaggedTensor:
    """Rows of so many different tokens."""
    values = tf.range(1000, 1000 + int(np.sum(lengths)), dtype=tf.int32)
    return tf.RaggedTensor.from_row_lengths(values, tf.constant(lengths, tf.int64))


def words_of(rows: tf.RaggedTensor, seed: int) -> tf.RaggedTensor:
    """The same tokens as words of one or more pieces, some of them empty."""
    random = np.random.default_rng(seed)
    splits, rows_splits = [0], [0]
    for length in rows.row_lengths().numpy():
        start = splits[-1]
        cuts = np.sort(random.integers(0, length + 1, size=length // 2))
        splits += [*(start + cuts), start + length]
        rows_splits.append(len(splits) - 1)
    words = tf.RaggedTensor.from_row_splits(rows.flat_values, tf.constant(splits, tf.int64))
    return tf.RaggedTensor.from_row_splits(words, tf.constant(rows_splits, tf.int64))


def reference(segments, length: int):
    trimmed = tensorflow_text.RoundRobinTrimmer(length - len(segments) - 1).trim(segments)
    return tensorflow_text.combine_segments(trimmed, SPECIAL.start_of_sequence, SPECIAL.end_of_segment)


def assert_same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.row_splits, other.row_splits)
        np.testing.assert_array_equal(mine.flat_values, other.flat_values)
        assert mine.dtype == tf.int32


def lengths_of(seed: int, rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    # Short, long and empty texts in every mixture.
    return tuple(random.integers(0, random.choice([1, 2, 5, 20], size=rows)) for _ in range(2))


@pytest.mark.parametrize("length", [3, 4, 5, 6, 7, 12, 13, 40, 100])
@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_cut_as_by_taking_turns(length, seed):
    segments = [ragged(lengths) for lengths in lengths_of(seed)]
    ours = combine_segments(segments, SPECIAL, length)
    assert_same(ours, reference(segments, length))
    assert int(tf.reduce_max(ours[0].row_lengths())) <= length


@pytest.mark.parametrize("length", [2, 3, 4, 9, 64])
def test_single_segments_are_cut_at_the_end(length):
    segments = [ragged([0, 1, 2, 3, 7, 30, 0])]
    assert_same(combine_segments(segments, SPECIAL, length), reference(segments, length))


@pytest.mark.parametrize("length", [4, 9, 30])
def test_words_of_several_pieces_are_cut_between_pieces(length):
    segments = [ragged(lengths) for lengths in lengths_of(5)]
    nested = [words_of(segment, seed) for seed, segment in enumerate(segments)]
    assert nested[0].ragged_rank == 2
    assert_same(combine_segments(nested, SPECIAL, length), reference(segments, length))


@pytest.mark.parametrize("count", [1, 2])
def test_a_batch_of_no_rows_stays_one(count):
    word_ids, type_ids = combine_segments([ragged([])] * count, SPECIAL, 16)
    assert word_ids.nrows() == type_ids.nrows() == 0
    assert pad(word_ids, type_ids, SPECIAL, 16)[contract.WORD_IDS].shape == (0, 16)


def test_a_pair_of_empty_texts_is_nothing_but_its_frame():
    word_ids, type_ids = combine_segments([ragged([0])] * 2, SPECIAL, 16)
    assert word_ids.to_list() == [[101, 102, 102]]
    assert type_ids.to_list() == [[0, 0, 1]]


def test_type_ids_tell_the_second_text_with_its_end_from_the_first():
    _, type_ids = combine_segments([ragged([2]), ragged([1])], SPECIAL, 16)
    assert type_ids.to_list() == [[0, 0, 0, 0, 1, 1]]


def test_rows_are_padded_with_the_encoders_own_padding():
    word_ids, type_ids = combine_segments([ragged([1, 0]), ragged([1, 1])], SPECIAL, 16)
    packed = pad(word_ids, type_ids, SPECIAL, 6)
    assert packed.keys() == set(contract.TOKEN_INPUTS)
    assert packed[contract.WORD_IDS].numpy().tolist() == [[101, 1000, 102, 1000, 102, 7], [101, 102, 1001, 102, 7, 7]]
    assert packed[contract.MASK].numpy().tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]]
    assert packed[contract.TYPE_IDS].numpy().tolist() == [[0, 0, 0, 1, 1, 0], [0, 0, 1, 1, 0, 0]]
    assert {tensor.dtype for tensor in packed.values()} == {tf.int32}


def test_the_sequence_length_may_be_a_tensor_known_only_in_the_graph():
    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)] * 2 + [tf.TensorSpec([], tf.int32)])
    def packed(first, second, length):
        return pad(*combine_segments([first, second], SPECIAL, length), SPECIAL, length)

    segments = [ragged([9, 2]), ragged([1, 30])]
    for length in (5, 24):
        expected = reference(segments, length)[0].to_tensor(SPECIAL.padding, shape=[2, length])
        np.testing.assert_array_equal(packed(*segments, length)[contract.WORD_IDS], expected)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("rank", [1, 2])
def test_the_graph_holds_no_operation_that_old_servers_lack(count, rank):
    spec = tf.RaggedTensorSpec([None] * (rank + 1), tf.int32)

    @tf.function(input_signature=[spec] * count)
    def packed(*segments):
        word_ids, type_ids = combine_segments(segments, SPECIAL, 128)
        return pad(word_ids, type_ids, SPECIAL, trimmed_length(word_ids, 128))

    graph = packed.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    operations = {node.op for node in nodes}
    assert "ConcatV2" in operations
    assert not {name for name in operations if "RoundRobin" in name or ">" in name or name.startswith("Text")}


@pytest.mark.parametrize(
    ("lengths", "sequence_length", "expected"),
    [
        ([0], 128, LENGTH_STEP),
        ([6], 128, 8),
        ([7], 128, 16),
        ([3, 14, 2], 128, 16),
        ([3, 15, 2], 128, 24),
        ([118], 128, 120),
        ([119], 128, 128),
        ([500], 128, 128),
        ([500], 50, 50),
        ([47], 50, 50),
        ([1], 5, 5),
        ([], 128, LENGTH_STEP),
    ],
)
def test_a_batch_is_as_long_as_its_longest_row_rounded_up(lengths, sequence_length, expected):
    word_ids, _ = combine_segments([ragged(lengths)], SPECIAL, sequence_length)
    length = trimmed_length(word_ids, sequence_length)
    assert length.dtype == tf.int64
    assert int(length) == expected
    assert int(length) >= int(tf.reduce_max(tf.concat([word_ids.row_lengths(), [0]], 0)))
