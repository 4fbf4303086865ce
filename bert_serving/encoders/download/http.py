"""Downloads over HTTP that go on where they were broken off.

What has arrived of a file lies in the cache until the file is whole. It is continued only when the server proves, by an entity tag
or a date (RFC 9110, If-Range), that the file is still the same; otherwise the file is fetched from its start.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from filelock import FileLock

from bert_serving.cache import cache_folder
from bert_serving.errors import SourceError

Progress = Callable[[int, int | None], None]
"""called with the bytes that have arrived and with all that will, None where that is unknown"""

FILE_LIMIT = 8 << 30
"""bytes that a downloaded file may have"""

_DOCUMENT_LIMIT = 4 << 20
_ATTEMPTS = 3
# A server that is there may still need a while for its answer.
_ANSWER_TIMEOUT_FACTOR = 10


def mirror_or(variable: str, default: str) -> str:
    """The address of a site, or of the mirror of it that a variable of the environment names; without a slash at its end.

    Raises:
        SourceError: the variable holds no address.
    """
    address = (os.environ.get(variable) or default).rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise SourceError(f"{variable} must be an http or https address, got {address!r}")
    return address


def no_progress(arrived: int, total: int | None) -> None:
    """Watches nothing."""


@dataclass(frozen=True)
class _Part:
    """What has arrived of a file, and how the server names its state."""

    path: Path

    @property
    def facts(self) -> Path:
        return self.path.with_suffix(".json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self) -> str:
        """Entity tag or date under which the part arrived; "" when it cannot be continued."""
        try:
            found = json.loads(self.facts.read_text("utf-8"))["validator"]
        except (OSError, ValueError, LookupError, TypeError):
            return ""
        return found if isinstance(found, str) else ""

    def begin(self, response: httpx.Response) -> None:
        """Forgets what has arrived and notes what a continuation must present."""
        etag = response.headers.get("ETag", "")
        # A weak tag says that two states mean the same, not that they are the same bytes.
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
        self.path.unlink(missing_ok=True)
        self.facts.write_text(json.dumps({"url": str(response.url), "validator": validator}), "utf-8")

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.facts.unlink(missing_ok=True)


class Downloader:
    """Fetches files from servers; close it, or use it as context."""

    def __init__(self, connect_timeout: float, *, token: str | None = None, refused: str = ""):
        """Args:
        connect_timeout: seconds to wait for a connection; each answer may take ten times as long.
        token: shown to the server that is asked; not to another to which it may send on.
        refused: ends the message about HTTP 401 and 403.
        """
        self._connect_timeout = connect_timeout
        self._refused = refused
        self._answer_timeout = _ANSWER_TIMEOUT_FACTOR * connect_timeout
        # Compressed, a body's Content-Length would not be the size of the file.
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        timeout = httpx.Timeout(self._answer_timeout, connect=connect_timeout)
        try:
            self._client = httpx.Client(follow_redirects=True, timeout=timeout, headers=headers)
        # A wrong address is a ValueError, a proxy that needs another package an ImportError.
        except (ValueError, ImportError, OSError) as error:
            raise SourceError(f"the variables for proxies or certificates cannot be used: {error}") from None

    def __enter__(self) -> "Downloader":
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def read_json(self, url: str) -> Any:
        """A small JSON document; None where the server has none.

        Raises:
            SourceError: the server cannot be reached.
        """
        try:
            with self._client.stream("GET", url) as response:
                if response.status_code != httpx.codes.OK:
                    return None
                content = b""
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > _DOCUMENT_LIMIT:
                        return None
            return json.loads(content)
        except ValueError:  # no JSON, or no UTF-8
            return None
        except httpx.HTTPError as error:
            raise SourceError(self._reason(url, error)) from None
        except httpx.InvalidURL as error:
            raise SourceError(f"cannot reach {_host(url)}: {error}") from None

    def fetch(
        self,
        url: str,
        path: Path,
        *,
        progress: Progress = no_progress,
        sha256: str | None = None,
        optional: bool = False,
        limit: int = FILE_LIMIT,
    ) -> bool:
        """Writes a file, whole or not at all.

        Args:
            url: where it is.
            path: file to write; its name stands in messages.
            progress: called while it arrives.
            sha256: what it must have.
            optional: HTTP 404 is no error.
            limit: bytes that it may have at most.

        Returns:
            Whether there was such a file; False only when it is optional.

        Raises:
            SourceError: it could not be fetched, or is not what was asked for.
        """
        folder = cache_folder() / ".downloads"
        folder.mkdir(parents=True, exist_ok=True)
        part = _Part(folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.part")
        with FileLock(part.path.with_suffix(".lock")):
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    if not self._receive(url, part, path.name, progress, optional, limit):
                        return False
                    break
                except httpx.HTTPError as error:
                    # Only what can go on from where it is gains by another attempt.
                    if attempt == _ATTEMPTS or not part.size or not part.validator():
                        raise SourceError(self._reason(url, error)) from None
                except httpx.InvalidURL as error:
                    raise SourceError(f"cannot reach {_host(url)}: {error}") from None
            with part.path.open("rb") as file:
                received = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 is not None and received != sha256.lower():
                part.drop()
                raise SourceError(f"{path.name} has sha256 {received} instead of {sha256}")
            shutil.move(part.path, path)
            part.drop()
        return True

    def _receive(self, url: str, part: _Part, name: str, progress: Progress, optional: bool, limit: int) -> bool:
        """Brings a part to its end; False when an optional file is not there."""
        validator = part.validator() if part.size else ""
        headers = {"Range": f"bytes={part.size}-", "If-Range": validator} if validator else {}
        with self._client.stream("GET", url, headers=headers) as response:
            if response.status_code == httpx.codes.NOT_FOUND and optional:
                return False
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and headers:
                part.drop()  # the file became shorter, or the part is all of it
                return self._receive(url, part, name, progress, optional, limit)
            continues = response.status_code == httpx.codes.PARTIAL_CONTENT and _starts_at(response) == part.size
            if not continues:
                if response.status_code != httpx.codes.OK:
                    raise SourceError(self._status_reason(response.status_code, name))
                part.begin(response)
            _append(response, part, name, progress, limit)
        return True

    def _status_reason(self, status: int, name: str) -> str:
        match status:
            case 404:
                return f"has no {name} (HTTP 404)"
            case 401 | 403:
                return f"the server refuses {name} (HTTP {status}): it is private, gated or misspelt{self._refused}"
        return f"the server answered HTTP {status} {httpx.codes.get_reason_phrase(status)} for {name}".rstrip()

    def _reason(self, url: str, error: httpx.HTTPError) -> str:
        host = _host(url)
        match error:
            case httpx.ConnectTimeout():
                return f"no connection to {host} within {self._connect_timeout:g} s"
            case httpx.TimeoutException():
                return f"{host} did not answer within {self._answer_timeout:g} s"
            case httpx.RemoteProtocolError():
                return f"{host} broke off its answer: {error}"
        return f"cannot reach {host}: {error}"


def _append(response: httpx.Response, part: _Part, name: str, progress: Progress, limit: int) -> None:
    arrived = part.size
    size = response.headers.get("Content-Length", "")
    total = arrived + int(size) if size.isdecimal() else None
    if total is not None and total > limit:
        raise SourceError(f"{name} has {total:,} bytes, at most {limit:,} are taken")
    with part.path.open("ab") as file:
        for chunk in response.iter_bytes():
            arrived += len(chunk)
            if arrived > limit:
                raise SourceError(f"{name} has more than {limit:,} bytes")
            file.write(chunk)
            # On disk before it is counted: an interrupted run keeps what it showed.
            file.flush()
            progress(arrived, total)
    if arrived == 0:
        part.path.touch()


def _starts_at(response: httpx.Response) -> int | None:
    """First byte of a partial answer."""
    unit, _, span = response.headers.get("Content-Range", "").partition(" ")
    start = span.partition("-")[0]
    return int(start) if unit == "bytes" and start.isdecimal() else None


def _host(url: str) -> str:
    """Scheme and host of an address, as a message shows it."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.split('/')[0]}"
