"""The temperature: against a grid, against the classifier's own probabilities, and where there is none."""

import numpy as np
import pytest
from support.predictions import NAMES, table

from bert_serving.answers import scaled_probabilities
from bert_serving.contract import Head, Scaling
from bert_serving.errors import InputError
from bert_serving.evaluation.temperature import fit_temperature
from bert_serving.metrics import expected_calibration_error, measure


def rows_and_logits(head: Head, temperature: float, exponent: float = 1.0, rows: int = 3_000, seed: int = 0):
    """Labels drawn from the probabilities of logits, and the logits that a scaling turns into these."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, 1 if head is Head.BINARY else 3)) * 2
    values = scaled_probabilities(head, logits, Scaling())
    if head is Head.MULTILABEL:
        marks = random.random(values.shape) < values
        labels = [tuple(np.asarray(NAMES[:3])[row]) for row in marks]
    else:
        labels = [NAMES[random.choice(len(row), p=row)] for row in values]
    distances = logits - logits.max(axis=1, keepdims=True) if head is Head.SOFTMAX else logits
    return table(labels), np.sign(distances) * (np.abs(distances) * temperature) ** (1 / exponent)


def names(head: Head):
    return NAMES[: 2 if head is Head.BINARY else 3]


@pytest.mark.parametrize("head", [Head.SOFTMAX, Head.BINARY, Head.MULTILABEL])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_spoilt_the_probabilities_is_found(head, temperature):
    rows, logits = rows_and_logits(head, temperature)
    fit = fit_temperature(head, names(head), rows, logits)
    assert fit.temperature == pytest.approx(temperature, rel=0.08)
    assert fit.exponent == 1.0
    assert fit.rows == len(rows)
    assert fit.log_loss_after <= fit.log_loss_before


@pytest.mark.parametrize("head", [Head.SOFTMAX, Head.BINARY, Head.MULTILABEL])
@pytest.mark.parametrize(("temperature", "exponent"), [(0.7, 0.6), (3.0, 1.8)])
def test_an_exponent_is_found_where_a_temperature_alone_falls_short(head, temperature, exponent):
    rows, logits = rows_and_logits(head, temperature, exponent)
    fit = fit_temperature(head, names(head), rows, logits)
    assert (fit.temperature, fit.exponent) == pytest.approx((temperature, exponent), rel=0.15)
    before, after = (scaled_probabilities(head, logits, each) for each in (Scaling(), fit.scaling))
    np.testing.assert_array_equal(np.argsort(before, axis=1, kind="stable"), np.argsort(after, axis=1, kind="stable"))
    if head is not Head.SOFTMAX:
        np.testing.assert_array_equal(before >= 0.5, after >= 0.5)


def test_a_few_rows_are_no_reason_for_an_exponent():
    rows, logits = rows_and_logits(Head.SOFTMAX, 1.5, 1.8, rows=30)
    assert fit_temperature(Head.SOFTMAX, NAMES[:3], rows, logits).exponent == 1.0


def test_no_temperature_of_a_grid_has_a_smaller_loss():
    rows, logits = rows_and_logits(Head.SOFTMAX, 1.7, rows=400)
    fit = fit_temperature(Head.SOFTMAX, NAMES[:3], rows, logits)
    y_true = np.asarray([NAMES.index(label) for label in rows.labels])
    losses = {
        temperature: measure(
            Head.SOFTMAX, NAMES[:3], y_true, scaled_probabilities(Head.SOFTMAX, logits, Scaling(temperature))
        )["log_loss"]
        for temperature in np.geomspace(1, 3, 120)
    }
    best = min(losses, key=losses.get)
    assert fit.log_loss_after <= losses[best] + 1e-12
    assert fit.temperature == pytest.approx(best, rel=0.01)


def test_what_is_written_down_is_what_the_metrics_measure():
    rows, logits = rows_and_logits(Head.SOFTMAX, 3.0)
    fit = fit_temperature(Head.SOFTMAX, NAMES[:3], rows, logits)
    y_true = np.asarray([NAMES.index(label) for label in rows.labels])
    for scaling, loss, error in (
        (Scaling(), fit.log_loss_before, fit.calibration_error_before),
        (fit.scaling, fit.log_loss_after, fit.calibration_error_after),
    ):
        values = scaled_probabilities(Head.SOFTMAX, logits, scaling)
        assert loss == pytest.approx(measure(Head.SOFTMAX, NAMES[:3], y_true, values)["log_loss"])
        assert error == pytest.approx(expected_calibration_error(y_true, values))
    assert fit.calibration_error_after < fit.calibration_error_before / 2


@pytest.mark.parametrize("scaling", [Scaling(), Scaling(1.7), Scaling(0.6, 1.4)])
@pytest.mark.parametrize("head", [Head.SOFTMAX, Head.BINARY, Head.MULTILABEL])
def test_scaled_probabilities_are_those_of_the_classifier(head, scaling):
    import tensorflow as tf

    from bert_serving.classifier import probabilities

    _, logits = rows_and_logits(head, 2.0, rows=50)
    logits[:3] = [[0.0], [40.0], [-40.0]]  # equal logits, and probabilities of 0 and 1
    expected = probabilities(head, tf.constant(logits, tf.float32), scaling).numpy()
    np.testing.assert_allclose(scaled_probabilities(head, logits, scaling), expected, atol=1e-6)


@pytest.mark.parametrize("wrong", [0, 20])
def test_rows_all_correct_or_all_wrong_fit_no_temperature(wrong):
    logits = np.tile([3.0, 0.0, 0.0], (20, 1))
    rows = table(["anger"] * (20 - wrong) + ["fear"] * wrong)
    with pytest.raises(InputError, match=rf"no temperature fits these 20 rows, of which {wrong} are predicted wrong"):
        fit_temperature(Head.SOFTMAX, NAMES[:3], rows, logits)


def test_a_regression_head_is_refused():
    with pytest.raises(InputError, match="a regression head has no probabilities"):
        fit_temperature(Head.REGRESSION, (), table([1.0]), np.array([[1.0]]))
