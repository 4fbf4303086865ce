"""Fitted thresholds: the best ones against all candidates, and none where they would be chance."""

import itertools

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import f1_score

from bert_serving.answers import predicted_labels
from bert_serving.contract import Head
from bert_serving.errors import InputError
from bert_serving.evaluation import fitted_thresholds
from bert_serving.evaluation.fitted_thresholds import ThresholdsFit, fit_thresholds


def multilabel_rows(rows: int, bias: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Marks and probabilities of two labels; the second one's probabilities are too low by `bias` in logits."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, 2)) * 2 - 1.5
    marks = (random.random((rows, 2)) < expit(logits)).astype(np.int64)
    return marks, expit(logits - [0, bias])


def softmax_rows(rows: int, bias: float, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities; those of the last label are too low by `bias` in logits."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, classes)) * 1.5
    chances = softmax(logits, axis=1)
    labels = np.array([random.choice(classes, p=row) for row in chances])
    return labels, softmax(logits - bias * (np.arange(classes) == classes - 1), axis=1)


def f1_of(marks: np.ndarray, predicted: np.ndarray) -> float:
    """As scikit-learn's, in a hundredth of its time."""
    return 2 * np.sum(marks * predicted) / max(np.sum(marks) + np.sum(predicted), 1)


@pytest.mark.parametrize("seed", range(4))
def test_the_threshold_of_a_column_has_the_greatest_f1_of_all(seed):
    marks, values = multilabel_rows(60, 2.0, seed)
    for column in range(2):
        found = fitted_thresholds._fit_column(marks[:, column] == 1, values[:, column])
        grid = [*values[:, column], *np.linspace(0.002, 0.998, 999)]
        scores = [f1_of(marks[:, column], values[:, column] >= each) for each in grid]
        assert f1_of(marks[:, column], values[:, column] >= found) == pytest.approx(max(scores))


@pytest.mark.parametrize("classes", [2, 3])
def test_two_and_three_labels_together_reach_the_macro_f1_of_a_grid(classes):
    labels, values = softmax_rows(80, 1.5, classes)
    marks = labels[:, np.newaxis] == np.arange(classes)
    found = fitted_thresholds._fit_together(marks, values)
    np.testing.assert_allclose(found.sum(), 1)

    def score(offsets: np.ndarray) -> float:
        predicted = (np.log(values) + offsets).argmax(axis=1)
        return float(np.mean([f1_of(labels == label, predicted == label) for label in range(classes)]))

    grid = max(score(np.array([0, *rest])) for rest in itertools.product(np.linspace(-3, 3, 31), repeat=classes - 1))
    # Of two labels it is the best of all; of more, coordinate ascent may end before.
    assert score(-np.log(found)) >= grid - (1e-9 if classes == 2 else 0.02)
    assert score(-np.log(found)) > score(np.zeros(classes))


@pytest.mark.parametrize("head", [Head.MULTILABEL, Head.BINARY, Head.SOFTMAX])
def test_thresholds_that_help_are_kept_and_help_on_other_rows(head):
    if head is Head.MULTILABEL:
        (y_true, values), (other, others) = (multilabel_rows(600, 2.5, seed) for seed in (1, 2))
    else:
        classes = 2 if head is Head.BINARY else 3
        (y_true, values), (other, others) = (softmax_rows(600, 2.5, classes, seed) for seed in (1, 2))
    names = tuple("abc"[: values.shape[1]])
    fit = fit_thresholds(head, names, y_true, values)
    assert fit.kept[-1] == names[-1]
    assert fit.macro_f1_fitted >= fit.macro_f1_cross_fitted > fit.macro_f1_fixed

    def macro_f1(thresholds) -> float:
        return f1_score(other, predicted_labels(head, others, thresholds), average="macro")

    assert macro_f1(fit.thresholds) > macro_f1(()) + 0.02
    assert all(each == float(np.float32(each)) for each in fit.thresholds), "as a graph has them"
    found = predicted_labels(head, values, fit.thresholds)
    assert f1_score(y_true, found, average="macro") == pytest.approx(fit.macro_f1_fitted)
    assert fit.summary().startswith(f"thresholds of {len(fit.kept)} of {len(names)} labels, fitted on 600")


def test_a_label_whose_probabilities_fit_keeps_its_half():
    marks, values = multilabel_rows(600, 3.0, seed=5)
    # The first label is told by its probabilities without a mistake at 0.5, which nothing can better.
    marks[:, 0] = values[:, 0] >= 0.5
    fit = fit_thresholds(Head.MULTILABEL, ("sure", "low"), marks, values)
    assert fit.kept == ("low",)
    assert fit.thresholds[0] == 0.5
    assert fit.thresholds[1] < 0.4


@pytest.mark.parametrize("head", [Head.MULTILABEL, Head.SOFTMAX])
def test_probabilities_that_mean_nothing_seldom_get_thresholds_of_one_label(head):
    """Cross-fitting and the bootstrap: labels drawn without a look at the probabilities, on few rows."""
    kept = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        values = softmax(random.normal(size=(60, 3)) * 2, axis=1)
        labels = values.argmax(axis=1) if head is Head.SOFTMAX else None
        wrong = random.random(60) < 0.3
        if labels is None:
            y_true = ((values >= 0.5) ^ (random.random((60, 3)) < 0.15)).astype(np.int64)
        else:
            y_true = np.where(wrong, random.integers(0, 3, 60), labels)
        fit = fit_thresholds(head, ("a", "b", "c"), y_true, values, seed=seed)
        kept += bool(fit.kept)
        assert fit.thresholds == () or fit.kept
    assert kept <= 5


def test_what_is_not_kept_leaves_no_thresholds_and_says_so():
    labels, values = softmax_rows(40, 0.0, seed=3)
    fit = fit_thresholds(Head.SOFTMAX, ("a", "b", "c"), labels, values)
    assert (fit.kept, fit.thresholds) == ((), ())
    assert fit.macro_f1_fitted == fit.macro_f1_fixed
    assert fit.macro_f1_cross_fitted < fit.macro_f1_fixed + 0.1
    assert fit.summary().startswith("thresholds are not kept: no better by more than chance on 40 validation rows")
    assert isinstance(fit, ThresholdsFit)


@pytest.mark.parametrize(
    ("head", "rows", "message"),
    [
        (Head.REGRESSION, 20, "a regression head has no labels and no thresholds; set head.thresholds to fixed"),
        (Head.SOFTMAX, 4, "thresholds need 5 validation rows at least, got 4; set head.thresholds to fixed"),
    ],
)
def test_what_has_no_thresholds_is_refused(head, rows, message):
    with pytest.raises(InputError) as raised:
        fit_thresholds(head, ("a", "b"), np.zeros(rows, int), np.full((rows, 2), 0.5))
    assert str(raised.value) == message
