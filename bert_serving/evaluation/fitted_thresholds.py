"""Decision thresholds fitted on validation rows, and whether they are better than none by more than chance.

With a multilabel head each label gets the threshold with the greatest F1 of this label; otherwise all labels together get the
thresholds with the greatest macro F1 that coordinate ascent finds. Thresholds that are chosen on a few rows suit these rows:
Lipton et al. 2014, "Optimal Thresholding of Classifiers to Maximize F1 Measure" (https://arxiv.org/abs/1402.1892), section 6. So
they are fitted on four fifths of the rows and measured on the last fifth, five times over, and kept only where these
predictions (cross-fitting: no row is judged by thresholds that it had a part in) have a greater F1 than those without
thresholds, in 95% of bootstrap samples of the rows.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bert_serving.answers import predicted_labels
from bert_serving.contract import MULTILABEL_THRESHOLD, Head, Thresholds
from bert_serving.errors import InputError

FOLDS = 5
RESAMPLES = 1000
CONFIDENCE = 0.95
"""share of bootstrap samples in which thresholds must be better, to be kept"""
# Thresholds of a label in a hundredth and of ten thousand rows are no better known than this.
_SMALLEST = 1e-3
# Natural logarithms between the weight of a label and that of the others: a factor of 20, beyond which no label is predicted.
_MOST_OFFSET = 3.0
_SWEEPS = 5
# Of a hundred thousand rows, 80 megabytes.
_RESAMPLES_AT_ONCE = 100
_LEAST_GAIN = 1e-9
_FLOOR = 1e-12

_Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class LabelThreshold:
    """The threshold of one label of a multilabel head, or of the others' labels together.

    Attributes:
        label: its name.
        threshold: as the model uses it: fitted if it is kept, else 0.5, or 1 / C where one of C labels is predicted.
        fitted: what fits the rows best.
        rows: number of rows with this label.
    """

    label: str
    threshold: float
    fitted: float
    rows: int


@dataclass(frozen=True)
class ThresholdsFit:
    """Thresholds and the F1 that they have on the rows that they were fitted on.

    Attributes:
        labels: the labels in the order of the outputs.
        rows: number of rows that the thresholds were fitted on.
        kept: names of the labels whose thresholds are used: all or none where one label is predicted.
        macro_f1_fixed: without thresholds.
        macro_f1_fitted: with those that are kept, on the rows that they were fitted on, and so optimistic.
        macro_f1_cross_fitted: of the same, or of all where none is kept, each row by thresholds fitted without it.
    """

    labels: tuple[LabelThreshold, ...]
    rows: int
    kept: tuple[str, ...]
    macro_f1_fixed: float
    macro_f1_fitted: float
    macro_f1_cross_fitted: float

    @property
    def thresholds(self) -> Thresholds:
        """As a classifier takes them; () where none is kept."""
        return tuple(each.threshold for each in self.labels) if self.kept else ()

    def to_json(self) -> dict[str, Any]:
        """As a run folder's thresholds.json, or that of a calibrated run calibration.json, holds it."""
        return asdict(self)

    def summary(self) -> str:
        """One line for people."""
        scores = f"macro F1 {self.macro_f1_fixed:.4f} without, {self.macro_f1_cross_fitted:.4f} cross-fitted"
        if not self.kept:
            return f"thresholds are not kept: no better by more than chance on {self.rows:,} validation rows ({scores})"
        return f"thresholds of {len(self.kept)} of {len(self.labels)} labels, fitted on {self.rows:,} validation rows: {scores}"


