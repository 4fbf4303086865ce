"""Storage locations of models: a folder, or a URL that fsspec can open, such as s3:// and gs://."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bert_serving.errors import BertServingError, PublishError
from bert_serving.publishing.storage.address import check_address
from bert_serving.publishing.storage.file_sums import stream_digest
from bert_serving.saved_model.versions import names_by_version

# Beginnings of the class names of the storage libraries' errors, and what the user can do about
# them.
_ADVICE = {
    "NoCredentials": "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "PartialCredentials": "the credentials are incomplete; set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "DefaultCredentials": "no credentials were found; run `gcloud auth application-default login`",
    "ProfileNotFound": "AWS_PROFILE is not a profile in ~/.aws/config; correct it or unset it",
    "PermissionError": "access denied; the credentials need list, read, write and delete permission",
    "EndpointConnection": "cannot connect to the storage; check the network and AWS_ENDPOINT_URL",
    "ConnectTimeout": "the connection to the storage timed out; check the network and AWS_ENDPOINT_URL",
    "ClientConnector": "cannot connect to the storage; check the network",
}
_IN_EXTRA = ("s3:", "s3a:", "gs:", "gcs:")
Progress = Callable[[int], None]
"""called with the number of bytes transferred since the last call"""


def open_location(url: str) -> "Location":
    """Opens a storage location by URL or path, without a request to the storage.

    Raises:
        PublishError: the URL is not supported, or a package for it is not installed.
    """
    check_address(url)
    try:
        import fsspec  # noqa: PLC0415  optional extra
    except ImportError:
        raise PublishError(f"{url}: fsspec is not installed; pip install 'bert-serving[publish]'") from None
    # gcsfs queries a second API for the bucket layout, which only zonal buckets need, and warns on
    # every call without access.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    address = url if "://" in url else str(Path(url).absolute())
    try:
        # Cached listings would hide the files of other publishers.
        files, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        # The extra brings the packages for S3 and Google's storage; fsspec names those for others.
        advice = "; pip install 'bert-serving[publish]'" if url.startswith(_IN_EXTRA) else ""
        raise PublishError(f"{url}: {error}{advice}") from None
    except (ValueError, OSError) as error:
        raise PublishError(f"{url}: {error}; give a folder, or a URL such as s3://bucket/models") from None
    return Location(url.rstrip("/"), files, root.rstrip("/"))


def _with_plain_errors(function: Any) -> Any:
    """Wraps a method so that any exception of a storage library becomes a one-line PublishError."""

    @functools.wraps(function)
    def call(self: "Location", *arguments: Any) -> Any:
        try:
            return function(self, *arguments)
        except (BertServingError, AttributeError, NameError, TypeError):
            raise  # raised on purpose, or a bug in this project
        except FileNotFoundError as error:
            raise PublishError(f"{self.url}: not found: {_line(error)}; check the name of the bucket") from None
        except Exception as error:  # noqa: BLE001  every storage library has exception classes of its own
            names = [kind.__name__ for cause in _chain(error) for kind in type(cause).__mro__]
            advice = [text for start, text in _ADVICE.items() if any(name.startswith(start) for name in names)]
            raise PublishError(f"{self.url}: {advice[0] if advice else _line(error)}") from None

    return call


@dataclass(frozen=True)
class Location:
    """A folder in a storage, with the operations that publishing needs.

    Attributes:
        url: as the user wrote it, for messages.
        files: the fsspec file system.
        root: path of the folder in that file system.
    """

    url: str
    files: Any
    root: str

    @property
    def name(self) -> str:
        """Last part of the URL."""
        return self.root.rsplit("/", 1)[-1]

    @property
    def folder(self) -> Path | None:
        """The folder as a local path; None for object storages."""
        protocols = self.files.protocol
        local = "file" in (protocols if isinstance(protocols, tuple) else (protocols,))
        return Path(self.root) if local else None

    def below(self, name: str) -> Self:
        """A subfolder."""
        return type(self)(f"{self.url}/{name}", self.files, f"{self.root}/{name}")

    @_with_plain_errors
    def check(self) -> None:
        """Checks that the storage answers: that the bucket exists and the credentials work.

        Raises:
            PublishError: they do not; this and every other operation turns a storage's error into
                one line.
        """
        if self.folder is None:
            bucket = self.root.split("/")[0]
            with contextlib.suppress(NotImplementedError):
                self.files.ls(bucket, detail=False)

    @_with_plain_errors
    def names(self) -> list[str]:
        """Sorted names of the files and folders in this folder; empty if it does not exist."""
        return sorted(self._are_folders())

    @_with_plain_errors
    def versions(self) -> dict[int, list[str]]:
        """Names of the version folders in this folder, as `names_by_version`."""
        return names_by_version(name for name, is_folder in self._are_folders().items() if is_folder)

    def _are_folders(self) -> dict[str, bool]:
        """Names in this folder, and whether each is that of a folder."""
        try:
            if self.folder is not None:  # fsspec does not say where symbolic links lead
                return {path.name: path.is_dir() for path in self.folder.iterdir()}
            children = self.files.ls(self.root, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        found: dict[str, bool] = {}
        for child in children:
            path = child["name"].rstrip("/")
            # Some storages also list an empty marker object for the folder itself; an object may have a folder's name.
            if path != self.root:
                name = path.rsplit("/", 1)[-1]
                found[name] = found.get(name, False) or child["type"] == "directory"
        return found

    @_with_plain_errors
    def sizes(self) -> dict[str, int]:
        """Size in bytes of every file below this folder, by relative name."""
        files = self.files.find(self.root, detail=True)
        return {
            name.removeprefix(f"{self.root}/"): int(details["size"])
            for name, details in files.items()
            if details["type"] == "file" and name.startswith(f"{self.root}/") and not name.endswith("/")
        }

    @_with_plain_errors
    def read(self, name: str) -> bytes | None:
        """Content of a small file; None if it does not exist."""
        try:
            return bytes(self.files.cat_file(f"{self.root}/{name}"))
        except (FileNotFoundError, NotADirectoryError):
            return None

    @_with_plain_errors
    def digest(self, name: str, progress: Progress) -> str | None:
        """SHA-256 of a file as stored, in hex; None if it does not exist."""
        try:
            with self.files.open(f"{self.root}/{name}", "rb") as stream:
                return stream_digest(stream, progress)
        except FileNotFoundError:
            return None

    @_with_plain_errors
    def create(self, name: str, content: bytes) -> bool:
        """Writes a small file unless one of that name exists.

        Returns:
            False if it exists; of two concurrent writers, one gets False.
        """
        try:
            self.files.pipe_file(f"{self.root}/{name}", content, mode="create")
        except FileExistsError:
            return False
        return True

    @_with_plain_errors
    def upload(self, source: Path, name: str, progress: Progress) -> bool:
        """Uploads a file unless one of that name exists.

        Returns:
            False if it exists; of two concurrent writers, one gets False.
        """
        try:
            self.files.put_file(str(source), f"{self.root}/{name}", callback=_byte_callback(progress), mode="create")
        except FileExistsError:
            return False
        return True

    @_with_plain_errors
    def remove(self, name: str) -> None:
        """Deletes a file, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            self.files.rm_file(f"{self.root}/{name}")


def _byte_callback(progress: Progress) -> Any:
    """An fsspec callback that reports the bytes since its last call."""
    from fsspec.callbacks import Callback  # noqa: PLC0415  optional extra

    class Bytes(Callback):  # type: ignore[misc]  # fsspec has no annotations
        def relative_update(self, inc: int = 1) -> None:
            super().relative_update(inc)
            progress(inc)

        def absolute_update(self, value: int) -> None:
            progress(value - self.value)
            super().absolute_update(value)

    return Bytes()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes, innermost last."""
    visited: list[BaseException] = []
    while error is not None and error not in visited:
        visited.append(error)
        yield error
        error = error.__cause__ or error.__context__


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
