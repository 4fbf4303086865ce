"""Slices: which rows stand together, and which slices fall short."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import fisher_exact, mannwhitneyu
from support.predictions import NAMES, classified, measured, table, tagged

from bert_serving.contract import Head
from bert_serving.evaluation import slices
from bert_serving.evaluation.intervals import share_interval
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.slices import Slice, find_slices, script_of


def by_name(found: tuple[Slice, ...], group: str) -> dict[str, Slice]:
    return {each.name: each for each in found if each.group == group}


def predicted(correct, **columns) -> Predictions:
    """Rows of two labels in turn, predicted correctly where `correct` says so."""
    labels = [NAMES[row % 2] for row in range(len(correct))]
    values = np.asarray(
        [[0.9, 0.1] if (row % 2 == 0) == bool(each) else [0.1, 0.9] for row, each in enumerate(correct)]
    )
    return Predictions(Head.SOFTMAX, NAMES[:2], table(labels, **columns), values)


def test_a_slice_that_falls_short_is_marked_and_the_others_are_not():
    correct = np.random.default_rng(0).random(1_000) < 0.9
    correct[:100] = np.arange(100) % 10 < 6
    found = by_name(
        find_slices(predicted(correct, source=["phone"] * 100 + ["web"] * 450 + ["shop"] * 450)), "column source"
    )
    phone = found["phone"]
    assert {name: each.short for name, each in found.items()} == {"web": False, "shop": False, "phone": True}
    assert phone.score == share_interval(60, 100)
    assert phone.rest == pytest.approx(correct[100:].mean())
    assert phone.p_value < 1e-6


def test_random_slices_are_rarely_marked():
    """Holm's correction holds the chance of any false mark among all slices of a report under 5%."""
    marked = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        made = predicted(random.random(400) < 0.8, kind=random.choice(list("abcdefgh"), 400).tolist())
        marked += any(each.short for each in find_slices(made))
    assert marked <= 6


def test_p_values_are_fishers_corrected_by_holm():
    correct = np.ones(90, bool)
    correct[[0, 1, 2, 3, 4, 5, 30, 31, 32, 60]] = False
    found = by_name(find_slices(predicted(correct, part=["a"] * 30 + ["b"] * 30 + ["c"] * 30)), "column part")
    raw = {
        name: fisher_exact([[30 - wrong, wrong], [60 - others, others]], alternative="less").pvalue
        for name, wrong, others in (("a", 6, 4), ("b", 3, 7), ("c", 1, 9))
    }
    # Beside them stand the two labels, both of p near 1: five slices in all.
    assert found["a"].p_value == pytest.approx(min(5 * raw["a"], 1))
    assert found["b"].p_value == found["c"].p_value == 1


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ({}, {}),
        ({0: 0.01}, {0: 0.01}),
        # Holm 1979: 4 * 0.005, 3 * 0.01, 2 * 0.03, and never smaller than the one before.
        ({0: 0.01, 1: 0.04, 2: 0.03, 3: 0.005}, {3: 0.02, 0: 0.03, 2: 0.06, 1: 0.06}),
        ({0: 0.9, 1: 0.8}, {0: 1.0, 1: 1.0}),
    ],
)
def test_holms_correction_is_that_of_the_paper(p_values, expected):
    assert slices.holm(p_values) == pytest.approx(expected)


def test_few_rows_and_small_gaps_are_measured_and_not_judged():
    correct = np.ones(4_000, bool)
    correct[:2_000:40] = False  # 2.5% wrong, and none of the rest: significant; the gap of two points is needed too
    correct[3_990:] = False
    made = predicted(correct, part=["many"] * 2_000 + ["rest"] * 1_990 + ["few"] * 10)
    found = by_name(find_slices(made), "column part")
    assert found["many"].p_value < 0.05
    assert found["many"].short
    assert (found["few"].p_value, found["few"].short, found["few"].score.value) == (None, False, 0)
    correct[:2_000:80] = True  # half of them correct again: a gap of a point
    correct[3_990:] = True
    found = by_name(find_slices(predicted(correct, part=["many"] * 2_000 + ["rest"] * 2_000)), "column part")
    assert found["many"].p_value < 0.05
    assert not found["many"].short


