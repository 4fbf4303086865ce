import json
import math
import warnings

import numpy as np
import pytest

from bert_serving.contract import Head
from bert_serving.errors import InputError
from bert_serving.metrics import (
    calibration_bins,
    classification_metrics,
    expected_calibration_error,
    measure,
    multilabel_metrics,
    regression_metrics,
)

LABELS = ("a", "b", "c")
Y_TRUE = np.array([0, 0, 0, 1, 1, 2])
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]]
)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def random_predictions(rows=500, classes=4, seed=3):
    random = np.random.default_rng(seed)
    return random.integers(0, classes, rows), random.dirichlet(np.full(classes, 0.5), rows)


def test_classification_metrics_equal_those_worked_out_by_hand():
    metrics = classification_metrics(LABELS, Y_TRUE, PROBABILITIES)
    # a: 2 right of 3 predicted, 3 true; b: 1 right of 2 predicted, 2 true; c: all right.
    assert metrics["confusion_matrix"] == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert metrics["accuracy"] == pytest.approx(4 / 6)
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert metrics["weighted_f1"] == pytest.approx((3 * 2 / 3 + 2 * 1 / 2 + 1) / 6)
    assert metrics["log_loss"] == pytest.approx(-np.mean(np.log([0.8, 0.6, 0.2, 0.8, 0.4, 0.7])))
    assert metrics["per_class"]["a"] == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3})
    assert metrics["per_class"]["b"] == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2})
    assert metrics["rows"] == 6


def test_calibration_error_equals_that_worked_out_by_hand():
    # Confidences 0.8, 0.8 (right); 0.7 wrong, 0.7 right; 0.6 right; 0.5 wrong: each value in its own bin of 15.
    expected = (2 * abs(1 - 0.8) + 2 * abs(0.5 - 0.7) + abs(1 - 0.6) + abs(0 - 0.5)) / 6
    assert expected_calibration_error(Y_TRUE, PROBABILITIES) == pytest.approx(expected)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_agrees_with_a_plain_loop(bins):
    y_true, probabilities = random_predictions()
    expected = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = [row for row in range(len(y_true)) if low < max(probabilities[row]) <= high]
        if inside:
            right = sum(int(np.argmax(probabilities[row])) == y_true[row] for row in inside) / len(inside)
            sure = sum(max(probabilities[row]) for row in inside) / len(inside)
            expected += len(inside) / len(y_true) * abs(right - sure)
    assert expected_calibration_error(y_true, probabilities, bins) == pytest.approx(expected)


def test_full_confidence_falls_into_the_last_bin():
    assert calibration_bins(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]])) == [(14, 2, 0.5, 1.0)]


def test_metrics_agree_with_formulas_on_the_confusion_matrix():
    y_true, probabilities = random_predictions()
    metrics = classification_metrics("wxyz", y_true, probabilities)
    matrix = np.array(metrics["confusion_matrix"])
    right, predicted, true = matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1)
    f1 = 2 * right / (predicted + true)
    assert matrix.sum() == metrics["rows"] == 500
    assert metrics["accuracy"] == pytest.approx(right.sum() / 500)
    assert metrics["macro_f1"] == pytest.approx(f1.mean())
    assert metrics["weighted_f1"] == pytest.approx((f1 * true).sum() / 500)
    assert [row["recall"] for row in metrics["per_class"].values()] == pytest.approx(list(right / true))


def test_a_label_without_rows_counts_as_zero_and_warns_nobody():
    metrics = classification_metrics(LABELS, np.array([0, 1]), np.array([[0.9, 0.1, 0], [0.2, 0.8, 0]]))
    assert metrics["per_class"]["c"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert metrics["macro_f1"] == pytest.approx(2 / 3)
    assert metrics["accuracy"] == 1.0


def test_probabilities_of_zero_and_of_short_floats_give_a_finite_loss():
    probabilities = np.array([[0.0, 1.0], [0.498, 0.499]], np.float32)
    metrics = classification_metrics("ab", np.array([0, 1]), probabilities)
    assert math.isfinite(metrics["log_loss"])
    assert metrics["log_loss"] > 10


def test_multilabel_metrics_equal_those_worked_out_by_hand():
    y_true = np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
    probabilities = np.array([[0.9, 0.2], [0.5, 0.4], [0.1, 0.3], [0.6, 0.7]])
    metrics = multilabel_metrics("ab", y_true, probabilities)
    # a: right 2, missed 0, too many 1; b: right 1, missed 1, too many 0.
    assert metrics["accuracy"] == 0.5
    assert metrics["micro_f1"] == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    assert metrics["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert metrics["per_class"]["a"] == pytest.approx({"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2})
    chosen = np.where(y_true, probabilities, 1 - probabilities)
    assert metrics["log_loss"] == pytest.approx(-np.log(chosen).mean())
    assert metrics["rows"] == 4


