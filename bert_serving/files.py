"""Files and paths that the user names; a file is written as a whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path

_GLOB_CHARACTERS = "*?[\\"


def check_writable(path: Path) -> None:
    """Makes sure, before the long work starts, that a file can be written there.

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


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file; one of that name is replaced only once the new one is complete.

    A link stays, the file that it leads to is replaced; a device or a pipe is written into.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    if _is_device(path):
        path.write_bytes(content)
        return
    path = path.resolve()
    temporary = path.with_name(f".{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def glob_characters(path: Path) -> str:
    """Characters of a path that keep TensorFlow from reading variables there: it takes the path for a pattern."""
    return "".join(character for character in _GLOB_CHARACTERS if character in str(path))
