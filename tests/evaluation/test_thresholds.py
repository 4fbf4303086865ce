"""Precision and recall over the threshold, against scikit-learn's own counts."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support
from support.predictions import EVERY_KIND, NAMES, classified, measured, table, tagged

from bert_serving.contract import Head
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.thresholds import coverage_curve, threshold_curves


@pytest.mark.parametrize("kind", ["softmax", "binary", "multilabel"])
def test_every_point_of_a_curve_is_a_count_of_rows(kind):
    made = EVERY_KIND[kind]
    marks = made.y_true if made.y_true.ndim == 2 else np.eye(len(made.labels), dtype=int)[made.y_true]
    curves = threshold_curves(made)
    assert [curve.label for curve in curves] == list(made.labels)
    for place, curve in enumerate(curves):
        assert curve.rows == marks[:, place].sum()
        for at in (0, 13, 50, 77, 100):
            predicted = made.values[:, place] >= curve.thresholds[at]
            expected = precision_recall_fscore_support(
                marks[:, place], predicted, average="binary", zero_division=np.nan
            )
            found = curve.precision[at], curve.recall[at], curve.f1[at]
            np.testing.assert_allclose(found, np.nan_to_num(expected[:3], nan=0) if predicted.any() else [np.nan, 0, 0])


def test_the_best_threshold_has_the_greatest_f1():
    values = np.repeat(np.array([[0.9], [0.8], [0.35], [0.3], [0.1]]), 10, axis=0)
    made = Predictions(Head.MULTILABEL, ("a",), table([("a",)] * 30 + [()] * 20), values)
    (curve,) = threshold_curves(made)
    assert curve.f1[curve.best] == 1
    assert 0.3 < curve.thresholds[curve.best] <= 0.35
    assert curve.average_precision == 1


def test_a_probability_reaches_a_threshold_that_it_equals():
    made = Predictions(Head.MULTILABEL, ("a",), table([("a",), ()]), np.array([[0.25], [0.125]]))
    (curve,) = threshold_curves(made)
    assert (curve.recall[25], curve.recall[26]) == (1, 0)


def test_labels_without_rows_have_no_curve():
    made = Predictions(Head.SOFTMAX, NAMES[:3], table(["anger", "joy"]), np.full((2, 3), 1 / 3))
    assert [curve.label for curve in threshold_curves(made)] == ["anger", "joy"]


def test_a_higher_threshold_covers_fewer_rows_more_accurately():
    made = EVERY_KIND["softmax"]
    found = coverage_curve(made)
    assert (found.coverage[0], found.accuracy[0]) == (1, made.correct.mean())
    sure = made.confidence >= 0.9
    assert (found.coverage[90], found.accuracy[90]) == pytest.approx((sure.mean(), made.correct[sure].mean()))
    assert found.accuracy[90] > found.accuracy[0]
    assert np.isnan(found.accuracy[100])


def test_regression_has_no_thresholds_and_multilabel_no_coverage():
    assert threshold_curves(measured()) == ()
    assert coverage_curve(measured()) is None
    assert coverage_curve(tagged()) is None


@pytest.mark.parametrize(
    ("made", "reasons"),
    [
        (classified(200, sure=0.0, seed=3), ["probabilities no better than chance"] * 3),
        (classified(30), ["fewer than 20 rows with or without the label"] * 3),
        (classified(200), [""] * 3),
    ],
)
def test_a_threshold_is_best_only_where_it_is_not_noise(made, reasons):
    curves = threshold_curves(made)
    assert [curve.no_advice for curve in curves] == reasons
    assert [curve.best is None for curve in curves] == [reason != "" for reason in reasons]
