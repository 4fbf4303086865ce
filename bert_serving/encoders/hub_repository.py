"""A repository of the Hugging Face Hub: what it holds, at one commit.

The hub's interface for programs tells both; a mirror that has only the files is asked for those by their usual names.
"""

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from bert_serving.encoders.download import Downloader

TOKEN_REMEDY = "; HF_TOKEN opens what is not public"

_COMMIT = re.compile(r"[0-9a-f]{40}")
_MOST_FILES = 1000


@dataclass(frozen=True)
class Listing:
    """The files of a repository.

    Attributes:
        commit: 40 hexadecimal digits.
        names: relative paths with forward slashes, none of which leads out.
    """

    commit: str
    names: tuple[str, ...]

    def has(self, *names: str) -> bool:
        """Whether all of these are there."""
        return set(names) <= set(self.names)

    def below(self, *folders: str) -> list[str]:
        """The files in some folders."""
        return [name for name in self.names if PurePosixPath(name).parts[0] in folders and "/" in name]


def access_token() -> str | None:
    """HF_TOKEN, which opens private and gated repositories."""
    return os.environ.get("HF_TOKEN") or None


def list_repository(downloader: Downloader, endpoint: str, repository: str, revision: str) -> Listing | None:
    """What a repository holds at a branch, tag or commit; None where the server does not tell.

    Raises:
        SourceError: the server cannot be reached.
    """
    address = f"{endpoint}/api/models/{quote(repository)}/revision/{quote(revision, safe='')}"
    found = downloader.read_json(address)
    try:
        commit, names = found["sha"], tuple(each["rfilename"] for each in found["siblings"])
    except (KeyError, TypeError):
        return None
    if not (isinstance(commit, str) and _COMMIT.fullmatch(commit)) or len(names) > _MOST_FILES:
        return None
    return Listing(commit, names) if all(map(_stays_inside, names)) else None


def _stays_inside(name: object) -> bool:
    if not isinstance(name, str) or not name or "\\" in name or "\0" in name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
