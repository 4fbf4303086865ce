"""What is published: the files of a verified export with their sums, and the record of the publication."""

import getpass
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bert_serving import __version__
from bert_serving.publishing.storage.file_sums import GRAPH_FILE, PUBLICATION_FILE, SUMS_FILE, FileSums, sums_of
from bert_serving.publishing.storage.location import Progress


@dataclass(frozen=True)
class Package:
    """The files of one version.

    Attributes:
        source: the version folder that they come from.
        sums: of all files but the list itself.
        written: files that publishing adds, by name: the record and the list.
    """

    source: Path
    sums: FileSums
    written: dict[str, bytes]

    @property
    def names(self) -> list[str]:
        """Every file in the order of publication: what makes a folder a version goes last."""
        first = sorted(name for name in {*self.sums.digests, *self.written} if name != GRAPH_FILE)
        return [*first, GRAPH_FILE]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(
            len(self.written[name]) if name in self.written else (self.source / name).stat().st_size
            for name in self.names
        )

    def digest(self, name: str) -> str:
        """sha256 of a file in hex; the list of the sums is not in itself."""
        return _sha256(self.written[name]) if name in self.written else self.sums.digests[name]


def pack(source: Path, record: dict[str, Any], progress: Progress) -> Package:
    """Reads a version folder and adds the record of its publication.

    Args:
        source: the version folder.
        record: what the record says besides time, person and program.
        progress: told of the bytes read.

    Raises:
        PublishError: a file cannot be read.
    """
    sums = sums_of(source, progress)
    written = {
        "format": 1,
        **record,
        "published": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": f"{_user()}@{socket.gethostname()}",
        "program": f"bert-serving {__version__}",
    }
    content = (json.dumps(written, indent=2, ensure_ascii=False) + "\n").encode()
    sums = FileSums({**sums.digests, PUBLICATION_FILE: _sha256(content)})
    return Package(source, sums, {PUBLICATION_FILE: content, SUMS_FILE: sums.text()})


def meter(total: int, tell: Callable[[int, int], None]) -> Progress:
    """Adds up bytes and tells the sum and the total."""
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        tell(min(done, total), total)

    return add


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
