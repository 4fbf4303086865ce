"""The identity of a publishing process, sufficient to tell whether it has ended."""

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
        boot: boot id of the machine and process namespace, since containers number their processes
            themselves.
        process: process id.
        started: start time in clock ticks since boot, since process ids are reused.
        when: start of the publication, UTC.
    """

    host: str
    boot: str
    process: int
    started: str
    when: str

    @classmethod
    def current(cls) -> Self:
        """This process, now."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(socket.gethostname(), _boot(), os.getpid(), _started(os.getpid()), now)

    @classmethod
    def parse(cls, content: bytes | None) -> Self | None:
        """Reads the output of `to_json`; None for anything else."""
        try:
            value = json.loads(content or b"")
            return cls(**{field.name: value[field.name] for field in fields(cls)})
        except (ValueError, KeyError, TypeError):
            return None

    def to_json(self) -> bytes:
        """The identity as JSON."""
        return json.dumps(asdict(self)).encode()

    @property
    def has_ended(self) -> bool:
        """Whether it has certainly ended; False for processes of other machines."""
        return (self.host, self.boot) == (socket.gethostname(), _boot()) and _started(self.process) != self.started

    def __str__(self) -> str:
        """The process for messages."""
        return f"process {self.process} on {self.host}, since {self.when}"


def _boot() -> str:
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(process: int) -> str:
    """Start of a process in clock ticks since boot, as in proc(5); empty if it has ended."""
    try:
        # The program's name is in parentheses and may contain spaces; the start is the 20th field
        # after it.
        fields_after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    # A zombie has ended; its parent has not collected its status yet.
    return "" if fields_after_name[0] in "ZX" else fields_after_name[19]
