"""The report: all analyzes together, for every kind of head, and as JSON."""

import dataclasses
import json

import numpy as np
import pytest
from support.predictions import EVERY_KIND, NAMES, classified, table

from bert_serving.contract import Head
from bert_serving.errors import DataError, InputError
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.report import LISTED_ROWS, TextLengths, make_report
from bert_serving.metrics import measure


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_head_has_the_analyses_that_make_sense_for_it(kind):
    report = make_report(EVERY_KIND[kind])
    one_label, numbers = kind in ("softmax", "binary"), kind == "regression"
    assert ("confusion_matrix" in report.metrics) == one_label
    assert (report.label_errors is None) == numbers
    assert (report.calibration is None) == numbers
    assert bool(report.thresholds) != numbers
    assert (report.coverage is not None) == one_label
    assert report.comparison is report.other_calibration is None


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_json_is_strict_and_says_what_the_analyses_found(kind):
    made = EVERY_KIND[kind]
    report = make_report(made, lengths=TextLengths(np.arange(len(made)), 20), other=made)
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert found["metrics"] == measure(made.head, made.labels, made.y_true, made.values)
    assert found["comparison"]["p_value"] == 1
    assert {each["group"] for each in found["slices"]} >= {"cut"}
    losses = [each["loss"] for each in found["highest_losses"]]
    assert losses == sorted(made.losses, reverse=True)[:LISTED_ROWS]
    row = found["highest_losses"][0]["row"]
    assert made.losses[row - 1] == losses[0]
    if report.label_errors is not None:
        assert found["label_errors"]["rows"][0] == report.label_errors.ranking[0] + 1


def test_slices_that_fall_short_come_least_probable_first():
    made = classified(1_000)
    values = made.values.copy()
    for part, share in (("bad", 0.5), ("worse", 0.9)):
        rows = np.arange(100) + (0 if part == "bad" else 100)
        spoilt = rows[: int(share * 100)]
        values[spoilt] = np.roll(values[spoilt], 1, axis=1)
    parts = ["bad"] * 100 + ["worse"] * 100 + ["fine"] * 800
    made = dataclasses.replace(made, values=values, table=dataclasses.replace(made.table, columns={"part": parts}))
    short = make_report(made).short_slices
    assert [each.name for each in short][:2] == ["worse", "bad"]
    assert [each.p_value for each in short] == sorted(each.p_value for each in short)


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (
            Predictions(Head.SOFTMAX, NAMES, table(["envy"]), np.full((1, 6), 1 / 6)),
            DataError,
            "the label 'envy' is not",
        ),
        (
            Predictions(Head.SOFTMAX, NAMES, table(["joy"]), np.full((1, 6), np.nan)),
            InputError,
            "is not a finite number",
        ),
        (Predictions(Head.SOFTMAX, NAMES, table([]), np.zeros((0, 6))), InputError, "there are no rows"),
    ],
)
def test_answers_that_cannot_be_looked_at_are_refused(made, error, message):
    with pytest.raises(error, match=message):
        make_report(made)


def test_a_single_row_can_be_looked_at():
    made = Predictions(Head.SOFTMAX, NAMES, table(["joy"]), np.full((1, 6), 1 / 6))
    assert make_report(made).metrics["rows"] == 1
    made = Predictions(Head.REGRESSION, (), table([1.0]), np.array([[1.5]]))
    assert make_report(made, other=made).comparison.p_value == 1
