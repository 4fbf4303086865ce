"""The head of contrastive training: a logistic regression on the pooled vectors, as kernel and bias of the dense layer."""

# scikit-learn is imported where it is needed: it takes a second.
# ruff: noqa: PLC0415

import numpy as np

from bert_serving.contract import Head

REGULARIZATION = 1.0
"""C of the logistic regression on vectors at a unit distance from their mean; scikit-learn's default, which SetFit has"""

_MOST_ITERATIONS = 1_000
# Logit of a label without training rows: as good as never.
_NEVER = -30.0


def fitted_head(
    head: Head, features: np.ndarray, targets: np.ndarray, outputs: int, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel, float32 [H, outputs], and bias, float32 [outputs], of a logistic regression.

    `features @ kernel + bias` are its logits: of each label for softmax, of the second label for binary, of each label against
    the rest for multilabel. Before they are fitted, the features are centered, and scaled to a unit distance from their mean in
    the (quadratic) mean, so that the regularization is the same for every encoder: vectors of some have a large part in common.
    Kernel and bias are for the features as they are.

    Args:
        head: kind of head, other than regression.
        features: pooled vectors of the training rows, float32 [N, H].
        targets: of the training rows, as `targets_of` makes them: int32 [N] for softmax, else float32 [N, outputs].
        outputs: of the head.
        weights: of each row, float32 [N]; None for equal weights.
    """
    center = features.mean(axis=0, dtype=float)
    centered = features - center
    scale = float(np.sqrt(np.mean(np.sum(np.square(centered), axis=1)))) or 1.0
    scaled = centered / scale
    if head is Head.SOFTMAX:
        kernel, bias = _softmax(scaled, targets, outputs, weights)
    else:
        columns = [_one_logit(scaled, column, weights) for column in targets.T]
        kernel, bias = np.stack([each for each, _ in columns], axis=1), np.asarray([each for _, each in columns])
    kernel = kernel / scale
    return kernel.astype(np.float32), (bias - center @ kernel).astype(np.float32)


def _softmax(
    features: np.ndarray, targets: np.ndarray, outputs: int, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    present, numbers = np.unique(targets, return_inverse=True)
    kernel, bias = np.zeros((features.shape[1], outputs)), np.full(outputs, _NEVER)
    if len(present) == 1:
        bias[present] = 0.0
        return kernel, bias
    coefficients, intercepts = _regression(features, numbers, weights)
    if len(present) == 2:
        # One logit, of the second label; half of it for each is the same probability.
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    kernel[:, present], bias[present] = coefficients.T, intercepts
    return kernel, bias


def _one_logit(features: np.ndarray, marks: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, float]:
    """Of a label against the rest."""
    count = int(marks.sum())
    if count in (0, len(marks)):
        # Nothing to tell apart: the log odds of the label, with half a row more on both sides (Jeffreys' prior).
        return np.zeros(features.shape[1]), float(np.log((count + 0.5) / (len(marks) - count + 0.5)))
    coefficients, intercepts = _regression(features, marks.astype(int), weights)
    return coefficients[0], float(intercepts[0])


def _regression(features: np.ndarray, numbers: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no annotations

    model = LogisticRegression(C=REGULARIZATION, max_iter=_MOST_ITERATIONS)
    # The matrices are small, and sums over a changing number of threads would not be the same in each run.
    with threadpool_limits(1):
        model.fit(features, numbers, sample_weight=weights)
    return model.coef_, model.intercept_
