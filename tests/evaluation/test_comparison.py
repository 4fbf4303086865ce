"""Two models on the same rows, against hand-computed values and scipy's."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import wilcoxon
from support.predictions import classified, measured, tagged

from bert_serving.contract import Head
from bert_serving.evaluation.comparison import compare, mcnemar_p_value


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        # 2 * (C(8, 0) + C(8, 1)) / 2^8
        (1, 7, 18 / 256),
        (7, 1, 18 / 256),
        # 2 / 2^10
        (0, 10, 2 / 1024),
    ],
)
def test_mcnemars_p_value_is_the_hand_computed_one(only_first, only_second, expected):
    assert mcnemar_p_value(only_first, only_second) == pytest.approx(expected)


def test_changed_predictions_are_fixed_regressed_or_still_incorrect():
    first = classified(4, seed=1)
    answers = np.eye(3)

    def answering(*places):
        return dataclasses.replace(first, values=answers[list(places)] * 0.9 + 0.05)

    true = first.y_true
    found = compare(
        answering(true[0], (true[1] + 1) % 3, true[2], (true[3] + 1) % 3),
        answering((true[0] + 1) % 3, true[1], true[2], (true[3] + 2) % 3),
    )
    assert (found.regressed.tolist(), found.fixed.tolist(), found.changed_incorrect.tolist()) == ([0], [1], [3])
    assert (found.both_correct, found.both_incorrect) == (1, 1)
    assert found.differences["accuracy"].value == 0


def test_a_better_model_is_found_better_and_an_equal_one_is_not():
    weak, strong = classified(1_000, sure=1.0), classified(1_000, sure=3.0)
    found = compare(weak, strong)
    accuracy = found.differences["accuracy"]
    assert accuracy.value == pytest.approx(strong.correct.mean() - weak.correct.mean())
    assert accuracy.low > 0
    assert found.differences["log_loss"].high < 0
    assert found.p_value == mcnemar_p_value(len(found.regressed), len(found.fixed)) < 1e-6
    assert compare(weak, weak).p_value == 1


def test_a_multilabel_row_is_correct_when_all_its_labels_are():
    first = tagged()
    second = dataclasses.replace(first, values=np.where(first.y_true == 1, 0.9, 0.1).astype(np.float32))
    found = compare(first, second)
    assert len(found.fixed) == (~first.correct).sum()
    assert len(found.regressed) == len(found.changed_incorrect) == 0


def test_numbers_are_compared_by_their_distances():
    first = measured(error=1.0)
    noise = np.random.default_rng(9).normal(size=first.values.shape) / 2
    second = dataclasses.replace(first, values=first.y_true[:, np.newaxis] + noise)
    found = compare(first, second)
    assert found.test == "Wilcoxon's signed-rank test"
    assert found.p_value == wilcoxon(second.losses, first.losses).pvalue
    assert found.differences["mean_absolute_error"].value == pytest.approx((second.losses - first.losses).mean())
    assert len(found.fixed) > len(found.regressed) > 0
    assert compare(first, first).p_value == 1
    assert first.head is Head.REGRESSION
