"""Reference texts: validation texts with the answers of the model in memory, which an export is compared with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bert_serving.contract import Head, Thresholds
from bert_serving.data.table import LabeledTable
from bert_serving.evaluation.predictions import Predictions

MOST_ROWS = 2_000
"""number of validation rows that are compared at most, drawn at random"""


@dataclass(frozen=True)
class Reference:
    """Texts with the answers of the model in memory.

    Attributes:
        texts: the texts.
        pairs: second texts, or None.
        probabilities: float32 [N, C].
        labels: the true label of each text, as `LabeledTable` has it; None where it is not known.
    """

    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    probabilities: np.ndarray
    labels: tuple[Any, ...] | None = None

    def save(self, path: Path) -> None:
        """Writes the reference as JSON."""
        value = {
            "texts": self.texts,
            "pairs": self.pairs,
            "probabilities": self.probabilities.tolist(),
            "labels": self.labels,
        }
        path.write_text(json.dumps(value), "utf-8")

    @classmethod
    def load(cls, path: Path) -> "Reference":
        """Reads a reference that `save` wrote."""
        value = json.loads(path.read_text("utf-8"))
        pairs = None if value["pairs"] is None else tuple(value["pairs"])
        # JSON has lists for the tuples of a multilabel head.
        labels = [tuple(label) if isinstance(label, list) else label for label in value["labels"] or ()]
        return cls(
            tuple(value["texts"]),
            pairs,
            np.array(value["probabilities"], np.float32),
            None if value["labels"] is None else tuple(labels),
        )

    def part(self, start: int, size: int) -> "Reference":
        """At most `size` rows from `start` on."""
        rows = slice(start, start + size)
        pairs, labels = (None if values is None else values[rows] for values in (self.pairs, self.labels))
        return Reference(self.texts[rows], pairs, self.probabilities[rows], labels)

    def predictions(
        self, head: Head, names: tuple[str, ...], values: np.ndarray, thresholds: Thresholds = ()
    ) -> Predictions | None:
        """A model's answers to the texts beside the true labels; None where these are not known.

        Args:
            head: what the model predicts.
            names: its labels, in the order of the columns of `values`.
            values: float [N, C].
            thresholds: by which it predicts labels from them.
        """
        if self.labels is None:
            return None
        pairs = None if self.pairs is None else list(self.pairs)
        table = LabeledTable(list(self.texts), pairs, list(self.labels), "validation")
        return Predictions(head, names, table, values, thresholds)


def drawn_rows(rows: int) -> list[int]:
    """Indices of the rows that are compared, sorted: all, or a random sample of `MOST_ROWS`."""
    if rows <= MOST_ROWS:
        return list(range(rows))
    return sorted(np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False).tolist())