def test_numbers_are_judged_by_their_distances():
    made = measured(200, error=0.3)
    values = made.values.copy()
    values[:50] += 2
    made = dataclasses.replace(
        made, values=values, table=dataclasses.replace(made.table, columns={"part": ["far"] * 50 + ["near"] * 150})
    )
    found = by_name(find_slices(made), "column part")
    assert (found["far"].short, found["near"].short) == (True, False)
    assert found["far"].score.value == pytest.approx(made.losses[:50].mean())
    assert found["far"].p_value == pytest.approx(
        mannwhitneyu(made.losses[:50], made.losses[50:], alternative="greater").pvalue * len(find_slices(made))
    )


def test_lengths_fall_into_bins_of_like_size_equal_lengths_together():
    made = classified(500, texts=["word " * (row % 50 + 1) for row in range(500)])
    found = by_name(find_slices(made), "words")
    assert list(found) == ["1 to 10", "11 to 20", "21 to 30", "31 to 40", "41 to 50"]
    assert [len(each.rows) for each in found.values()] == [100] * 5
    made = classified(100, texts=["word"] * 90 + ["two words"] * 10)
    assert list(by_name(find_slices(made), "words")) == ["1", "2"]


def test_words_of_both_texts_count_and_chinese_characters_are_words():
    made = classified(100, texts=["我很好"] * 50 + ["one two"] * 50, pairs=["", "three four"] * 50)
    assert {name: len(each.rows) for name, each in by_name(find_slices(made), "words").items()} == {
        "2": 25,
        "3": 25,
        "4": 25,
        "5": 25,
    }


def test_texts_that_the_model_cuts_are_a_slice():
    made = classified(100)
    found = find_slices(made, np.asarray([30] * 60 + [40] * 40), 32)
    assert {each.name: len(each.rows) for each in found if each.group == "cut"} == {
        "read whole": 60,
        "cut at 32 tokens": 40,
    }
    assert not [each for each in find_slices(made) if each.group == "cut"]


def test_labels_are_slices_of_the_rows_that_have_them():
    made = tagged(200)
    found = by_name(find_slices(made), "label")
    assert {name: len(each.rows) for name, each in found.items()} == dict(
        zip(made.labels, made.y_true.sum(axis=0), strict=True)
    )
    assert not by_name(find_slices(measured()), "label")


def test_a_group_of_one_slice_is_left_out():
    assert {each.group for each in find_slices(classified())} == {"label"}


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("hello", "Latin"),
        ("我的自行车 ok", "Han"),
        ("わたしはネコです", "Japanese"),
        ("привет", "Cyrillic"),
        ("नमस्ते", "Devanagari"),
        ("สวัสดี", "Thai"),
        ("안녕", "Hangul"),
        ("مرحبا", "Arabic"),
        ("123 !? 😀", "no letters"),
        ("", "no letters"),
    ],
)
def test_the_script_is_that_of_most_letters(text, script):
    assert script_of(text) == script


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["a", "b", " ", ""], {"a", "b", "(empty)"}),
        ([str(number) for number in range(20)], {str(number) for number in range(20)}),
        ([str(number) for number in range(100)], {"0 to 19", "20 to 39", "40 to 59", "60 to 79", "80 to 99"}),
        ([f"v{number}" for number in range(19)] * 4 + [f"rare{number}" for number in range(5)], None),
        ([*map(str, range(99)), "nan"], None),
    ],
    ids=["few", "twenty numbers", "many numbers", "many words", "not all numbers"],
)
def test_columns_are_sliced_by_value_or_cut_into_bins(values, names):
    found = slices._by_values(values)
    assert sum(map(len, found.values())) == len(values)
    if names is None:
        assert slices.OTHERS in found
        assert len(found) == slices.MOST_VALUES + 1
    else:
        assert set(found) == names
