"""Downloads over HTTP that resume after an interruption.

Partial files are kept in the cache until they are complete. A download resumes only when the server confirms, by an entity tag
or a date (RFC 9110, If-Range), that the file is still the same; otherwise it starts again.
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

from bert_serving.errors import SourceError
from bert_serving.io.cache import cache_folder, file_sha256
from bert_serving.io.proxies import LOOPBACK, http_proxy, through

Progress = Callable[[int, int | None], None]
"""called with the bytes that have arrived and their total, None where that is unknown"""

FILE_LIMIT = 8 << 30
"""bytes that a downloaded file may have"""

_DOCUMENT_LIMIT = 4 << 20
_ATTEMPTS = 3
_UNREACHABLE = (httpx.HTTPError, httpx.InvalidURL)
_ANSWER_TIMEOUT_FACTOR = 10


def is_offline() -> bool:
    """Whether BERT_SERVING_OFFLINE forbids downloads."""
    return _is_set("BERT_SERVING_OFFLINE")


def hugging_face_offline() -> str | None:
    """The variable of Hugging Face's own libraries that forbids downloads from its hub; None where none does."""
    return next(filter(_is_set, ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")), None)


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() not in ("", "0", "false", "no", "off")


def mirror_or(variable: str, default: str) -> str:
    """Address of a site, or of its mirror in an environment variable, without a slash at the end.

    Raises:
        SourceError: the variable is not an address.
    """
    address = (os.environ.get(variable) or default).rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise SourceError(f"{variable} must be an http or https address, got {address!r}")
    return address


def no_progress(arrived: int, total: int | None) -> None:
    """Ignores progress."""


@dataclass(frozen=True)
class _Part:
    """A partial file, and the validator that the server gave it."""

    path: Path

    @property
    def facts(self) -> Path:
        """File with the validator."""
        return self.path.with_suffix(".json")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self) -> str:
        """Entity tag or date of the partial file; "" when the download cannot resume."""
        try:
            validator = json.loads(self.facts.read_text("utf-8"))["validator"] if self.size else ""
        except (OSError, ValueError, LookupError, TypeError):
            return ""
        return validator if isinstance(validator, str) else ""

    def begin(self, response: httpx.Response) -> None:
        """Removes what has arrived and records the validator of the new download."""
        etag = response.headers.get("ETag", "")
        # A weak tag does not guarantee the same bytes.
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
        self.path.unlink(missing_ok=True)
        self.facts.write_text(json.dumps({"url": str(response.url), "validator": validator}), "utf-8")

    def drop(self) -> None:
        """Removes both files."""
        self.path.unlink(missing_ok=True)
        self.facts.unlink(missing_ok=True)


class Downloader:
    """Fetches files from servers; close it, or use it as context."""

    def __init__(self, connect_timeout: float, *, token: str | None = None, refused: str = ""):
        """Opens a client with the proxies and certificates of the environment.

        Args:
            connect_timeout: seconds to wait for a connection; each answer may take ten times as long.
            token: sent to the requested server only, not to one that it redirects to.
            refused: end of the message about HTTP 401 and 403: the remedy.

        Raises:
            SourceError: a variable of the environment cannot be used.
        """
        self._connect_timeout = connect_timeout
        self._refused = refused
        self._answer_timeout = _ANSWER_TIMEOUT_FACTOR * connect_timeout
        # With compression, Content-Length would not be the size of the file.
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        timeout = httpx.Timeout(self._answer_timeout, connect=connect_timeout)
        try:
            direct = {f"all://{host}": None for host in LOOPBACK}
            self._client = httpx.Client(follow_redirects=True, timeout=timeout, headers=headers, mounts=direct)
        # A wrong address is a ValueError or InvalidURL, a proxy that needs another package an ImportError.
        except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
            proxies = {str(http_proxy(f"{scheme}://host.invalid")) for scheme in ("https", "http")} - {"None"}
            named = f"; the proxy is {' and '.join(sorted(proxies))}" if proxies else ""
            raise SourceError(f"the variables for proxies or certificates cannot be used: {error}{named}") from None

    def __enter__(self) -> "Downloader":
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the connections."""
        self._client.close()

    def read_json(self, url: str) -> Any:
        """Fetches a small JSON document; None where the server has none.

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
        except ValueError:  # not JSON, or not UTF-8
            return None
        except _UNREACHABLE as error:
            raise SourceError(self._reason(url, error)) from None

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
        """Downloads a file, whole or not at all.

        Args:
            url: address of the file.
            path: file to write; messages have its name.
            progress: called while it arrives.
            sha256: expected digest.
            optional: return False at HTTP 404.
            limit: most bytes that it may have.

        Returns:
            Whether the file exists; False only when it is optional.

        Raises:
            SourceError: the download failed, or the file is too large or has another digest.
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
                except _UNREACHABLE as error:
                    # Another attempt is worthwhile only where the download can resume.
                    if attempt == _ATTEMPTS or not part.validator():
                        raise SourceError(self._reason(url, error)) from None
            if sha256 is not None and (received := file_sha256(part.path)) != sha256.lower():
                part.drop()
                raise SourceError(f"{path.name} has sha256 {received} instead of {sha256}")
            shutil.move(part.path, path)
            part.drop()
        return True

    def _receive(self, url: str, part: _Part, name: str, progress: Progress, optional: bool, limit: int) -> bool:
        """Completes a partial file; False when an optional file does not exist."""
        validator = part.validator()
        headers = {"Range": f"bytes={part.size}-", "If-Range": validator} if validator else {}
        with self._client.stream("GET", url, headers=headers) as response:
            if response.status_code == httpx.codes.NOT_FOUND and optional:
                return False
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and headers:
                part.drop()  # the file became shorter, or the part is complete
                return self._receive(url, part, name, progress, optional, limit)
            continues = response.status_code == httpx.codes.PARTIAL_CONTENT and _starts_at(response) == part.size
            if not continues:
                if response.status_code != httpx.codes.OK:
                    raise SourceError(
                        self._status_reason(response.status_code, name) + _through(url, response.status_code)
                    )
                part.begin(response)
            _append(response, part, name, progress, limit)
        return True

    def _status_reason(self, status: int, name: str) -> str:
        match status:
            case 404:
                return f"has no {name} (HTTP 404)"
            case 401 | 403:
                return f"the server refuses {name} (HTTP {status}): it is private, gated or misspelled{self._refused}"
        return f"the server answered HTTP {status} {httpx.codes.get_reason_phrase(status)} for {name}".rstrip()

    def _reason(self, url: str, error: Exception) -> str:
        host = _host(url)
        match error:
            case httpx.ConnectTimeout():
                return f"no connection to {host} within {self._connect_timeout:g} s{through(http_proxy(url))}"
            case httpx.TimeoutException():
                return f"{host} did not answer within {self._answer_timeout:g} s"
            case httpx.RemoteProtocolError():
                return f"{host} broke off its answer: {error}"
        return f"cannot reach {host}: {error}{through(http_proxy(url))}"


def _through(url: str, status: int) -> str:
    """The proxy of a request, where a proxy may be who answered."""
    return "" if status == httpx.codes.NOT_FOUND else through(http_proxy(url))


def _append(response: httpx.Response, part: _Part, name: str, progress: Progress, limit: int) -> None:
    arrived = part.size
    size = response.headers.get("Content-Length", "")
    total = arrived + int(size) if size.isdecimal() else None
    if total is not None and total > limit:
        raise SourceError(f"{name} has {total:,} bytes, more than the limit of {limit:,} bytes")
    with part.path.open("ab") as file:
        for chunk in response.iter_bytes():
            arrived += len(chunk)
            if arrived > limit:
                raise SourceError(f"{name} has more than the limit of {limit:,} bytes")
            file.write(chunk)
            # On disk before it is reported: an interrupted run keeps the bytes that it showed.
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
