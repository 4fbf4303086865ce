"""A model's answers to labeled rows: what every analysis after training looks at."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bert_serving.answers import predicted_labels
from bert_serving.contract import Head
from bert_serving.data.splits import label_array, label_names
from bert_serving.data.table import LabeledTable

SMALLEST_PROBABILITY = 1e-15
"""keeps the loss of a row finite where a probability was rounded to 0"""


@dataclass(frozen=True)
class Predictions:
    """Rows and what a model says about them.

    Attributes:
        head: what the model predicts.
        labels: C names, in the order of the columns of `values`; empty for regression.
        table: the rows, N of them.
        values: probabilities, float [N, C]; for regression the predicted numbers, [N, 1].
    """

    head: Head
    labels: tuple[str, ...]
    table: LabeledTable
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def y_true(self) -> np.ndarray:
        """Right answers: int64 [N]; int64 [N, C] of 0 and 1 for multilabel; float64 [N] for regression.

        Raises:
            DataError: a row's label is not among `labels`.
        """
        return label_array(self.table.labels, self.labels, self.head)

    @cached_property
    def y_pred(self) -> np.ndarray:
        """The model's answers, of the shape and type of `y_true`."""
        return predicted_labels(self.head, self.values)

    @cached_property
    def right(self) -> np.ndarray:
        """Which rows are answered right, bool [N]: with multilabel all labels must be; never used for regression."""
        same = self.y_true == self.y_pred
        return same.all(axis=1) if same.ndim == 2 else same

    @cached_property
    def losses(self) -> np.ndarray:
        """How wrong each row is, float64 [N]: -log of the right label's probability in nats (multilabel: mean over the
        labels), for regression the distance from the right number."""
        if self.head is Head.REGRESSION:
            return np.abs(self.y_pred - self.y_true)
        values = np.clip(np.asarray(self.values, np.float64), SMALLEST_PROBABILITY, None)
        if self.head is Head.MULTILABEL:
            against = np.clip(1 - np.asarray(self.values, np.float64), SMALLEST_PROBABILITY, None)
            total = values + against
            return -np.log(np.where(self.y_true == 1, values, against) / total).mean(axis=1)
        # Probabilities from short floats add up to 1 only roughly.
        return -np.log(values[np.arange(len(values)), self.y_true] / values.sum(axis=1))

    @cached_property
    def confidence(self) -> np.ndarray:
        """Probability of the answer, float64 [N]; with multilabel the least sure label's. Never used for regression."""
        values = np.asarray(self.values, np.float64)
        if self.head is Head.MULTILABEL:
            return np.maximum(values, 1 - values).min(axis=1)
        return values.max(axis=1)

    def true_name(self, row: int) -> str:
        """A row's label for people."""
        return self._name(self.table.labels[row])

    def predicted_name(self, row: int) -> str:
        """The model's answer to a row for people."""
        answer = self.y_pred[row]
        if self.head is Head.REGRESSION:
            return f"{answer:.3g}"
        if self.head is Head.MULTILABEL:
            return self._name(tuple(name for name, mark in zip(self.labels, answer, strict=True) if mark))
        return self.labels[answer]

    @staticmethod
    def _name(label: str | tuple[str, ...] | float) -> str:
        return f"{label:.3g}" if isinstance(label, float) else ", ".join(label_names(label)) or "(none)"
