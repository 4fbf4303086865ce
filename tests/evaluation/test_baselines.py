import json
import warnings

import numpy as np
import pytest

from bert_serving.contract import Head
from bert_serving.data.table import LabeledTable
from bert_serving.errors import DataError
from bert_serving.evaluation.baselines import baselines

WORDS = {"good": ("lovely", "great", "fine"), "bad": ("awful", "poor", "dull"), "odd": ("strange", "weird", "queer")}


def rows(count: int, labels=("good", "bad", "odd"), seed: int = 0) -> LabeledTable:
    random = np.random.default_rng(seed)
    chosen = [labels[min(int(number), len(labels) - 1)] for number in random.geometric(0.5, count) - 1]
    texts = [f"the film was {random.choice(WORDS[label])} and I saw {random.integers(9)} of them" for label in chosen]
    return LabeledTable(texts, None, chosen, "a.tsv")


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_majority_is_the_commonest_training_label():
    train, test = rows(200), rows(100, seed=1)
    found = baselines(train, test, ("bad", "good", "odd"), Head.SOFTMAX, 0)
    commonest = max(set(train.labels), key=train.labels.count)
    assert found["majority"]["accuracy"] == pytest.approx(test.labels.count(commonest) / 100)
    shares = {label: train.labels.count(label) / 200 for label in set(train.labels)}
    assert found["majority"]["log_loss"] == pytest.approx(-np.mean([np.log(shares[label]) for label in test.labels]))


def test_words_that_give_the_label_away_are_learnt():
    found = baselines(rows(200), rows(100, seed=1), ("bad", "good", "odd"), Head.SOFTMAX, 0)
    assert found["tfidf_logistic_regression"]["accuracy"] == 1.0
    assert set(found["majority"]) == set(found["tfidf_logistic_regression"])
    json.dumps(found, allow_nan=False)


def test_the_same_seed_gives_the_same_figures():
    first, again = (baselines(rows(90), rows(40, seed=1), ("bad", "good", "odd"), Head.SOFTMAX, 5) for _ in range(2))
    assert first == again


def test_a_binary_head_has_the_same_baselines():
    found = baselines(rows(80, ("good", "bad")), rows(40, ("good", "bad"), 1), ("bad", "good"), Head.BINARY, 0)
    assert found["tfidf_logistic_regression"]["accuracy"] == 1.0
    assert len(found["tfidf_logistic_regression"]["confusion_matrix"]) == 2


def test_a_label_without_training_rows_is_never_predicted():
    labels = ("absent", "bad", "good", "odd")
    found = baselines(rows(80), rows(40, seed=1), labels, Head.SOFTMAX, 0)["tfidf_logistic_regression"]
    assert np.array(found["confusion_matrix"])[:, 0].sum() == 0
    assert found["accuracy"] == 1.0


def test_a_handful_of_rows_is_enough():
    train = LabeledTable(["fine day", "dull day"], None, ["good", "bad"], "a.tsv")
    found = baselines(train, train, ("bad", "good"), Head.SOFTMAX, 0)
    assert found["tfidf_logistic_regression"]["accuracy"] == 1.0


def test_the_second_text_of_a_pair_is_seen():
    plain = rows(90)
    paired = LabeledTable(["nothing here"] * 90, plain.texts, plain.labels, "a.tsv")
    found = baselines(paired, paired, ("bad", "good", "odd"), Head.SOFTMAX, 0)
    assert found["tfidf_logistic_regression"]["accuracy"] == 1.0


def test_characters_are_words_in_scripts_without_spaces():
    texts = ["服务很好吃", "真的好棒呢", "东西好极了", "态度差极了", "太差不想来", "质量很差呢"] * 4
    table = LabeledTable(texts, None, ["1", "1", "1", "0", "0", "0"] * 4, "a.tsv")
    unseen = LabeledTable(["味道好", "味道差"], None, ["1", "0"], "b.tsv")
    assert baselines(table, unseen, ("0", "1"), Head.SOFTMAX, 0)["tfidf_logistic_regression"]["accuracy"] == 1.0


def test_multilabel_rows_are_learnt_one_label_against_the_rest():
    random = np.random.default_rng(0)
    marks = random.random((200, 2)) < 0.5
    texts = [f"text {'lovely' if good else ''} {'awful' if bad else ''} end" for bad, good in marks]
    labels = [tuple(name for name, mark in zip(("bad", "good"), row, strict=True) if mark) for row in marks]
    table = LabeledTable(texts, None, labels, "a.tsv")
    found = baselines(table, table, ("bad", "good", "never"), Head.MULTILABEL, 0)
    assert found["tfidf_logistic_regression"]["accuracy"] == 1.0
    assert found["majority"]["accuracy"] < 0.5
    json.dumps(found, allow_nan=False)


def test_regression_has_the_mean_and_a_ridge():
    random = np.random.default_rng(0)
    scores = random.integers(0, 3, 200)
    table = LabeledTable(
        [["awful", "fair", "lovely"][score] + " film" for score in scores], None, scores * 1.0, "a.tsv"
    )
    found = baselines(table, table, (), Head.REGRESSION, 0)
    assert found["mean"]["mean_squared_error"] == pytest.approx(np.var(scores))
    assert found["mean"]["spearman"] == 0.0
    assert found["tfidf_ridge"]["spearman"] > 0.95


def test_texts_without_words_leave_only_the_majority():
    table = LabeledTable(["", "!?"] * 5, None, ["a", "b"] * 5, "a.tsv")
    assert list(baselines(table, table, ("a", "b"), Head.SOFTMAX, 0)) == ["majority"]


def test_a_test_label_that_the_model_lacks_is_refused():
    with pytest.raises(DataError, match="the label 'odd' is not among"):
        baselines(rows(40, ("good", "bad")), rows(40), ("bad", "good"), Head.SOFTMAX, 0)
