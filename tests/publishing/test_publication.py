"""Publishing to folders and to a storage with the S3 API: whole or not at all, whoever dies and whoever else publishes."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from support import object_storage
from support.empty_export import write_export
from support.paths import ROOT

from bert_serving.errors import PublishError
from bert_serving.model_server.process import free_ports
from bert_serving.observer import Observer
from bert_serving.publishing import publication
from bert_serving.publishing.pruning import remove_version
from bert_serving.publishing.storage.file_sums import PUBLICATION_FILE, SUMS_FILE
from bert_serving.publishing.storage.folder import _locked
from bert_serving.publishing.storage.location import open_location
from bert_serving.publishing.storage.publication_claim import PublicationClaim
from bert_serving.publishing.storage.publisher import Publisher

GRAPH = "saved_model.pb"


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("export") / "2")


@pytest.fixture(scope="module")
def other_export(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("other") / "2", seed=1)


@pytest.fixture(scope="module")
def storage():
    with object_storage.running_storage() as address:
        yield address


@pytest.fixture
def bucket(storage):
    yield f"s3://{object_storage.BUCKET}/production"
    object_storage.remove_objects("")


@pytest.fixture(params=["folder", "storage"])
def to(request, tmp_path):
    """Where to publish, and the same for both kinds of places."""
    return str(tmp_path / "models") if request.param == "folder" else request.getfixturevalue("bucket")


def published(to):
    """Files by name below the place, as the place itself has them."""
    if to.startswith("s3://"):
        return {name.removeprefix("production/"): content for name, content in object_storage.objects().items()}
    base = Path(to)
    return {path.relative_to(base).as_posix(): path.read_bytes() for path in base.rglob("*") if path.is_file()}


def version_files(to, version):
    """Files of one version by name; other versions are not read."""
    if to.startswith("s3://"):
        start = f"production/tiny/{version}/"
        return {name.removeprefix(start): content for name, content in object_storage.objects(start).items()}
    return contents(Path(to, "tiny", str(version)))


def send(export, to, version=2, **options):
    destination = publication.publication_target(export, open_location(to), version=version)
    return publication.publish(export, destination, {"gate": None}, observer=Observer(), **options)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_whole(files, export):
    """A version that can be seen is whole: the export's files, the record, and a list of sums that holds."""
    expected = contents(export)
    assert {name: files[name] for name in expected} == expected
    assert files.keys() - expected.keys() == {SUMS_FILE, PUBLICATION_FILE}
    sums = dict(line.split("  ")[::-1] for line in files[SUMS_FILE].decode().splitlines())
    assert sums == {name: hashlib.sha256(each).hexdigest() for name, each in files.items() if name != SUMS_FILE}


# === What arrives ===


def test_a_published_version_has_every_file_its_sums_and_the_record(export, to):
    seen = []

    class Watching(Observer):
        def transfer(self, name):
            import contextlib

            return contextlib.nullcontext(lambda done, total: seen.append((done, total)))

    destination = publication.publication_target(export, open_location(to))
    assert destination.url == f"{to}/tiny/2"
    publication.publish(export, destination, {"gate": {"passed": True}}, observer=Watching())
    files = version_files(to, 2)
    check_whole(files, export)
    record = json.loads(files[PUBLICATION_FILE])
    assert (record["name"], record["version"], record["gate"]) == ("tiny", 2, {"passed": True})
    assert "@" in record["by"]
    assert set(published(to)) == {f"tiny/2/{name}" for name in files}, "nothing else stays behind"
    assert seen == sorted(seen)
    assert seen[-1][0] / seen[-1][1] > 0.99
    assert len(seen) > 4


def test_sha256sum_accepts_the_list(export, tmp_path):
    send(export, str(tmp_path))
    command = ["sha256sum", "--check", "--strict", "--quiet", SUMS_FILE]
    assert subprocess.run(command, cwd=tmp_path / "tiny" / "2", check=False).returncode == 0


def test_another_name_and_number_can_be_given(export, to):
    destination = publication.publication_target(export, open_location(to), name="other", version=41)
    publication.publish(export, destination, {}, observer=Observer())
    assert {"/".join(name.split("/")[:2]) for name in published(to)} == {"other/41"}


