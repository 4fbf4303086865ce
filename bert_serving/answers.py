"""From logits to an answer, for arrays: temperature scaling, probabilities, predicted labels.

`classifier.py` has the same for graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bert_serving.contract import LABEL_SEPARATOR, MULTILABEL_THRESHOLD, Head, Scaling, Thresholds, joined_labels

if TYPE_CHECKING:
    import numpy as np

# ruff: noqa: PLC0415
# A client's answers are named without numpy, which the base package does not install.


def scaled_probabilities(head: Head, logits: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Logits as probabilities, with temperature scaling.

    Args:
        head: any but regression.
        logits: float [N, C]; [N, 1] for a binary head.
        scaling: temperature and exponent.

    Returns:
        float64 [N, C]; `classifier.probabilities` gives the same in float32.
    """
    import numpy as np
    from scipy.special import expit, softmax

    logits = np.asarray(logits, np.float64)
    if head is Head.SOFTMAX:
        distances = logits.max(axis=1, keepdims=True) - logits
        return np.asarray(softmax(-(distances**scaling.exponent) / scaling.temperature, axis=1))
    scaled = np.sign(logits) * np.abs(logits) ** scaling.exponent / scaling.temperature
    return np.concatenate([expit(-scaled), expit(scaled)], axis=1) if head is Head.BINARY else np.asarray(expit(scaled))


def predicted_labels(head: Head | None, values: np.ndarray, thresholds: Thresholds = ()) -> np.ndarray:
    """The labels that a model predicts.

    Args:
        head: None for a server's model whose head is unknown: its likeliest label is taken.
        values: probabilities, float [N, C]; for regression numbers [N, 1].
        thresholds: of the model (`contract.Thresholds`); () for one without.

    Returns:
        int64 [N], index of the likeliest label; multilabel: int64 [N, C], 1 from a probability of 0.5 on; regression:
        the numbers, float64 [N]. With thresholds, what they say in the place of "likeliest" and 0.5.
    """
    import numpy as np

    if head is Head.REGRESSION:
        return np.asarray(values, np.float64).reshape(-1)
    if head is Head.MULTILABEL:
        return np.asarray(values >= np.asarray(thresholds or MULTILABEL_THRESHOLD, np.float64), np.int64)
    return np.asarray((values / np.asarray(thresholds) if thresholds else values).argmax(axis=1))


def answer_texts(
    head: Head | None,
    labels: Sequence[str],
    values: np.ndarray | Sequence[Sequence[float]],
    thresholds: Thresholds = (),
) -> list[str]:
    """The answers as text, one per row: the likeliest label, all predicted labels (`joined_labels`), or the number.

    Args:
        head: as for `predicted_labels`.
        labels: C names, in the order of the columns.
        values: as for `predicted_labels`; N rows of C numbers will do, too.
        thresholds: as for `predicted_labels`.
    """
    if head is Head.REGRESSION:
        return [f"{row[0]:.6g}" for row in values]
    if head is Head.MULTILABEL:
        beginning, names, end = joined_labels(labels)
        limits = thresholds or (MULTILABEL_THRESHOLD,) * len(names)
        return [
            beginning
            + LABEL_SEPARATOR.join(
                name for name, value, limit in zip(names, row, limits, strict=True) if value >= limit
            )
            + end
            for row in values
        ]
    return [labels[_likeliest(relative_to(thresholds, row))] for row in values]


def relative_to(thresholds: Thresholds, row: Sequence[float]) -> Sequence[float]:
    """What the labels of a head that predicts one of them are compared by: probabilities as multiples of the thresholds."""
    return [float(value) / limit for value, limit in zip(row, thresholds, strict=True)] if thresholds else row


def _likeliest(row: Sequence[float]) -> int:
    """Position of the greatest value, as numpy's `argmax` finds it: of several the first, and NaN before all."""
    return max(range(len(row)), key=lambda position: (row[position] != row[position], row[position]))
