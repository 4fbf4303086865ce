"""Publishing to a local or network folder: copied to a hidden folder, then renamed."""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from bert_serving.errors import PublishError
from bert_serving.io.files import flush, flush_tree
from bert_serving.publishing.storage.file_sums import file_digest
from bert_serving.publishing.storage.location import Progress
from bert_serving.publishing.storage.package import Package
from bert_serving.saved_model.versions import version_folders

_CHUNK = 1 << 20


def publish_in_folder(package: Package, model: Path, version: int, progress: Progress) -> None:
    """Copies a version, then renames it to its number; resumes an interrupted copy.

    Args:
        package: files to publish.
        model: folder of the model's versions; created if it does not exist.
        version: number of the new version.
        progress: called with the bytes copied and read back.

    Raises:
        PublishError: the version exists, another process is publishing it, or the folder cannot be
            written.
    """
    target = model / str(version)
    exists = f"{target}: version {version} exists and is never overwritten"
    try:
        model.mkdir(parents=True, exist_ok=True)
        with _locked(model / f".publishing-{version}.lock", target):
            if target.exists() or version in version_folders(model):
                raise PublishError(exists)
            staging = model / f".publishing-{version}"
            _copy_files(package, staging, progress)
            # Otherwise a power failure after the rename could leave files without their content.
            flush_tree(staging)
            staging.rename(target)
            flush(model)
    except OSError as error:
        # The rename fails so only if another program has created the folder in the meantime.
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise PublishError(exists) from None
        raise PublishError(f"{target}: cannot write it: {error.strerror}; free space or choose another --to") from None


def _copy_files(package: Package, staging: Path, progress: Progress) -> None:
    for path in [path for path in staging.rglob("*") if path.is_file()]:
        if path.relative_to(staging).as_posix() not in package.names:
            path.unlink()
    for name in package.names:
        path = staging / name
        if path.is_file() and file_digest(path, progress) == package.digest(name):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in package.generated:
            path.write_bytes(package.generated[name])
        else:
            _copy(package.source / name, path, progress)
        if file_digest(path, progress) != package.digest(name):
            raise PublishError(f"{path}: differs from {package.source / name} after the copy; publish again")


def _copy(source: Path, target: Path, progress: Progress) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)
            progress(len(chunk))
    shutil.copymode(source, target)


@contextlib.contextmanager
def _locked(path: Path, target: Path) -> Iterator[None]:
    """Holds a file lock, which the system releases when the process ends in any way."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PublishError(f"{target}: another process is publishing this version; wait for it") from None
            # The previous holder may have deleted the file between open and lock.
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
