"""Files on this machine, s3:// and gs://, through Apache Beam's file systems."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bert_serving.errors import DataError
from bert_serving.io.files import TEMPORARY, write_whole
from bert_serving.io.quiet_import import quiet_import
from bert_serving.scoring.paths import is_local as is_local

with quiet_import():
    from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

_NEEDED = {
    "s3": "boto3, which the extra beam installs",
    "gs": "pip install 'apache-beam[gcp]'",
    "hdfs": "hdfs_namenode options",
}


@dataclass(frozen=True)
class FileStatus:
    """A file that exists.

    Attributes:
        path: its path or URL.
        size: bytes.
        changed: time of its last change, seconds since 1970; 0 where the storage does not tell.
    """

    path: str
    size: int
    changed: float


def use_options(options: PipelineOptions) -> None:
    """Sets the options with the storage's addresses and credentials, such as --s3_endpoint_url."""
    FileSystems.set_options(options)


def find_files(pattern: str) -> list[FileStatus]:
    """The files that match a path or pattern, by name.

    Raises:
        DataError: none matches, or the storage cannot be read.
    """
    found = _matched(pattern)
    if not found:
        raise DataError(
            f"{pattern}: no such file; check the path, or quote a pattern so that the shell leaves it alone"
        )
    return sorted((_status(each) for each in found), key=lambda file: file.path)


def file_names(folder: str) -> list[str]:
    """Names of the files in a folder, without those in its folders; none where there is no folder."""
    if is_local(folder):
        return sorted(path.name for path in Path(folder).iterdir() if path.is_file()) if Path(folder).is_dir() else []
    return sorted(each.path.rpartition("/")[2] for each in _matched(f"{folder}/*"))


def has_files(folder: str, *, other_than: str) -> bool:
    """Whether anything lies in a folder, besides one of its folders."""
    if is_local(folder):
        path = Path(folder)
        return path.exists() and (not path.is_dir() or any(each.name != other_than for each in path.iterdir()))
    return any(not each.path.startswith(f"{folder}/{other_than}/") for each in _matched(f"{folder}/**"))


def remove_unfinished(folder: str) -> None:
    """Removes what a killed process left of a file that it was writing; object stores show no such thing."""
    if is_local(folder) and Path(folder).is_dir():
        for path in Path(folder).glob(f"{TEMPORARY}*"):
            path.unlink(missing_ok=True)


def exists(path: str) -> bool:
    """Whether a file exists."""
    try:
        return bool(FileSystems.exists(path))
    except Exception as error:  # noqa: BLE001  every file system raises its own
        raise _unreadable(path, error) from None


def open_file(path: str) -> IO[bytes]:
    """Opens a file for reading; one whose name ends in .gz is decompressed.

    Raises:
        DataError: it cannot be opened.
    """
    return _opened(path, CompressionTypes.GZIP if path.lower().endswith(".gz") else CompressionTypes.UNCOMPRESSED)


def open_stored(path: str) -> IO[bytes]:
    """Opens a file for reading, as it is stored.

    Raises:
        DataError: it cannot be opened.
    """
    return _opened(path, CompressionTypes.UNCOMPRESSED)


def _opened(path: str, compression: str) -> IO[bytes]:
    try:
        opened: IO[bytes] = FileSystems.open(path, compression_type=compression)
    except Exception as error:  # noqa: BLE001  every file system raises its own
        raise _unreadable(path, error) from None
    return opened


def read_file(path: str) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: it cannot be read.
    """
    with open_file(path) as file:
        try:
            return file.read()
        except Exception as error:  # noqa: BLE001  every file system raises its own
            raise _unreadable(path, error) from None


def write_file(path: str, content: bytes) -> None:
    """Writes a file as a whole: a reader sees all of it or the former one.

    An object store shows an object when its upload is complete; a local file is written beside its place and renamed.

    Raises:
        DataError: it cannot be written.
    """
    try:
        if is_local(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            write_whole(Path(path), content, flushed=True)
            return
        with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            file.write(content)
    except Exception as error:  # noqa: BLE001  every file system raises its own
        raise DataError(
            f"{path}: cannot write it: {_reason(error)}; check the path, its permissions and free space"
        ) from None


def delete_files(paths: Sequence[str]) -> None:
    """Deletes files; one that is missing is no error."""
    present = [path for path in paths if exists(path)]
    if present:
        FileSystems.delete(present)


def seekable(path: str) -> Any:
    """A file that can be read from any place, as Parquet needs it.

    Raises:
        DataError: it cannot be opened.
    """
    file = open_file(path)
    return file if is_local(path) else io.BufferedReader(file)  # type: ignore[type-var]


def joined(folder: str, *names: str) -> str:
    """The path of a file in a folder."""
    return "/".join((folder.rstrip("/"), *names)) if not is_local(folder) else str(Path(folder, *names))


def _matched(pattern: str, limit: int | None = None) -> list[FileMetadata]:
    scheme = pattern.partition("://")[0] if "://" in pattern else ""
    try:
        (result,) = FileSystems.match([pattern], None if limit is None else [limit])
    except ValueError as error:
        needed = _NEEDED.get(scheme)
        known = f"{scheme}:// needs {needed}" if needed else "give a local path, s3:// or gs://"
        raise DataError(f"{pattern}: cannot be read: {_reason(error)}; {known}") from None
    except Exception as error:  # noqa: BLE001  every file system raises its own
        raise _unreadable(pattern, error) from None
    found: list[FileMetadata] = result.metadata_list
    return found


def _status(found: FileMetadata) -> FileStatus:
    return FileStatus(found.path, found.size_in_bytes, float(found.last_updated_in_seconds or 0))


def _unreadable(path: str, error: Exception) -> DataError:
    return DataError(
        f"{path}: cannot be read: {_reason(error)}; check the address, its permissions and the credentials"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, BeamIOError) and error.exception_details:
        error = next(iter(error.exception_details.values()))
    lines = str(getattr(error, "strerror", None) or error).splitlines()
    return lines[0] if lines else type(error).__name__
