"""The validation score by which runs are compared: that of the weights that a run keeps."""

from collections.abc import Mapping, Sequence
from typing import Any

from bert_serving.config import RunConfig
from bert_serving.errors import InputError
from bert_serving.training.loop import best_epoch
from bert_serving.training.run_folder import AVERAGE, HISTORY, RunFolder


def lower_is_better(metric: str) -> bool:
    """Whether the smallest value of a validation metric is the best."""
    return metric == "loss"


def validation_score(run: RunFolder, metric: str) -> float:
    """The validation metric of the weights that a complete run keeps: of its best epoch, or of the averaged weights.

    Args:
        run: the run's folder.
        metric: name of the metric, such as "accuracy" or "loss".

    Raises:
        RunFolderError: a file is missing or damaged.
    """
    if (run.path / AVERAGE).is_file():
        average = run.read_json(AVERAGE)
        if average["kept"]:
            return float(average[f"val_{metric}"])
    history = run.read_json(HISTORY)
    row = next(row for row in history if row["epoch"] == best_epoch(history, metric))
    return float(row[f"val_{metric}"])


def best_of(values: Mapping[Any, float] | Sequence[tuple[Any, float]], metric: str) -> Any:
    """The key of the best value, the first of several."""
    pairs = list(values.items()) if isinstance(values, Mapping) else list(values)
    sign = -1 if lower_is_better(metric) else 1
    return max(pairs, key=lambda pair: sign * pair[1])[0]


def check_one_process(config: RunConfig, what: str) -> None:
    """Checks that the runs can follow each other in one process.

    Raises:
        InputError: the strategy is that of several machines, whose processes end with their run.
    """
    if config.training.strategy == "multi_worker":
        raise InputError(
            f'training.strategy is "multi_worker", which {what} does not go with; use another strategy, or start a run for each'
        )