def test_a_version_is_never_overwritten(export, other_export, to):
    send(export, to)
    before = published(to)
    for given in (export, other_export):
        with pytest.raises(PublishError, match="version 2 exists and is never overwritten"):
            send(given, to)
    with pytest.raises(PublishError, match=r"tiny/2: version 2 exists .* give --version 3 for the next one"):
        publication.check_free(publication.publication_target(other_export, open_location(to)))
    assert published(to) == before


def test_the_same_export_is_recognized(export, other_export, to):
    destination = publication.publication_target(export, open_location(to))
    assert not publication.already_published(export, destination)
    send(export, to)
    assert publication.already_published(export, destination)
    assert not publication.already_published(other_export, destination)


# === Broken off ===


def test_files_that_are_there_are_not_sent_again(export, bucket, monkeypatch):
    place = open_location(bucket)
    sent = []
    real = type(place).upload

    def watched(self, source, name, progress):
        if len(sent) == 3:
            raise KeyboardInterrupt
        sent.append(name)
        return real(self, source, name, progress)

    monkeypatch.setattr(type(place), "upload", watched)
    with pytest.raises(KeyboardInterrupt):
        send(export, bucket)
    assert f"tiny/2/{GRAPH}" not in published(bucket)
    first = list(sent)
    monkeypatch.setattr(type(place), "upload", lambda *given: sent.append(given[2]) or real(*given))
    send(export, bucket)
    check_whole(version_files(bucket, 2), export)
    assert sorted(sent) == sorted(contents(export))
    assert len(first) == 3
    assert sent[-1] == GRAPH


def test_what_another_export_left_half_done_is_replaced(export, other_export, to):
    if to.startswith("s3://"):
        object_storage.put_object("production/tiny/2/variables/variables.index", b"of another")
        object_storage.put_object("production/tiny/2/variables/variables.data-00000-of-00002", b"of another")
    else:
        staging = Path(to, "tiny", ".publishing-2")
        shutil.copytree(other_export, staging)
        (staging / "variables" / "variables.data-00000-of-00002").write_bytes(b"of another")
    send(export, to)
    check_whole(version_files(to, 2), export)


def test_a_file_that_arrives_damaged_is_noticed_and_nothing_is_visible(export, bucket, monkeypatch):
    place = open_location(bucket)
    real = type(place).upload

    def damaging(self, source, name, progress):
        arrived = real(self, source, name, progress)
        if name == "assets/vocab.txt":
            object_storage.put_object(f"production/tiny/2/{name}", b"damaged")
        return arrived

    monkeypatch.setattr(type(place), "upload", damaging)
    with pytest.raises(PublishError, match=r"assets/vocab.txt differs after the upload; publish again"):
        send(export, bucket)
    assert not {f"tiny/2/{GRAPH}", "tiny/2/assets/vocab.txt"} & set(published(bucket))
    monkeypatch.undo()


# === Killed ===


class Publishers:
    """A process whose children publish and are killed."""

    def __init__(self):
        command = [sys.executable, str(ROOT / "tests" / "support" / "killed_publisher.py")]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, export, to, version=2, **kill):
        job = {"export": str(export), "to": to, "version": version, **kill}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)


@pytest.fixture(scope="module")
def publishers(storage):
    publishers = Publishers()
    yield publishers
    publishers.close()


def empty(to, version):
    if to.startswith("s3://"):
        object_storage.remove_objects(f"production/tiny/{version}/")
    else:
        shutil.rmtree(Path(to, "tiny", str(version)))


def kill_and_look(publishers, exports, to, kills, wanted=None):
    """Kills publishers one after the other; after each, what can be seen is whole, and at times one may finish.

    Ends after `wanted` that were killed before they came to their end; returns their number.
    """
    first, *others = exports
    assert publishers.run(first, to, version=1)["status"] == 0
    check_whole(version_files(to, 1), first)
    there = digests(to, 1)
    choice = random.Random(7)
    killed = 0
    for number, kill in enumerate(kills):
        if killed == wanted:
            break
        export = choice.choice(others)
        killed += publishers.run(export, to, **kill)["status"] == 9
        assert digests(to, 1) == there, "nothing that was published is lost"
        visible = GRAPH in digests(to, 2) if to.startswith("s3://") else Path(to, "tiny", "2").exists()
        if visible:
            check_whole(version_files(to, 2), export)
        # Not after each kill: the next one may meet what two have left.
        if number % 3 == 2 or visible:
            assert publishers.run(export, to)["status"] == 0
            check_whole(version_files(to, 2), export)
            empty(to, 2)
    return killed


