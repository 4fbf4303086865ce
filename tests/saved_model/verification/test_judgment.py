"""What an export's answers are refused for: a loss that is larger than the limit and larger than chance."""

import re

import numpy as np
import pytest

from bert_serving.contract import Head, Precision
from bert_serving.saved_model.limits import AgreementLimits
from bert_serving.saved_model.manifest import Verification
from bert_serving.saved_model.reference import Reference
from bert_serving.saved_model.verification.agreement import compare
from bert_serving.saved_model.verification.judgment import check_agreement, undecided

LIMITS = AgreementLimits.of(Precision.INT8, labeled=True)
METRIC, LOG_LOSS, MEAN = "max_metric_loss", "max_log_loss_increase", "max_mean_probability_difference"
SURE, FLAT, WRONG = [0.9, 0.1], [0.6, 0.4], [0.1, 0.9]
# Two labels that are nearly equal: the answer turns, and no probability differs by more than 0.01.
NEARLY, NEARLY_NOT = [0.505, 0.495], [0.495, 0.505]


class Answers:
    """An export that gives the probabilities it is told to."""

    def __init__(self, probabilities):
        self.probabilities = np.array(probabilities, np.float32)

    def predict(self, texts, pairs):
        return self.probabilities


def agreement(head, names, truth, expected, found):
    texts = tuple(map(str, range(len(truth))))
    reference = Reference(texts, None, np.array(expected, np.float32), tuple(truth))
    return compare(Answers(found), reference, head, names)


def knobs(problems):
    return {re.search(r"export\.(\w+)", problem)[1] for problem in problems}


def rows(count, of, kind, others):
    """`of` rows, of which the first `count` are of one kind."""
    return [kind] * count + [others] * (of - count)


# The label of every row is "a", the first. Each: rows in memory, rows of the export, what refuses it, whether the rows can tell.
CASES = {
    "equal, 20 rows": (rows(0, 20, None, SURE), rows(0, 20, None, SURE), set(), False),
    "equal, 1,000 rows": (rows(0, 1000, None, SURE), rows(0, 1000, None, SURE), set(), True),
    "one label of 20 turns": (rows(1, 20, NEARLY, SURE), rows(1, 20, NEARLY_NOT, SURE), set(), False),
    "one label of 1,000 turns": (rows(1, 1000, NEARLY, SURE), rows(1, 1000, NEARLY_NOT, SURE), set(), True),
    "as many turn right as wrong": (
        [NEARLY] * 8 + [NEARLY_NOT] * 8 + [SURE] * 984,
        [NEARLY_NOT] * 8 + [NEARLY] * 8 + [SURE] * 984,
        set(),
        True,
    ),
    "8 of 1,000 turn wrong": (rows(8, 1000, NEARLY, SURE), rows(8, 1000, NEARLY_NOT, SURE), set(), False),
    "30 of 1,000 turn wrong": (rows(30, 1000, NEARLY, SURE), rows(30, 1000, NEARLY_NOT, SURE), {METRIC}, False),
    "4 of 20 turn wrong, nearly equal before": (rows(4, 20, NEARLY, SURE), rows(4, 20, NEARLY_NOT, SURE), set(), False),
    "4 of 20 turn wrong, sure before": (rows(0, 20, None, SURE), rows(4, 20, WRONG, SURE), {LOG_LOSS, MEAN}, False),
    "5 of 20 turn wrong": (rows(5, 20, NEARLY, SURE), rows(5, 20, NEARLY_NOT, SURE), {METRIC}, False),
    "labels stay, probabilities do not": (
        rows(0, 300, None, SURE),
        rows(0, 300, None, FLAT),
        {LOG_LOSS, MEAN},
        True,
    ),
    "one number is NaN": (rows(0, 300, None, SURE), rows(1, 300, [np.nan] * 2, SURE), {LOG_LOSS, MEAN}, True),
    "both always say the same": (rows(0, 300, None, NEARLY_NOT), rows(0, 300, None, NEARLY_NOT), set(), True),
    "only the export always says the same": (
        rows(0, 300, None, SURE),
        rows(0, 300, None, NEARLY_NOT),
        {METRIC, LOG_LOSS, MEAN},
        False,
    ),
    "all turn right": (rows(0, 300, None, NEARLY_NOT), rows(0, 300, None, NEARLY), set(), True),
}


@pytest.mark.parametrize("head", [Head.SOFTMAX, Head.BINARY])
@pytest.mark.parametrize(("expected", "found", "refused", "told"), CASES.values(), ids=CASES)
def test_harm_beyond_limit_and_chance_is_refused(head, expected, found, refused, told):
    measured = agreement(head, ("a", "b"), ["a"] * len(expected), expected, found)
    assert knobs(check_agreement(measured, LIMITS)) == refused
    assert (undecided(measured, LIMITS) is None) == told


