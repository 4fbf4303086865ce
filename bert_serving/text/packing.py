"""Packs token ids of one or two texts into BERT's inputs: truncation, [CLS] and [SEP], padding.

Uses only operations of every TensorFlow Serving since 2.2. `tensorflow_text.RoundRobinTrimmer` truncates in the same way, but
with a native operation that TensorFlow Serving has only since 2.20.
"""

from collections.abc import Sequence

import tensorflow as tf

from bert_serving import contract
from bert_serving.contract import LongTexts
from bert_serving.data.windows import WindowPlan
from bert_serving.text.vocabulary import SpecialIds

# Of the tokens of a long text that fit, one in this many is from its beginning: 128 of 510 in Sun et al. 2019, arXiv:1905.05583.
_HEAD_PART = 4
# Lengths are rounded up to a multiple of this, so that a server has few distinct shapes.
LENGTH_STEP = 8


def combine_segments(
    segments: Sequence[tf.RaggedTensor],
    special: SpecialIds,
    sequence_length: int | tf.Tensor,
    *,
    long_texts: LongTexts = LongTexts.TRUNCATE,
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Truncates and joins one or two segments: `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`; RoBERTa has `</s></s>` before b.

    Args:
        segments: one or two int32 tensors [B, (tokens)] or [B, (words), (pieces)].
        special: ids of the special tokens, and the frame of a pair.
        sequence_length: most tokens of a row, special tokens included.
        long_texts: which tokens of a longer text are kept: the first ones, or of one segment its head and its tail.

    Returns:
        Word ids and type ids (0 up to the first [SEP], then that of the second text), int32 [B, (tokens)].
    """
    flat = [_merge_words(segment) for segment in segments]
    budget = tf.cast(sequence_length, tf.int64) - special.frame_tokens(len(flat))
    first = flat[0]
    start = _column(first, special.start_of_sequence)
    end = _column(first, special.end_of_segment)
    if len(flat) == 1:
        parts = _head_and_tail(first, budget) if long_texts is LongTexts.HEAD_AND_TAIL else [_keep(first, budget)]
        word_ids = tf.concat([start, *parts, end], axis=1)
        return word_ids, tf.zeros_like(word_ids)
    second = flat[1]
    # The longer text is truncated first; an odd token goes to the first text. Same result as round-robin by tokens.
    first_length = tf.maximum(budget - second.row_lengths(), budget - budget // 2)
    head = tf.concat([start, _keep(first, first_length), end], axis=1)
    kept = _keep(second, budget - tf.minimum(first.row_lengths(), first_length))
    tail = tf.concat([*[end] * (special.separators - 1), kept, end], axis=1)
    types = tf.concat([tf.zeros_like(head), tf.ones_like(tail) * special.second_type], axis=1)
    return tf.concat([head, tail], axis=1), types


def combine_windows(
    segment: tf.RaggedTensor, special: SpecialIds, plan: WindowPlan
) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.Tensor]:
    """Divides texts into overlapping windows `[CLS] a [SEP]`, as `data.windows.windowed` does.

    Args:
        segment: int32 [B, (tokens)] or [B, (words), (pieces)].
        special: ids of the special tokens.
        plan: of the windows.

    Returns:
        Word ids and type ids (0) of the windows of all texts, int32 [W, (tokens)], and the windows of each text, int32 [B].
    """
    rows = _merge_words(segment)
    lengths = rows.row_lengths()
    needed = 1 - tf.math.floordiv(-tf.maximum(lengths - plan.inside, 0), plan.stride)
    counts = tf.minimum(needed, plan.most)
    text = tf.repeat(tf.range(tf.size(counts)), counts)
    number = tf.range(tf.reduce_sum(counts)) - tf.gather(tf.cumsum(counts, exclusive=True), text)
    # Evenly spaced among those needed, rounded to the nearest.
    gaps = tf.gather(2 * tf.maximum(counts - 1, 1), text)
    spaced = (2 * number * tf.gather(needed - 1, text) + gaps // 2) // gaps
    first = spaced * plan.stride
    starts = tf.gather(rows.row_starts(), text) + first
    index = tf.ragged.range(starts, starts + tf.minimum(tf.gather(lengths, text) - first, plan.inside))
    windows = index.with_flat_values(tf.gather(rows.flat_values, index.flat_values))
    start, end = _column(windows, special.start_of_sequence), _column(windows, special.end_of_segment)
    word_ids = tf.concat([start, windows, end], axis=1)
    return word_ids, tf.zeros_like(word_ids), tf.cast(counts, tf.int32)


def pad(
    word_ids: tf.RaggedTensor, type_ids: tf.RaggedTensor, special: SpecialIds, length: int | tf.Tensor
) -> dict[str, tf.Tensor]:
    """Pads rows to BERT's three inputs, each int32 [B, length]."""
    shape = tf.stack([word_ids.nrows(), tf.cast(length, tf.int64)])
    return {
        contract.WORD_IDS: word_ids.to_tensor(special.padding, shape=shape),
        contract.MASK: tf.ones_like(word_ids).to_tensor(0, shape=shape),
        contract.TYPE_IDS: type_ids.to_tensor(0, shape=shape),
    }


def trimmed_length(word_ids: tf.RaggedTensor, sequence_length: int) -> tf.Tensor:
    """Length of the longest row, rounded up to `LENGTH_STEP`, at most `sequence_length`; int64 scalar."""
    # An empty batch has no longest row; every row has at least [CLS] and [SEP].
    longest = tf.reduce_max(tf.concat([word_ids.row_lengths(), [2]], axis=0))
    rounded = (longest + LENGTH_STEP - 1) // LENGTH_STEP * LENGTH_STEP
    return tf.minimum(rounded, sequence_length)


def _merge_words(segment: tf.RaggedTensor) -> tf.RaggedTensor:
    return segment.merge_dims(1, -1) if segment.shape.rank > 2 else segment


def _column(like: tf.RaggedTensor, token: int) -> tf.Tensor:
    return tf.fill([like.nrows(), 1], tf.constant(token, tf.int32))


def _keep(rows: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    """The first `lengths` tokens of each row."""
    return _between(rows, tf.zeros_like(rows.row_lengths()), tf.minimum(rows.row_lengths(), lengths))


def _head_and_tail(rows: tf.RaggedTensor, budget: tf.Tensor) -> list[tf.RaggedTensor]:
    """The first quarter, rounded up, of `budget` tokens of each row, and of the tokens after them the last that fit."""
    lengths, head = rows.row_lengths(), (budget + _HEAD_PART - 1) // _HEAD_PART
    middle = tf.minimum(lengths, head)
    return [_keep(rows, head), _between(rows, tf.maximum(middle, lengths - (budget - head)), lengths)]


def _between(rows: tf.RaggedTensor, first: tf.Tensor, end: tf.Tensor) -> tf.RaggedTensor:
    """The tokens from number `first` up to, without it, number `end` of each row, int64 [B] each."""
    starts = rows.row_starts()
    index = tf.ragged.range(starts + first, starts + end)
    return index.with_flat_values(tf.gather(rows.flat_values, index.flat_values))
