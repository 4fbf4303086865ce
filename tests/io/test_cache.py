import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bert_serving.errors import EncoderError
from bert_serving.io.cache import cache_folder, cached, cached_intact, folder_sha256, recorded_sha256


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("BERT_SERVING_CACHE", str(folder))
    return folder


def write_encoder(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_bytes(bytes(1000))


def never(folder: Path) -> None:
    raise AssertionError(f"built again into {folder}")


def start(code: str) -> subprocess.Popen[str]:
    prelude = "import time\nfrom pathlib import Path\nfrom bert_serving.io.cache import cached\n"
    return subprocess.Popen([sys.executable, "-c", prelude + code], stdout=subprocess.PIPE, text=True)


# === Where it lies ===


@pytest.mark.parametrize(
    ("own", "xdg", "expected"),
    [
        ("/srv/encoders", "/var/cache", "/srv/encoders"),
        ("~/encoders", None, "/home/ada/encoders"),
        ("", "/var/cache", "/var/cache/bert_serving"),
        (None, "/var/cache", "/var/cache/bert_serving"),
        (None, "relative/is/ignored", "/home/ada/.cache/bert_serving"),
        (None, None, "/home/ada/.cache/bert_serving"),
    ],
)
def test_the_cache_lies_where_the_environment_says(monkeypatch, own, xdg, expected):
    monkeypatch.setenv("HOME", "/home/ada")
    for name, value in (("BERT_SERVING_CACHE", own), ("XDG_CACHE_HOME", xdg)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


# === Building ===


def test_an_entry_is_built_once_and_then_found(cache):
    entry = cached("mini-v1.0", write_encoder)
    assert entry == cache / "mini-v1.0"
    assert (entry / "variables" / "data").read_bytes() == bytes(1000)
    assert cached("mini-v1.0", never) == entry


def test_the_manifest_tells_size_and_sha256_of_each_file(cache):
    entry = cached("mini", write_encoder)
    manifest = json.loads((entry / "manifest.json").read_text())
    assert manifest["files"] == {
        "config.json": {"size": 2, "sha256": hashlib.sha256(b"{}").hexdigest()},
        "variables/data": {"size": 1000, "sha256": hashlib.sha256(bytes(1000)).hexdigest()},
    }
    assert manifest["folder_sha256"] == folder_sha256(entry)


@pytest.mark.parametrize("key", ["", "a/b", "../a", ".hidden", "a b", "a" * 300])
def test_a_key_that_is_no_plain_name_is_refused(cache, key):
    with pytest.raises(EncoderError, match="cannot name an entry of the cache"):
        cached(key, write_encoder)
    assert not cache.exists()


def test_a_build_that_fails_leaves_nothing_and_its_error_passes_through(cache):
    def fail(folder: Path) -> None:
        write_encoder(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("mini", fail)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == []
    assert cached("mini", write_encoder).is_dir()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "cannot write the cache: No space left on device; make room",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/far/away"),
            "cannot write the cache: /far/away: Permission",
        ),
    ],
)
def test_an_error_of_the_system_in_a_build_is_told_in_one_line(cache, error, reason):
    def fail(folder: Path) -> None:
        raise error

    with pytest.raises(EncoderError) as raised:
        cached("mini", fail)
    assert str(raised.value).startswith(f"{cache}: {reason}")
    assert [path.name for path in cache.iterdir() if path.is_dir()] == []


def test_bytes_that_changed_under_their_old_size_are_discarded_once(cache):
    entry = cached("mini", write_encoder)
    recorded = recorded_sha256(entry, "variables")
    assert recorded == folder_sha256(entry / "variables")
    said: list[str] = []
    for name, changed in (("variables/data", b"\1" * 1000), ("config.json", b"[]")):
        (entry / name).write_bytes(changed)
        assert cached("mini", never) == entry
        assert cached_intact("mini", write_encoder, damaged=said.append) == entry
        assert said.pop() == f"{entry}: {name} changed since it was written; the entry is built again"
        assert folder_sha256(entry / "variables") == recorded
    assert cached_intact("mini", never, damaged=said.append) == entry
    assert not said


def test_a_build_cannot_write_the_manifest_itself(cache):
    with pytest.raises(EncoderError, match="a name that is reserved for the cache"):
        cached("mini", lambda folder: (folder / "manifest.json").write_text("{}") and None)
    assert not (cache / "mini").exists()


def test_an_entry_can_be_built_from_another_one(cache):
    def convert(folder: Path) -> None:
        raw = cached("mini-raw", write_encoder)
        (folder / "saved_model.pb").write_bytes((raw / "config.json").read_bytes())

    assert (cached("mini", convert) / "saved_model.pb").read_text() == "{}"