BOTH, ONE = [0.9, 0.9], [0.9, 0.495]
MULTILABEL = {
    "equal": (rows(0, 300, None, BOTH), rows(0, 300, None, BOTH), set()),
    "a label of 1 row is lost": (rows(1, 300, [0.9, 0.5], BOTH), rows(1, 300, ONE, BOTH), set()),
    "a label of 20 rows is lost": (rows(20, 300, [0.9, 0.5], BOTH), rows(20, 300, ONE, BOTH), {METRIC}),
    "all labels are less sure": (rows(0, 300, None, BOTH), rows(0, 300, None, FLAT[:1] * 2), {LOG_LOSS, MEAN}),
}


@pytest.mark.parametrize(("expected", "found", "refused"), MULTILABEL.values(), ids=MULTILABEL)
def test_multilabel_answers_are_judged_by_their_subset_accuracy(expected, found, refused):
    measured = agreement(Head.MULTILABEL, ("a", "b"), [("a", "b")] * len(expected), expected, found)
    assert knobs(check_agreement(measured, LIMITS)) == refused


TRUTH = np.linspace(0, 5, 300)
NOISE = np.random.default_rng(0).normal(size=300)
REGRESSION = {
    "equal": (TRUTH, TRUTH + NOISE, TRUTH + NOISE, set()),
    "other last digits": (TRUTH, TRUTH + NOISE, TRUTH + NOISE + 1e-3 * NOISE[::-1], set()),
    "errors grow by a tenth": (TRUTH, TRUTH + 0.5 * NOISE, TRUTH + 0.55 * NOISE, {METRIC}),
    "all too high": (TRUTH, TRUTH, TRUTH + 1, {METRIC, MEAN}),
    "one number is NaN": (TRUTH, TRUTH, np.where(TRUTH == 5, np.nan, TRUTH), {METRIC, MEAN}),
    "both always say the same": (TRUTH, np.ones(300), np.ones(300), set()),
    "labels that are all equal": (np.full(300, 0.1), np.full(300, 0.1), np.full(300, 0.1 + 1e-6), set()),
}


@pytest.mark.parametrize(("truth", "expected", "found", "refused"), REGRESSION.values(), ids=REGRESSION)
def test_regression_is_judged_by_its_mean_absolute_error(truth, expected, found, refused):
    measured = agreement(Head.REGRESSION, (), truth.tolist(), expected[:, None], found[:, None])
    assert knobs(check_agreement(measured, LIMITS)) == refused
    assert measured.log_loss is None


def test_a_refusal_tells_values_interval_limit_and_knobs():
    measured = agreement(Head.SOFTMAX, ("a", "b"), ["a"] * 1000, *CASES["30 of 1,000 turn wrong"][:2])
    assert check_agreement(measured, LIMITS) == [
        "accuracy on 1,000 labeled validation texts falls from 1.0000 to 0.9700, by 0.0300 (95% interval 0.0192 to 0.0407), "
        "limit 0.01 (--max-metric-loss, export.max_metric_loss)"
    ]


@pytest.mark.parametrize(
    ("precision", "labeled", "chosen", "limits"),
    [
        (Precision.FLOAT32, True, {}, {"max_probability_difference": 1e-5, "max_label_change_rate": 0.002}),
        (Precision.BFLOAT16, False, {}, {"max_probability_difference": 0.02, "max_label_change_rate": 0.002}),
        (Precision.INT8, False, {}, {"max_probability_difference": 0.5, "max_label_change_rate": 0.005}),
        (Precision.INT8, True, {}, {METRIC: 0.01, LOG_LOSS: 0.02, MEAN: 0.02}),
        # A limit that was set holds in every precision, beside those of the precision.
        (
            Precision.BFLOAT16,
            True,
            {"max_probability_difference": 0.1, METRIC: 0.0, LOG_LOSS: None},
            {"max_probability_difference": 0.1, METRIC: 0.0, LOG_LOSS: 0.02, MEAN: 0.02},
        ),
    ],
)
def test_limits_fit_precision_labels_and_what_was_chosen(precision, labeled, chosen, limits):
    assert AgreementLimits.of(precision, labeled=labeled, **chosen).model_dump(exclude_none=True) == limits


def test_a_verdict_with_nan_comes_back_from_its_process():
    measured = agreement(Head.SOFTMAX, ("a", "b"), ["a"] * 300, *CASES["one number is NaN"][:2])
    written = Verification(passed=False, agreement=measured).model_dump_json()
    assert np.isnan(Verification.model_validate_json(written).agreement.mean_probability_difference)
