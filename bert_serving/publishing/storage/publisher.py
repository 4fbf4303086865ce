"""Who publishes: enough to tell a process that works from one that is gone."""

import json
import os
import socket
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Publisher:
    """A process.

    Attributes:
        host: name of its machine.
        boot: id of the machine's run, and of the process namespace: containers count processes of their own.
        process: its number.
        started: when it started, in the machine's clock ticks: numbers are used again.
        when: when it began to publish, UTC.
    """

    host: str
    boot: str
    process: int
    started: str
    when: str

    @classmethod
    def current(cls) -> Self:
        """This process, now."""
        return cls(socket.gethostname(), _boot(), os.getpid(), _started(os.getpid()), _now())

    @classmethod
    def parse(cls, content: bytes | None) -> Self | None:
        """Reads what `text` wrote; None for anything else."""
        try:
            value = json.loads(content or b"")
            return cls(**{field.name: value[field.name] for field in fields(cls)})
        except (ValueError, KeyError, TypeError):
            return None

    def text(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    @property
    def gone(self) -> bool:
        """Whether it has surely ended: only a process of this machine can be looked for."""
        return (self.host, self.boot) == (socket.gethostname(), _boot()) and _started(self.process) != self.started

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.when}"


def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(process: int) -> str:
    """Clock ticks from the machine's start to the process's; empty when there is no such process."""
    try:
        # The name of the program stands in brackets and may hold spaces; the start is the 20th field after it.
        fields_after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    # A zombie has ended: its parent has only not asked yet.
    return "" if fields_after_name[0] in "ZX" else fields_after_name[19]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
