"""Bootstrap intervals against what theory says of them."""

import numpy as np
import pytest
from scipy.stats import norm
from support.predictions import EVERY_KIND, NAMES, classified, table

from bert_serving.contract import Head
from bert_serving.evaluation.intervals import Interval, _statistics, mean_interval, score_intervals, share_interval
from bert_serving.evaluation.predictions import Predictions
from bert_serving.metrics import measure


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_fast_scores_of_drawn_rows_are_the_scores_of_the_metrics(kind):
    made = EVERY_KIND[kind]
    rows = np.random.default_rng(5).integers(0, len(made), len(made))
    metrics = measure(made.head, made.labels, made.y_true[rows], made.values[rows])
    found = _statistics(made)(rows)
    for name in ("precision", "recall", "f1") if "per_class" in metrics else ():
        np.testing.assert_allclose(
            found.pop(f"class_{name}"), [scores[name] for scores in metrics["per_class"].values()], err_msg=name
        )
    scores = {name: value for name, value in metrics.items() if isinstance(value, float)}
    assert set(found) == set(scores)
    for name, value in scores.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_intervals_hold_the_values_of_the_metrics(kind):
    made = EVERY_KIND[kind]
    metrics = measure(made.head, made.labels, made.y_true, made.values)
    found = score_intervals(made, resamples=300)
    assert {name: each.value for name, each in found.scores.items()} == {
        name: value for name, value in metrics.items() if isinstance(value, float)
    }
    assert set(found.per_class) == set(metrics.get("per_class", {}))
    everything = [*found.scores.values(), *(each for scores in found.per_class.values() for each in scores.values())]
    assert all(each.low < each.value < each.high for each in everything)


def test_the_width_of_an_accuracys_interval_is_that_of_its_standard_error():
    made = classified(2_000, sure=1.0)
    interval = score_intervals(made, resamples=2_000).scores["accuracy"]
    share = interval.value
    expected = 2 * norm.ppf(0.975) * np.sqrt(share * (1 - share) / len(made))
    assert interval.high - interval.low == pytest.approx(expected, rel=0.06)


def test_the_width_of_a_means_interval_is_that_of_its_standard_error():
    values = np.random.default_rng(0).exponential(size=3_000)
    interval = mean_interval(values, resamples=2_000)
    expected = 2 * norm.ppf(0.975) * values.std() / np.sqrt(len(values))
    assert interval.value == pytest.approx(values.mean())
    assert interval.high - interval.low == pytest.approx(expected, rel=0.06)


def test_95_of_100_intervals_hold_the_true_accuracy():
    """The accuracy on endless rows of this kind, from many of them."""
    truth = classified(200_000, sure=1.0).correct.mean()
    intervals = [
        score_intervals(classified(300, seed=seed, sure=1.0), resamples=200).scores["accuracy"] for seed in range(100)
    ]
    assert 88 <= sum(each.low <= truth <= each.high for each in intervals) <= 100


def test_the_seed_alone_decides():
    made = classified(200)
    assert score_intervals(made, resamples=50, seed=1) == score_intervals(made, resamples=50, seed=1)
    assert score_intervals(made, resamples=50, seed=1) != score_intervals(made, resamples=50, seed=2)


def test_the_interval_of_a_small_calibration_error_reaches_below_it():
    """Rows drawn twice look worse calibrated: percentiles of the resamples would lie too high."""
    random = np.random.default_rng(0)
    values = random.dirichlet([1, 1, 1], 300)
    labels = [NAMES[random.choice(3, p=row)] for row in values]  # so that the probabilities are calibrated
    made = Predictions(Head.SOFTMAX, NAMES[:3], table(labels), values)
    found = score_intervals(made, resamples=300).scores["expected_calibration_error"]
    assert 0 <= found.low < found.value / 2
    assert found.high < 1.5 * found.value


def test_a_wilson_interval_is_that_of_the_textbook():
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662, 0 of 20 gives 0 to 0.1611."""
    assert share_interval(81, 263) == Interval(
        81 / 263, pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5)
    )
    assert share_interval(0, 20) == Interval(0, 0, pytest.approx(0.1611, abs=5e-5))


def test_one_row_and_a_label_without_rows_are_no_problem():
    made = Predictions(Head.SOFTMAX, ("a", "b"), table(["a"]), np.array([[0.7, 0.3]]))
    found = score_intervals(made, resamples=20)
    assert found.scores["accuracy"] == Interval(1.0, 1.0, 1.0)
    assert found.per_class["b"]["f1"] == Interval(0.0, 0.0, 0.0)
