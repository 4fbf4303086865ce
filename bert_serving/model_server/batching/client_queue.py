"""Tasks that wait, taken in turns from each host and from each of its connections."""

from collections import OrderedDict, deque

from bert_serving.model_server.batching.task import BatchTask

# The tasks of one connection, oldest first; the connections of one host.
_Line = deque[BatchTask]
_Host = OrderedDict[str, _Line]


class ClientQueue:
    """A queue in which a client that sends much only delays itself.

    Hosts take turns, and so do the connections of a host: many connections give a host no more than one would. Within a connection the
    oldest task comes first.
    """

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self.count = 0
        self.rows = 0

    def __len__(self) -> int:
        return self.count

    def push(self, task: BatchTask) -> None:
        """Adds a task at the end of its connection's line."""
        lines = self._hosts.setdefault(_host(task.client), OrderedDict())
        lines.setdefault(task.client, deque()).append(task)
        self._count(task, 1)

    def first(self) -> BatchTask | None:
        """The task whose turn it is; dropped ones are cleared away."""
        while self._hosts:
            host, lines = next(iter(self._hosts.items()))
            while lines:
                client, line = next(iter(lines.items()))
                while line and line[0].dropped:
                    self._count(line.popleft(), -1)
                if line:
                    return line[0]
                del lines[client]
            del self._hosts[host]
        return None

    def pop(self) -> BatchTask | None:
        """Takes out the task whose turn it is; its connection and its host go behind the others."""
        task = self.first()
        if task is None:
            return None
        host = _host(task.client)
        lines = self._hosts[host]
        lines[task.client].popleft()
        self._count(task, -1)
        if lines[task.client]:
            lines.move_to_end(task.client)
        else:
            del lines[task.client]
        if lines:
            self._hosts.move_to_end(host)
        else:
            del self._hosts[host]
        return task

    def clear_dropped(self) -> None:
        """Clears all dropped tasks away, wherever they stand."""
        kept = [task for lines in self._hosts.values() for line in lines.values() for task in line if not task.dropped]
        self._hosts.clear()
        self.count = self.rows = 0
        for task in kept:
            self.push(task)

    def evict(self, client: str) -> BatchTask | None:
        """Takes the youngest task of the greediest host, or of the greediest connection of `client`'s own host.

        None where that would leave `client` with more than the one that makes room.
        """
        host = _host(client)
        greediest = max(self._hosts, key=lambda each: _length(self._hosts[each]), default=None)
        if greediest is None:
            return None
        if greediest != host and _length(self._hosts[greediest]) > _length(self._hosts.get(host, {})) + 1:
            return self._take_youngest(greediest)
        own = self._hosts.get(host, OrderedDict())
        longest = max(own.values(), key=len, default=deque())
        return self._take_youngest(host) if len(longest) > len(own.get(client, ())) + 1 else None

    def _take_youngest(self, host: str) -> BatchTask:
        """The youngest task of the longest line of a host."""
        lines = self._hosts[host]
        client = max(lines, key=lambda each: len(lines[each]))
        task = lines[client].pop()
        self._count(task, -1)
        return task

    def _count(self, task: BatchTask, sign: int) -> None:
        self.count += sign
        self.rows += sign * max(task.rows, 1)


def _host(client: str) -> str:
    """`ipv4:10.0.0.7` of `ipv4:10.0.0.7:41234`."""
    return client.rpartition(":")[0] or client


def _length(lines: "_Host | dict[str, _Line]") -> int:
    return sum(map(len, lines.values()))
