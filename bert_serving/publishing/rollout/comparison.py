"""Comparison of two models, or two versions of one, on the same texts: agreement and latency."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_serving.answers import predicted_labels
from bert_serving.contract import Head, Thresholds
from bert_serving.errors import InputError
from bert_serving.model.facts import ModelFacts, check_comparable
from bert_serving.model.model import Model

Predict = Callable[[Sequence[str], Sequence[str] | None], np.ndarray]
_WARMUP = 3


@dataclass(frozen=True)
class ModelComparison:
    """Predictions of two models for the same N texts.

    Attributes:
        texts: the texts, at least one.
        first: probabilities of the first model, float32 [N, C].
        second: probabilities of the second model, float32 [N, C].
        seconds: latency of each request, float64 [2, N].
        head: what both predict; None if unknown: the likeliest label is compared.
        thresholds: by which each of them predicts labels from probabilities.
    """

    texts: Sequence[str]
    first: np.ndarray
    second: np.ndarray
    seconds: np.ndarray
    head: Head | None = None
    thresholds: tuple[Thresholds, Thresholds] = ((), ())

    @property
    def marks(self) -> tuple[np.ndarray, np.ndarray]:
        """Which labels each model predicts, bool [N, C]; of a regression its value."""
        # A regression has one column, which is always predicted.
        head = None if self.head is Head.REGRESSION else self.head
        first, second = (
            predicted if predicted.ndim == 2 else predicted[:, np.newaxis] == np.arange(self.first.shape[1])
            for predicted in (
                predicted_labels(head, values, thresholds)
                for values, thresholds in zip((self.first, self.second), self.thresholds, strict=True)
            )
        )
        return first.astype(bool), second.astype(bool)

    @property
    def changed(self) -> np.ndarray:
        """Rows whose predicted labels differ, int64, the largest difference first."""
        first, second = self.marks
        rows = np.flatnonzero((first != second).any(axis=1))
        ordered: np.ndarray = rows[np.argsort(-self.differences[rows], kind="stable")]
        return ordered

    @property
    def agreement(self) -> float:
        """Share of texts with the same predicted label, 0 to 1."""
        return 1 - len(self.changed) / len(self.texts)

    @property
    def differences(self) -> np.ndarray:
        """Largest absolute difference of a text's probabilities, float32 [N]."""
        largest: np.ndarray = np.abs(self.first - self.second).max(axis=1)
        return largest

    @property
    def shares(self) -> tuple[np.ndarray, np.ndarray]:
        """Share of texts predicted as each label, by the first and the second model: float64 [C]."""
        first, second = self.marks
        return first.mean(axis=0), second.mean(axis=0)

    def milliseconds(self, model: int, percentile: float) -> float:
        """A percentile (0 to 100) of the latency of the first (0) or second (1) model, in ms."""
        return float(1000 * np.percentile(self.seconds[model], percentile))

    def to_json(self, labels: Sequence[str]) -> dict[str, Any]:
        """The comparison as JSON values.

        Args:
            labels: names of the C labels, in order.
        """

        def named(probabilities: np.ndarray) -> dict[str, float]:
            return {label: float(value) for label, value in zip(labels, probabilities, strict=True)}

        return {
            "rows": len(self.texts),
            "agreement": self.agreement,
            "max_probability_difference": float(self.differences.max()),
            "shares": [named(shares) for shares in self.shares],
            "changed": [
                {"text": self.texts[row], "first": named(self.first[row]), "second": named(self.second[row])}
                for row in self.changed
            ],
            "latency": [
                {f"p{percentile}_ms": self.milliseconds(model, percentile) for percentile in (50, 95, 99)}
                for model in (0, 1)
            ],
        }


def aligned(first: Model, second: Model) -> tuple[Model, Model]:
    """Two models with the probabilities of the second in the order of the first one's labels.

    Raises:
        InputError: they are known to differ in head or labels.
    """
    check_comparable(*(ModelFacts(model.name, model.head, model.labels) for model in (first, second)))
    if first.labels is None or second.labels is None or first.labels == second.labels:
        return first, second
    columns = [second.labels.index(label) for label in first.labels]

    def predict(texts: Sequence[str], pairs: Sequence[str] | None) -> np.ndarray:
        return second.predict(texts, pairs)[:, columns]

    thresholds = tuple(second.thresholds[column] for column in columns) if second.thresholds else ()
    return first, dataclasses.replace(second, labels=first.labels, predict=predict, answers=None, thresholds=thresholds)


def common_labels(
    models: tuple[Model, Model], text: str, pair: str | None, labels: Sequence[str] | None = None
) -> list[str]:
    """Names of the labels of two models, after a first request to both.

    Args:
        models: both models.
        text: text of the request.
        pair: its second text, for classifiers of pairs.
        labels: names of all labels in order; None to use those that a model knows, else "class 0",
            "class 1", ...

    Raises:
        InputError: the models, or the models and the names, differ in the number of labels.
    """
    first, second = (model.predict([text], None if pair is None else [pair]).shape[1] for model in models)
    if first != second:
        raise InputError(
            f"{models[0].name} returns {first} probabilities, {models[1].name} {second}; "
            "compare models with the same labels"
        )
    names = labels or models[0].labels or models[1].labels or [f"class {number}" for number in range(first)]
    if len(names) != first:
        raise InputError(
            f"--labels names {len(names)} labels, the models return {first} probabilities; name all in order"
        )
    return list(names)


def compare_models(
    first: Predict,
    second: Predict,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    *,
    head: Head | None = None,
    thresholds: tuple[Thresholds, Thresholds] = ((), ()),
) -> ModelComparison:
    """Sends one text at a time to both models, which take turns in being first.

    Args:
        first: prediction function of the serving model.
        second: prediction function of the other one.
        texts: at least one text.
        pairs: second texts, or None.
        head: what both predict, where it is known.
        thresholds: by which each of them predicts labels from probabilities.
    """
    models = (first, second)
    for row in range(min(_WARMUP, len(texts))):
        for predict in models:
            predict(texts[row : row + 1], None if pairs is None else pairs[row : row + 1])
    probabilities: list[list[np.ndarray]] = [[], []]
    seconds = np.zeros((2, len(texts)))
    for row in range(len(texts)):
        for model in (0, 1) if row % 2 else (1, 0):
            started = time.perf_counter()
            rows = models[model](texts[row : row + 1], None if pairs is None else pairs[row : row + 1])
            seconds[model, row] = time.perf_counter() - started
            probabilities[model].append(rows[0])
    values = (np.array(probabilities[0]), np.array(probabilities[1]))
    return ModelComparison(texts, *values, seconds, head, thresholds)
