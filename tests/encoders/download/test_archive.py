import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from bert_serving.encoders.download.archive import is_archive, top_folder, unpack
from bert_serving.errors import EncoderError

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "assets/vocab.txt": b"[PAD]\n"}


def write_tar(path: Path, files: dict[str, bytes], *, mode: str = "w:gz", extra: tarfile.TarInfo | None = None) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if extra is not None:
            tar.addfile(extra)
    return path


def write_zip(path: Path, files: dict[str, bytes], extra: zipfile.ZipInfo | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
        if extra is not None:
            zipped.writestr(extra, b"/etc/passwd")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def target(tmp_path) -> Path:
    folder = tmp_path / "deep" / "target"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_unpacked_whatever_its_compression(tmp_path, target, mode):
    unpack(write_tar(tmp_path / "a.tar", FILES, mode=mode), target)
    assert contents(target) == FILES


def test_a_zip_is_unpacked_whatever_its_name(tmp_path, target):
    unpack(write_zip(tmp_path / "archive", FILES), target)
    assert contents(target) == FILES


def test_folders_are_made_and_leading_dots_do_not_matter(tmp_path, target):
    folder = tarfile.TarInfo("./empty")
    folder.type = tarfile.DIRTYPE
    unpack(
        write_tar(tmp_path / "a.tgz", {f"./{name}": content for name, content in FILES.items()}, extra=folder), target
    )
    assert contents(target) == FILES
    assert (target / "empty").is_dir()


def test_files_get_no_rights_that_the_archive_claims(tmp_path, target):
    member = tarfile.TarInfo("run.sh")
    member.mode = 0o6755
    unpack(write_tar(tmp_path / "a.tar", {}, mode="w", extra=member), target)
    assert not (target / "run.sh").stat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)


ESCAPES = ["../escaped", "a/../../escaped", "/tmp/escaped", "..\\escaped", "C:escaped", "a/../../../escaped"]


@pytest.mark.parametrize("write", [write_tar, write_zip])
@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_that_leads_out_is_refused(tmp_path, target, write, name):
    archive = write(tmp_path / "a.archive", {name: b"x"})
    with pytest.raises(EncoderError, match="a name that may lead out of its folder; it is refused"):
        unpack(archive, target)
    assert contents(tmp_path) == {"a.archive": archive.read_bytes()}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, target, kind):
    member = tarfile.TarInfo("innocent")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(EncoderError, match="'innocent', which is neither a file nor a folder; it is refused"):
        unpack(write_tar(tmp_path / "a.tar", {}, extra=member), target)
    assert list(target.iterdir()) == []


def test_a_link_in_a_zip_is_refused(tmp_path, target):
    member = zipfile.ZipInfo("innocent")
    member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(EncoderError, match="'innocent', which is neither a file nor a folder; it is refused"):
        unpack(write_zip(tmp_path / "a.zip", {}, member), target)


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_more_content_than_the_limit_is_refused_however_small_the_archive(tmp_path, target, write):
    archive = write(tmp_path / "bomb", {"zeros": bytes(5_000_000)})
    assert archive.stat().st_size < 10_000
    with pytest.raises(EncoderError, match="unpacks to more than 1,000,000 bytes; it is refused"):
        unpack(archive, target, size_limit=1_000_000)


def test_more_files_than_the_limit_are_refused(tmp_path, target):
    archive = write_tar(tmp_path / "a.tar", {f"{number}": b"" for number in range(12)})
    with pytest.raises(EncoderError, match="has more than 10 files"):
        unpack(archive, target, file_limit=10)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ([("a", b"1"), ("./a", b"2")], "holds 'a' more than once"),
        ([("a", b"1"), ("a/b", b"2")], "holds 'a' (more than once|as file and as folder)"),
    ],
)
def test_one_place_for_two_files_is_refused(tmp_path, target, files, problem):
    with pytest.raises(EncoderError, match=problem):
        unpack(write_tar(tmp_path / "a.tar", dict(files)), target)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_truncated_tar_is_told(tmp_path, target, mode):
    archive = write_tar(tmp_path / "a.tar", FILES | {"data": os.urandom(100_000)}, mode=mode)
    archive.write_bytes(archive.read_bytes()[:50_000])
    with pytest.raises(EncoderError, match=r"a\.tar cannot be unpacked: .*; fetch it again") as raised:
        unpack(archive, target)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"<html>Sign in</html>", b"PK\x03\x04 garbage", b"\x1f\x8b garbage"])
def test_what_is_no_archive_is_told(tmp_path, target, content):
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(EncoderError, match=r"a\.tar\.gz cannot be unpacked: "):
        unpack(tmp_path / "a.tar.gz", target)


@pytest.mark.parametrize(("name", "expected"), [("a.tar.gz", True), ("A.TGZ", True), ("a.zip", True), ("a.pb", False)])
def test_an_archive_is_known_by_its_name(name, expected):
    assert is_archive(Path(name)) is expected


def test_the_only_folder_of_an_archive_is_the_one_that_counts(tmp_path):
    (tmp_path / "model" / "variables").mkdir(parents=True)
    assert top_folder(tmp_path) == tmp_path / "model"
    (tmp_path / "README.md").touch()
    assert top_folder(tmp_path) == tmp_path


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_a_name_that_is_too_long_for_the_disk_is_told(tmp_path, target, write):
    archive = write(tmp_path / "a", {"x" * 300: b""})
    with pytest.raises(EncoderError, match=r"a holds 'x{40}'\.\.\., a name of 300 characters, too long"):
        unpack(archive, target)
