"""A model's predictions on labeled rows: the input of every analysis after training."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bert_serving.answers import predicted_labels
from bert_serving.contract import Head, Thresholds
from bert_serving.data.splits import label_array, label_names
from bert_serving.data.table import LabeledTable
from bert_serving.metrics import measure

SMALLEST_PROBABILITY = 1e-15
"""keeps the loss of a row finite where a probability was rounded to 0"""


@dataclass(frozen=True)
class Predictions:
    """Labeled rows with a model's predictions.

    Attributes:
        head: what the model predicts.
        labels: C names, in the order of the columns of `values`; empty for regression.
        table: the rows, N of them.
        values: probabilities, float [N, C]; for regression the predicted numbers, [N, 1].
        thresholds: by which the model predicts labels from probabilities; () without fitted ones.
        windows: int [N, 2], the number, from 0, of the window that decided and how many the text has; None for a model that
            does not read texts in windows, or does not tell.
    """

    head: Head
    labels: tuple[str, ...]
    table: LabeledTable
    values: np.ndarray
    thresholds: Thresholds = ()
    windows: np.ndarray | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.table)

    @cached_property
    def y_true(self) -> np.ndarray:
        """True labels: int64 [N]; int64 [N, C] of 0 and 1 for multilabel; float64 [N] for regression.

        Raises:
            DataError: a row's label is not among `labels`.
        """
        return label_array(self.table.labels, self.labels, self.head)

    @cached_property
    def y_pred(self) -> np.ndarray:
        """Predicted labels, of the shape and type of `y_true`."""
        return predicted_labels(self.head, self.values, self.thresholds)

    @cached_property
    def correct(self) -> np.ndarray:
        """Which rows are predicted correctly, bool [N]: with multilabel all labels must be. Not for regression."""
        same = np.asarray(self.y_true == self.y_pred)
        return np.asarray(same.all(axis=1)) if same.ndim == 2 else same

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The metrics that fit the head, as `metrics.measure` returns them.

        Raises:
            InputError: there are no rows, or a prediction is not a finite number.
            DataError: a row's label is not among `labels`.
        """
        return measure(self.head, self.labels, self.y_true, self.values, self.thresholds)

    @cached_property
    def losses(self) -> np.ndarray:
        """The loss of each row, float64 [N].

        The negative logarithm of the true label's probability in nats (multilabel: the mean over the labels); for
        regression the absolute error.
        """
        if self.head is Head.REGRESSION:
            return np.asarray(np.abs(self.y_pred - self.y_true))
        values = np.clip(np.asarray(self.values, np.float64), SMALLEST_PROBABILITY, None)
        if self.head is Head.MULTILABEL:
            against = np.clip(1 - np.asarray(self.values, np.float64), SMALLEST_PROBABILITY, None)
            total = values + against
            return np.asarray(-np.log(np.where(self.y_true == 1, values, against) / total).mean(axis=1))
        # Probabilities from short floats add up to 1 only roughly.
        return np.asarray(-np.log(values[np.arange(len(values)), self.y_true] / values.sum(axis=1)))

    @cached_property
    def confidence(self) -> np.ndarray:
        """Probability of the predicted label, float64 [N]; with multilabel that of the least certain label.

        Not for regression.
        """
        values = np.asarray(self.values, np.float64)
        if self.head is Head.MULTILABEL:
            return np.asarray(np.where(self.y_pred == 1, values, 1 - values).min(axis=1))
        return np.asarray(values[np.arange(len(values)), self.y_pred])

    @cached_property
    def by_loss(self) -> np.ndarray:
        """Row numbers, int64 [N], the highest loss first; equal rows keep the order of the file."""
        return np.argsort(-self.losses, kind="stable")

    def true_label(self, row: int) -> str:
        """The true label of a row, as people read it."""
        return _label_text(self.table.labels[row])

    def predicted_label(self, row: int) -> str:
        """The predicted label of a row, as people read it."""
        predicted = self.y_pred[row]
        if self.head is Head.REGRESSION:
            return f"{predicted:.3g}"
        if self.head is Head.MULTILABEL:
            return _label_text(tuple(name for name, mark in zip(self.labels, predicted, strict=True) if mark))
        return self.labels[int(predicted)]


def _label_text(label: str | tuple[str, ...] | float) -> str:
    return f"{label:.3g}" if isinstance(label, float) else ", ".join(label_names(label)) or "(none)"
