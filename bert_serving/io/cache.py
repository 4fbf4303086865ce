"""The cache of downloaded and converted encoders."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from bert_serving.errors import EncoderError
from bert_serving.io.files import flush, flush_tree

MANIFEST = "manifest.json"

_FORMAT = 1
# No leading dot: names with one belong to locks and to folders in the making.
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

FileTable = dict[str, dict[str, int | str]]
"""size and sha256 of each file by its relative name"""


def cache_folder() -> Path:
    """Folder of the cache: BERT_SERVING_CACHE, else XDG_CACHE_HOME/bert_serving, else ~/.cache/bert_serving.

    Raises:
        EncoderError: none of them is set and the user has no home folder.
    """
    if own := os.environ.get("BERT_SERVING_CACHE"):
        # Not Path.expanduser, which raises an error where the user has no home folder.
        return Path(os.path.expanduser(own)).absolute()  # noqa: PTH111  as above
    # The XDG base directory specification: "If an implementation encounters a relative path [...] ignore it".
    if (shared := os.environ.get("XDG_CACHE_HOME", "")) and Path(shared).is_absolute():
        return Path(shared) / "bert_serving"
    try:
        return Path.home() / ".cache" / "bert_serving"
    except RuntimeError:
        raise EncoderError("this user has no home folder; set BERT_SERVING_CACHE to a folder for the cache") from None


def cached(key: str, build: Callable[[Path], None]) -> Path:
    """Returns the folder `<cache>/<key>`; builds it first if it is absent or damaged.

    `build` fills an empty folder, which is renamed once it is complete and on disk. Of several processes that need the same key
    one builds and the others wait. Leftovers of a killed process are removed.

    Args:
        key: name of the entry: letters, digits, dots, dashes and underscores; no dot at its start.
        build: fills the folder it is called with; must not write a `manifest.json` at its top. Its errors pass through, except an
            OSError.

    Raises:
        EncoderError: the key is not a valid name, the cache cannot be written, or `build` raised an OSError.
    """
    if (entry := find_cached(key)) is not None:
        return entry
    folder = cache_folder()
    entry = folder / key
    with _locked(folder, key):
        if not _is_whole(entry):
            _build(entry, build)
    return entry


def cached_intact(key: str, build: Callable[[Path], None], *, damaged: Callable[[str], None] | None = None) -> Path:
    """As `cached`, but compares the digest of every file; `cached` compares sizes only.

    Args:
        key: as for `cached`.
        build: as for `cached`.
        damaged: called with one line about an entry that is built again.

    Raises:
        EncoderError: as for `cached`.
    """
    folder = cached(key, build)
    if not (changed := _changed_files(folder)):
        return folder
    if damaged is not None:
        damaged(f"{folder}: {changed[0]} changed since it was written; the entry is built again")
    with _locked(folder.parent, folder.name):
        # Unless another process has done so meanwhile.
        if _is_whole(folder) and _changed_files(folder):
            with _writable(folder.parent):
                (folder / MANIFEST).unlink()
    return cached(key, build)


def find_cached(key: str) -> Path | None:
    """The folder `<cache>/<key>`; None where it is absent or damaged.

    Raises:
        EncoderError: the key is not a valid name.
    """
    if not _KEY.fullmatch(key):
        raise EncoderError(
            f"{key!r} cannot name an entry of the cache; use letters, digits, dots, dashes and underscores"
        )
    entry = cache_folder() / key
    return entry if _is_whole(entry) else None


def folder_sha256(path: Path) -> str:
    """Digest of a folder's content: names and bytes of all its files.

    It is the sha256 of the output of `sha256sum` for the files in the order of their names, relative to the folder. A
    `manifest.json` at the folder's top is left out, so that a cache entry has the digest of the folder it was copied from.

    Raises:
        EncoderError: there is no such folder, or a file in it cannot be read.
    """
    path = Path(path)
    if not path.is_dir():
        raise EncoderError(f"{path}: no such folder; check the path")
    try:
        return _table_sha256(_file_table(path))
    except OSError as error:
        raise EncoderError(f"{error.filename}: cannot be read: {error.strerror}; check its permissions") from None


def file_sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorded_sha256(entry: Path, part: str) -> str:
    """The `folder_sha256` of a folder inside a cache entry, as recorded when the entry was built.

    Raises:
        EncoderError: the manifest cannot be read.
    """
    with _readable(entry):
        table = _recorded(entry)
        inside = {name.removeprefix(f"{part}/"): file for name, file in table.items() if name.startswith(f"{part}/")}
        return _table_sha256(inside)


def _changed_files(entry: Path) -> list[str]:
    """Names of the files whose bytes are not those of the manifest."""
    with _readable(entry):
        return [name for name, file in _recorded(entry).items() if file_sha256(entry / name) != file["sha256"]]


def _recorded(entry: Path) -> FileTable:
    table: FileTable = json.loads((entry / MANIFEST).read_text("utf-8"))["files"]
    return table


@contextmanager
def _readable(entry: Path) -> Iterator[None]:
    """Turns errors of reading an entry's manifest or files into one of ours."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise EncoderError(f"{entry / MANIFEST}: cannot be read: {error}; remove {entry}") from None


def _build(entry: Path, build: Callable[[Path], None]) -> None:
    """Builds an entry, and replaces a damaged one only then. The entry's lock must be held."""
    # Fixed names, so that leftovers of a killed process are removed; the lock keeps others out.
    part, old = (entry.with_name(f".{entry.name}.{state}") for state in ("part", "old"))
    with _writable(entry.parent):
        _remove(part)
        _remove(old)
        part.mkdir()
    try:
        with _writable(entry.parent):
            build(part)
            _seal(part, entry.name)
            if os.path.lexists(entry):
                entry.rename(old)
            part.rename(entry)
            flush(entry.parent)
            _remove(old)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _seal(folder: Path, key: str) -> None:
    """Writes the manifest and syncs the folder to disk."""
    manifest = folder / MANIFEST
    if manifest.exists():
        raise EncoderError(f"cache entry {key!r}: its build wrote {MANIFEST}, a name that is reserved for the cache")
    table = _file_table(folder)
    content = {"format": _FORMAT, "key": key, "folder_sha256": _table_sha256(table), "files": table}
    manifest.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    flush_tree(folder)


def _is_whole(entry: Path) -> bool:
    try:
        manifest = json.loads((entry / MANIFEST).read_text("utf-8"))
        return manifest["format"] == _FORMAT and all(
            (entry / name).stat().st_size == file["size"] for name, file in manifest["files"].items()
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _file_table(folder: Path) -> FileTable:
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    names.pop(MANIFEST, None)
    return {name: {"size": names[name].stat().st_size, "sha256": file_sha256(names[name])} for name in sorted(names)}


def _table_sha256(table: FileTable) -> str:
    lines = "".join(f"{file['sha256']}  {name}\n" for name, file in table.items())
    return hashlib.sha256(os.fsencode(lines)).hexdigest()


@contextmanager
def _locked(folder: Path, key: str) -> Iterator[None]:
    lock = FileLock(folder / f".{key}.lock")
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        # A build may read files outside the cache; a path inside it is temporary, so it is not shown.
        if isinstance(error.filename, str) and not Path(error.filename).is_relative_to(folder):
            reason = f"{error.filename}: {reason}"
        raise EncoderError(
            f"{folder}: cannot write the cache: {reason}; make room or set BERT_SERVING_CACHE to another folder"
        ) from None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
