"""The threads on which inferences run, alone or merged into batches."""

import asyncio
import contextlib
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from bert_serving.errors import FailedPrecondition, ServerUnavailable
from bert_serving.model_server.batching.merge import batch_rows, check_outputs, merge, part, same_rank, same_shape
from bert_serving.model_server.batching.queue import TaskQueue
from bert_serving.model_server.batching.task import BatchTask, token_estimate
from bert_serving.model_server.config.batching import BatchingParameters
from bert_serving.model_server.inference.inference import Inference, T
from bert_serving.model_server.inference.servable import Servable

# A client that had company so recently is not taken for the only one.
_CONCURRENT_SECONDS = 0.25
# The share of a batch's time for which the next one waits for company.
_MAX_WAIT = 0.25

# Which requests may share a batch: the servable's id first, then the signature; empty for those that each run on their own.
_Key = tuple[Hashable, ...]

# A task with its answer, or with the error that it gets.
Outcome = tuple[BatchTask, Any, Exception | None]


@dataclass(frozen=True)
class BatchRun:
    """What a batch was, for those who measure.

    Attributes:
        servable: the version that ran.
        signature: name of the signature.
        waits: seconds that each of its requests had waited.
        rows: rows that were asked for.
        processed_rows: rows that ran, with those that fill up an allowed size.
        seconds: how long it ran.
    """

    servable: Servable
    signature: str
    waits: tuple[float, ...]
    rows: int
    processed_rows: int
    seconds: float


@dataclass(eq=False)
class _Traffic:
    """What happens on one servable.

    Attributes:
        running: batches that run.
        seconds: how long the last one ran.
        last_concurrent: when there was last more than one.
        unbatchable: signatures with outputs that cannot be parted.
    """

    running: int = 0
    seconds: float = 0.0
    last_concurrent: float = float("-inf")
    unbatchable: set[Hashable] = field(default_factory=set)


