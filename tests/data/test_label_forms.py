"""Forms of labels: spellings of one label, labels that mean none, several labels in one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_serving.data.label_forms import distinguishable, label_form, labels_of_nothing, separator_of, spellings


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Positive", "positive"),
        ("positive", "positive\u200b"),
        ("positive", "\ufeffpositive"),
        ("positive", "positive\xa0"),
        ("very good", "very  good"),
        ("very good", "very\u3000good"),
        ("very good", "very_good"),
        ("ﬁne", "fine"),
        ("ＡＢＣ", "abc"),
        ("café", "cafe\u0301"),
        ("Straße", "STRASSE"),
        ("İyi", "iyi"),
        ("IYI", "ıyı"),
        ("p\u043esitive", "positive"),
        ("Тема", "тема"),
        ("❤", "❤\ufe0f"),
        ('"joy"', "joy"),
        ("1", "1.0"),
        ("1", "01"),
        ("１", "1"),
        ("True", "true"),
    ],
)
def test_spellings_of_one_label_have_one_form_and_look_different(first, second):
    assert label_form(first) == label_form(second)
    assert spellings([first, "another", second]) == [[first, second]]
    shown = distinguishable([first, second])
    assert shown[0] != shown[1]
    assert all(sign.isprintable() for sign in "".join(shown))


@pytest.mark.parametrize(
    ("first", "second"),
    [("-1", "1"), ("1.1", "1.10"), ("C", "C++"), ("+", "-"), ("10", "1"), ("1-2", "12"), ("мир", "міг"), ("a1", "a 1")],
)
def test_different_labels_keep_different_forms(first, second):
    assert spellings([first, second]) == []


def test_only_signs_that_cannot_be_told_apart_are_escaped():
    assert distinguishable(["正面", "正面\u200b"]) == ["'正面'", "'正面\\u200b'"]
    assert distinguishable(["Été", "été"]) == ["'Été'", "'été'"]
    assert distinguishable(["café", "cafe\u0301"]) == ["'caf\\xe9'", "'cafe\\u0301'"]


@pytest.mark.slow
@settings(max_examples=2_000, deadline=None)
@given(st.text().filter(lambda name: any(map(str.isalnum, name))))
def test_blanks_and_case_around_any_name_leave_its_form(name):
    assert label_form(f"  {name}\u200b ") == label_form(name) != ""
    assert label_form(label_form(name)) == label_form(name)


@pytest.mark.parametrize(
    ("labels", "nothing"),
    [
        (("-", "entailment", "neutral"), ["-"]),
        (("nan", "pos", "neg"), ["nan"]),
        (("N/A", "?", "spam", "ham", "eggs"), ["N/A", "?"]),
        (("Unknown", "<unk>", "[none]", "null", "spam"), ["Unknown", "<unk>", "[none]", "null"]),
        (("#REF!", "spam"), ["#REF!"]),
        (("-1", "0", "1", "2"), ["-1"]),
        (("-1", "spam", "ham"), ["-1"]),
        (("-1", "0", "1"), []),
        (("-1", "1"), []),
        (("-2", "-1", "0", "1", "2"), []),
        (("+", "-"), []),
        (("+", "-", "neutral"), []),
        ((".", "?", "!"), []),
        (("NA", "EU", "AS", "SA", "AF", "OC"), []),
        (("other", "no", "nothing special", "banana"), []),
    ],
)
def test_labels_that_mean_none_are_told_from_classes(labels, nothing):
    assert labels_of_nothing(dict.fromkeys(labels, 10)) == nothing


def test_minus_one_beside_0_and_1_means_none_where_it_is_rare():
    assert labels_of_nothing({"-1": 3, "0": 50, "1": 40}) == ["-1"]


@pytest.mark.parametrize(
    ("name", "separator"),
    [
        ("joy;anger", ";"),
        ("joy | Anger", "|"),
        ("joy, anger", ","),
        ("joy/anger", "/"),
        ("joy anger", " "),
        ("joy+anger", "+"),
        ("joy;fear", None),
        ("joyful", None),
        (";", None),
        ("joy", None),
        ("1,5", None),
    ],
)
def test_a_separator_stands_between_labels_only(name, separator):
    assert separator_of(name, {"joy", "anger", "1", "5"}) == separator


def test_a_semicolon_or_a_bar_separates_where_that_is_sure():
    assert [separator_of(name, set(), sure=True) for name in ("a;b", "a|b", "a/b", "a;")] == [";", "|", None, None]
