"""A repository of the Hugging Face Hub: what it holds, at one commit.

The hub's interface for programs tells both; a mirror that has only the files is asked for those by their usual names.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from bert_serving.encoders.download.http import Downloader, Progress, mirror_or, no_progress
from bert_serving.encoders.safetensors_file import SHARDS_FILE, WEIGHTS_FILE, shard_names
from bert_serving.errors import SourceError

ENCODER = "encoder"
PREPROCESSING = "preprocessing"
DOCUMENTS = ("README.md", "LICENSE", "LICENSE.txt", "NOTICE")
COMMIT_FILE = "commit.txt"
"""beside an encoder: the commit of the repository that it came from"""

VOCABULARIES = ("vocab.txt", "spiece.model", "tokenizer.json")
OPTIONAL_FILES = ("tokenizer_config.json", *DOCUMENTS)
CHECKPOINT = ("bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001")
_DEFAULT_ENDPOINT = "https://huggingface.co"

TOKEN_REMEDY = "; HF_TOKEN opens what is not public"

_COMMIT = re.compile(r"[0-9a-f]{40}")
_MOST_FILES = 1000


@dataclass(frozen=True, kw_only=True)
class HuggingFaceSource:
    """A repository of the Hugging Face Hub, or of the mirror that HF_ENDPOINT names."""

    repository: str
    revision: str = "main"
    sha256: str | None = None
    """of `model.safetensors`"""

    def __str__(self) -> str:
        return f"Hugging Face repository {self.repository} ({self.revision})"


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


def hub_endpoint() -> str:
    """Address of the Hugging Face Hub, or of the hub that HF_ENDPOINT names.

    Raises:
        SourceError: HF_ENDPOINT is no address.
    """
    return mirror_or("HF_ENDPOINT", _DEFAULT_ENDPOINT)


def access_token() -> str | None:
    """HF_TOKEN, which opens private and gated repositories."""
    return os.environ.get("HF_TOKEN") or None


def download_repository(source: HuggingFaceSource, arrived: Path, progress: Progress, downloader: Downloader) -> None:
    """Fills `arrived` with a Hugging Face folder, or with an encoder folder as `bert-serving share` uploads it.

    Args:
        source: the repository.
        arrived: an empty folder; gets `commit.txt`, too, where the commit is known.
        progress: called while the weights arrive.
        downloader: asks with the token, where there is one.

    Raises:
        SourceError: a file that it needs could not be fetched.
        EncoderError: the index of its weights is damaged.
    """
    listing = list_repository(downloader, hub_endpoint(), source.repository, source.revision)
    # One commit for all files: a push in between must not mix two states.
    revision = source.revision if listing is None else listing.commit
    folder = f"{hub_endpoint()}/{quote(source.repository)}/resolve/{quote(revision, safe='')}"
    if _COMMIT.fullmatch(revision):
        (arrived / COMMIT_FILE).write_text(revision + "\n", "utf-8")
    if listing is not None and listing.has(*(f"{part}/saved_model.pb" for part in (ENCODER, PREPROCESSING))):
        for name in [*DOCUMENTS, *listing.below(ENCODER, PREPROCESSING)]:
            if listing.has(name):
                (arrived / name).parent.mkdir(parents=True, exist_ok=True)
                downloader.fetch(f"{folder}/{quote(name)}", arrived / name, progress=progress)
        return

    def get(name: str, *, optional: bool = False, sha256: str | None = None, progress: Progress = no_progress) -> bool:
        return downloader.fetch(f"{folder}/{name}", arrived / name, progress=progress, sha256=sha256, optional=optional)

    get("config.json")
    # tokenizer.json beside another vocabulary, too: it tells rules that no other file does.
    *vocabularies, rules = VOCABULARIES
    found = any(get(name, optional=True) for name in vocabularies)
    if not get(rules, optional=True) and not found:
        raise SourceError(f"has no {VOCABULARIES[0]} (HTTP 404)")
    for name in OPTIONAL_FILES:
        get(name, optional=True)
    if get(WEIGHTS_FILE, optional=True, sha256=source.sha256, progress=progress):
        return
    if get(SHARDS_FILE, optional=True):
        for shard in shard_names(arrived / SHARDS_FILE):
            get(shard, progress=progress)
        return
    # The checkpoint of BERT's own repository, from before there was another form.
    index, data = CHECKPOINT
    if not get(index, optional=True):
        raise SourceError(f"has no {WEIGHTS_FILE} (HTTP 404)")
    get(data, progress=progress)


def read_commit(folder: Path) -> str | None:
    """The commit of the repository that an encoder folder was made of; None where it came another way."""
    try:
        found = (folder / COMMIT_FILE).read_text("utf-8").strip()
    except (OSError, ValueError):
        return None
    return found if _COMMIT.fullmatch(found) else None


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