class Executor:
    """Runs inferences for event loops."""

    def __init__(self, threads: int, *, most_waiting: int, on_batch: Callable[[BatchRun], object] = lambda _: None):
        """Starts the threads.

        Args:
            threads: batches, or single requests, that run side by side.
            most_waiting: requests that may wait for a thread when there is no batching.
            on_batch: told of each run, on the event loop and behind the answers, which shall not wait for it.
        """
        self._most_waiting = most_waiting
        self._on_batch = on_batch
        self._changed = threading.Condition()
        self._queues: OrderedDict[_Key, TaskQueue] = OrderedDict()
        self._traffic: weakref.WeakKeyDictionary[Servable, _Traffic] = weakref.WeakKeyDictionary()
        self._running = 0
        self._closed = False
        for number in range(threads):
            threading.Thread(target=self._work, name=f"inference-{number}", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether something runs; an operation of TensorFlow cannot be interrupted."""
        return self._running > 0

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        with self._changed:
            return sum(map(len, self._queues.values()))

    async def run(self, inference: Inference[T], client: str = "") -> T:
        """Result of an inference; a request that is cancelled before its turn is not computed.

        Args:
            inference: what to run.
            client: who asks; clients take turns when there is a queue.

        Raises:
            RequestError: see `Inference.run`; or the queue is full.
            tf.errors.OpError: an operation refused its input.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        rows = _rows(inference)
        task = BatchTask(inference, client, rows, token_estimate(inference.inputs) if rows else 1, loop, future)
        evicted, error = self._enqueue(task)
        if evicted is not None:
            _deliver([(evicted, None, error)])
        return await future

    def close(self) -> None:
        """Ends the threads; what still waits is refused."""
        with self._changed:
            self._closed = True
            waiting = [task for queue in self._queues.values() for task in queue.take_all()]
            self._queues.clear()
            self._changed.notify_all()
        _deliver([(task, None, ServerUnavailable("The server is stopping; ask again later")) for task in waiting])

    def _enqueue(self, task: BatchTask) -> tuple[BatchTask | None, ServerUnavailable | None]:
        with self._changed:
            if self._closed:
                raise ServerUnavailable("The server is stopping; ask again later")
            servable = task.inference.servable
            traffic = self._traffic.setdefault(servable, _Traffic())
            key = _queue_key(task, traffic)
            queue = self._queues.get(key)
            if queue is None:
                queue = TaskQueue(servable.batching if task.rows else None, most_waiting=self._most_waiting)
            # Requests of other lengths or for other outputs have queues of their own, which must not add up without limit.
            others = [(each_key, each) for each_key, each in self._queues.items() if _same_servable(each_key, key)]
            if traffic.running or any(each.rows for _, each in others):
                traffic.last_concurrent = time.monotonic()
            elsewhere = sum(each.rows for each_key, each in others if _same_signature(each_key, key)) - queue.rows
            evicted = queue.push(task, elsewhere=elsewhere)
            self._queues[key] = queue
            self._changed.notify()
            return evicted, queue.full_error(elsewhere) if evicted is not None else None

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            started = time.monotonic()
            outcomes, runs = self._run_batch(batch)
            # Before the answers go out: the next request of the only client must not find this one still there.
            self._finish(batch, time.monotonic() - started)
            _deliver(outcomes, partial(self._report, runs))
            del batch, outcomes, runs  # a thread that waits must not keep a version in memory

    def _next(self) -> list[BatchTask] | None:
        with self._changed:
            while not self._closed:
                wake = None
                now = time.monotonic()
                for key, queue in list(self._queues.items()):
                    due = self._due(queue, now)
                    if due > now:
                        wake = due if wake is None else min(wake, due)
                        continue
                    batch = queue.take()
                    del self._queues[key]
                    if len(queue):
                        self._queues[key] = queue  # behind the others
                    if batch:
                        self._running += 1
                        self._traffic_of(batch[0]).running += 1
                        return batch
                self._changed.wait(None if wake is None else wake - now)
        return None

    def _due(self, queue: TaskQueue, now: float) -> float:
        """When the next batch of a queue should run, on the clock of time.monotonic."""
        first = queue.first()
        if first is None:
            return now  # only dropped ones were left: away with it
        traffic = self._traffic_of(first)
        # While a batch runs, the processor is busy and the next one can grow for nothing.
        max_wait = _MAX_WAIT * traffic.seconds if traffic.running else 0.0
        return queue.ready_at(alone=now - traffic.last_concurrent > _CONCURRENT_SECONDS, max_wait=max_wait)

    def _traffic_of(self, task: BatchTask) -> _Traffic:
        return self._traffic.setdefault(task.inference.servable, _Traffic())

    def _finish(self, batch: list[BatchTask], seconds: float) -> None:
        with self._changed:
            self._running -= 1
            traffic = self._traffic_of(batch[0])
            traffic.running -= 1
            traffic.seconds = seconds
            if len(self._queues) > 1:  # this thread takes up one of those that waited for the batch to end
                self._changed.notify()

    def _report(self, runs: Sequence[BatchRun]) -> None:
        for run in runs:
            self._on_batch(run)

    def _run_batch(self, batch: list[BatchTask]) -> tuple[list[Outcome], list[BatchRun]]:
        if len(batch) == 1 and not _must_merge(batch[0]):
            return _run_each(batch)
        try:
            outputs, run = self._run_merged(batch)
        except Exception as error:
            if len(batch) == 1:
                return [(batch[0], None, error)], []
            # One bad request must not spoil the others.
            if isinstance(error, FailedPrecondition):
                self._never_merge_again(batch[0])
            return _run_each([task for task in batch if not task.dropped])
        return [_outcome(task, each) for task, each in zip(batch, outputs, strict=True)], [run]

    def _run_merged(self, batch: Sequence[BatchTask]) -> tuple[list[dict[str, np.ndarray]], BatchRun]:
        started = time.monotonic()
        first = batch[0].inference
        parameters = first.servable.batching or BatchingParameters()
        rows = sum(task.rows for task in batch)
        step = parameters.execution_batch_size
        merged = merge([task.inference.inputs for task in batch], rows=rows)
        parts = []
        processed = 0
        for start in range(0, rows, step):
            chunk = {name: array[start : start + step] for name, array in merged.items()}
            size = min(step, rows - start)
            filled = parameters.filled_up(size)
            outputs = first.servable.run(first.signature, merge([chunk], rows=filled), first.outputs)
            check_outputs(outputs, filled)
            parts.append({name: array[:size] for name, array in outputs.items()})
            processed += filled
        joined = (
            parts[0]
            if len(parts) == 1
            else {name: np.concatenate([each[name] for each in parts]) for name in first.outputs}
        )
        run = _measured(batch, rows, processed, started)
        return part(joined, [task.rows for task in batch]), run

    def _never_merge_again(self, task: BatchTask) -> None:
        with self._changed:
            traffic = self._traffic.get(task.inference.servable)
            if traffic is not None:
                traffic.unbatchable.add(_kind(task.inference))


def _rows(inference: Inference[Any]) -> int:
    """Rows of a request that may be merged with others, else 0."""
    servable = inference.servable
    if servable.batching is None or not inference.inputs:
        return 0
    for info in servable.signatures[inference.signature].inputs.values():
        shape = info.tensor_shape
        if not shape.unknown_rank and (not shape.dim or shape.dim[0].size != -1):
            return 0
    return batch_rows(inference.inputs)


def _kind(inference: Inference[Any]) -> Hashable:
    return inference.signature, inference.outputs


def _queue_key(task: BatchTask, traffic: _Traffic) -> _Key:
    inference = task.inference
    parameters = inference.servable.batching
    if parameters is None or _kind(inference) in traffic.unbatchable:
        task.rows = 0
    if not task.rows or parameters is None:
        return ()
    fits = same_rank if parameters.pad_variable_length_inputs else same_shape
    return id(inference.servable), inference.signature, inference.outputs, fits(inference.inputs)


def _same_servable(key: _Key, other: _Key) -> bool:
    return key[:1] == other[:1]


def _same_signature(key: _Key, other: _Key) -> bool:
    return key[:2] == other[:2]


def _must_merge(task: BatchTask) -> bool:
    """Whether even a single task must be filled up or run in parts."""
    parameters = task.inference.servable.batching
    if parameters is None or not task.rows:
        return False
    return task.rows > parameters.execution_batch_size or parameters.filled_up(task.rows) != task.rows


def _run_each(tasks: Sequence[BatchTask]) -> tuple[list[Outcome], list[BatchRun]]:
    """Runs tasks one by one."""
    outcomes: list[Outcome] = []
    runs = []
    for task in tasks:
        started = time.monotonic()
        try:
            outcomes.append((task, task.inference.run(), None))
        except Exception as error:
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
    except Exception as error:
        return task, None, error


def _deliver(outcomes: list[Outcome], afterwards: Callable[[], object] | None = None) -> None:
    """Hands results over to the loops that wait for them, one call for each loop, and what is done then to the first."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome[0].loop, []).append(outcome)
    for loop, each in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_resolve, each, afterwards)
            afterwards = None


def _resolve(outcomes: list[Outcome], afterwards: Callable[[], object] | None) -> None:
    for task, value, error in outcomes:
        if task.future.done():
            continue
        if error is None:
            task.future.set_result(value)
        else:
            task.future.set_exception(error)
    if afterwards is not None:
        # Behind those who wait for the answers: their turns on the loop are taken already.
        asyncio.get_running_loop().call_soon(afterwards)
