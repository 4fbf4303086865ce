"""Wording: numbers, lists and names as people read them."""

import pytest

from bert_serving.wording import agreeing, counted, listed, percent, score_name, shortened, shown_of


def test_a_noun_and_its_verb_agree_with_the_number():
    assert [counted(number, "row") for number in (0, 1, 2_000)] == ["0 rows", "1 row", "2,000 rows"]
    assert [agreeing(number, "has", "have") for number in (0, 1, 2)] == ["have", "has", "have"]


def test_a_long_list_ends_with_an_ellipsis():
    assert listed("abc", 3) == "a, b, c"
    assert listed(iter("abcd"), 3) == "a, b, c ..."


def test_what_is_left_out_is_counted():
    assert (shown_of(1, 1, "row"), shown_of(500, 2_000, "row")) == ("1 row", "500 of 2,000 rows")


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0, "0%"), (0.0001, "<0.1%"), (0.0512, "5.1%"), (0.994, "99.4%"), (0.996, "100%"), (1, "100%")],
)
def test_a_share_above_zero_never_reads_as_zero(share, expected):
    assert percent(share) == expected


@pytest.mark.parametrize(("text", "expected"), [("good film", "good film"), ("x" * 11, "xxxxxxxxxx … (11 characters)")])
def test_a_shortened_text_states_its_whole_length(text, expected):
    assert shortened(text, 10) == expected


def test_scores_have_readable_names():
    names = ("macro_f1", "log_loss", "tfidf_ridge", "majority")
    assert [score_name(name) for name in names] == ["macro F1", "log loss", "TF-IDF ridge regression", "majority"]
