"""Baselines: scores of models without pretraining, which a fine-tuned encoder has to beat."""

# scipy and scikit-learn are imported where they are needed: they take a second.
# ruff: noqa: PLC0415

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_serving.contract import Head
from bert_serving.data.splits import label_array
from bert_serving.data.table import LabeledTable
from bert_serving.metrics import measure
from bert_serving.text.tfidf import weigh_terms

REGULARIZATIONS = (1.0, 4.0, 16.0)
"""values of C that cross-validation chooses from"""
SELECTION_ROWS = 5_000
FOLDS = 3
MANY_ROWS = 20_000
"""with more rows terms must occur twice, which keeps the table of terms small"""

_PAIR_SEPARATOR = " xxpair "


def baselines(
    train: LabeledTable, test: LabeledTable, labels: Sequence[str], head: Head, seed: int
) -> dict[str, dict[str, Any]]:
    """Metrics on `test` of two simple models fitted on `train`, as `metrics.measure` returns them for the head.

    Returns:
        "majority" and "tfidf_logistic_regression" (word 1-2-grams, each label against the rest), for regression
        "mean" and "tfidf_ridge". The second is absent where the training texts hold no words.

    Raises:
        DataError: a row's label is not among `labels`.
    """
    y_train = label_array(train.labels, labels, head)
    y_test = label_array(test.labels, labels, head)
    regression = head is Head.REGRESSION
    predicted = {"mean" if regression else "majority": _constant(y_train, len(test), len(labels), head)}
    terms = weigh_terms(_joined(train), _joined(test), 2 if len(train) > MANY_ROWS else 1)
    if terms is not None:
        name = "tfidf_ridge" if regression else "tfidf_logistic_regression"
        with warnings.catch_warnings():
            # A label without rows and an iteration limit reached make a baseline weaker, not wrong.
            warnings.simplefilter("ignore")
            predicted[name] = _predict_linear(*terms, y_train, len(labels), head, seed)
    return {name: measure(head, labels, y_test, predictions) for name, predictions in predicted.items()}


def _constant(y_train: np.ndarray, rows: int, classes: int, head: Head) -> np.ndarray:
    """The mean label, or each label's share of the training rows, for every row."""
    if head is Head.REGRESSION:
        return np.full(rows, y_train.mean())
    shares = y_train.mean(axis=0) if y_train.ndim == 2 else np.bincount(y_train, minlength=classes) / len(y_train)
    return np.tile(shares, (rows, 1))


def _joined(table: LabeledTable) -> list[str]:
    if table.pairs is None:
        return table.texts
    return [text + _PAIR_SEPARATOR + pair for text, pair in zip(table.texts, table.pairs, strict=True)]


def _predict_linear(train: Any, test: Any, y_train: np.ndarray, classes: int, head: Head, seed: int) -> np.ndarray:
    from sklearn.linear_model import Ridge

    if head is Head.REGRESSION:
        return np.asarray(Ridge(solver="sparse_cg", random_state=seed).fit(train, y_train).predict(test))
    model = _logistic_regression(_best_regularization(train, y_train, seed), seed)
    model.fit(train, y_train)
    if y_train.ndim == 2:
        return np.asarray(model.predict_proba(test))
    probabilities = np.zeros((test.shape[0], classes))
    probabilities[:, model.classes_] = model.predict_proba(test)  # labels without training rows keep 0
    return probabilities


def _logistic_regression(regularization: float, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    # liblinear's dual solver needs a fiftieth of the default solver's time on sparse terms, but takes two classes only.
    return OneVsRestClassifier(
        LogisticRegression(C=regularization, max_iter=1000, solver="liblinear", dual=True, random_state=seed)
    )


def _best_regularization(terms: Any, y_train: np.ndarray, seed: int) -> float:
    """The C with the best accuracy (micro F1 for multilabel) over the folds of a sample; the first of equals."""
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

    multilabel = y_train.ndim == 2
    rows = np.random.default_rng(seed).permutation(len(y_train))[:SELECTION_ROWS]
    if not multilabel:
        # Each fold needs a row of each label.
        counts = Counter(y_train[rows].tolist())
        rows = rows[[counts[label] >= FOLDS for label in y_train[rows].tolist()]]
        if len(set(y_train[rows].tolist())) < 2:
            return REGULARIZATIONS[1]
    elif len(rows) < 2 * FOLDS:
        return REGULARIZATIONS[1]
    folds = (KFold if multilabel else StratifiedKFold)(FOLDS, shuffle=True, random_state=seed)
    scores = {
        value: cross_val_score(
            _logistic_regression(value, seed),
            terms[rows],
            y_train[rows],
            cv=folds,
            scoring="f1_micro" if multilabel else "accuracy",
        ).mean()
        for value in REGULARIZATIONS
    }
    return max(scores, key=lambda value: scores[value])
