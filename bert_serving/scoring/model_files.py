"""The files of the model that a job scores with: found, fetched, and told apart by their digest."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from bert_serving.contract import GRAPH_FILE, RUN_FILE, Head, Thresholds
from bert_serving.errors import DataError, ExportError, InputError
from bert_serving.extras import naming_extras
from bert_serving.io.cache import folder_sha256
from bert_serving.names import version_number
from bert_serving.saved_model.manifest import Manifest, load_manifest
from bert_serving.saved_model.versions import latest_version
from bert_serving.scoring.paths import is_local


@dataclass(frozen=True)
class ModelFiles:
    """An export that a job scores with.

    Attributes:
        path: its version folder, a path or a URL.
        name: the model's name.
        version: its version.
        digest: SHA-256 over the names and contents of its files.
        labels: names of the probabilities, in order; empty for a regression.
        head: what it predicts.
        pairs: whether it takes pairs of texts.
        sequence_length: tokens at which it truncates.
        thresholds: by which it predicts labels from probabilities; () without fitted ones.
    """

    path: str
    name: str
    version: int
    digest: str
    labels: tuple[str, ...]
    head: Head
    pairs: bool
    sequence_length: int
    thresholds: Thresholds = ()


def find_model(model: str) -> ModelFiles:
    """The export that a setting names.

    Raises:
        InputError: it is a server's address or a run folder; MissingExtraError: a URL needs the extra beam.
        ExportError: there is no export, or it has no manifest.
        DataError: the storage cannot be read.
    """
    if model.startswith(("grpc://", "http://", "https://")):
        raise InputError(
            f"{model}: is a server's address; give the export's folder, or use bert-serving predict --input"
        )
    if is_local(model):
        return _described(str(_local(Path(model)).resolve()))
    path = _latest(model.rstrip("/"))
    with fetched(path) as folder:
        return _described(path, folder)


def fetched(path: str) -> "FetchedModel":
    """The files of a version folder on this machine, copied if they are elsewhere; a context."""
    return FetchedModel(path)


class FetchedModel:
    """A local folder with a model's files, which is removed afterwards if it is a copy."""

    def __init__(self, path: str):
        """Fetches nothing yet."""
        self._path = path
        self._copy: Path | None = None

    def __enter__(self) -> Path:
        """The local folder.

        Raises:
            DataError: a file cannot be read.
        """
        if is_local(self._path):
            return Path(self._path)
        self._copy = Path(tempfile.mkdtemp(prefix="bert-serving-model-"))
        storage = _storage()
        for status in storage.find_files(f"{self._path}/**"):
            name = status.path.removeprefix(self._path).lstrip("/")
            target = self._copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with storage.open_stored(status.path) as file, target.open("wb") as copy:
                shutil.copyfileobj(file, copy)
        return self._copy

    def __exit__(self, *_: object) -> None:
        """Removes the copy."""
        if self._copy is not None:
            shutil.rmtree(self._copy, ignore_errors=True)


def check_digest(folder: Path, digest: str) -> None:
    """Checks that a folder holds the files that the job began with.

    Raises:
        ExportError: it holds others, or not all of them.
    """
    if folder_sha256(folder) != digest:
        raise ExportError(
            f"{folder}: its files changed since the job began; restore them, or score into another folder"
        )


def _local(path: Path) -> Path:
    if (path / RUN_FILE).is_file():
        raise InputError(f"{path}: is a run folder; export it first: bert-serving export {path} --to models")
    if not path.is_dir():
        raise ExportError(f"{path}: no such folder; give the folder that export wrote")
    return latest_version(path)


def _latest(url: str) -> str:
    """The version folder at a URL: itself if it holds a SavedModel, else its highest version."""
    if _storage().exists(f"{url}/{GRAPH_FILE}"):
        return url
    found = {
        number: name
        for name in {path.split("/")[-2] for path in _graphs(url)}
        if (number := version_number(name)) is not None
    }
    if not found:
        raise ExportError(f"{url}: neither a SavedModel nor a folder of versions; give what export wrote")
    return f"{url}/{found[max(found)]}"


def _graphs(url: str) -> list[str]:
    try:
        return [status.path for status in _storage().find_files(f"{url}/*/{GRAPH_FILE}")]
    except DataError:
        return []


def _storage() -> ModuleType:
    """Storage elsewhere, which Beam reads; an engine that has a model on its own disks needs no Beam."""
    with naming_extras("a model at a URL", "beam"):
        from bert_serving.scoring import storage  # noqa: PLC0415  see above
    return storage


def _described(path: str, folder: Path | None = None) -> ModelFiles:
    folder = folder or Path(path)
    manifest: Manifest | None = load_manifest(folder)
    if manifest is None:
        raise ExportError(
            f"{path}: has no manifest (assets.extra/bert_serving.json); give a SavedModel that export wrote"
        )
    return ModelFiles(
        path,
        manifest.name,
        manifest.version,
        folder_sha256(folder),
        manifest.labels,
        manifest.head,
        manifest.pairs,
        manifest.sequence_length,
        manifest.thresholds,
    )