def digests(to, version):
    """A digest of each file of a version; from a storage without its bytes."""
    if to.startswith("s3://"):
        return object_storage.digests(f"production/tiny/{version}/")
    return {name: hashlib.sha256(content).hexdigest() for name, content in version_files(to, version).items()}


def test_a_publisher_killed_at_any_step_leaves_no_half_version_in_a_folder(publishers, export, other_export, tmp_path):
    """Every step of the file system in turn, until one comes through."""
    to = str(tmp_path)
    steps = 0
    while publishers.run(export, str(tmp_path / "counted"), steps=steps)["status"] == 9:
        shutil.rmtree(tmp_path / "counted", ignore_errors=True)
        steps += 4
    assert steps > 40
    kills = [{"steps": number} for number in range(0, steps, max(1, steps // 25))]
    assert kill_and_look(publishers, (export, export, other_export), to, kills) >= len(kills) - 3


def random_kills(publishers, export, to, count):
    seconds = min(publishers.run(export, to, version=100 + number)["seconds"] for number in range(2))
    choice = random.Random(3)
    return [{"seconds": choice.uniform(0.0, 1.05 * seconds)} for _ in range(count)]


@pytest.mark.slow
def test_a_publisher_killed_at_random_leaves_no_half_version_in_a_storage(publishers, export, other_export, bucket):
    kills = random_kills(publishers, export, bucket, 10)
    assert kill_and_look(publishers, (export, export, other_export), bucket, kills) >= 7


@pytest.mark.slow
def test_two_hundred_kills(publishers, export, other_export, to):
    # Some come to their end before their time is up.
    kills = random_kills(publishers, export, to, 400)
    assert kill_and_look(publishers, (export, export, other_export), to, kills, wanted=200) == 200


# === Two publishers ===


def test_of_two_publishers_one_wins_and_the_other_is_told(export, other_export, to):
    barrier = threading.Barrier(2)
    ended = {}

    def run(given):
        barrier.wait()
        try:
            send(given, to)
            ended[given] = None
        except PublishError as error:
            ended[given] = str(error)

    threads = [threading.Thread(target=run, args=(each,)) for each in (export, other_export)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [given for given, message in ended.items() if message is None]
    assert len(won) == 1
    check_whole(version_files(to, 2), won[0])
    (message,) = filter(None, ended.values())
    assert any(
        words in message for words in ("is being published", "another process", "exists and is never overwritten")
    )


def test_a_claim_of_a_live_process_is_respected_and_can_be_taken_over(export, bucket):
    model = open_location(bucket).below("tiny")
    claim = PublicationClaim.take(model, 2)
    with pytest.raises(PublishError, match=rf"version 2 is being published by process {os.getpid()} on .*--take-over"):
        send(export, bucket)
    assert version_files(bucket, 2) == {}
    send(export, bucket, take_over=True)
    check_whole(version_files(bucket, 2), export)
    with pytest.raises(PublishError, match="another publisher has taken over"):
        claim.check()


def test_a_publisher_that_was_thought_gone_cannot_make_its_version_visible(export, other_export, bucket, monkeypatch):
    place = open_location(bucket)
    real = type(place).upload
    overtaken = []

    def slow(self, source, name, progress):
        if source.is_relative_to(other_export) and name.startswith("variables") and not overtaken:
            overtaken.append(name)
            send(export, bucket, take_over=True)
        return real(self, source, name, progress)

    monkeypatch.setattr(type(place), "upload", slow)
    with pytest.raises(PublishError):
        send(other_export, bucket)
    monkeypatch.undo()
    files = version_files(bucket, 2)
    assert GRAPH in files
    check_whole(files, export)


def test_a_process_is_gone_only_when_that_is_sure():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    current = Publisher.current()
    assert not current.has_ended
    assert Publisher.parse(current.to_json()) == current
    assert Publisher.parse(json.dumps({**json.loads(current.to_json()), "process": ended.pid}).encode()).has_ended
    assert Publisher.parse(json.dumps({**json.loads(current.to_json()), "started": "1"}).encode()).has_ended
    elsewhere = Publisher.parse(
        json.dumps({**json.loads(current.to_json()), "host": "x", "process": ended.pid}).encode()
    )
    assert not elsewhere.has_ended
    for damaged in (None, b"", b"[]", b"{}"):
        assert Publisher.parse(damaged) is None


def test_a_lock_whose_file_was_removed_meanwhile_is_no_lock(tmp_path):
    path = tmp_path / "lock"
    with _locked(path, tmp_path), pytest.raises(PublishError, match="another process is publishing this version"):
        _locked(path, tmp_path).__enter__()
    with _locked(path, tmp_path):
        assert path.exists()
    assert not path.exists()


# === Google's storage ===


@pytest.mark.slow
def test_google_storage_takes_a_version_and_no_object_is_written_over(export, other_export, google_storage):
    send(export, google_storage)
    with pytest.raises(PublishError, match="version 2 exists and is never overwritten"):
        send(other_export, google_storage)
    place = open_location(f"{google_storage}/tiny")
    expected = contents(export)
    there = place.below("2")
    check_whole({name: there.read(name) for name in there.sizes()}, export)
    assert not there.upload(other_export / GRAPH, GRAPH, lambda _: None)
    assert not there.upload(other_export / "variables" / "variables.index", "variables/variables.index", print)
    assert there.read(GRAPH) == expected[GRAPH]
    with pytest.raises(PublishError, match=r"not found: .*check the name of the bucket"):
        publication.check_free(publication.publication_target(export, open_location("gs://absent/models")))
    claim = PublicationClaim.take(place, 3)
    with pytest.raises(PublishError, match="version 3 is being published by process"):
        send(export, google_storage, version=3)
    claim.release()
    send(export, google_storage, version=3)
    remove_version(place, 3)
    assert place.names() == ["2"]


@pytest.fixture
def google_storage(monkeypatch):
    """fake-gcs-server on loopback, which speaks the API of Google's storage, conditions included."""
    program = shutil.which("fake-gcs-server")
    if program is None:
        pytest.skip("needs fake-gcs-server")
    (port,) = free_ports(1)
    flags = ["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [program, *flags, "-public-host", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.post(f"{address}/storage/v1/b", json={"name": "models"}).raise_for_status()
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        yield "gs://models/production"
    finally:
        process.kill()
        process.wait()


# === Wrong input ===


def storage_errors(storage):
    return {
        "no bucket": ("s3://absent/models", {}, r"not found: .*check the name of the bucket"),
        "no credentials": (
            f"s3://{object_storage.BUCKET}/m",
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            "no credentials were found; set AWS_ACCESS_KEY_ID",
        ),
        "unreachable": (
            f"s3://{object_storage.BUCKET}/m",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"},
            "cannot connect to the storage; check the network and AWS_ENDPOINT_URL",
        ),
        "no such protocol": ("nosuch://x/y", {}, r"give a folder, or a URL such as s3://bucket/models"),
    }


@pytest.mark.parametrize("case", ["no bucket", "no credentials", "unreachable", "no such protocol"])
def test_a_storage_that_cannot_be_used_is_one_line(export, storage, bucket, case, monkeypatch):
    to, environment, message = storage_errors(storage)[case]
    for name, value in environment.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    object_storage.forget_connections()
    before = time.monotonic()
    with pytest.raises(PublishError, match=message) as caught:
        publication.check_free(publication.publication_target(export, open_location(to)))
    assert "\n" not in str(caught.value)
    assert time.monotonic() - before < 20
    monkeypatch.undo()
    object_storage.forget_connections()
    assert object_storage.objects() == {}


def test_a_folder_that_takes_no_files_is_one_line(export):
    with pytest.raises(PublishError, match=r"/proc/x/tiny/2: cannot write it: .*choose another --to"):
        send(export, "/proc/x")


def test_what_is_no_export_is_refused(tmp_path):
    with pytest.raises(PublishError, match=r"has no manifest .* give a version folder that export wrote"):
        publication.publication_target(tmp_path, open_location(str(tmp_path)))
    with pytest.raises(PublishError, match="version 0 is not a positive integer"):
        publication.publication_target(write_export(tmp_path / "2"), open_location(str(tmp_path)), version=0)
