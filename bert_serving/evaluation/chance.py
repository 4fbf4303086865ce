"""Chance: whether a model's scores are better than those of an answer that does not depend on the text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.intervals import Interval, correlation_interval, share_interval
from bert_serving.wording import counted, listed, score_name

CLEAR_GAIN = 0.1
"""of the way from chance to perfect that the mean recall must have gone where the accuracy is no better than chance"""
_SHOWN = 60


@dataclass(frozen=True)
class Chance:
    """A model's score beside that of the best constant answer on the same rows.

    Attributes:
        score: name of the score: "accuracy", "micro_f1" (multilabel) or "spearman" (regression).
        interval: the score with a 95% interval.
        constant: the score of the constant answer.
        answer: that answer: the most frequent label, the labels joined by commas, or "the mean".
        rows: number of rows.
        better: whether the model is better than chance.
        one_answer: whether all rows have the same label, so that no model can be better.
    """

    score: str
    interval: Interval
    constant: float
    answer: str
    rows: int
    better: bool
    one_answer: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return asdict(self)

    def finding(self, where: str = "") -> str:
        """What is wrong, in one line, for a model that is not better; `where` names the rows."""
        on = f" on {where}" if where else ""
        answer = self.answer if len(self.answer) <= _SHOWN else f"{self.answer[:_SHOWN]}…"
        if self.one_answer:
            return f"No score tells whether the model has learned anything{on}: {self._all_rows()} the label {answer!r}"
        reached = f"{score_name(self.score)} {self.interval.value:.3f}"
        method = "interval by Fisher's z" if self.score == "spearman" else "Wilson interval"
        reached += f" (95% {method} {self.interval.low:.3f} to {self.interval.high:.3f})"
        constant = "not above 0" if self.score == "spearman" else f"always answering {answer!r} {self.constant:.3f}"
        model = f"As far as {counted(self.rows, 'row')} tell, the model" if self._is_above else "The model"
        than = "worse than" if self._is_below else "no better than"
        return f"{model} is {than} chance{on}: {reached}, {constant}; {counted(self.rows, 'row')}"

    @property
    def advice(self) -> str:
        """What to do about a model that is not better."""
        if self.one_answer:
            return "Measure on rows of several labels."
        if self._is_below and self.score != "spearman":
            return "Check the order of the labels first (--labels for a server, data.labels), then the training."
        if self._is_above:
            return "Measure on more rows."
        return (
            "Train longer, try another learning rate, and check that the texts tell the labels (bert-serving explore)."
        )

    @property
    def _is_above(self) -> bool:
        return self.interval.value > self.constant

    @property
    def _is_below(self) -> bool:
        return self.interval.high < self.constant

    def _all_rows(self) -> str:
        return "the only row has" if self.rows == 1 else f"all {self.rows:,} rows have"


def compare_with_chance(head: Head, labels: Sequence[str], metrics: Mapping[str, Any]) -> Chance:
    """Compares a model with the best answer that is the same for every text.

    A classifier is better where the 95% Wilson interval of its accuracy lies above the share of the most frequent label,
    or where its mean recall, by the lower ends of the labels' Wilson intervals, has clearly left that of any constant
    answer (1 / number of labels with rows): models of rare labels trade accuracy for recall. For multilabel micro F1
    takes the place of accuracy: it is a function of the share of hits among the labels that are true or predicted
    (Jaccard's), whose Wilson interval is used; the best constant answer is a set of the most frequent labels. A
    regression is better where the 95% interval of Spearman's correlation lies above 0.

    Args:
        head: what the model predicts.
        labels: all labels in order; empty for regression.
        metrics: as `metrics.measure` returns them, or as a run folder keeps them.
    """
    rows = int(metrics["rows"])
    if head is Head.REGRESSION:
        interval = correlation_interval(float(metrics["spearman"]), rows)
        return Chance("spearman", interval, 0.0, "the mean", rows, interval.low > 0, one_answer=False)
    if head is Head.MULTILABEL:
        return _multilabel(metrics, rows)
    confusion = np.asarray(metrics["confusion_matrix"])
    support, hits = confusion.sum(axis=1), confusion.diagonal()
    most = int(support.argmax())
    constant = float(support[most] / rows)
    accuracy = share_interval(int(hits.sum()), rows)
    recalls = [share_interval(int(hit), int(count)).low for hit, count in zip(hits, support, strict=True) if count]
    clear = 1 / len(recalls) + CLEAR_GAIN * (1 - 1 / len(recalls))
    better = accuracy.low > constant or (len(recalls) > 1 and float(np.mean(recalls)) > clear)
    return Chance("accuracy", accuracy, constant, labels[most], rows, better, one_answer=len(recalls) == 1)


def _multilabel(metrics: Mapping[str, Any], rows: int) -> Chance:
    per_class = metrics["per_class"]
    support = {label: int(scores["support"]) for label, scores in per_class.items()}
    true, micro_f1 = sum(support.values()), float(metrics["micro_f1"])
    hits = round(sum(scores["recall"] * scores["support"] for scores in per_class.values()))
    # Micro F1 = 2 hits / (true + predicted); without hits the number of predictions is not known, nor needed.
    union = round(2 * hits / micro_f1) - hits if micro_f1 else true
    share = share_interval(hits, union) if union else Interval(0.0, 0.0, 1.0)
    interval = Interval(micro_f1, *(2 * bound / (1 + bound) for bound in (share.low, share.high)))
    ordered = sorted(support, key=lambda label: -support[label])
    reached = np.cumsum([support[label] for label in ordered])
    constants = 2 * reached / (np.arange(1, len(ordered) + 1) * rows + true)
    best = int(constants.argmax())
    constant, answer = float(constants[best]), listed(ordered[: best + 1]) if true else "no label"
    return Chance("micro_f1", interval, constant, answer, rows, interval.low > constant, constant == 1 or not true)
