"""Agreement of an export with the model in memory on real texts, and the speed of exports in turns.

`python -m bert_serving.saved_model.verification.agreement REFERENCE FOLDER...` measures exports in turns and prints the
seconds of each as JSON.
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bert_serving.answers import predicted_labels
from bert_serving.contract import Head, Thresholds
from bert_serving.evaluation.intervals import mean_interval, paired_share_interval
from bert_serving.evaluation.predictions import Predictions
from bert_serving.io.fresh_process import run_in_fresh_process
from bert_serving.saved_model.manifest import Agreement, ScoreChange
from bert_serving.saved_model.reference import Reference

if TYPE_CHECKING:
    from bert_serving.saved_model.reader import ExportedModel

_BATCH = 32
_ROUNDS = 7
_ROUND_BATCHES = 4


def compare(
    model: "ExportedModel",
    reference: Reference,
    head: Head,
    labels: tuple[str, ...] = (),
    thresholds: Thresholds = (),
) -> Agreement:
    """Compares an export's answers to all texts of a reference with those of the model in memory.

    Args:
        model: the export.
        reference: the texts with the answers of the model in memory.
        head: what the model predicts.
        labels: its labels, in the order of its probabilities.
        thresholds: by which it predicts labels from them.
    """
    answers, expected = model.predict(reference.texts, reference.pairs), reference.probabilities
    is_regression = head is Head.REGRESSION
    # A regression's value has no scale of its own, so its difference is relative to the largest.
    scale = max(1.0, float(np.abs(expected).max(initial=0))) if is_regression else 1.0
    differences = np.abs(answers - expected).max(axis=1) / scale
    changed = predicted_labels(head, answers, thresholds) != predicted_labels(head, expected, thresholds)
    first, second = (reference.predictions(head, labels, values, thresholds) for values in (expected, answers))
    return Agreement(
        rows=len(expected),
        max_probability_difference=float(differences.max()),
        mean_probability_difference=float(differences.mean(dtype=np.float64)),
        changed_labels=0 if is_regression else int(changed.reshape(len(expected), -1).any(axis=1).sum()),
        metric=None if first is None or second is None else _metric(first, second),
        log_loss=None if first is None or second is None or is_regression else _log_loss(first, second),
    )


def _metric(first: Predictions, second: Predictions) -> ScoreChange:
    """The metric of the head: accuracy (multilabel: of all labels of a text); for regression the mean absolute error."""
    if first.head is Head.REGRESSION:
        # In standard deviations, which need no unit; labels that are all equal have none.
        scale = float(first.y_true.std()) if np.ptp(first.y_true) else 1.0
        return _mean_change("mean_absolute_error", first.losses, second.losses, scale)
    only_first, only_second = first.correct & ~second.correct, second.correct & ~first.correct
    loss = paired_share_interval(int(only_first.sum()), int(only_second.sum()), len(first))
    return ScoreChange(
        score="accuracy",
        reference=float(first.correct.mean()),
        export=float(second.correct.mean()),
        loss=loss.value,
        low=loss.low,
        high=loss.high,
    )


def _log_loss(first: Predictions, second: Predictions) -> ScoreChange:
    """The log loss, which rises, too, where probabilities of the same labels lose their calibration."""
    return _mean_change("log_loss", first.losses, second.losses, 1.0)


def _mean_change(score: str, first: np.ndarray, second: np.ndarray, scale: float) -> ScoreChange:
    increase = mean_interval((second - first) / scale)
    return ScoreChange(
        score=score,
        reference=float(first.mean()),
        export=float(second.mean()),
        loss=increase.value,
        low=increase.low,
        high=increase.high,
    )


def seconds_in_turns(reference: Path, folders: Sequence[Path]) -> list[float]:
    """Median seconds for a batch of 32 texts of each export, measured in turns in a fresh process on this machine.

    Raises:
        VerificationError: the process failed.
    """
    seconds: list[float] = run_in_fresh_process(
        "bert_serving.saved_model.verification.agreement",
        [str(path) for path in (reference, *folders)],
        parse=json.loads,
        subject=str(folders[0].parent),
        task="measuring",
    )
    return seconds


def _main() -> None:
    from bert_serving.saved_model.reader import ExportedModel  # noqa: PLC0415  brings TensorFlow

    reference, *folders = map(Path, sys.argv[1:])
    texts = Reference.load(reference)
    models = [ExportedModel(folder) for folder in folders]
    batches = [texts.part(start, _BATCH) for start in range(0, len(texts.texts), _BATCH)][:_ROUND_BATCHES]
    seconds: list[list[float]] = [[] for _ in models]
    for number in range(_ROUNDS + 1):
        for model, times in zip(models, seconds, strict=True):
            started = time.perf_counter()
            for batch in batches:
                model.predict(batch.texts, batch.pairs)
            # The first round compiles kernels and allocates buffers.
            if number:
                times.append((time.perf_counter() - started) / len(batches))
    sys.stdout.write(json.dumps([statistics.median(times) for times in seconds]) + "\n")


if __name__ == "__main__":
    _main()
