"""Files and folders that are written as a whole or not at all."""

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

TEMPORARY = ".tmp-"
"""begins the names of files and folders that are not complete yet"""
_GLOB_CHARACTERS = "*?[\\"


def check_writable(path: Path) -> None:
    """Checks, before long work starts, that a file can be written.

    Raises:
        OSError: it cannot; `strerror` says why.
    """
    if path.is_dir():
        raise OSError(None, "is a folder")
    if not path.parent.is_dir():
        raise OSError(None, f"there is no folder {str(path.parent)!r}")
    if not _is_device(path):
        # Permissions do not tell of file systems that take no files.
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass


def write_whole(path: Path, content: bytes, *, flushed: bool = False) -> None:
    """Writes a file atomically: one of that name is replaced only once the new one is complete.

    A link stays, the file that it leads to is replaced; a device or a pipe is written into.

    Args:
        path: of the file.
        content: all of it.
        flushed: force the file to disk before the old one is replaced.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    if _is_device(path):
        path.write_bytes(content)
        return
    with whole_file(path.resolve()) as temporary:
        temporary.write_bytes(content)
        if flushed:
            flush(temporary)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that replaces it when the block ends without an error, and is removed otherwise."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{threading.get_ident()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new temporary folder beside `target` that is renamed to it when the block ends without an error.

    It is removed otherwise, and so is one that a killed process left. The rename fails where `target` is a folder with files.
    """
    temporary = target.with_name(f"{TEMPORARY}{target.name}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def flush_tree(folder: Path) -> None:
    """Forces every file of a folder to disk, so that a power cut after a rename leaves them complete."""
    for path in [*folder.rglob("*"), folder]:
        flush(path)


def flush(path: Path) -> None:
    """Forces a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def glob_characters(path: Path) -> str:
    """Characters of a path that keep TensorFlow from reading variables there: it takes the path for a pattern."""
    return "".join(character for character in _GLOB_CHARACTERS if character in str(path))


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()