def fit_thresholds(
    head: Head,
    labels: tuple[str, ...],
    y_true: np.ndarray,
    values: np.ndarray,
    *,
    seed: int = 0,
) -> ThresholdsFit:
    """Fits the thresholds of a model on rows that it was not trained on.

    Args:
        head: any but regression.
        labels: C names, in the order of the columns.
        y_true: int [N]; int [N, C] of 0 and 1 for multilabel.
        values: probabilities, float [N, C].
        seed: of folds and bootstrap samples.

    Raises:
        InputError: a regression head; fewer rows than folds.
    """
    if head is Head.REGRESSION:
        raise InputError("a regression head has no labels and no thresholds; set head.thresholds to fixed")
    if len(values) < FOLDS:
        raise InputError(
            f"thresholds need {FOLDS} validation rows at least, got {len(values)}; set head.thresholds to fixed"
        )
    values = np.asarray(values, np.float64)
    marks = y_true if head is Head.MULTILABEL else y_true[:, np.newaxis] == np.arange(len(labels))
    fit = _fit_columns if head is Head.MULTILABEL else _fit_together
    plain = _marks(head, values, ())
    fitted, crossed = fit(marks, values), _cross_fitted(head, fit, marks, values, seed)
    is_kept = _better(head, marks, plain, crossed, seed)
    default = np.full(len(labels), MULTILABEL_THRESHOLD if head is Head.MULTILABEL else 1 / len(labels))
    used = np.where(is_kept, fitted, default).astype(np.float32).astype(float)
    crossed = np.where(is_kept, crossed, plain) if is_kept.any() else crossed
    thresholds = tuple(used.tolist()) if is_kept.any() else ()
    return ThresholdsFit(
        labels=tuple(
            LabelThreshold(name, float(use), float(fit), int(count))
            for name, use, fit, count in zip(labels, used, fitted, marks.sum(axis=0), strict=True)
        ),
        rows=len(values),
        kept=tuple(name for name, keep in zip(labels, is_kept, strict=True) if keep),
        macro_f1_fixed=_macro_f1(marks, plain),
        macro_f1_fitted=_macro_f1(marks, _marks(head, values, thresholds)),
        macro_f1_cross_fitted=_macro_f1(marks, crossed),
    )


# === Fitting ===