def test_one_multilabel_column_is_enough():
    metrics = multilabel_metrics("a", np.array([[1], [0]]), np.array([[0.9], [0.2]]))
    assert (metrics["accuracy"], metrics["micro_f1"], metrics["macro_f1"]) == (1.0, 1.0, 1.0)


def test_regression_metrics_equal_those_worked_out_by_hand():
    metrics = regression_metrics(np.array([1.0, 2.0, 3.0, 4.0]), np.array([[1.0], [4.0], [9.0], [16.0]]))
    assert metrics["spearman"] == pytest.approx(1.0)
    # Deviations -1.5, -0.5, 0.5, 1.5 and -6.5, -3.5, 1.5, 8.5.
    assert metrics["pearson"] == pytest.approx((9.75 + 1.75 + 0.75 + 12.75) / math.sqrt(5 * 129))
    assert metrics["mean_squared_error"] == pytest.approx((0 + 4 + 36 + 144) / 4)
    assert metrics["mean_absolute_error"] == pytest.approx((0 + 2 + 6 + 12) / 4)
    assert metrics["rows"] == 4


@pytest.mark.parametrize(
    ("y_true", "y_pred"), [([1, 2, 3], [2, 2, 2]), ([2, 2], [1, 3]), ([1], [1]), ([1, 2, 3], [5, 5, 5 + 1e-15])]
)
def test_a_correlation_with_a_constant_is_zero(y_true, y_pred):
    metrics = regression_metrics(np.array(y_true, float), np.array(y_pred, float))
    assert math.isfinite(metrics["pearson"])
    if len(set(y_pred)) == 1 or len(set(y_true)) == 1:
        assert (metrics["pearson"], metrics["spearman"]) == (0.0, 0.0)


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_predictions_that_differ_by_rounding_alone_are_constant(size):
    noise = np.random.default_rng(0).normal(size=20).astype(np.float32)
    predictions = np.float32(size) * (1 + np.float32(1e-7) * noise)
    assert len(set(predictions.tolist())) > 1
    metrics = regression_metrics(np.arange(20.0), predictions)
    assert (metrics["pearson"], metrics["spearman"]) == (0.0, 0.0)
    varied = regression_metrics(np.arange(20.0), size * (1 + 1e-3 * np.arange(20)))
    assert (varied["pearson"], varied["spearman"]) == (pytest.approx(1), pytest.approx(1))


@pytest.mark.parametrize(
    ("head", "labels", "y_true", "predictions", "key"),
    [
        (Head.SOFTMAX, LABELS, Y_TRUE, PROBABILITIES, "confusion_matrix"),
        (Head.BINARY, ("a", "b"), np.array([0, 1]), np.array([[0.9, 0.1], [0.4, 0.6]]), "confusion_matrix"),
        (Head.MULTILABEL, ("a", "b"), np.eye(2), np.full((2, 2), 0.3), "micro_f1"),
        (Head.REGRESSION, (), np.array([1.0, 2.0]), np.array([1.0, 3.0]), "spearman"),
    ],
)
def test_each_head_has_its_metrics_as_plain_json(head, labels, y_true, predictions, key):
    metrics = measure(head, labels, y_true, predictions)
    assert key in metrics
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


@pytest.mark.parametrize("head", list(Head))
def test_nothing_to_measure_is_refused(head):
    shape = (0,) if head is Head.REGRESSION else (0, 3)
    y_true = np.zeros((0, 3) if head is Head.MULTILABEL else 0)
    with pytest.raises(InputError, match="no rows to measure"):
        measure(head, LABELS, y_true, np.zeros(shape))


def test_an_output_that_is_no_number_is_refused():
    probabilities = PROBABILITIES.copy()
    probabilities[3] = np.nan
    with pytest.raises(InputError, match=r"row 4 is not a finite number \(1 rows in all\)"):
        classification_metrics(LABELS, Y_TRUE, probabilities)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"predictions must be \(6, 2\), got \(6, 3\)"):
        classification_metrics("ab", Y_TRUE, PROBABILITIES)
    with pytest.raises(ValueError, match="y_true must be"):
        multilabel_metrics(LABELS, Y_TRUE, PROBABILITIES)
