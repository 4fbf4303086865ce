"""The reliability diagram in numbers."""

import numpy as np
import pytest
from support.predictions import EVERY_KIND, classified, measured, table

from bert_serving.contract import Head
from bert_serving.evaluation.calibration import calibration
from bert_serving.evaluation.intervals import share_interval
from bert_serving.evaluation.predictions import Predictions
from bert_serving.metrics import expected_calibration_error


@pytest.mark.parametrize("kind", ["softmax", "binary"])
def test_the_error_is_that_of_the_metrics(kind):
    made = EVERY_KIND[kind]
    found = calibration(made)
    assert found.expected_error == pytest.approx(expected_calibration_error(made.y_true, made.values), rel=1e-6)
    assert sum(each.count for each in found.bins) == len(made)
    assert found.accuracy == made.correct.mean()


def test_bins_hold_their_answers():
    made = classified(500)
    for each in calibration(made).bins:
        inside = (made.confidence > each.low) & (made.confidence <= each.high)
        assert each.count == inside.sum()
        assert each.confidence == pytest.approx(made.confidence[inside].mean())
        assert each.accuracy == share_interval(int(made.correct[inside].sum()), each.count)


def test_each_label_of_each_row_is_an_answer_of_a_multilabel_model():
    values = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    made = Predictions(Head.MULTILABEL, ("a", "b"), table([("a",), ("a",), ("a", "b"), ()]), values)
    found = calibration(made)
    assert [(each.count, each.accuracy.value) for each in found.bins] == [(4, 0.25), (4, 0.75)]
    assert found.expected_error == pytest.approx(0.15)
    assert found.confidence == pytest.approx(0.5)


def test_a_number_has_no_probability():
    assert calibration(measured()) is None
