"""From logits to an answer, for arrays: temperature scaling, probabilities, predicted labels.

`classifier.py` has the same for graphs.
"""

from collections.abc import Sequence

import numpy as np

from bert_serving.contract import LABEL_SEPARATOR, MULTILABEL_THRESHOLD, Head, Scaling, joined_labels


def scaled_probabilities(head: Head, logits: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Logits as probabilities, with temperature scaling.

    Args:
        head: any but regression.
        logits: float [N, C]; [N, 1] for a binary head.
        scaling: temperature and exponent.

    Returns:
        float64 [N, C]; `classifier.probabilities` gives the same in float32.
    """
    from scipy.special import expit, softmax  # noqa: PLC0415  heavy, and most callers only need labels

    logits = np.asarray(logits, np.float64)
    if head is Head.SOFTMAX:
        distances = logits.max(axis=1, keepdims=True) - logits
        return np.asarray(softmax(-(distances**scaling.exponent) / scaling.temperature, axis=1))
    scaled = np.sign(logits) * np.abs(logits) ** scaling.exponent / scaling.temperature
    return np.concatenate([expit(-scaled), expit(scaled)], axis=1) if head is Head.BINARY else np.asarray(expit(scaled))


def predicted_labels(head: Head | None, values: np.ndarray) -> np.ndarray:
    """The labels that a model predicts.

    Args:
        head: None for a server's model whose head is unknown: its likeliest label is taken.
        values: probabilities, float [N, C]; for regression numbers [N, 1].

    Returns:
        int64 [N], index of the likeliest label; multilabel: int64 [N, C], 1 from a probability of 0.5 on; regression:
        the numbers, float64 [N].
    """
    if head is Head.REGRESSION:
        return np.asarray(values, np.float64).reshape(-1)
    if head is Head.MULTILABEL:
        return np.asarray(values >= MULTILABEL_THRESHOLD, np.int64)
    return np.asarray(values.argmax(axis=1))


def answer_texts(head: Head | None, labels: Sequence[str], values: np.ndarray) -> list[str]:
    """The answers as text, one per row: the likeliest label, all predicted labels (`joined_labels`), or the number.

    Args:
        head: as for `predicted_labels`.
        labels: C names, in the order of the columns.
        values: as for `predicted_labels`.
    """
    predicted = predicted_labels(head, values)
    if head is Head.REGRESSION:
        return [f"{number:.6g}" for number in predicted]
    if head is Head.MULTILABEL:
        beginning, names, end = joined_labels(labels)
        return [
            beginning + LABEL_SEPARATOR.join(name for name, chosen in zip(names, row, strict=True) if chosen) + end
            for row in predicted
        ]
    return [labels[index] for index in predicted]
