"""Tasks that wait, taken in turns from each client."""

from collections import OrderedDict, deque

from bert_serving.model_server.batch_task import BatchTask


class TaskLane:
    """A queue in which a client that sends much only delays itself.

    Each client has a line of its own; the lines take turns, and within a line the oldest task comes first.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[BatchTask]] = OrderedDict()
        self.count = 0
        self.rows = 0

    def __len__(self) -> int:
        return self.count

    def push(self, task: BatchTask) -> None:
        """Adds a task at the end of its client's line."""
        self._lines.setdefault(task.client, deque()).append(task)
        self._count(task, 1)

    def first(self) -> BatchTask | None:
        """The task whose turn it is; dropped ones are cleared away."""
        while self._lines:
            client, line = next(iter(self._lines.items()))
            while line and line[0].dropped:
                self._count(line.popleft(), -1)
            if line:
                return line[0]
            del self._lines[client]
        return None

    def pop(self) -> BatchTask | None:
        """Takes out the task whose turn it is; its client's line goes behind the others."""
        task = self.first()
        if task is None:
            return None
        line = self._lines[task.client]
        line.popleft()
        self._count(task, -1)
        if line:
            self._lines.move_to_end(task.client)
        else:
            del self._lines[task.client]
        return task

    def clear_dropped(self) -> None:
        """Clears all dropped tasks away, wherever they stand."""
        kept = [task for line in self._lines.values() for task in line if not task.dropped]
        self._lines.clear()
        self.count = self.rows = 0
        for task in kept:
            self.push(task)

    def evict(self, client: str) -> BatchTask | None:
        """Takes the youngest task of the client with the longest line, if that line is longer than `client`'s own would be."""
        longest = max(self._lines, key=lambda each: len(self._lines[each]), default=None)
        if longest is None or len(self._lines[longest]) <= len(self._lines.get(client, ())) + 1:
            return None
        task = self._lines[longest].pop()
        self._count(task, -1)
        return task

    def _count(self, task: BatchTask, sign: int) -> None:
        self.count += sign
        self.rows += sign * max(task.rows, 1)
