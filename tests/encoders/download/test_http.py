import hashlib
import os
from pathlib import Path

import pytest
from support.download_server import broken_off_once, redirect_to, refusal, running_downloads, slow

from bert_serving.encoders.download.http import Downloader
from bert_serving.errors import SourceError

CONTENT = os.urandom(3_000_000)


@pytest.fixture(autouse=True)
def parts(tmp_path, monkeypatch) -> Path:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("BERT_SERVING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / ".downloads"


@pytest.fixture
def server():
    with running_downloads() as server:
        server.files["/model"] = CONTENT
        yield server


def fetch(server, path, **options) -> bool:
    with Downloader(options.pop("connect_timeout", 3.0)) as downloader:
        return downloader.fetch(f"{server.address}/model", path, **options)


def test_a_file_arrives_with_its_progress_and_leaves_nothing_behind(server, tmp_path, parts):
    steps = []
    assert fetch(server, tmp_path / "model", progress=lambda arrived, total: steps.append((arrived, total)))
    assert (tmp_path / "model").read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert steps == sorted(steps)
    assert not list(parts.glob("*.part"))


def test_an_empty_file_is_a_file(server, tmp_path):
    server.files["/model"] = b""
    assert fetch(server, tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == b""


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_a_broken_off_download_goes_on_where_it_was(server, tmp_path, validator):
    server.validator = validator
    server.answers["/model"] = broken_off_once(CONTENT, 2_000_000)
    steps = []
    assert fetch(server, tmp_path / "model", progress=lambda arrived, total: steps.append((arrived, total)))
    assert (tmp_path / "model").read_bytes() == CONTENT
    first, second = server.requests
    assert (first.range, second.range) == (None, "bytes=2000000-")
    assert second.if_range
    assert steps == sorted(steps)


def test_what_an_interrupted_process_has_is_continued_by_the_next(server, tmp_path):
    def interrupt(arrived: int, total: int | None) -> None:
        if arrived > 1_500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, tmp_path / "model", progress=interrupt)
    assert not (tmp_path / "model").exists()
    assert fetch(server, tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == CONTENT
    assert int(server.requests[-1].range.removeprefix("bytes=").rstrip("-")) >= 1_500_000


@pytest.mark.parametrize(("validator", "takes_ranges"), [("", True), ("ETag", False)])
def test_where_nothing_can_be_continued_the_file_is_fetched_again(server, tmp_path, validator, takes_ranges):
    server.validator, server.takes_ranges = validator, takes_ranges
    server.answers["/model"] = broken_off_once(CONTENT, 2_000_000)
    if validator:
        assert fetch(server, tmp_path / "model")
    else:
        with pytest.raises(SourceError, match="broke off its answer"):
            fetch(server, tmp_path / "model")
        assert not (tmp_path / "model").exists()
        assert fetch(server, tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_fetched_again(server, tmp_path):
    def interrupt(arrived: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, tmp_path / "model", progress=interrupt)
    server.files["/model"] = changed = os.urandom(2_500_000)
    assert fetch(server, tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == changed


def test_a_wrong_digest_is_told_and_the_file_is_fetched_anew_next_time(server, tmp_path, parts):
    right = hashlib.sha256(CONTENT).hexdigest()
    server.files["/model"] = CONTENT[:-1] + b"x"
    with pytest.raises(SourceError, match=f"model has sha256 [0-9a-f]+ instead of {right}"):
        fetch(server, tmp_path / "model", sha256=right)
    assert not (tmp_path / "model").exists()
    assert not list(parts.glob("*.part"))
    server.files["/model"] = CONTENT
    assert fetch(server, tmp_path / "model", sha256=right.upper())


@pytest.mark.parametrize("claimed", [True, False])
def test_a_file_over_the_limit_is_given_up(server, tmp_path, claimed):
    if not claimed:
        server.answers["/model"] = chunked
    with pytest.raises(
        SourceError, match=r"model has (more than|3,000,000 bytes, more than) the limit of 1,000,000 bytes"
    ):
        fetch(server, tmp_path / "model", limit=1_000_000)


def chunked(handler) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(CONTENT)


def test_a_slow_server_is_waited_for_while_it_sends(server, tmp_path):
    server.answers["/model"] = slow(CONTENT, pieces=4, seconds=0.15)
    # Each answer may take half a second, all of them together took longer.
    assert fetch(server, tmp_path / "model", connect_timeout=0.05)
    assert (tmp_path / "model").read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_given_up(server, tmp_path):
    server.answers["/model"] = slow(CONTENT, pieces=2, seconds=1.0)
    with pytest.raises(SourceError, match=r"did not answer within 0\.3 s"):
        fetch(server, tmp_path / "model", connect_timeout=0.03)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (403, r"the server refuses model \(HTTP 403\): it is private, gated or misspelled"),
        (404, r"has no model \(HTTP 404\)"),
        (500, "the server answered HTTP 500 Internal Server Error for model"),
    ],
)
def test_a_refusal_is_told_by_its_status(server, tmp_path, status, reason):
    server.answers["/model"] = refusal(status)
    with pytest.raises(SourceError, match=reason):
        fetch(server, tmp_path / "model")


def test_an_optional_file_may_be_absent(server, tmp_path):
    server.answers["/model"] = refusal(404)
    assert not fetch(server, tmp_path / "model", optional=True)
    assert not (tmp_path / "model").exists()


def test_redirects_are_followed_and_circles_given_up(server, tmp_path):
    server.answers["/model"] = redirect_to("/elsewhere")
    server.files["/elsewhere"] = CONTENT
    assert fetch(server, tmp_path / "model")
    server.answers["/elsewhere"] = redirect_to("/model")
    with pytest.raises(SourceError, match=r"cannot reach .*redirects"):
        fetch(server, tmp_path / "model")


def test_the_proxy_of_the_environment_is_used_except_where_it_says_no(server, tmp_path, monkeypatch):
    server.files["http://models.invalid/model"] = CONTENT
    monkeypatch.setenv("HTTP_PROXY", server.address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Downloader(3.0) as downloader:
        downloader.fetch("http://models.invalid/model", tmp_path / "proxied")
        downloader.fetch(f"{server.address}/model", tmp_path / "direct")
    assert server.asked() == ["http://models.invalid/model", "/model"]


def test_a_proxy_that_is_not_there_is_told(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:9")
    with Downloader(3.0) as downloader:
        named = r"cannot reach http://models.invalid: .*proxy http://127\.0\.0\.1:9 \(environment variable HTTP_PROXY\)"
        with pytest.raises(SourceError, match=named):
            downloader.fetch("http://models.invalid/model", tmp_path / "model")
    assert fetch(server, tmp_path / "model")  # on this machine: directly


def test_a_damaged_note_on_a_part_means_starting_again(server, tmp_path, parts):
    parts.mkdir(parents=True)
    name = hashlib.sha256(f"{server.address}/model".encode()).hexdigest()[:32]
    for content in (b"{", b"[]", b'{"validator": 3}'):
        (parts / f"{name}.part").write_bytes(b"stale")
        (parts / f"{name}.json").write_bytes(content)
        assert fetch(server, tmp_path / "model")
        assert (tmp_path / "model").read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_given_up(server, tmp_path, parts):
    def too_long(handler) -> None:
        if handler.headers.get("Range"):
            handler.refuse(416)
        else:
            handler.give(CONTENT)

    server.answers["/model"] = too_long
    parts.mkdir(parents=True)
    name = hashlib.sha256(f"{server.address}/model".encode()).hexdigest()[:32]
    (parts / f"{name}.part").write_bytes(bytes(4_000_000))
    (parts / f"{name}.json").write_text('{"validator": "\\"x\\""}')
    assert fetch(server, tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == CONTENT
