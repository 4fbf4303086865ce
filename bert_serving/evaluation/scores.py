"""Metrics of a classifier, or of predictions from any source, on labeled rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_serving.classifier import Classifier
from bert_serving.contract import Head
from bert_serving.data.splits import label_array
from bert_serving.data.table import LabeledTable
from bert_serving.metrics import measure


def evaluate(classifier: Classifier, table: LabeledTable) -> dict[str, Any]:
    """Metrics of a classifier on a table."""
    return score(
        classifier.options.head, classifier.options.labels, table, classifier.predict(table.texts, table.pairs)
    )


def score(head: Head, labels: Sequence[str], table: LabeledTable, predicted: np.ndarray) -> dict[str, Any]:
    """Metrics of predictions, float32 [N, C], from any source."""
    return measure(head, labels, label_array(table.labels, labels, head), predicted)
