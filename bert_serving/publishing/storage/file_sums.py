"""What a version consists of: the sha256 of each file, in the form that `sha256sum -c` reads."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bert_serving import contract
from bert_serving.contract import EXTRA_FOLDER
from bert_serving.errors import PublishError

SUMS_FILE = f"{EXTRA_FOLDER}/SHA256SUMS"
PUBLICATION_FILE = f"{EXTRA_FOLDER}/publication.json"
GRAPH_FILE = contract.GRAPH_FILE
"""a folder without it is no version: it goes last and is removed first"""

_CHUNK = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True)
class FileSums:
    """Files of a version, without the list itself.

    Attributes:
        digests: relative name to sha256 in hex.
    """

    digests: Mapping[str, str]

    def same_model(self, other: "FileSums") -> bool:
        """Whether both hold the same model, whoever published it when."""
        ours, theirs = (
            {name: each for name, each in one.digests.items() if name != PUBLICATION_FILE} for one in (self, other)
        )
        return ours == theirs

    def text(self) -> bytes:
        """The list as a file."""
        return "".join(f"{digest}  {name}\n" for name, digest in sorted(self.digests.items())).encode()

    @classmethod
    def parse(cls, content: bytes, source: str) -> "FileSums":
        """Reads the list.

        Raises:
            PublishError: it is damaged.
        """
        found = {}
        for line in content.decode("utf-8", errors="replace").splitlines():
            match = _LINE.fullmatch(line)
            if match is None:
                raise PublishError(
                    f"{source}: damaged list of files: {line[:80]!r}; remove the version and publish again"
                )
            found[match[2]] = match[1]
        return cls(found)


def sums_of(folder: Path, progress: Callable[[int], None]) -> FileSums:
    """Reads every file of a version folder; lists that an earlier publication left are passed over.

    Raises:
        PublishError: a file cannot be read.
    """
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return FileSums(
        {name: file_digest(folder / name, progress) for name in names if name not in (SUMS_FILE, PUBLICATION_FILE)}
    )


def file_digest(path: Path, progress: Callable[[int], None]) -> str:
    """sha256 of a file in hex.

    Raises:
        PublishError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream_digest(stream, progress)
    except OSError as error:
        raise PublishError(f"{path}: cannot read it: {error.strerror}") from None


def stream_digest(stream: IO[bytes], progress: Callable[[int], None]) -> str:
    """sha256 of the rest of a stream in hex."""
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        progress(len(chunk))
    return digest.hexdigest()
