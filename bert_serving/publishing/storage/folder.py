"""Publishing into a folder of this machine or of a network: copied beside the versions, then renamed."""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from bert_serving.errors import PublishError
from bert_serving.files import flush, flush_tree
from bert_serving.publishing.storage.file_sums import file_digest
from bert_serving.publishing.storage.location import Progress
from bert_serving.publishing.storage.package import Package

_CHUNK = 1 << 20


def publish_in_folder(package: Package, model: Path, version: int, progress: Progress) -> None:
    """Copies a version and gives it its number in one step; one that was broken off goes on where it stood.

    Args:
        package: what to publish.
        model: the model's folder; made when there is none.
        version: its number there.
        progress: told of bytes copied and bytes read back.

    Raises:
        PublishError: the version is there, another process publishes it, or the folder cannot be written.
    """
    target = model / str(version)
    try:
        model.mkdir(parents=True, exist_ok=True)
        with _alone(model / f".publishing-{version}.lock", target):
            if target.exists():
                raise PublishError(f"{target}: version {version} exists and is never overwritten")
            staging = model / f".publishing-{version}"
            _bring(package, staging, progress)
            flush_tree(staging)
            staging.rename(target)
            flush(model)
    except OSError as error:
        # Only a folder that another program made meanwhile can stand in the way of the rename.
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise PublishError(f"{target}: version {version} exists and is never overwritten") from None
        raise PublishError(f"{target}: cannot write it: {error.strerror}; make room or choose another --to") from None


def _bring(package: Package, staging: Path, progress: Progress) -> None:
    wanted = set(package.names)
    for path in sorted(staging.rglob("*"), reverse=True) if staging.exists() else ():
        if path.is_file() and path.relative_to(staging).as_posix() not in wanted:
            path.unlink()
    for name in package.names:
        path = staging / name
        if path.is_file() and file_digest(path, progress) == package.digest(name):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in package.written:
            path.write_bytes(package.written[name])
        else:
            _copy(package.source / name, path, progress)
        if file_digest(path, progress) != package.digest(name):
            raise PublishError(f"{path}: was copied, but differs from {package.source / name}; publish again")


def _copy(source: Path, target: Path, progress: Progress) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)
            progress(len(chunk))
    shutil.copymode(source, target)


@contextlib.contextmanager
def _alone(path: Path, target: Path) -> Iterator[None]:
    """Holds a lock that ends with the process, however it ends."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PublishError(f"{target}: another process publishes this version; wait for it") from None
            # The file may have been removed between open and lock by the one who held it.
            if not _is_at(descriptor, path):
                continue
            try:
                yield
            finally:
                path.unlink()
            return
        finally:
            os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
