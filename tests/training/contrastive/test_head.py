"""The head's kernel and bias, against scikit-learn's logistic regression."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from bert_serving.classifier import probabilities
from bert_serving.contract import Head
from bert_serving.training.contrastive.head import fitted_head

RANDOM = np.random.default_rng(5)
FEATURES = (RANDOM.normal(size=(60, 5)) * [1, 2, 3, 4, 5] + [0, 1, 0, 2, 0]).astype(np.float32)
CENTERED = FEATURES - FEATURES.mean(axis=0)
SCALED = CENTERED / np.sqrt(np.square(CENTERED).sum(axis=1).mean())
CLASSES = (FEATURES[:, 1] + RANDOM.normal(size=60) > 1).astype(int) + (FEATURES[:, 4] > 3)
WEIGHTS = RANDOM.random(60).astype(np.float32) + 0.1


def answers(head: Head, targets: np.ndarray, outputs: int, weights: np.ndarray | None = None) -> np.ndarray:
    kernel, bias = fitted_head(head, FEATURES, targets, outputs, weights)
    assert kernel.shape == (5, outputs)
    assert bias.shape == (outputs,)
    assert kernel.dtype == bias.dtype == np.float32
    return probabilities(head, FEATURES @ kernel + bias).numpy()


def expected(classes: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    return LogisticRegression(max_iter=1000).fit(SCALED, classes, sample_weight=weights).predict_proba(SCALED)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_softmax_has_the_probabilities_of_the_regression(weights):
    found = answers(Head.SOFTMAX, CLASSES.astype(np.int32), 3, weights)
    np.testing.assert_allclose(found, expected(CLASSES, weights), atol=1e-3)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_softmax_of_two_labels_is_the_binary_regression(weights):
    classes = (CLASSES > 0).astype(np.int32)
    np.testing.assert_allclose(answers(Head.SOFTMAX, classes, 2, weights), expected(classes, weights), atol=1e-3)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_binary_head_has_one_logit_of_the_second_label(weights):
    marks = (CLASSES > 0).astype(np.float32)[:, None]
    np.testing.assert_allclose(answers(Head.BINARY, marks, 1, weights), expected(marks[:, 0], weights), atol=1e-3)


def test_each_label_of_a_multilabel_head_stands_against_the_rest():
    marks = np.stack([CLASSES > 0, FEATURES[:, 3] > 2], axis=1).astype(np.float32)
    columns = [expected(column)[:, 1] for column in marks.T]
    np.testing.assert_allclose(answers(Head.MULTILABEL, marks, 2), np.stack(columns, axis=1), atol=1e-3)


@pytest.mark.parametrize(("mark", "probability"), [(0, 0.5 / 61), (1, 60.5 / 61)])
def test_a_label_of_no_row_or_of_all_rows_has_the_share_of_its_rows(mark, probability):
    marks = np.stack([CLASSES > 0, np.full(60, mark)], axis=1).astype(np.float32)
    found = answers(Head.MULTILABEL, marks, 2)
    np.testing.assert_allclose(found[:, 1], probability, rtol=1e-4)


@pytest.mark.parametrize("shown", [(0, 2), (1,)])
def test_a_label_without_training_rows_is_never_predicted(shown):
    classes = np.asarray(shown)[RANDOM.integers(0, len(shown), 60)].astype(np.int32)
    found = answers(Head.SOFTMAX, classes, 3)
    assert set(found.argmax(axis=1)) <= set(shown)
    absent = [label for label in range(3) if label not in shown]
    assert found[:, absent].max() < 1e-6


def test_what_all_vectors_have_in_common_makes_no_difference():
    shifted = (FEATURES + 30).astype(np.float32)
    targets = CLASSES.astype(np.int32)
    kernel, bias = fitted_head(Head.SOFTMAX, shifted, targets, 3)
    found = probabilities(Head.SOFTMAX, shifted @ kernel + bias).numpy()
    np.testing.assert_allclose(found, answers(Head.SOFTMAX, targets, 3), atol=1e-3)


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_scale_of_an_encoder_makes_no_difference(scale):
    kernel, bias = fitted_head(Head.SOFTMAX, FEATURES, CLASSES.astype(np.int32), 3)
    other, its_bias = fitted_head(Head.SOFTMAX, (FEATURES * scale).astype(np.float32), CLASSES.astype(np.int32), 3)
    np.testing.assert_allclose(other * scale, kernel, atol=2e-2)
    np.testing.assert_allclose(its_bias, bias, atol=2e-2)
