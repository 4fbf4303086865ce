"""Uploads to a hub on loopback, through the real huggingface_hub."""

import importlib.util
import socket
import time

import huggingface_hub.constants
import huggingface_hub.utils._http
import numpy as np
import pytest
from support import hub_server

from bert_serving.errors import HubError, InputError, SourceError
from bert_serving.saved_model.sharing.hugging_face_hub import Commit, HubRepository, check_access, upload

REPOSITORY = HubRepository("lab", "model")
CARD = b"---\nlicense: mit\n---\n\n# A model\n"


@pytest.fixture
def server(monkeypatch, tmp_path):
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "BERT_SERVING_OFFLINE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    with hub_server.running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", f"{running.address}/")
        monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
        yield running


class Hurried:
    """The clock as it is, but nobody waits."""

    def __getattr__(self, name):
        return getattr(time, name)

    def sleep(self, seconds):
        pass


@pytest.fixture
def lfs(monkeypatch):
    """Large files go as Git LFS objects, as where hf_xet is not installed, and nobody waits before trying again."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.utils._http, "time", Hurried())


@pytest.fixture
def files(tmp_path):
    """Small and large files of every kind: floats, text, noise, nothing."""
    random = np.random.default_rng(5)
    folder = tmp_path / "files"
    contents = {
        "variables": random.normal(size=300_001).astype(np.float32).tobytes(),
        "rounded": np.repeat(random.normal(size=30_000), 3).astype(np.float16).astype(np.float32).tobytes() + b"odd",
        "text": b"the same words " * 20_000,
        "empty": b"",
        "small": b"{}",
    }
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {"README.md": CARD, **{f"encoder/{name}": folder / name for name in contents}}


def arrived(server, branch="main"):
    return server.repositories["lab/model"].branches[branch]


def content_of(files):
    return {name: each if isinstance(each, bytes) else each.read_bytes() for name, each in files.items()}


@pytest.mark.parametrize("way", ["xet", "lfs"])
def test_every_file_arrives_byte_by_byte_in_one_commit(way, server, files, request):
    if way == "lfs":
        request.getfixturevalue("lfs")
    else:
        pytest.importorskip("hf_xet", reason="huggingface_hub sends large files as Git LFS objects without hf_xet")
    address = upload(files, REPOSITORY, Commit("The first one"))
    assert arrived(server) == content_of(files)
    assert server.repositories["lab/model"].messages == ["The first one"]
    assert not server.repositories["lab/model"].private
    assert address == f"{server.address}/lab/model/commit/{1:040x}"
    assert server.asked("PUT /objects/") == (way == "lfs")
    assert server.asked("POST /v1/xorbs/") == (way == "xet")


def test_what_is_there_already_is_not_sent_again(server, files, lfs):
    upload(files, REPOSITORY, Commit("first"))
    del server.requests[:]
    upload({**files, "small": b"{1}"}, REPOSITORY, Commit("second"))
    assert not server.asked("PUT /objects/")
    upload({**files, "small": b"{1}"}, REPOSITORY, Commit("third"))
    assert server.repositories["lab/model"].messages == ["first", "second"]
    assert arrived(server)["small"] == b"{1}"


def test_other_files_of_a_repository_stay(server, lfs):
    server.repositories["lab/model"] = hub_server.Repository(branches={"main": {"notes.txt": b"mine"}})
    upload({"README.md": CARD}, REPOSITORY, Commit("m"))
    assert arrived(server) == {"notes.txt": b"mine", "README.md": CARD}


def test_a_branch_is_made_where_it_does_not_exist(server, lfs):
    for _ in range(2):
        upload({"README.md": CARD}, REPOSITORY, Commit("m", branch="v2"))
    assert arrived(server, "v2") == {"README.md": CARD}
    assert arrived(server) == {}


def test_a_private_repository_is_private_and_a_public_one_is_refused(server, lfs):
    for _ in range(2):
        upload({"README.md": CARD}, REPOSITORY, Commit("m", private=True))
    assert server.repositories["lab/model"].private
    server.repositories["lab/model"] = hub_server.Repository()
    with pytest.raises(HubError, match="lab/model: exists and is public; leave --private out"):
        upload({"README.md": CARD}, REPOSITORY, Commit("m", private=True))
    assert arrived(server) == {}


REFUSALS = [
    ("POST /api/repos", hub_server.refusal(401, "bad token"), r"does not accept the token \(HTTP 401.*hf auth login"),
    (
        "POST /api/repos",
        hub_server.refusal(403, "not yours"),
        r"has no write access there \(HTTP 403, 'not yours'\); check the owner",
    ),
    (
        "POST /api/repos",
        hub_server.refusal(404, "no such owner"),
        r"no such repository or branch \(HTTP 404.*'no such owner'\); check the owner",
    ),
    ("POST /api/repos", hub_server.refusal(500, "oops"), r"refuses the upload \(HTTP 500.*\); share again later"),
    ("POST /api/repos", hub_server.hang_up, "the upload was interrupted: .*; share again"),
    ("POST /api/repos", hub_server.page, "the answer is not JSON; does HF_ENDPOINT name a Hugging Face hub"),
    (
        "POST /api/validate",
        lambda h: h.send({"errors": [{"message": "wrong"}]}, 400),
        "the request is invalid: Invalid .* wrong",
    ),
    ("/preupload/", hub_server.refusal(503, "busy"), r"refuses the upload \(HTTP 503"),
    ("/objects/batch", hub_server.refusal(403, "no room"), "has no write access there"),
    ("PUT /objects/", hub_server.refusal(500, "disk full"), r"refuses the upload \(HTTP 500"),
    ("PUT /objects/", hub_server.hang_up, "the upload was interrupted: .*; share again"),
    ("/commit/", hub_server.refusal(413, "too large"), r"refuses the upload \(HTTP 413.*correct what it names"),
    ("/commit/", hub_server.hang_up, "the upload was interrupted: .*; share again"),
]


@pytest.mark.parametrize(("request_", "answer", "message"), REFUSALS)
def test_an_upload_that_fails_says_why_in_one_line_and_leaves_no_file(
    request_, answer, message, server, files, lfs, capsys
):
    server.answers[request_] = answer
    with pytest.raises(HubError, match=message) as raised:
        upload(files, REPOSITORY, Commit("m"))
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"{server.address}/lab/model: ")
    assert not any(each.branches["main"] for each in server.repositories.values())
    assert capsys.readouterr() == ("", "")


def test_an_unknown_token_and_an_unknown_owner_are_refused(server, monkeypatch):
    with pytest.raises(HubError, match=r'HTTP 403, .*namespace "other"'):
        upload({"README.md": CARD}, HubRepository("other", "model"), Commit("m"))
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(HubError, match="does not accept the token"):
        upload({"README.md": CARD}, REPOSITORY, Commit("m"))


def test_an_upload_that_broke_off_can_be_repeated(server, files, lfs):
    server.answers["/commit/"] = hub_server.hang_up
    with pytest.raises(HubError):
        upload(files, REPOSITORY, Commit("m"))
    server.answers.clear()
    upload(files, REPOSITORY, Commit("m"))
    assert arrived(server) == content_of(files)


def test_the_token_comes_from_where_huggingface_hub_keeps_it(server, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match=rf"there is no token for {server.address}; log in with `hf auth login`"):
        check_access()
    (tmp_path / "token").write_text(hub_server.TOKEN)
    check_access()
    upload({"README.md": CARD}, REPOSITORY, Commit("m"))
    assert arrived(server) == {"README.md": CARD}


def test_a_hub_that_does_not_answer(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    with pytest.raises(
        HubError, match=rf"127\.0\.0\.1:{port}/lab/model: the upload was interrupted: .*refused; share again"
    ):
        upload({"README.md": CARD}, REPOSITORY, Commit("m"))


def test_what_keeps_an_upload_from_starting_is_found_first(server, monkeypatch):
    monkeypatch.setenv("BERT_SERVING_OFFLINE", "1")
    with pytest.raises(HubError, match="nothing is uploaded while BERT_SERVING_OFFLINE is set"):
        check_access()
    monkeypatch.setenv("HF_ENDPOINT", "huggingface.co")
    with pytest.raises(SourceError, match="HF_ENDPOINT must be an http or https address, got"):
        check_access()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"missing: huggingface_hub; pip install 'bert-serving\[hub\]'"):
        check_access()
    assert not server.requests


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("hf://lab/model", HubRepository("lab", "model")),
        ("hf://Lab-1/my.model_v-2", HubRepository("Lab-1", "my.model_v-2")),
        *(
            (url, None)
            for url in (
                "hf://", "hf://lab", "hf:lab/model", "hf:/lab/model", "hf://lab/", "hf:///model", "hf://lab/model/", "hf://lab/model/x",
                "hf://datasets/lab/model", "hf://lab/model@v2", "hf://lab/mo del", "hf://lab/mödel", "hf://lab/.model", "hf://lab/mo--del",
                "hf://lab/mo..del", "hf://lab/model.git", "https://huggingface.co/lab/model", "s3://lab/model", "hf://lab/model\n",
            )
        ),
    ],
)  # fmt: skip
def test_only_the_address_of_a_model_repository_is_taken(url, expected):
    if expected is not None:
        assert HubRepository.parse(url) == expected
        return
    with pytest.raises(InputError, match=r"is not a model repository; expected hf://owner/name"):
        HubRepository.parse(url)


def test_huggingface_hub_keeps_its_bars_and_its_verbosity_afterwards(server, lfs):
    from huggingface_hub.utils import are_progress_bars_disabled, logging

    before = logging.get_verbosity(), are_progress_bars_disabled()
    upload({"README.md": CARD}, REPOSITORY, Commit("m"))
    assert (logging.get_verbosity(), are_progress_bars_disabled()) == before
