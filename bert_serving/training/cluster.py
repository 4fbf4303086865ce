"""The workers of a job that trains on several machines, as the environment variable TF_CONFIG names them."""

import json
from dataclasses import dataclass
from typing import Any

from bert_serving.errors import InputError

VARIABLE = "TF_CONFIG"
_EXAMPLE = '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """All workers of a job, and which of them this process is.

    Attributes:
        addresses: host:port of each worker; the first one is the chief, which writes the run folder.
        index: number of this worker, from 0.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this is worker 0."""
        return self.index == 0

    @property
    def others(self) -> list[int]:
        """Numbers of all other workers."""
        return [number for number in range(len(self.addresses)) if number != self.index]


def parse_cluster(text: str | None) -> Cluster:
    """Reads the content of TF_CONFIG.

    Args:
        text: of the variable; None where it is not set.

    Raises:
        InputError: it is missing or malformed, or this worker is not in the cluster.

    ```python
    from bert_serving.training.cluster import parse_cluster

    text = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
    print(parse_cluster(text).is_chief)
    ```
    """
    if not text:
        raise InputError(
            f"training.strategy 'multi_worker' needs {VARIABLE}, which is not set; set it to {_EXAMPLE}, or use 'one_device'"
        )
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _malformed(f"is no JSON ({error})", text) from None
    jobs, task = (config.get(name) if isinstance(config, dict) else None for name in ("cluster", "task"))
    if not isinstance(jobs, dict) or not isinstance(task, dict):
        raise _malformed("lacks the objects cluster and task", text)
    if others := sorted(set(jobs) - {"worker"}):
        raise _malformed(
            f"has the job {others[0]!r}; name all workers under 'worker', the first one is the chief", text
        )
    addresses = jobs.get("worker")
    if not isinstance(addresses, list) or not addresses or not all(_is_address(each) for each in addresses):
        raise _malformed("has no list cluster.worker of addresses host:port", text)
    if len(set(addresses)) < len(addresses):
        raise _malformed("names an address twice", text)
    if task.get("type") != "worker":
        raise _malformed(f"has task.type {task.get('type')!r}, expected 'worker'", text)
    index = task.get("index")
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    if isinstance(index, bool) or not isinstance(index, int):
        raise _malformed(f"has task.index {index!r}, expected a number", text)
    if not 0 <= index < len(addresses):
        raise _malformed(f"has task.index {index}, but cluster.worker has the indices 0 to {len(addresses) - 1}", text)
    return Cluster(tuple(addresses), index)


def _is_address(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    host, _, port = value.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16


def _malformed(problem: str, text: str) -> InputError:
    line = " ".join(text.split())
    return InputError(f"{VARIABLE} {problem}, got {line[:200]}; expected such as {_EXAMPLE}")
