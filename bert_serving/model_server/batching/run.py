"""Runs batches: merged, in chunks of the execution batch size, or one by one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_serving.errors import FailedPrecondition
from bert_serving.model_server.batching.merge import check_outputs, merge, split
from bert_serving.model_server.batching.task import BatchTask
from bert_serving.model_server.config.batching import BatchingParameters
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.servable import Servable

# A task with its answer, or with its error.
Outcome = tuple[BatchTask, Any, Exception | None]


@dataclass(frozen=True)
class BatchRun:
    """Measurements of a batch that ran.

    Attributes:
        servable: the version that ran.
        signature: name of the signature.
        waits: seconds that each of its requests waited in the queue.
        rows: rows of its requests.
        processed_rows: rows that ran, with the padding to an allowed batch size.
        seconds: running time.
    """

    servable: Servable
    signature: str
    waits: tuple[float, ...]
    rows: int
    processed_rows: int
    seconds: float


def run_batch(
    batch: list[BatchTask], on_unbatchable: Callable[[Inference[Any]], object]
) -> tuple[list[Outcome], list[BatchRun]]:
    """Runs the tasks of a batch, merged; one by one when that fails, so that only a bad one fails.

    Args:
        batch: tasks of one signature and one set of outputs.
        on_unbatchable: called with an inference of a batch whose outputs cannot be split.
    """
    if len(batch) == 1 and not _must_merge(batch[0]):
        return _run_each(batch)
    try:
        outputs, run = _run_merged(batch)
    except Exception as error:  # noqa: BLE001  any error belongs to the requests
        if len(batch) == 1:
            return [(batch[0], None, error)], []
        if isinstance(error, FailedPrecondition):
            on_unbatchable(batch[0].inference)
        return _run_each([task for task in batch if not task.dropped])
    return [_outcome(task, parts) for task, parts in zip(batch, outputs, strict=True)], [run]


def _must_merge(task: BatchTask) -> bool:
    """Whether even a single task must be padded or run in chunks."""
    parameters = task.inference.servable.batching
    if parameters is None or not task.rows:
        return False
    return task.rows > parameters.execution_batch_size or parameters.filled_up(task.rows) != task.rows


def _run_merged(batch: Sequence[BatchTask]) -> tuple[list[dict[str, np.ndarray]], BatchRun]:
    """Runs tasks merged, in chunks of the execution batch size; returns the outputs of each."""
    started = time.monotonic()
    inference = batch[0].inference
    parameters = inference.servable.batching or BatchingParameters()
    rows = sum(task.rows for task in batch)
    step = parameters.execution_batch_size
    inputs = merge([task.inference.inputs for task in batch], rows=rows)
    chunks = []
    processed = 0
    for start in range(0, rows, step):
        chunk = {name: array[start : start + step] for name, array in inputs.items()}
        size = min(step, rows - start)
        padded = parameters.filled_up(size)
        outputs = inference.servable.run(inference.signature, merge([chunk], rows=padded), inference.outputs)
        check_outputs(outputs, padded)
        chunks.append({name: array[:size] for name, array in outputs.items()})
        processed += padded
    joined = chunks[0]
    if len(chunks) > 1:
        joined = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in inference.outputs}
    run = _measured(batch, rows, processed, started)
    return split(joined, [task.rows for task in batch]), run


def _run_each(tasks: Sequence[BatchTask]) -> tuple[list[Outcome], list[BatchRun]]:
    """Runs tasks one by one."""
    outcomes: list[Outcome] = []
    runs = []
    for task in tasks:
        started = time.monotonic()
        try:
            outcomes.append((task, task.inference.run(), None))
        except Exception as error:  # noqa: BLE001  any error belongs to the request
            outcomes.append((task, None, error))
        runs.append(_measured([task], max(task.rows, 1), max(task.rows, 1), started))
    return outcomes, runs


def _measured(batch: Sequence[BatchTask], rows: int, processed: int, started: float) -> BatchRun:
    inference = batch[0].inference
    waits = tuple(started - task.enqueued for task in batch)
    return BatchRun(inference.servable, inference.signature, waits, rows, processed, time.monotonic() - started)


def _outcome(task: BatchTask, outputs: dict[str, np.ndarray]) -> Outcome:
    try:
        return task, task.inference.answer(outputs), None
    except Exception as error:  # noqa: BLE001  any error belongs to the request
        return task, None, error
