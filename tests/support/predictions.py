"""Made-up predictions of every head, for tests of the analyses after training."""

import numpy as np

from bert_serving.contract import Head
from bert_serving.data.table import LabeledTable
from bert_serving.evaluation.predictions import Predictions

NAMES = ("anger", "fear", "joy", "love", "sadness", "surprise")


def table(labels, texts=None, pairs=None, **columns) -> LabeledTable:
    """Rows with these labels."""
    texts = texts or [f"text {number}" for number in range(len(labels))]
    return LabeledTable(list(texts), pairs, list(labels), "rows.tsv", columns)


def classified(rows: int = 600, classes: int = 3, *, seed: int = 0, sure: float = 2.0, **kept) -> Predictions:
    """One label of `classes`: the logit of the true one is `sure` higher than noise."""
    random = np.random.default_rng(seed)
    y_true = random.integers(0, classes, rows)
    logits = random.normal(size=(rows, classes))
    logits[np.arange(rows), y_true] += sure
    values = np.exp(logits)
    values /= values.sum(axis=1, keepdims=True)
    head = Head.BINARY if classes == 2 else Head.SOFTMAX
    return Predictions(
        head, NAMES[:classes], table([NAMES[label] for label in y_true], **kept), values.astype(np.float32)
    )


def tagged(rows: int = 400, classes: int = 4, *, seed: int = 0, sure: float = 1.2, **kept) -> Predictions:
    """Any of `classes` labels: the logit of each true one is `sure` higher than noise, of each other one lower."""
    random = np.random.default_rng(seed)
    y_true = random.random((rows, classes)) < np.linspace(0.1, 0.6, classes)
    values = 1 / (1 + np.exp(-(random.normal(size=y_true.shape) + np.where(y_true, sure, -sure))))
    labels = [tuple(np.asarray(NAMES[:classes])[marks]) for marks in y_true]
    return Predictions(Head.MULTILABEL, NAMES[:classes], table(labels, **kept), values.astype(np.float32))


def measured(rows: int = 300, *, seed: int = 0, error: float = 0.5, **kept) -> Predictions:
    """A number between 0 and 5, predicted with a normal error."""
    random = np.random.default_rng(seed)
    y_true = random.uniform(0, 5, rows)
    values = (y_true + random.normal(size=rows) * error)[:, np.newaxis]
    return Predictions(Head.REGRESSION, (), table(y_true.tolist(), **kept), values.astype(np.float32))


EVERY_KIND = {
    "softmax": classified(),
    "binary": classified(classes=2),
    "multilabel": tagged(),
    "regression": measured(),
}
