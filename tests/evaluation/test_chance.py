"""Chance: models that are better than a constant answer, and models, rows and heads where none can be told to be."""

import numpy as np
import pytest
from support.predictions import EVERY_KIND, NAMES, classified, measured, table, tagged

from bert_serving.contract import Head
from bert_serving.evaluation.chance import Chance, compare_with_chance
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.report import make_report


def chance_of(made: Predictions) -> Chance:
    return compare_with_chance(made.head, made.labels, made.metrics)


def answered(true, predicted, labels=("ham", "spam")) -> Predictions:
    """Rows with these labels, which a model predicts with confidence."""
    places = [labels.index(label) for label in predicted]
    values = np.full((len(true), len(labels)), 0.1 / (len(labels) - 1))
    values[np.arange(len(true)), places] = 0.9
    return Predictions(Head.SOFTMAX, labels, table(true), values)


def correlated(rows: int, seed: int = 0, error: float = 1.0) -> Predictions:
    return measured(rows, seed=seed, error=error)


BETTER = {
    **EVERY_KIND,
    "nine of ten": answered(["ham", "spam"] * 5, ["ham", "spam"] * 4 + ["ham", "ham"]),
    # Its accuracy is below the share of "ham", but it finds most of the rare label.
    "a rare label": answered(["ham"] * 970 + ["spam"] * 30, ["ham"] * 850 + ["spam"] * 147 + ["ham"] * 3),
    "a label without rows": answered(["ham", "spam"] * 10, ["ham", "spam"] * 10, ("ham", "spam", "eggs")),
    "a weak correlation": correlated(300, error=6.0),
}
NOT_BETTER = {
    "noise": classified(500, sure=0.0),
    "noise, two labels": classified(500, classes=2, sure=0.0),
    "noise, several labels": tagged(500, sure=0.0),
    "nothing predicted": Predictions(Head.MULTILABEL, NAMES[:2], table([("anger",), ()] * 20), np.zeros((40, 2))),
    "always the most frequent": answered(["ham"] * 60 + ["spam"] * 20, ["ham"] * 80),
    "always a rare one": answered(["ham"] * 60 + ["spam"] * 20, ["spam"] * 80),
    "labels exchanged": answered(["ham", "spam"] * 30, ["spam", "ham"] * 30),
    "three of three": answered(["ham", "spam", "ham"], ["ham", "spam", "ham"]),
    "one row": answered(["ham"], ["ham"]),
    "one label": answered(["ham"] * 50, ["ham"] * 50),
    "one set of labels": Predictions(Head.MULTILABEL, NAMES[:2], table([("anger",)] * 9), np.tile([0.9, 0.1], (9, 1))),
    "no labels": Predictions(Head.MULTILABEL, NAMES[:2], table([()] * 9), np.tile([0.1, 0.1], (9, 1))),
    "one number": Predictions(Head.REGRESSION, (), table([2.0]), np.array([[2.0]])),
    "a constant": Predictions(Head.REGRESSION, (), table([1.0, 2.0, 3.0] * 9), np.full((27, 1), 2.0)),
    "the wrong sign": Predictions(Head.REGRESSION, (), table([1.0, 2.0, 3.0] * 9), np.array([[3.0], [2.0], [1.0]] * 9)),
}


@pytest.mark.parametrize("name", BETTER)
def test_a_model_that_reads_the_texts_is_better(name):
    assert chance_of(BETTER[name]).better


@pytest.mark.parametrize("name", NOT_BETTER)
def test_any_other_is_told_what_to_do(name):
    chance = chance_of(NOT_BETTER[name])
    assert not chance.better
    assert chance.advice.endswith(".")


@pytest.mark.parametrize("name", ["noise", "noise, several labels", "one row"])
def test_no_label_errors_are_looked_for_without_a_better_model(name):
    report = make_report(NOT_BETTER[name])
    assert report.label_errors is None
    assert "label_errors" not in report.to_json()
    assert report.to_json()["chance"]["better"] is False


@pytest.mark.parametrize(
    ("name", "finding", "advice"),
    [
        (
            "always the most frequent",
            "The model is no better than chance: accuracy 0.750 (95% Wilson interval 0.645 to 0.832), always answering "
            "'ham' 0.750; 80 rows",
            "Train longer",
        ),
        ("labels exchanged", "The model is worse than chance: accuracy 0.000", "Check the order of the labels first"),
        (
            "three of three",
            "As far as 3 rows tell, the model is no better than chance: accuracy 1.000",
            "Measure on more",
        ),
        ("nothing predicted", "The model is worse than chance: micro F1 0.000", "Check the order"),
        (
            "one row",
            "No score tells whether the model has learned anything: the only row has the label 'ham'",
            "Measure on rows of several labels",
        ),
        ("one label", "No score tells whether the model has learned anything: all 50 rows have", "Measure on rows of"),
        ("a constant", "The model is no better than chance: Spearman correlation 0.000", "Train longer"),
        ("the wrong sign", "The model is worse than chance: Spearman correlation -1.000", "Train longer"),
    ],
)
def test_the_finding_says_what_was_compared_and_what_to_do(name, finding, advice):
    chance = chance_of(NOT_BETTER[name])
    assert chance.finding().startswith(finding)
    assert chance.advice.startswith(advice)


def test_the_finding_names_the_rows_where_that_is_asked():
    found = chance_of(NOT_BETTER["noise"]).finding("its test rows")
    assert " chance on its test rows: accuracy " in found


@pytest.mark.parametrize(("make", "share"), [(classified, 0.05), (tagged, 0.05)])
def test_noise_is_hardly_ever_taken_for_a_model(make, share):
    better = [chance_of(make(200, seed=seed, sure=0.0)).better for seed in range(60)]
    assert np.mean(better) <= share


def test_the_best_constant_set_of_labels_is_what_multilabel_must_beat():
    made = Predictions(Head.MULTILABEL, NAMES[:3], table([("anger", "fear")] * 9 + [("joy",)]), np.full((10, 3), 0.9))
    chance = chance_of(made)
    assert chance.answer == "anger, fear"
    assert chance.constant == pytest.approx(2 * 18 / (2 * 10 + 19))
    assert chance.interval.value == pytest.approx(made.metrics["micro_f1"])
    assert chance.interval.low < chance.interval.value < chance.interval.high
