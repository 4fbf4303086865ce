"""Downloads a repository of the Hugging Face Hub, all files at one commit.

Without the library huggingface_hub, which (2.4) starts an interrupted download again, has no size limit, needs a mirror that
sends commit and entity tag with each file, and is not part of a plain installation.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from bert_serving.encoders.download.http import Downloader, Progress, mirror_or, no_progress
from bert_serving.encoders.folder import COMMIT, COMMIT_FILE, DOCUMENTS, ENCODER, PREPROCESSING
from bert_serving.encoders.safetensors_file import SHARDS_FILE, WEIGHTS_FILE, shard_names
from bert_serving.errors import SourceError

VOCABULARIES = ("vocab.txt", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "tokenizer.json")
# Byte-level BPE has its vocabulary in two files.
_BESIDE = {"vocab.json": "merges.txt"}
OPTIONAL_FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", *DOCUMENTS)
CHECKPOINT = ("bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001")

_DEFAULT_ENDPOINT = "https://huggingface.co"
_MOST_FILES = 1000


@dataclass(frozen=True, kw_only=True)
class HuggingFaceSource:
    """A repository of the Hugging Face Hub, or of the mirror that HF_ENDPOINT names."""

    repository: str
    revision: str = "main"
    sha256: str | None = None
    """of `model.safetensors`"""

    def __str__(self) -> str:
        """As messages name it."""
        return f"Hugging Face repository {self.repository} ({self.revision})"


def hugging_face_endpoint() -> str:
    """Address of the Hugging Face Hub, or of its mirror in HF_ENDPOINT.

    Raises:
        SourceError: HF_ENDPOINT is not an address.
    """
    return mirror_or("HF_ENDPOINT", _DEFAULT_ENDPOINT)


def download_repository(source: HuggingFaceSource, target: Path, progress: Progress, downloader: Downloader) -> None:
    """Downloads a Hugging Face folder, or an encoder folder that `bert-serving share` uploaded.

    Args:
        source: the repository.
        target: an empty folder; also gets `commit.txt`, where the commit is known.
        progress: called while the weights arrive.
        downloader: sends the token, where there is one.

    Raises:
        SourceError: a required file could not be downloaded.
        EncoderError: the index of the weights is damaged.
    """
    # One commit for all files: a push in between must not mix two states.
    revision, names = _list_repository(downloader, source) or (source.revision, set())
    address = f"{hugging_face_endpoint()}/{quote(source.repository)}/resolve/{quote(revision, safe='')}"
    if COMMIT.fullmatch(revision):
        (target / COMMIT_FILE).write_text(revision + "\n", "utf-8")

    def get(name: str, *, optional: bool = False, sha256: str | None = None, progress: Progress = no_progress) -> bool:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        url = f"{address}/{quote(name)}"
        return downloader.fetch(url, target / name, progress=progress, sha256=sha256, optional=optional)

    if {f"{part}/saved_model.pb" for part in (ENCODER, PREPROCESSING)} <= names:
        for name in sorted(names):
            if name in DOCUMENTS or name.startswith((f"{ENCODER}/", f"{PREPROCESSING}/")):
                get(name, progress=progress)
        return
    get("config.json")
    *vocabularies, rules = VOCABULARIES
    found = next((name for name in vocabularies if get(name, optional=True)), None)
    if found in _BESIDE:
        get(_BESIDE[found], optional=True)
    # tokenizer.json is fetched beside another vocabulary, too: it has rules that no other file has.
    if not get(rules, optional=True) and found is None:
        raise SourceError(f"has no {VOCABULARIES[0]} (HTTP 404)")
    for name in OPTIONAL_FILES:
        get(name, optional=True)
    if get(WEIGHTS_FILE, optional=True, sha256=source.sha256, progress=progress):
        return
    if get(SHARDS_FILE, optional=True):
        for shard in shard_names(target / SHARDS_FILE):
            get(shard, progress=progress)
        return
    # The checkpoint of BERT's own repositories, older than the other formats.
    index, data = CHECKPOINT
    if not get(index, optional=True):
        raise SourceError(f"has no {WEIGHTS_FILE} (HTTP 404)")
    get(data, progress=progress)


def _list_repository(downloader: Downloader, source: HuggingFaceSource) -> tuple[str, set[str]] | None:
    """Commit and file names of a repository; None where the server has no valid listing, such as a mirror of files alone."""
    repository, revision = quote(source.repository), quote(source.revision, safe="")
    listing = downloader.read_json(f"{hugging_face_endpoint()}/api/models/{repository}/revision/{revision}")
    try:
        commit, names = listing["sha"], {file["rfilename"] for file in listing["siblings"]}
        is_valid = COMMIT.fullmatch(commit) and len(names) <= _MOST_FILES and all(map(_stays_inside, names))
    except (KeyError, TypeError):
        return None
    return (commit, names) if is_valid else None


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and "\\" not in name and "\0" not in name and not path.is_absolute() and ".." not in path.parts
