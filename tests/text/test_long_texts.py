"""Head and tail, and windows: the graph's token ids against plain Python's."""

import math

import numpy as np
import pytest
import tensorflow as tf

from bert_serving.contract import LongTexts
from bert_serving.data.batches import TokenRows
from bert_serving.data.windows import WindowPlan, default_overlap, windowed
from bert_serving.text.packing import combine_segments, combine_windows
from bert_serving.text.vocabulary import SpecialIds

SPECIAL = SpecialIds(start_of_sequence=101, end_of_segment=102, padding=7)


def ragged(lengths) -> tf.RaggedTensor:
    """Texts of so many tokens, all of them different."""
    values = tf.range(1000, 1000 + int(np.sum(lengths)), dtype=tf.int32)
    return tf.RaggedTensor.from_row_lengths(values, tf.constant(lengths, tf.int64))


# === Head and tail ===


def head_and_tail(tokens: list[int], length: int) -> list[int]:
    """The rule, written out."""
    fits = length - 2
    if len(tokens) <= fits:
        return [101, *tokens, 102]
    head = math.ceil(fits / 4)
    return [101, *tokens[:head], *tokens[len(tokens) - (fits - head) :], 102]


@pytest.mark.parametrize("length", [4, 5, 6, 7, 13, 512])
def test_head_and_tail_are_a_quarter_and_three_quarters(length):
    fits = length - 2
    texts = ragged([0, 1, fits - 1, fits, fits + 1, 3 * fits, 2000])
    ids, types = combine_segments([texts], SPECIAL, length, long_texts=LongTexts.HEAD_AND_TAIL)
    assert ids.to_list() == [head_and_tail(tokens, length) for tokens in texts.to_list()]
    assert not np.any(types.flat_values)


def test_of_510_tokens_128_are_from_the_beginning():
    # Sun et al. 2019, arXiv:1905.05583.
    ids, _ = combine_segments([ragged([2000])], SPECIAL, 512, long_texts=LongTexts.HEAD_AND_TAIL)
    kept = ids[0].numpy()[1:-1] - 1000
    assert kept[:128].tolist() == list(range(128))
    assert kept[128:].tolist() == list(range(2000 - 382, 2000))


# === Windows ===


def windows(tokens: list[int], plan: WindowPlan) -> list[list[int]]:
    """The rule, written out."""
    starts = [0]
    while starts[-1] + plan.inside < len(tokens):
        starts.append(starts[-1] + plan.stride)
    if len(starts) > plan.most:
        step = (len(starts) - 1) / (plan.most - 1)
        starts = [starts[math.floor(number * step + 0.5)] for number in range(plan.most)]
    return [[101, *tokens[start : start + plan.inside], 102] for start in starts]


def python_rows(texts: list[list[int]]) -> TokenRows:
    framed = [[101, *tokens, 102] for tokens in texts]
    words = np.concatenate([*framed, []]).astype(np.int32)
    return TokenRows(words, np.zeros_like(words), np.cumsum([0, *map(len, framed)]), 7)


PLANS = [
    WindowPlan(4, 0),
    WindowPlan(4, 1, 3),
    WindowPlan(8, 3, 2),
    WindowPlan(16, 2, 5),
    WindowPlan(128, 16),
    WindowPlan(512, 64),
    WindowPlan(128, 125, 7),
]


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_windows_of_graph_and_of_python_are_the_written_rule(plan):
    fits = plan.inside
    texts = ragged([0, 1, fits, fits + 1, 5000, fits + plan.stride, fits + plan.stride + 1, 0]).to_list()
    expected = [windows(tokens, plan) for tokens in texts]
    flat = [window for of_text in expected for window in of_text]
    counts = [len(of_text) for of_text in expected]
    ids, types, graph_counts = combine_windows(tf.ragged.constant(texts, tf.int32), SPECIAL, plan)
    assert graph_counts.numpy().tolist() == counts
    assert graph_counts.dtype == tf.int32
    assert ids.to_list() == flat
    assert types.to_list() == [[0] * len(window) for window in flat]
    rows = windowed(python_rows(texts), plan)
    assert rows.window_counts.tolist() == counts
    assert np.split(rows.words, rows.window_offsets[1:-1])[0].tolist() == flat[0]
    assert [part.tolist() for part in np.split(rows.words, rows.window_offsets[1:-1])] == flat
    assert rows.lengths.tolist() == [sum(map(len, of_text)) for of_text in expected]
    assert rows.widths.tolist() == [len(of_text[0]) for of_text in expected]


@pytest.mark.parametrize("count", [0, 3])
def test_no_texts_and_empty_texts_have_windows_of_no_words(count):
    plan = WindowPlan(16, 2)
    ids, _, counts = combine_windows(ragged([0] * count), SPECIAL, plan)
    assert ids.to_list() == [[101, 102]] * count
    assert counts.numpy().tolist() == [1] * count
    assert len(windowed(python_rows([[]] * count), plan).windows) == count


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_every_token_of_a_text_within_reach_is_read(plan):
    for tokens in (plan.reach - 2, plan.reach - 3):
        texts = [list(range(1000, 1000 + tokens))]
        rows = windowed(python_rows(texts), plan)
        assert set(texts[0]) <= set(rows.words.tolist())
        assert rows.window_counts[0] <= plan.most


def test_beyond_its_reach_a_text_keeps_first_and_last_window():
    plan = WindowPlan(16, 2, 4)
    rows = windowed(python_rows([list(range(1000, 2000))]), plan)
    assert rows.window_counts.tolist() == [4]
    assert rows.words[1] == 1000
    assert rows.words[-2] == 1999


def test_the_default_overlap_is_an_eighth():
    assert [default_overlap(length) for length in (4, 128, 512)] == [0, 16, 64]
