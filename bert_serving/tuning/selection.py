"""Which of several runs is the best. Imports no TensorFlow."""

from collections.abc import Mapping, Sequence
from typing import Any

from bert_serving.config import RunConfig
from bert_serving.errors import InputError
from bert_serving.run_file import parse_tables


def lower_is_better(metric: str) -> bool:
    """Whether the smallest value of a validation metric is the best."""
    return metric == "loss"


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


def with_values(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """The run file with other values of some keys.

    Raises:
        RunFileError: the values do not go together.
    """
    tables = config.model_dump()
    for key, value in values.items():
        table, _, name = key.partition(".")
        tables[table][name] = value
    return parse_tables(tables, RunConfig, "the trial")
