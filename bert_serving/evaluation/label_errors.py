"""Label errors: rows whose label is probably wrong, by confident learning."""

# cleanlab is imported where it is needed: it is an optional extra.
# ruff: noqa: PLC0415

import warnings
from dataclasses import dataclass

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.predictions import Predictions
from bert_serving.extras import require


@dataclass(frozen=True)
class LabelErrors:
    """All rows, ranked by how probably their label is wrong.

    Attributes:
        ranking: row numbers, int64 [N], most suspicious first: the rows in `suspicious`, then all others.
        suspicious: number of rows that confident learning takes for wrongly labeled: the first of `ranking`.
        quality: by row number, float64 [N]: the model's probability that the label is right.
    """

    ranking: np.ndarray
    suspicious: int
    quality: np.ndarray


def find_label_errors(predictions: Predictions) -> LabelErrors | None:
    """Ranks rows by how probably their label is wrong; None for a regression head and where no two labels occur.

    Confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068) as cleanlab implements it: a label is
    suspicious when the model gives another one a probability as high as that label's own rows get on average. With
    multilabel each label is examined by itself, and a row gets the quality of its worst label. The model must not have
    been trained on these rows: it would repeat their errors.

    Raises:
        InputError: cleanlab is not installed.
    """
    require("probable label errors", ("cleanlab",), "report")
    y_true, values = predictions.y_true, np.asarray(predictions.values, np.float64)
    if predictions.head is Head.REGRESSION:
        return None
    columns = [(y_true, values)]
    if predictions.head is Head.MULTILABEL:
        columns = [
            (marks, np.stack([1 - value, value], axis=1)) for marks, value in zip(y_true.T, values.T, strict=True)
        ]
    issues = [_label_issues(labels, column) for labels, column in columns if len(np.unique(labels)) > 1]
    if not issues:
        return None
    suspicious = np.any([flags for flags, _ in issues], axis=0)
    quality = np.min([quality for _, quality in issues], axis=0)
    # A stable sort: equal rows keep the order of the file.
    return LabelErrors(np.lexsort((quality, ~suspicious)), int(suspicious.sum()), quality)


def _label_issues(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which labels are suspicious, bool [N], and their quality, float64 [N]."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    with warnings.catch_warnings():
        # It warns of labels with few rows, whose errors it cannot see.
        warnings.simplefilter("ignore")
        suspicious = find_label_issues(labels, probabilities, n_jobs=1)
        quality = get_label_quality_scores(labels, probabilities, method="self_confidence")
    return np.asarray(suspicious, bool), np.asarray(quality, np.float64)
