"""Predictions: which are correct, their confidence and their loss."""

import numpy as np
import pytest
from support.predictions import NAMES, classified, measured, table, tagged

from bert_serving.contract import Head
from bert_serving.errors import DataError
from bert_serving.evaluation.predictions import Predictions
from bert_serving.metrics import measure


@pytest.mark.parametrize(
    "made", [classified(), classified(classes=2), tagged()], ids=["softmax", "binary", "multilabel"]
)
def test_losses_and_correct_predictions_average_to_the_metrics(made):
    metrics = measure(made.head, made.labels, made.y_true, made.values)
    assert made.correct.mean() == pytest.approx(metrics["accuracy"])
    assert made.losses.mean() == pytest.approx(metrics["log_loss"], rel=1e-6)


def test_the_loss_of_a_regression_is_the_absolute_error():
    made = measured()
    metrics = measure(made.head, made.labels, made.y_true, made.values)
    assert made.losses.mean() == pytest.approx(metrics["mean_absolute_error"])


def test_a_probability_of_zero_has_a_finite_loss():
    made = Predictions(Head.SOFTMAX, NAMES[:2], table(["anger"]), np.array([[0.0, 1.0]], np.float32))
    assert made.losses == pytest.approx(15 * np.log(10))


def test_probabilities_from_short_floats_need_not_add_up_to_1():
    made = Predictions(Head.SOFTMAX, NAMES[:2], table(["anger"]), np.array([[0.6, 0.6]], np.float32))
    assert made.losses == pytest.approx(np.log(2))


def test_confidence_is_of_the_predicted_or_the_least_certain_label():
    made = Predictions(Head.SOFTMAX, NAMES[:3], table(["anger"]), np.array([[0.2, 0.7, 0.1]]))
    assert made.confidence == pytest.approx([0.7])
    made = Predictions(Head.MULTILABEL, NAMES[:3], table([("anger",)]), np.array([[0.9, 0.4, 0.05]]))
    assert made.confidence == pytest.approx([0.6])


@pytest.mark.parametrize(
    ("head", "label", "values", "shown"),
    [
        (Head.SOFTMAX, "fear", [0.1, 0.2, 0.7], ("fear", "joy")),
        (Head.MULTILABEL, ("anger", "joy"), [0.9, 0.5, 0.1], ("anger, joy", "anger, fear")),
        (Head.MULTILABEL, (), [0.1, 0.1, 0.1], ("(none)", "(none)")),
        (Head.REGRESSION, 4.25, [3.14159], ("4.25", "3.14")),
    ],
)
def test_true_and_predicted_labels_have_readable_names(head, label, values, shown):
    made = Predictions(head, NAMES[:3], table([label]), np.array([values]))
    assert (made.true_label(0), made.predicted_label(0)) == shown


def test_a_label_that_the_model_lacks_is_named():
    with pytest.raises(DataError, match="the label 'envy' is not among the model's"):
        _ = Predictions(Head.SOFTMAX, NAMES, table(["envy"]), np.full((1, 6), 1 / 6)).y_true
