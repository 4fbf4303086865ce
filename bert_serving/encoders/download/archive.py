"""Unpacks archives of encoders: tar (plain, gzip, bzip2, xz) and zip.

An archive is refused as a whole when it has a link, a device, a name that leads out of the target folder, or more content
than a limit, whatever sizes its headers claim.
"""

import errno
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from bert_serving.errors import EncoderError

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
SIZE_LIMIT = 8 << 30
"""most bytes that an archive may unpack to"""
FILE_LIMIT = 10_000
"""most files and folders that an archive may have"""

_CHUNK = 1 << 20
_SHOWN_CHARACTERS = 40
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class _Member:
    """A file or a folder of an archive; its content is None for a folder."""

    name: str
    content: IO[bytes] | None


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, target: Path, *, size_limit: int = SIZE_LIMIT, file_limit: int = FILE_LIMIT) -> None:
    """Unpacks an archive into a folder.

    Args:
        archive: tar or zip, by its content.
        target: existing folder; its files must not be in the archive.
        size_limit: bytes of all files together.
        file_limit: files and folders.

    Raises:
        EncoderError: the archive is damaged, too large, or holds anything but folders and plain files; the target may then
            hold a part of it.
    """
    room, left = size_limit, file_limit
    try:
        with archive.open("rb") as file, _opened(archive, file) as members:
            for member in members:
                left -= 1
                if left < 0:
                    raise EncoderError(f"{archive.name} has more than {file_limit:,} files")
                path = target / _inside(archive, member.name)
                if member.content is None:
                    path.mkdir(parents=True, exist_ok=True)
                else:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    room = write_limited(member.content, path, room, archive.name, size_limit)
    except _DAMAGED as error:
        raise EncoderError(
            f"{archive.name} cannot be unpacked: {' '.join(str(error).split())}; fetch it again"
        ) from None
    except FileExistsError as error:
        raise EncoderError(f"{archive.name} holds {Path(error.filename).name!r} more than once") from None
    except (NotADirectoryError, IsADirectoryError) as error:
        raise EncoderError(f"{archive.name} holds {Path(error.filename).name!r} as file and as folder") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            name = Path(error.filename).name
            raise EncoderError(
                f"{archive.name} holds {name[:_SHOWN_CHARACTERS]!r}..., a name of {len(name)} characters, too long for this file system"
            ) from None
        if error.errno is None:  # gzip, for a damaged stream
            raise EncoderError(f"{archive.name} cannot be unpacked: {error}; fetch it again") from None
        raise


def top_folder(folder: Path) -> Path:
    """The folder itself, or the only folder in it: many archives hold one folder with everything inside."""
    content = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return content[0] if len(content) == 1 and content[0].is_dir() else folder


@contextmanager
def _opened(archive: Path, file: IO[bytes]) -> Iterator[Iterator[_Member]]:
    is_zip = file.read(4) == b"PK\x03\x04"
    file.seek(0)
    if is_zip:
        with zipfile.ZipFile(file) as zipped:
            yield _zip_members(archive, zipped)
    else:
        # As a stream, without a list of members, which could fill the memory.
        with tarfile.open(fileobj=file, mode="r|*") as tar:
            yield _tar_members(archive, tar)


def _tar_members(archive: Path, tar: tarfile.TarFile) -> Iterator[_Member]:
    for member in tar:
        if not member.isdir() and not member.isreg():
            raise EncoderError(
                f"{archive.name} holds {member.name!r}, which is neither a file nor a folder; it is refused"
            )
        yield _Member(member.name, None if member.isdir() else tar.extractfile(member))


def _zip_members(archive: Path, zipped: zipfile.ZipFile) -> Iterator[_Member]:
    for member in zipped.infolist():
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise EncoderError(
                f"{archive.name} holds {member.filename!r}, which is neither a file nor a folder; it is refused"
            )
        if member.is_dir():
            yield _Member(member.filename, None)
        else:
            with zipped.open(member) as content:
                yield _Member(member.filename, content)


def _inside(archive: Path, name: str) -> PurePosixPath:
    """A member's name as relative path that stays below the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name:
        raise EncoderError(f"{archive.name} holds {name!r}, a name that may lead out of its folder; it is refused")
    return path


def write_limited(content: IO[bytes], path: Path, room: int, archive: str, size_limit: int) -> int:
    """Writes a new file from a member of an archive.

    Args:
        content: the member, open for reading.
        path: file to write; must not exist.
        room: bytes that may still be unpacked. The size that an archive claims proves nothing.
        archive: its name, for the message.
        size_limit: bytes of all files together, for the message.

    Returns:
        Bytes that may still be unpacked after it.

    Raises:
        EncoderError: there is no room for it.
    """
    with path.open("xb") as file:
        while chunk := content.read(_CHUNK):
            room -= len(chunk)
            if room < 0:
                raise EncoderError(f"{archive} unpacks to more than {size_limit:,} bytes; it is refused")
            file.write(chunk)
    return room
