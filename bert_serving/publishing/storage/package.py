"""The files to publish: those of an export, their SHA-256 sums, and the publication record."""

import getpass
import hashlib
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bert_serving.publishing.storage.file_sums import GRAPH_FILE, PUBLICATION_FILE, SUMS_FILE, FileSums, sums_of
from bert_serving.publishing.storage.location import Progress
from bert_serving.version import __version__


@dataclass(frozen=True)
class Package:
    """The files of one version.

    Attributes:
        source: the exported version folder.
        sums: of all files but the list of sums itself.
        generated: content of the files that publishing adds, by name: the record and the list of
            sums.
    """

    source: Path
    sums: FileSums
    generated: dict[str, bytes]

    @property
    def names(self) -> list[str]:
        """Every file in the order of publication; saved_model.pb is last."""
        others = sorted(name for name in {*self.sums.digests, *self.generated} if name != GRAPH_FILE)
        return [*others, GRAPH_FILE]

    @property
    def size(self) -> int:
        """Size of all files in bytes."""
        return sum(
            len(self.generated[name]) if name in self.generated else (self.source / name).stat().st_size
            for name in self.names
        )

    def digest(self, name: str) -> str:
        """SHA-256 of a file in hex; the list of sums does not contain itself."""
        return _sha256(self.generated[name]) if name in self.generated else self.sums.digests[name]


def pack(source: Path, record: dict[str, Any]) -> Package:
    """Reads a version folder and adds the record of its publication.

    Args:
        source: the version folder.
        record: content of the record besides time, user and program.

    Raises:
        PublishError: a file cannot be read.
    """
    sums = sums_of(source)
    publication = {
        "format": 1,
        **record,
        "published": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": f"{_user()}@{socket.gethostname()}",
        "program": f"bert-serving {__version__}",
    }
    content = (json.dumps(publication, indent=2, ensure_ascii=False) + "\n").encode()
    sums = FileSums({**sums.digests, PUBLICATION_FILE: _sha256(content)})
    return Package(source, sums, {PUBLICATION_FILE: content, SUMS_FILE: sums.text()})


def byte_counter(total: int, report: Callable[[int, int], None]) -> Progress:
    """A progress function that sums the bytes of its calls and reports the sum and the total."""
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        report(min(done, total), total)

    return add


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
