"""What a run gives to others, and the command that gives it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from safetensors.numpy import load_file
from support import hub_server
from support.paths import ROOT

from bert_serving import contract
from bert_serving.config import EncoderConfig
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import ExportError, SourceError
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.saved_model.sharing.card import classifier_card, encoder_card
from bert_serving.saved_model.sharing.provenance import provenance_of
from bert_serving.saved_model.sharing.share import classifier_files, encoder_files, size_of, write_files
from bert_serving.training.run_folder import RunFolder


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def content_of(files):
    return {name: each if isinstance(each, bytes) else each.read_bytes() for name, each in files.items()}


# === What is shared ===


def test_a_shared_encoder_is_an_encoder_folder_with_a_card(trained, tmp_path):
    files = encoder_files(trained.run)
    target = tmp_path / "shared"
    write_files(files, target)
    assert contents(target) == content_of(files)
    assert size_of(files) == sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    assert sorted(path.name for path in target.iterdir()) == ["README.md", "encoder", "encoder.json", "preprocessing"]
    assert (target / "README.md").read_text("utf-8") == encoder_card(provenance_of(trained.run))
    # Another run can start from it, and starts with the weights of this one.
    loaded = load_encoder(find_encoder_folder(EncoderConfig(path=target)))
    weights = load_file(trained.run.weights)
    for variable in loaded.layer.variables:
        np.testing.assert_array_equal(variable.numpy(), weights[variable.name], variable.name)


def test_a_shared_classifier_is_the_export_with_its_card_at_the_top(trained, exported, tmp_path):
    for given in (exported, exported.parent):
        files = classifier_files(trained.run, given)
        assert content_of(files) == {"README.md": (exported / contract.CARD_FILE).read_bytes(), **contents(exported)}
    write_files(files, tmp_path / "models" / "tiny" / "1")
    texts = trained.splits.test.texts
    found = ExportedModel(tmp_path / "models" / "tiny" / "1").predict(texts)
    np.testing.assert_allclose(found, trained.classifier.predict(texts), atol=2e-6)


def test_an_edited_card_is_shared_unchanged_and_a_missing_one_is_written(trained, exported, tmp_path):
    copy = shutil.copytree(exported, tmp_path / "1")
    (copy / contract.CARD_FILE).write_text("my own words")
    assert classifier_files(trained.run, copy)["README.md"] == b"my own words"
    (copy / contract.CARD_FILE).unlink()
    expected = classifier_card(load_manifest(exported), provenance_of(trained.run))
    assert classifier_files(trained.run, copy)["README.md"] == expected.encode()


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path):
    files = {"README.md": b"card", "encoder/gone": tmp_path / "gone"}
    with pytest.raises(ExportError, match="new: cannot write it: No such file or directory"):
        write_files(files, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


# === The command ===


@pytest.fixture
def hub(monkeypatch, tmp_path):
    for name in ("HF_HUB_OFFLINE", "BERT_SERVING_OFFLINE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    with hub_server.running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
        yield running


@pytest.mark.parametrize("what", ["encoder", "classifier"])
def test_share_uploads_everything_with_the_card(what, trained, exported, hub, bert_serving):
    options = ["--export", exported] if what == "classifier" else []
    status, out, err = bert_serving("share", trained.run.path, "--to", "hf://lab/tiny", *options, "--private")
    assert (status, err) == (0, "")
    assert f"{what}: {hub.address}/lab/tiny/commit/" in out
    expected = classifier_files(trained.run, exported) if options else encoder_files(trained.run)
    repository = hub.repositories["lab/tiny"]
    assert repository.branches == {"main": content_of(expected)}
    assert repository.messages == [f"Share the {what} of tiny"]
    assert repository.private
    assert hub.objects  # something was large


def test_a_shared_encoder_is_downloaded_by_its_name_with_a_token(trained, hub, bert_serving, monkeypatch, tmp_path):
    assert bert_serving("share", trained.run.path, "--to", "hf://lab/tiny", "--private")[0] == 0
    monkeypatch.setenv("BERT_SERVING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(
        SourceError, match=r"HTTP 401\): it is private, gated or misspelled; set HF_TOKEN to a token that may read it"
    ):
        find_encoder_folder(EncoderConfig(name="hf://lab/tiny"))
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    folder = find_encoder_folder(EncoderConfig(name="hf://lab/tiny"))
    commit = f"{len(hub.repositories['lab/tiny'].messages):040x}"
    assert folder.commit == commit
    assert json.loads(bert_serving("encoders", "show", "hf://lab/tiny", "--json")[1])["commit"] == commit
    shared = encoder_files(trained.run)
    for part in (folder.encoder, folder.preprocessing):
        expected = {name for name in shared if name.startswith(f"{part.name}/")}
        assert {f"{part.name}/{name}" for name in contents(part)} == expected
    weights = load_file(trained.run.weights)
    for variable in load_encoder(folder).layer.variables:
        np.testing.assert_array_equal(variable.numpy(), weights[variable.name], variable.name)


def test_share_takes_a_branch_and_a_message(trained, exported, hub, bert_serving):
    options = ["--export", exported, "--branch", "v1", "--message", "Better than before"]
    assert bert_serving("share", trained.run.path, "--to", "hf://lab/tiny", *options)[0] == 0
    repository = hub.repositories["lab/tiny"]
    assert repository.branches == {"main": {}, "v1": content_of(classifier_files(trained.run, exported))}
    assert repository.messages == ["Better than before"]


def test_share_writes_a_folder_to_look_at(trained, hub, bert_serving):
    status, out, err = bert_serving("share", trained.run.path, "--to", "new/encoder")
    assert (status, err) == (0, "")
    assert "card: new/encoder/README.md" in out
    assert contents(Path("new/encoder")) == content_of(encoder_files(trained.run))
    assert not hub.requests


@pytest.fixture
def places(trained, exported, tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "file").write_text("a regular file")
    incomplete = shutil.copytree(trained.run.path, folder / "incomplete")
    shutil.rmtree(incomplete / "weights")
    (shutil.copytree(trained.run.path, folder / "no_audit") / "audit.json").unlink()
    (shutil.copytree(trained.run.path, folder / "other_encoder") / "encoder.json").unlink()
    stranger = shutil.copytree(exported, folder / "stranger")
    (stranger / contract.MANIFEST_FILE).unlink()
    other = shutil.copytree(exported, folder / "other")
    manifest = json.loads((other / contract.MANIFEST_FILE).read_text())
    (other / contract.MANIFEST_FILE).write_text(json.dumps(manifest | {"labels": ["x", "y"]}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {"run": trained.run.path, "export": exported, "bad": folder, "port": port}


MISTAKES = [
    ("nowhere --to new", "nowhere: not a run folder (run.toml is missing)"),
    ("{export} --to new", "not a run folder"),
    ("{bad}/incomplete --to new", "incomplete: training is not complete (weights is missing); go on with train --resume"),
    ("{bad}/incomplete --to hf://lab/tiny", "training is not complete"),
    ("{bad}/no_audit --to new", "no_audit: audit.json is missing; train again"),
    ("{bad}/other_encoder --to new", "only encoders of the BERT family can be taken out of a run"),
    ("{run} --to hf://lab", "'hf://lab' is not a model repository; expected hf://owner/name"),
    ("{run} --to hf:/lab/tiny", "'hf:/lab/tiny' is not a model repository"),
    ("{run} --to https://huggingface.co/lab/tiny", "is not a model repository; expected hf://owner/name"),
    ("{run} --to {bad}", "bad: exists; give a new folder with --to"),
    ("{run} --to {bad}/file/new", "bad/file/new: cannot write it: Not a directory"),
    ("{run} --to /proc/new", "/proc/new: cannot write it"),
    ("{run} --to new --private", "--private, --branch and --message need --to hf://owner/name, but --to is the folder new"),
    ("{run} --to new --branch v1", "--private, --branch and --message need --to hf://owner/name"),
    ("{run} --to new --what classifier", "--what classifier needs --export; write one with `bert-serving export {run} --to models`"),
    ("{run} --to new --what encoder --export {export}", "is for --what classifier; leave one of them out"),
    ("{run} --to new --export {bad}/nowhere", "nowhere: neither a SavedModel nor a folder of versions"),
    ("{run} --to new --export {bad}/stranger", "stranger: has no manifest (assets.extra/bert_serving.json)"),
    ("{run} --to new --export {bad}/other", "other: has other labels or scores than the run"),
    ("{run} --to hf://other/tiny --export {export}", "other/tiny: the token has no write access there (HTTP 403"),
    (
        "{run} --to hf://lab/tiny --export {export} --branch v..1",
        "the hub refuses the upload (HTTP 400, 'Invalid reference name'); correct",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_one_clear_line_and_leaves_nothing_behind(line, message, places, hub, bert_serving, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    status, out, err = bert_serving("share", *(part.format(**places) for part in line.split()))
    assert status == 2, (out, err)
    assert len(err.splitlines()) == 1, err
    assert err.startswith("error: ")
    assert message.format(**places) in err
    assert "Traceback" not in out
    assert sorted(tmp_path.rglob("*")) == before
    assert not any(files for each in hub.repositories.values() for files in each.branches.values())


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"HF_TOKEN": None}, "there is no token for http://127.0.0.1:"),
        ({"HF_TOKEN": "hf_wrong"}, "the hub does not accept the token (HTTP 401"),
        ({"HF_ENDPOINT": "http://127.0.0.1:{port}"}, "the upload was interrupted: "),
        ({"HF_ENDPOINT": "ftp://hub"}, "HF_ENDPOINT must be an http or https address, got 'ftp://hub'"),
        ({"BERT_SERVING_OFFLINE": "1"}, "nothing is uploaded while BERT_SERVING_OFFLINE is set"),
    ],
)
def test_a_hub_that_cannot_be_used_is_one_clear_line(
    variables, message, trained, exported, places, hub, bert_serving, monkeypatch
):
    for name, value in variables.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value.format(**places))
    status, out, err = bert_serving("share", trained.run.path, "--to", "hf://lab/tiny", "--export", exported)
    assert (status, out.count("Traceback")) == (2, 0)
    assert len(err.splitlines()) == 1
    assert message in err


def test_in_a_process_of_its_own_a_hub_that_was_busy_once_makes_no_chatter(trained, exported, hub):
    def busy_once(handler):
        handler.server.answers.clear()
        handler.refuse(503, "busy")

    hub.answers["/preupload/"] = busy_once
    command = [sys.executable, "-m", "bert_serving.cli.main", "share", trained.run.path, "--to", "hf://lab/tiny"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_XET": "1"}
    ended = subprocess.run(
        [*command, "--export", exported], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ["Uploading", "classifier:"]
    assert sum("preupload" in request for request in hub.requests) == 2


def test_share_has_help(bert_serving):
    status, out, err = bert_serving("share", "--help")
    assert (status, err) == (0, "")
    assert "Usage: bert-serving share" in out


def test_the_card_of_a_shared_encoder_carries_license_and_language_on(trained, tmp_path):
    run = RunFolder(shutil.copytree(trained.run.path, tmp_path / trained.run.path.name))
    facts = run.read_json("run.json")
    facts["encoder"] |= {"license": "mit", "languages": ["en", "de"]}
    run.write_json("run.json", facts)
    write_files(encoder_files(run), tmp_path / "shared")
    licensing = find_encoder_folder(EncoderConfig(path=tmp_path / "shared")).licensing
    assert (licensing.license, licensing.languages) == ("mit", ("en", "de"))
