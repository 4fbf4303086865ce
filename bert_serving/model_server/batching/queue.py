"""A queue of tasks that may share a batch."""

from bert_serving.errors import InvalidRequest, ServerUnavailable
from bert_serving.model_server.batching.client_queue import ClientQueue
from bert_serving.model_server.batching.task import BatchTask
from bert_serving.model_server.config.batching import BatchingParameters


class TaskQueue:
    """Tasks of one signature and one set of outputs; or, without parameters, tasks that each run on their own.

    Not safe for threads: the executor holds its lock.
    """

    def __init__(self, parameters: BatchingParameters | None, *, most_waiting: int):
        """Sets the limits.

        Args:
            parameters: limits of a batch; None lets each task run on its own.
            most_waiting: tasks that may wait when there are no parameters.
        """
        self.parameters = parameters
        self._most_waiting = most_waiting
        self._short, self._long = ClientQueue(), ClientQueue()
        self._owed = False

    def __len__(self) -> int:
        return len(self._short) + len(self._long)

    def push(self, task: BatchTask, *, elsewhere: int = 0) -> BatchTask | None:
        """Adds a task; a task of the greediest client may have to leave for it, and is returned.

        Args:
            task: what to add.
            elsewhere: rows of the same version and signature that wait in other queues and take up room too.

        Raises:
            InvalidRequest: the task has more rows than a batch may have.
            ServerUnavailable: the queue is full, and this client has its share of it.
        """
        self._check_size(task)
        lane = self._long if self._is_long(task) else self._short
        evicted = None
        if self._full(task, elsewhere):
            self._short.clear_dropped()
            self._long.clear_dropped()
        if self._full(task, elsewhere):
            evicted = lane.evict(task.client)
            if evicted is None:
                raise self.full_error(elsewhere)
        lane.push(task)
        return evicted

    def first(self) -> BatchTask | None:
        """A task that waits; None when all were dropped."""
        return self._short.first() or self._long.first()

    def ready_at(self, *, alone: bool, max_wait: float = 0.0) -> float:
        """When the next batch should run, on the clock of time.monotonic.

        Args:
            alone: one client only, whom waiting for others would delay for nothing.
            max_wait: seconds that a task may wait for company, where the parameters say less.
        """
        parameters, first = self.parameters, self._short.first()
        if parameters is None or first is None or alone or self._long.first() is not None:
            return 0.0
        if self._short.rows >= parameters.execution_batch_size:
            return 0.0
        return first.enqueued + max(parameters.batch_timeout_micros / 1e6, max_wait)

    def take(self) -> list[BatchTask]:
        """The tasks of the next batch; empty when all were dropped.

        A long task runs on its own. Short ones go first, but not twice in a row while a long one waits.
        """
        if self._long.first() is not None and (self._owed or self._short.first() is None):
            self._owed = False
            task = self._long.pop()
            return [task] if task is not None else []
        self._owed = len(self._long) > 0
        return self._fill()

    def take_all(self) -> list[BatchTask]:
        """Every task, in no particular order."""
        return [task for lane in (self._short, self._long) for task in iter(lane.pop, None)]

    def _fill(self) -> list[BatchTask]:
        batch: list[BatchTask] = []
        rows = tokens = 0
        parameters = self.parameters
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
        return self.parameters is not None and task.tokens > self.parameters.max_batch_tokens

    def _check_size(self, task: BatchTask) -> None:
        parameters = self.parameters
        if parameters is None or parameters.enable_large_batch_splitting or task.rows <= parameters.max_batch_size:
            return
        raise InvalidRequest(
            f"Task size {task.rows} is larger than maximum input batch size {parameters.max_batch_size}"
        )

    @property
    def rows(self) -> int:
        """Rows that wait."""
        return self._short.rows + self._long.rows

    def _full(self, task: BatchTask, elsewhere: int) -> bool:
        if self.parameters is None:
            return len(self) >= self._most_waiting
        room = self.parameters.max_enqueued_batches * self.parameters.max_batch_size
        rows = self.rows + elsewhere
        return rows > 0 and rows + max(task.rows, 1) > room

    def full_error(self, elsewhere: int = 0) -> ServerUnavailable:
        """The refusal of a task for which there is no room; `elsewhere` as for `push`."""
        if self.parameters is None:
            return ServerUnavailable(f"{len(self)} requests are waiting already; ask again later")
        most = self.parameters.max_enqueued_batches
        return ServerUnavailable(
            "The batch scheduling queue to which this task was submitted is full; currently "
            f"{-(-(self.rows + elsewhere) // self.parameters.max_batch_size)} batches enqueued and "
            f"max_enqueued_batches is {most}"
        )
