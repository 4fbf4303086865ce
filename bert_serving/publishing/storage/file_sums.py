"""SHA-256 sums of a version's files, in the format that `sha256sum -c` reads."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from bert_serving import contract
from bert_serving.contract import EXTRA_FOLDER
from bert_serving.errors import PublishError

SUMS_FILE = f"{EXTRA_FOLDER}/SHA256SUMS"
PUBLICATION_FILE = f"{EXTRA_FOLDER}/publication.json"
GRAPH_FILE = contract.GRAPH_FILE
"""a folder without this file is not a version: it is written last and deleted first"""

_CHUNK = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True)
class FileSums:
    """Sums of a version's files, without the list of sums itself.

    Attributes:
        digests: relative file name to SHA-256 in hex.
    """

    digests: Mapping[str, str]

    def same_model(self, other: "FileSums") -> bool:
        """Whether both describe the same model; the records of their publications may differ."""
        return _without_record(self.digests) == _without_record(other.digests)

    def text(self) -> bytes:
        """The list as `sha256sum` writes it."""
        return "".join(f"{digest}  {name}\n" for name, digest in sorted(self.digests.items())).encode()

    @classmethod
    def parse(cls, content: bytes, source: str) -> Self:
        """Reads the list.

        Args:
            content: the file's bytes.
            source: its location, for messages.

        Raises:
            PublishError: the list is damaged.
        """
        digests = {}
        for line in content.decode("utf-8", errors="replace").splitlines():
            match = _LINE.fullmatch(line)
            if match is None:
                raise PublishError(
                    f"{source}: damaged list of files: {line[:80]!r}; remove the version and publish again"
                )
            digests[match[2]] = match[1]
        return cls(digests)


def _without_record(digests: Mapping[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in digests.items() if name != PUBLICATION_FILE}


def sums_of(folder: Path) -> FileSums:
    """Reads every file of a version folder, except the files that an earlier publication added.

    Raises:
        PublishError: a file cannot be read.
    """
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return FileSums({name: file_digest(folder / name) for name in names if name not in (SUMS_FILE, PUBLICATION_FILE)})


def file_digest(path: Path, progress: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of a file in hex.

    Args:
        path: the file.
        progress: called with the bytes read since the last call.

    Raises:
        PublishError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream_digest(stream, progress)
    except OSError as error:
        raise PublishError(f"{path}: cannot read it: {error.strerror}; check its permissions") from None


def stream_digest(stream: IO[bytes], progress: Callable[[int], None]) -> str:
    """SHA-256 of the rest of a stream in hex."""
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        progress(len(chunk))
    return digest.hexdigest()
