"""A queue of tasks with round-robin over hosts and their connections."""

from collections import OrderedDict, deque
from collections.abc import Mapping

from bert_serving.model_server.batching.task import BatchTask


class ClientQueue:
    """Waiting tasks of all clients: a client that sends much delays only itself.

    Hosts are served round-robin, and within a host its connections: many connections give a host no
    larger share than one. The tasks of a connection keep their order.

    Attributes:
        rows: rows of all tasks; a task that cannot be merged counts as one.
    """

    def __init__(self) -> None:
        """Makes an empty queue."""
        # Tasks by connection by host; the first connection of the first host is served next.
        self._hosts: OrderedDict[str, OrderedDict[str, deque[BatchTask]]] = OrderedDict()
        self._size = 0
        self.rows = 0

    def __len__(self) -> int:
        """Number of tasks, dropped ones too."""
        return self._size

    def push(self, task: BatchTask) -> None:
        """Adds a task behind the others of its connection."""
        connections = self._hosts.setdefault(_host(task.client), OrderedDict())
        connections.setdefault(task.client, deque()).append(task)
        self._count(task, 1)

    def first(self) -> BatchTask | None:
        """The task that is next; dropped tasks before it are removed."""
        while self._hosts:
            connections = next(iter(self._hosts.values()))
            tasks = next(iter(connections.values()))
            if not tasks[0].dropped:
                return tasks[0]
            self._removed(tasks.popleft())
        return None

    def pop(self) -> BatchTask | None:
        """Removes and returns the next task; its host and its connection go behind the others."""
        task = self.first()
        if task is None:
            return None
        host = _host(task.client)
        self._hosts[host][task.client].popleft()
        self._removed(task)
        if host in self._hosts:
            self._hosts.move_to_end(host)
            if task.client in self._hosts[host]:
                self._hosts[host].move_to_end(task.client)
        return task

    def clear_dropped(self) -> None:
        """Removes all dropped tasks."""
        connections = [tasks for host in self._hosts.values() for tasks in host.values()]
        kept = [task for tasks in connections for task in tasks if not task.dropped]
        self._hosts.clear()
        self._size = self.rows = 0
        for task in kept:
            self.push(task)

    def evict(self, client: str) -> BatchTask | None:
        """Removes the newest task of the largest host, or of its own host's largest connection.

        Returns:
            the removed task; None unless that host or connection has two tasks more than that of
                `client`.
        """
        host = _host(client)
        largest = max(self._hosts, key=self._host_size, default=host)
        if self._host_size(largest) > self._host_size(host) + 1:
            return self._evict_newest(largest)
        own: Mapping[str, deque[BatchTask]] = self._hosts.get(host, {})
        if max(map(len, own.values()), default=0) > len(own.get(client, ())) + 1:
            return self._evict_newest(host)
        return None

    def _evict_newest(self, host: str) -> BatchTask:
        """Removes the newest task of the host's connection with the most tasks."""
        task = max(self._hosts[host].values(), key=len).pop()
        self._removed(task)
        return task

    def _removed(self, task: BatchTask) -> None:
        """Counts a removed task, and forgets its connection and host after their last one."""
        self._count(task, -1)
        host = _host(task.client)
        if not self._hosts[host][task.client]:
            del self._hosts[host][task.client]
        if not self._hosts[host]:
            del self._hosts[host]

    def _host_size(self, host: str) -> int:
        return sum(map(len, self._hosts.get(host, {}).values()))

    def _count(self, task: BatchTask, sign: int) -> None:
        self._size += sign
        self.rows += sign * max(task.rows, 1)


def _host(client: str) -> str:
    """`ipv4:10.0.0.7` of `ipv4:10.0.0.7:41234`."""
    return client.rpartition(":")[0] or client
