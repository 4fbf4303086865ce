"""A place for models: a folder, or a URL of a storage that fsspec knows, such as s3:// and gs://."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bert_serving.errors import BertServingError, PublishError
from bert_serving.publishing.storage.file_sums import stream_digest

# Words of the libraries' errors (class names, by the start) and what a person can do.
_ADVICE = {
    "NoCredentials": "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "PartialCredentials": "the credentials are incomplete; set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "DefaultCredentials": "there are no credentials; run `gcloud auth application-default login`",
    "ProfileNotFound": "AWS_PROFILE names no profile of ~/.aws/config",
    "PermissionError": "the credentials may not do that; ask for the right to list, read, write and delete there",
    "EndpointConnection": "the storage cannot be reached; check the network and AWS_ENDPOINT_URL",
    "ConnectTimeout": "the storage does not answer; check the network and AWS_ENDPOINT_URL",
    "ClientConnector": "the storage cannot be reached; check the network",
}
Progress = Callable[[int], None]
"""told of bytes that went over"""


def open_place(url: str) -> "Place":
    """The place that a URL or a path means; nothing is asked of it yet.

    Raises:
        PublishError: the URL cannot be used, or a package for it is missing.
    """
    try:
        import fsspec
    except ImportError:
        raise PublishError(f"{url}: fsspec is not installed; pip install 'bert-serving[publish]'") from None
    # gcsfs asks a second API for a bucket's layout, which matters to zonal buckets only, and warns on every call where it may not.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    address = url if "://" in url else str(Path(url).absolute())
    try:
        # Listings that others change must not come from memory.
        files, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        raise PublishError(f"{url}: {error}; pip install 'bert-serving[publish]'") from None
    except ValueError as error:
        raise PublishError(f"{url}: {error}; give a folder, or a URL such as s3://bucket/models") from None
    return Place(url.rstrip("/"), files, root.rstrip("/"))


def _translated(function: Any) -> Any:
    """Turns the errors of storages, which are of many families, into one line each."""

    @functools.wraps(function)
    def call(self: "Place", *arguments: Any) -> Any:
        with self._errors():
            return function(self, *arguments)

    return call


@dataclass(frozen=True)
class Place:
    """A folder of a storage, and what publishing does there.

    Attributes:
        url: for messages.
        files: the file system of fsspec.
        root: the folder, as the file system spells it.
    """

    url: str
    files: Any
    root: str

    @property
    def name(self) -> str:
        """Its own name, the last part of the URL."""
        return self.root.rsplit("/", 1)[-1]

    @property
    def folder(self) -> Path | None:
        """The folder as a path of this machine; None for anything else."""
        local = (
            "file" in self.files.protocol if isinstance(self.files.protocol, tuple) else self.files.protocol == "file"
        )
        return Path(self.root) if local else None

    def below(self, name: str) -> Self:
        """A folder in this one."""
        return type(self)(f"{self.url}/{name}", self.files, f"{self.root}/{name}")

    @_translated
    def check(self) -> None:
        """Makes sure that the storage answers: without a bucket or credentials nothing else makes sense."""
        if self.folder is None:
            bucket = self.root.split("/")[0]
            with contextlib.suppress(NotImplementedError):
                self.files.ls(bucket, detail=False)

    @_translated
    def names(self) -> list[str]:
        """Names of what lies in the folder, sorted; none when there is no folder."""
        try:
            children = self.files.ls(self.root, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        # Some storages list an empty marker object of the folder itself.
        return sorted({child.rstrip("/").rsplit("/", 1)[-1] for child in children if child.rstrip("/") != self.root})

    @_translated
    def sizes(self) -> dict[str, int]:
        """Bytes of every file below the folder, by relative name."""
        found = self.files.find(self.root, detail=True)
        return {
            name.removeprefix(f"{self.root}/"): int(each["size"])
            for name, each in found.items()
            if each["type"] == "file" and name.startswith(f"{self.root}/") and not name.endswith("/")
        }

    @_translated
    def read(self, name: str) -> bytes | None:
        """A small file; None when there is none."""
        try:
            return self.files.cat_file(f"{self.root}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            return None

    @_translated
    def digest(self, name: str, progress: Progress) -> str | None:
        """sha256 of a file as it lies there, in hex; None when there is none."""
        try:
            with self.files.open(f"{self.root}/{name}", "rb") as stream:
                return stream_digest(stream, progress)
        except FileNotFoundError:
            return None

    @_translated
    def create(self, name: str, content: bytes) -> bool:
        """Writes a small file unless there is one of that name; False when there is, and of two writers to one."""
        try:
            self.files.pipe_file(f"{self.root}/{name}", content, mode="create")
        except FileExistsError:
            return False
        return True

    @_translated
    def upload(self, source: Path, name: str, progress: Progress) -> bool:
        """Copies a file there unless there is one of that name; False when there is, and to the second of two writers."""
        from fsspec.callbacks import Callback

        class Bytes(Callback):
            """fsspec's callback as a function of the bytes since the last call."""

            def relative_update(self, inc: int = 1) -> None:
                super().relative_update(inc)
                progress(inc)

            def absolute_update(self, value: int) -> None:
                progress(value - self.value)
                super().absolute_update(value)

        try:
            self.files.put_file(str(source), f"{self.root}/{name}", callback=Bytes(), mode="create")
        except FileExistsError:
            return False
        return True

    @_translated
    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self.files.rm_file(f"{self.root}/{name}")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (BertServingError, AttributeError, NameError, TypeError):
            raise  # ours, and mistakes of ours
        except FileNotFoundError as error:
            raise PublishError(
                f"{self.url}: there is no such place: {_line(error)}; check the name of the bucket"
            ) from None
        except Exception as error:  # every storage brings exceptions of its own
            names = [each.__name__ for kind in _chain(error) for each in type(kind).__mro__]
            advice = [text for start, text in _ADVICE.items() if any(name.startswith(start) for name in names)]
            raise PublishError(f"{self.url}: {advice[0] if advice else _line(error)}") from None


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
