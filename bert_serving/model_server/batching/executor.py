"""Queues requests and runs them on threads, alone or merged into batches."""

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

from bert_serving.errors import ServerUnavailable
from bert_serving.model_server.batching.merge import batch_rows, same_rank, same_shape
from bert_serving.model_server.batching.queue import TaskQueue
from bert_serving.model_server.batching.run import BatchRun, Outcome, run_batch
from bert_serving.model_server.batching.task import BatchTask, token_estimate
from bert_serving.model_server.inference.inference import Inference, T
from bert_serving.model_server.inference.servable import Servable

# A batch waits for more requests only where several ran or waited at once in the last seconds.
_CONCURRENT_SECONDS = 0.25
# How long a batch may wait while another one runs, as a share of the running time of the last one.
_MAX_WAIT = 0.25

# Requests with the same key may share a batch: servable id, signature, outputs, shapes. Empty for
# those that run alone.
_Key = tuple[Hashable, ...]


@dataclass(eq=False)
class _Traffic:
    """Recent requests on one servable.

    Attributes:
        running: batches that run now.
        seconds: running time of the last batch.
        last_concurrent: when requests last ran or waited at once, on the clock of `time.monotonic`.
        unbatchable: signatures (with outputs) whose outputs cannot be split.
    """

    running: int = 0
    seconds: float = 0.0
    last_concurrent: float = float("-inf")
    unbatchable: set[Hashable] = field(default_factory=set)


class Executor:
    """Threads that run the inferences of event loops."""

    def __init__(self, threads: int, *, most_waiting: int, on_batch: Callable[[BatchRun], object] = lambda _: None):
        """Starts the threads.

        Args:
            threads: batches, or single requests, that run in parallel.
            most_waiting: requests that may wait for a thread when there is no batching.
            on_batch: called for every run on the event loop, after the answers are delivered.
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
        """Whether an inference runs, which cannot be interrupted."""
        return self._running > 0

    @property
    def waiting(self) -> int:
        """Number of requests in the queues."""
        with self._changed:
            return sum(map(len, self._queues.values()))

    async def run(self, inference: Inference[T], client: str = "") -> T:
        """Result of an inference; a request that is cancelled in the queue is not computed.

        Args:
            inference: the inference.
            client: address of the connection; the queue serves hosts and connections round-robin.

        Raises:
            RequestError: see `Inference.run`; or the queue is full.
            tf.errors.OpError: an operation refused its input.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        rows = _rows(inference)
        tokens = token_estimate(inference.inputs) if rows else 1
        _deliver(self._enqueue(BatchTask(inference, client, rows, tokens, loop, future)))
        return await future

    def close(self) -> None:
        """Ends the threads and refuses the requests in the queues."""
        with self._changed:
            self._closed = True
            waiting = [task for queue in self._queues.values() for task in queue.take_all()]
            self._queues.clear()
            self._changed.notify_all()
        _deliver([(task, None, _stopping()) for task in waiting])

    def _enqueue(self, task: BatchTask) -> list[Outcome]:
        """Adds a task to its queue; returns the error of the task that it evicts."""
        with self._changed:
            if self._closed:
                raise _stopping()
            servable = task.inference.servable
            traffic = self._traffic_on(servable)
            key = _queue_key(task, traffic)
            queue = self._queues.get(key)
            if queue is None:
                queue = TaskQueue(servable.batching if task.rows else None, most_waiting=self._most_waiting)
            # Requests of other shapes or for other outputs have queues of their own; together these
            # share one limit.
            rows_of_servable = rows_of_signature = 0
            for other_key, other in self._queues.items():
                rows_of_servable += other.rows if other_key[:1] == key[:1] else 0
                rows_of_signature += other.rows if other_key[:2] == key[:2] else 0
            if traffic.running or rows_of_servable:
                traffic.last_concurrent = time.monotonic()
            rows_elsewhere = rows_of_signature - queue.rows
            evicted = queue.push(task, rows_elsewhere=rows_elsewhere)
            self._queues[key] = queue
            self._changed.notify()
            return [] if evicted is None else [(evicted, None, queue.full_error(rows_elsewhere))]

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            started = time.monotonic()
            outcomes, runs = run_batch(batch, self._mark_unbatchable)
            # Before the answers are delivered, so that the client's next request does not count as
            # concurrent.
            self._finish(batch, time.monotonic() - started)
            _deliver(outcomes, partial(self._report, runs))
            del batch, outcomes, runs  # a waiting thread must not keep a version in memory

    def _next(self) -> list[BatchTask] | None:
        """Waits for the next batch; None when the executor is closed."""
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
                        self._queues[key] = queue  # now the last one
                    if batch:
                        self._running += 1
                        self._traffic_on(batch[0].inference.servable).running += 1
                        return batch
                self._changed.wait(None if wake is None else wake - now)
        return None

    def _due(self, queue: TaskQueue, now: float) -> float:
        """When the next batch of a queue should run, on the clock of `time.monotonic`."""
        first = queue.first()
        if first is None:
            return now  # all its tasks were dropped
        traffic = self._traffic_on(first.inference.servable)
        return queue.ready_at(
            has_concurrent_requests=now - traffic.last_concurrent <= _CONCURRENT_SECONDS,
            # While a batch runs, the processor is busy: the next one can grow at no cost.
            max_wait=_MAX_WAIT * traffic.seconds if traffic.running else 0.0,
        )

    def _traffic_on(self, servable: Servable) -> _Traffic:
        return self._traffic.setdefault(servable, _Traffic())

    def _finish(self, batch: list[BatchTask], seconds: float) -> None:
        with self._changed:
            self._running -= 1
            traffic = self._traffic_on(batch[0].inference.servable)
            traffic.running -= 1
            traffic.seconds = seconds
            if len(self._queues) > 1:  # this thread takes one of the queues that waited for the batch to end
                self._changed.notify()

    def _report(self, runs: Sequence[BatchRun]) -> None:
        for run in runs:
            self._on_batch(run)

    def _mark_unbatchable(self, inference: Inference[Any]) -> None:
        with self._changed:
            self._traffic_on(inference.servable).unbatchable.add(_kind(inference))


def _stopping() -> ServerUnavailable:
    return ServerUnavailable("The server is stopping; ask again later")


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
    shapes = same_rank if parameters.pad_variable_length_inputs else same_shape
    return id(inference.servable), inference.signature, inference.outputs, shapes(inference.inputs)


def _deliver(outcomes: list[Outcome], afterwards: Callable[[], object] | None = None) -> None:
    """Delivers outcomes to their event loops, in one call each; the first runs `afterwards`."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome[0].loop, []).append(outcome)
    for loop, outcomes_of_loop in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_resolve, outcomes_of_loop, afterwards)
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
        # Behind the coroutines that wait for the answers, which the loop has scheduled already.
        asyncio.get_running_loop().call_soon(afterwards)
