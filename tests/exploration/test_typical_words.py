import numpy as np
import pytest

from bert_serving.data.table import LabeledTable
from bert_serving.exploration.corpus import number_rows
from bert_serving.exploration.typical_words import LEAST_ROWS, typical_words


def typical(texts: list[str], labels: list[str], classes=("neg", "pos")):
    corpus = number_rows(
        {"train": LabeledTable(texts, None, labels, "a"), "test": LabeledTable(["odd"] * 9, None, ["pos"] * 9, "b")}
    )
    members = {name: np.asarray([label == name for label in labels]) for name in classes}
    return typical_words(corpus, "train", members)


TEXTS = ["Lovely film"] * 12 + ["lovely, dull film"] * 3 + ["dull film film"] * 9 + ["rare"]
LABELS = ["pos"] * 12 + ["neg"] * 13


def test_the_words_of_each_class_come_first():
    found = typical(TEXTS, LABELS)
    assert [word.word for word in found["pos"]] == ["lovely", "film"]
    assert [word.word for word in found["neg"]] == ["dull"]


def test_statistic_and_shares_are_those_of_the_presence_of_the_word():
    """Against the definition: the sum over both classes of (observed - expected)² / expected rows with the word."""
    (lovely, *_) = typical(TEXTS, LABELS)["pos"]
    observed, share = np.asarray([12, 3]), np.asarray([12, 13]) / 25
    expected = 15 * share
    assert lovely.chi2 == pytest.approx(((observed - expected) ** 2 / expected).sum())
    assert (lovely.rows, lovely.share, lovely.elsewhere) == (12, 1.0, pytest.approx(3 / 13))
    assert lovely.purity == pytest.approx(12 / 15)


def test_a_word_that_nearly_only_one_class_has_gives_it_away():
    found = typical(["win a prize now"] * 20 + ["see you now"] * 60, ["pos"] * 20 + ["neg"] * 60)
    assert {word.word for word in found["pos"] if word.gives_away} == {"win", "a", "prize"}
    assert not [word for word in typical(TEXTS, LABELS)["pos"] if word.gives_away]


def test_other_splits_and_rare_words_are_left_out():
    found = typical(
        ["rare good"] * (LEAST_ROWS - 1) + ["good"] * 9 + ["bad"] * 9, ["pos"] * (LEAST_ROWS + 8) + ["neg"] * 9
    )
    assert [word.word for word in found["pos"]] == ["good"]


@pytest.mark.parametrize(
    ("texts", "labels"),
    [(["", " "] * 6, ["pos", "neg"] * 6), (["good film"] * 9, ["pos"] * 9), (["!?"] * 9, ["pos", "neg", "pos"] * 3)],
)
def test_texts_without_words_or_a_single_class_have_none(texts, labels):
    assert typical(texts, labels) == {"neg": [], "pos": []}


def test_chinese_is_told_by_characters():
    found = typical(["很好吃"] * 9 + ["太难吃"] * 9, ["pos"] * 9 + ["neg"] * 9)
    assert {word.word for word in found["pos"]} == {"很", "好"}
