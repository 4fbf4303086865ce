"""A queue of tasks that may share a batch."""

from bert_serving.errors import InvalidRequest, ServerUnavailable
from bert_serving.model_server.batching.client_queue import ClientQueue
from bert_serving.model_server.batching.task import BatchTask
from bert_serving.model_server.config.batching import BatchingParameters


class TaskQueue:
    """Tasks of one signature and one set of outputs; without parameters, any tasks, run singly.

    A task over the token budget of a batch is a long one: it waits in a queue of its own and runs
    alone. Not safe for threads: the executor holds its lock.
    """

    def __init__(self, parameters: BatchingParameters | None, *, most_waiting: int):
        """Sets the limits.

        Args:
            parameters: limits of a batch; None runs every task alone.
            most_waiting: tasks that may wait when there are no parameters.
        """
        self._parameters = parameters
        self._most_waiting = most_waiting
        self._short, self._long = ClientQueue(), ClientQueue()
        self._long_is_next = False

    def __len__(self) -> int:
        """Number of tasks, dropped ones too."""
        return len(self._short) + len(self._long)

    @property
    def rows(self) -> int:
        """Rows of all tasks."""
        return self._short.rows + self._long.rows

    def push(self, task: BatchTask, *, rows_elsewhere: int = 0) -> BatchTask | None:
        """Adds a task; a full queue evicts a task of the client with the most tasks for it.

        Args:
            task: the task.
            rows_elsewhere: rows of the same version and signature in other queues, which count
                towards the limit.

        Returns:
            the evicted task.

        Raises:
            InvalidRequest: the task has more rows than a batch may have.
            ServerUnavailable: the queue is full, and this client has its share of it.
        """
        self._check_rows(task)
        queue = self._long if self._is_long(task) else self._short
        if self._is_full(task, rows_elsewhere):
            self._short.clear_dropped()
            self._long.clear_dropped()
        evicted = None
        if self._is_full(task, rows_elsewhere):
            evicted = queue.evict(task.client)
            if evicted is None:
                raise self.full_error(rows_elsewhere)
        queue.push(task)
        return evicted

    def first(self) -> BatchTask | None:
        """A waiting task; None when all were dropped."""
        return self._short.first() or self._long.first()

    def ready_at(self, *, has_concurrent_requests: bool, max_wait: float = 0.0) -> float:
        """When the next batch should run, on the clock of `time.monotonic`; 0 is at once.

        Args:
            has_concurrent_requests: without others a batch would wait and never fill.
            max_wait: seconds that a task may wait for others, where the parameters say less.
        """
        parameters, first = self._parameters, self._short.first()
        if parameters is None or first is None or not has_concurrent_requests or self._long.first() is not None:
            return 0.0
        if self._short.rows >= parameters.execution_batch_size:
            return 0.0
        return first.enqueued + max(parameters.batch_timeout_micros / 1e6, max_wait)

    def take(self) -> list[BatchTask]:
        """Removes and returns the tasks of the next batch; empty when all were dropped.

        Short tasks go first, but not in two batches in a row while a long one waits.
        """
        long = self._long.first()
        if long is not None and (self._long_is_next or self._short.first() is None):
            self._long_is_next = False
            self._long.pop()
            return [long]
        self._long_is_next = long is not None
        return self._take_short()

    def take_all(self) -> list[BatchTask]:
        """Removes and returns every task, in no particular order."""
        return [task for queue in (self._short, self._long) for task in iter(queue.pop, None)]

    def full_error(self, rows_elsewhere: int = 0) -> ServerUnavailable:
        """The error of a task for which there is no room; `rows_elsewhere` as for `push`."""
        if self._parameters is None:
            return ServerUnavailable(f"{len(self)} requests are waiting already; ask again later")
        batches = -(-(self.rows + rows_elsewhere) // self._parameters.max_batch_size)
        return ServerUnavailable(
            f"The batch scheduling queue to which this task was submitted is full; currently {batches} batches "
            f"enqueued and max_enqueued_batches is {self._parameters.max_enqueued_batches}"
        )

    def _take_short(self) -> list[BatchTask]:
        batch: list[BatchTask] = []
        rows = tokens = 0
        parameters = self._parameters
        while (task := self._short.first()) is not None:
            rows, tokens = rows + task.rows, tokens + task.tokens
            if batch and (
                parameters is None
                or task.rows == 0
                or batch[0].rows == 0
                or rows > parameters.execution_batch_size
                or tokens > parameters.max_batch_tokens
            ):
                break
            self._short.pop()
            batch.append(task)
        return batch

    def _is_long(self, task: BatchTask) -> bool:
        return self._parameters is not None and task.tokens > self._parameters.max_batch_tokens

    def _check_rows(self, task: BatchTask) -> None:
        parameters = self._parameters
        if parameters is None or parameters.enable_large_batch_splitting or task.rows <= parameters.max_batch_size:
            return
        raise InvalidRequest(
            f"Task size {task.rows} is larger than maximum input batch size {parameters.max_batch_size}"
        )

    def _is_full(self, task: BatchTask, rows_elsewhere: int) -> bool:
        if self._parameters is None:
            return len(self) >= self._most_waiting
        limit = self._parameters.max_enqueued_batches * self._parameters.max_batch_size
        rows = self.rows + rows_elsewhere
        return rows > 0 and rows + max(task.rows, 1) > limit