def _fit_columns(marks: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The threshold with the greatest F1 of each column, float64 [C]; of equals the one closest to 0.5."""
    return np.array([_fit_column(marks[:, column] == 1, values[:, column]) for column in range(values.shape[1])])


def _fit_column(has_label: np.ndarray, values: np.ndarray) -> float:
    order = np.argsort(-values, kind="stable")
    ordered, hits = values[order], np.cumsum(has_label[order])
    # A threshold lies between two values; above all of them no row would be predicted.
    ends = np.flatnonzero(np.append(np.diff(ordered) < 0, True))
    lower = np.append(ordered, 0.0)[ends + 1]
    between = np.clip((ordered[ends] + lower) / 2, _SMALLEST, 1 - _SMALLEST)
    scores = 2 * hits[ends] / (ends + 1 + max(int(has_label.sum()), 1))
    # Rounded to float32, or clipped, a threshold may lie beyond its row.
    limits = between.astype(np.float32).astype(float)
    usable = (limits <= ordered[ends]) & (limits > lower)
    if not usable.any():
        return MULTILABEL_THRESHOLD
    best = np.flatnonzero(usable & (scores >= scores[usable].max() - _LEAST_GAIN))
    return float(limits[best[np.argmin(np.abs(limits[best] - MULTILABEL_THRESHOLD))]])


def _fit_together(marks: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Thresholds, float64 [C], that add up to 1: offsets of log probabilities by coordinate ascent on the macro F1."""
    logarithms = np.log(np.clip(values, _FLOOR, None))
    classes = values.shape[1]
    offsets, best = np.zeros(classes), _macro_f1(marks, _one_hot(logarithms))
    # Of two labels, one offset says all.
    columns = [1] if classes == 2 else range(classes)
    for _ in range(_SWEEPS):
        before = best
        for column in columns:
            offset, score = _best_offset(marks, logarithms + offsets, column)
            if score > best + _LEAST_GAIN and abs(offsets[column] + offset) <= _MOST_OFFSET:
                offsets[column] += offset
                best = score
        if best <= before + _LEAST_GAIN:
            break
    thresholds = np.exp(-offsets)
    return np.asarray(thresholds / thresholds.sum())


def _best_offset(marks: np.ndarray, scores: np.ndarray, column: int) -> tuple[float, float]:
    """What to add to a label's scores for the greatest macro F1, and that F1.

    As the offset grows, one row after another becomes predicted as the label, instead of as its best other one.
    """
    rows = np.arange(len(scores))
    others = scores.copy()
    others[:, column] = -np.inf
    rivals = others.argmax(axis=1)
    margins = others[rows, rivals] - scores[:, column]
    order = np.argsort(margins, kind="stable")
    # Counts before the first row is predicted as the label, and their change with each row.
    support = marks.sum(axis=0)
    hits = np.zeros((len(rows) + 1, len(support)))
    predicted = np.zeros_like(hits)
    predicted[0] = np.bincount(rivals, minlength=len(support))
    hits[0] = np.bincount(rivals, weights=marks[rows, rivals], minlength=len(support))
    places, left = np.arange(1, len(rows) + 1), rivals[order]
    predicted[places, left] = -1
    hits[places, left] = -marks[order, left].astype(float)
    predicted[1:, column] += 1
    hits[1:, column] += marks[order, column]
    np.cumsum(predicted, axis=0, out=predicted)
    np.cumsum(hits, axis=0, out=hits)
    f1 = 2 * hits / np.maximum(predicted + support, 1)
    macro = f1.mean(axis=1)
    ordered = margins[order]
    lower = np.concatenate([[ordered[0] - 1], ordered])
    upper = np.concatenate([ordered, [ordered[-1] + 1]])
    middles = (lower + upper) / 2
    macro[(upper - lower <= 1e-6) | (np.abs(middles) > _MOST_OFFSET)] = -1
    best = np.flatnonzero(macro >= macro.max() - _LEAST_GAIN)
    chosen = best[np.argmin(np.abs(middles[best]))]
    return float(middles[chosen]), float(macro[chosen])


# === Whether it is chance ===


def _cross_fitted(head: Head, fit: _Fit, marks: np.ndarray, values: np.ndarray, seed: int) -> np.ndarray:
    """Predicted labels as marks, each row's by thresholds that were fitted without it."""
    folds = np.random.default_rng(seed).permutation(len(values)) % FOLDS
    crossed = np.zeros(values.shape, bool)
    for fold in range(FOLDS):
        inside = folds == fold
        thresholds = fit(marks[~inside], values[~inside])
        crossed[inside] = _marks(head, values[inside], tuple(thresholds.tolist()))
    return crossed


def _better(head: Head, marks: np.ndarray, plain: np.ndarray, crossed: np.ndarray, seed: int) -> np.ndarray:
    """Whether each label's thresholds are kept, bool [C]: by its own F1, or all by the macro F1."""
    random = np.random.default_rng((seed, 1))
    shares = np.full(len(marks), 1 / len(marks))
    parts = []
    for _ in range(RESAMPLES // _RESAMPLES_AT_ONCE):
        times = random.multinomial(len(marks), shares, _RESAMPLES_AT_ONCE).astype(np.float64)
        parts.append(_f1_of_samples(times, marks, crossed) - _f1_of_samples(times, marks, plain))
    gains = np.concatenate(parts)
    if head is not Head.MULTILABEL:
        gains = np.repeat(gains.mean(axis=1, keepdims=True), marks.shape[1], axis=1)
    return np.asarray((gains > 0).mean(axis=0) >= CONFIDENCE)


def _f1_of_samples(times: np.ndarray, marks: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """F1 of each label, float64 [S, C], in bootstrap samples that hold each row so many times, [S, N]."""
    hits = times @ (predicted & (marks == 1))
    return np.asarray(2 * hits / np.maximum(times @ marks + times @ predicted, 1))


def _marks(head: Head, values: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """Predicted labels, bool [N, C]."""
    predicted = predicted_labels(head, values, thresholds)
    is_marked = predicted == 1 if predicted.ndim == 2 else predicted[:, np.newaxis] == np.arange(values.shape[1])
    return np.asarray(is_marked)


def _one_hot(scores: np.ndarray) -> np.ndarray:
    return np.asarray(scores.argmax(axis=1)[:, np.newaxis] == np.arange(scores.shape[1]))


def _macro_f1(marks: np.ndarray, predicted: np.ndarray) -> float:
    hits = (predicted & (marks == 1)).sum(axis=0)
    return float(np.mean(2 * hits / np.maximum(predicted.sum(axis=0) + marks.sum(axis=0), 1)))