def test_a_cache_that_cannot_be_written_is_named_with_the_remedy(cache):
    cache.write_text("a file in the place of the folder")
    with pytest.raises(EncoderError, match=r"cannot write the cache: .*set BERT_SERVING_CACHE") as raised:
        cached("mini", write_encoder)
    assert str(cache) in str(raised.value)


# === Damage ===


def shorten(entry: Path) -> None:
    os.truncate(entry / "variables" / "data", 999)


def remove_file(entry: Path) -> None:
    (entry / "config.json").unlink()


def remove_manifest(entry: Path) -> None:
    (entry / "manifest.json").unlink()


def cut_manifest(entry: Path) -> None:
    os.truncate(entry / "manifest.json", 40)


def replace_manifest(entry: Path) -> None:
    (entry / "manifest.json").write_text('["of something else"]')


def date_manifest_back(entry: Path) -> None:
    manifest = entry / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 0'))


def replace_by_file(entry: Path) -> None:
    entry.rename(entry.with_name("aside"))
    entry.write_text("")


@pytest.mark.parametrize(
    "damage",
    [shorten, remove_file, remove_manifest, cut_manifest, replace_manifest, date_manifest_back, replace_by_file],
)
def test_a_damaged_entry_is_rebuilt(cache, damage):
    entry = cached("mini", write_encoder)
    whole = folder_sha256(entry)
    damage(entry)
    builds = []

    def build_again(folder: Path) -> None:
        builds.append(folder)
        write_encoder(folder)

    assert cached("mini", build_again) == entry
    assert len(builds) == 1
    assert folder_sha256(entry) == whole
    assert cached("mini", never) == entry
    assert [path.name for path in cache.glob(".*") if path.suffix != ".lock"] == []


# === Other processes ===


def test_two_processes_that_want_the_same_entry_build_it_once(cache, tmp_path):
    code = f"""
def build(folder):
    with open({str(tmp_path / "builds")!r}, "a") as file:
        file.write("built\\n")
    (folder / "first").write_text("1")
    time.sleep(0.5)
    (folder / "second").write_text("2")
entry = cached("mini", build)
print((entry / "first").read_text() + (entry / "second").read_text())
"""
    processes = [start(code) for _ in range(2)]
    assert [process.communicate(timeout=30)[0] for process in processes] == ["12\n", "12\n"]
    assert (tmp_path / "builds").read_text() == "built\n"


def test_two_threads_that_want_the_same_entry_build_it_once(cache):
    builds = []
    meet = threading.Barrier(2)

    def build(folder: Path) -> None:
        builds.append(folder)
        write_encoder(folder)

    def want() -> None:
        meet.wait()
        cached("mini", build)

    threads = [threading.Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(builds) == 1


def test_a_killed_builder_leaves_nothing_half_used(cache):
    code = """
def build(folder):
    (folder / "config.json").write_text("{}")
    (folder / "half").write_text("written")
    print("half-way", flush=True)
    time.sleep(60)
cached("mini", build)
"""
    with start(code) as builder:
        assert builder.stdout.readline() == "half-way\n"
        assert not (cache / "mini").exists()
        builder.send_signal(signal.SIGKILL)
    assert any(cache.rglob("half"))

    entry = cached("mini", write_encoder)
    assert sorted(path.name for path in entry.iterdir()) == ["config.json", "manifest.json", "variables"]
    assert not any(cache.rglob("half"))


def test_building_one_entry_leaves_the_building_of_another_alone(cache):
    def build(folder: Path) -> None:
        cached("a", write_encoder)
        write_encoder(folder)

    assert cached("a.b", build).is_dir()
    assert cached("a", never).is_dir()


# === Digests ===


def test_the_digest_of_a_folder_follows_names_and_contents(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_encoder(tmp_path / name)
    digest = folder_sha256(tmp_path / "one")
    assert digest == folder_sha256(tmp_path / "two")
    assert len(digest) == 64

    (tmp_path / "two" / "config.json").write_text("[]")
    assert folder_sha256(tmp_path / "two") != digest
    (tmp_path / "one" / "config.json").rename(tmp_path / "one" / "renamed.json")
    assert folder_sha256(tmp_path / "one") != digest


def test_the_digest_of_a_folder_is_that_of_its_sha256sums(tmp_path):
    write_encoder(tmp_path)
    sums = subprocess.run(["sha256sum", "config.json", "variables/data"], cwd=tmp_path, capture_output=True, check=True)
    assert folder_sha256(tmp_path) == hashlib.sha256(sums.stdout).hexdigest()


def test_an_entry_has_the_digest_of_the_folder_it_was_made_of(cache, tmp_path):
    (tmp_path / "plain").mkdir()
    write_encoder(tmp_path / "plain")
    assert folder_sha256(cached("mini", write_encoder)) == folder_sha256(tmp_path / "plain")


def test_a_folder_that_does_not_exist_has_no_digest(tmp_path):
    with pytest.raises(EncoderError, match="no such folder"):
        folder_sha256(tmp_path / "absent")
