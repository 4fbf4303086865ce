"""`bert-serving publish` as people type it: verified, held against a gate, recorded, one line for each mistake."""

import json
import shutil

import pytest
from support import object_storage, tiny

from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread
from bert_serving.publishing.storage.file_sums import PUBLICATION_FILE
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.verification import verify


@pytest.fixture
def gate(tmp_path, rows):
    """Writes a gate file on the rows that the model has not learnt from."""
    tiny.write_tsv_file(tmp_path / "data.tsv", rows[50:])

    def write(**rules):
        lines = ['name = "the ten last rows"', 'data = "data.tsv"']
        lines += [
            f"{key} = "
            + (
                "{" + ", ".join(f"{n} = {v}" for n, v in value.items()) + "}"
                if isinstance(value, dict)
                else json.dumps(value)
            )
            for key, value in rules.items()
        ]
        (tmp_path / "gate.toml").write_text("\n".join(lines) + "\n")
        return tmp_path / "gate.toml"

    return write


@pytest.mark.slow
def test_a_verified_export_is_published_and_again_is_no_error(bert_serving, exported, tmp_path):
    ended = bert_serving("publish", exported.parent, "--to", "served")
    assert (ended.status, ended.err) == (0, "")
    assert "Verifying again in a fresh process" in ended.out
    assert "published: served/tiny/1" in ended.out
    assert verify.verify(tmp_path / "served" / "tiny" / "1").passed
    again = bert_serving("publish", exported, "--to", "served")
    assert (again.status, "already holds this export" in again.out) == (0, True)
    other = bert_serving("publish", exported, "--to", "served", "--version", 7, "--name", "other", "--json")
    assert json.loads(other.out)["published"].endswith("served/other/7")


def test_what_fails_verification_is_not_published(bert_serving, exported, tmp_path):
    damaged = shutil.copytree(exported, tmp_path / "damaged" / "1")
    (damaged / "assets" / "labels.txt").write_text("other\n")
    ended = bert_serving("publish", damaged, "--to", "served")
    assert ended.status == 1
    assert "was not published: assets/labels.txt does not hold the manifest's labels" in ended.err
    assert not (tmp_path / "served").exists()


@pytest.mark.slow
def test_the_gate_says_why_not_and_force_is_recorded(bert_serving, exported, gate, tmp_path):
    assert bert_serving("publish", exported, "--to", "served").status == 0
    path = gate(minimum={"accuracy": 1.01, "macro_f1": 0.0}, largest_class_loss=0.0, largest_latency_ms=60000)
    words = ["publish", exported, "--to", "served", "--version", 2, "--gate", path]
    ended = bert_serving(*words)
    assert ended.status == 1
    assert "was not published: smallest accuracy: " in ended.err
    assert ended.err.count("\n") == 1
    assert "Gate on the ten last rows: 10 rows, against" in ended.out
    assert "loss of class blame" in ended.out
    assert not (tmp_path / "served" / "tiny" / "2").exists()
    forced = bert_serving(*words, "--force", "the old one is worse")
    assert (forced.status, forced.err) == (0, "")
    assert "published although the gate failed: the old one is worse" in forced.out
    record = json.loads((tmp_path / "served" / "tiny" / "2" / PUBLICATION_FILE).read_text())["gate"]
    assert (record["passed"], record["forced"]) == (False, "the old one is worse")
    assert record["against"].endswith("served/tiny/1")
    assert "forced: the old one is worse" in bert_serving("versions", tmp_path / "served" / "tiny").out


@pytest.mark.slow
def test_a_gate_compares_with_a_server_too(bert_serving, exported, gate):
    path = gate(minimum={"accuracy": 0.5}, largest_class_loss=0.0, golden="data.tsv")
    with ServerThread(ServerOptions(models=[ModelConfig("tiny", exported.parent)])) as server:
        against = f"grpc://{server.grpc_address}/tiny"
        words = ["publish", exported, "--to", "served", "--gate", path, "--against", against, "--json"]
        ended = bert_serving(*words)
        report = json.loads(ended.out)["gate"]
        assert (ended.status, report["passed"], report["against"]) == (0, True, against)
        assert [check["value"] for check in report["checks"] if check["rule"].startswith("loss of class")] == [0.0, 0.0]
        slower = gate(largest_slowdown=1.0)
        ended = bert_serving("publish", exported, "--to", "other", "--gate", slower, "--against", against)
        assert (ended.status, "largest_slowdown compares on this machine" in ended.err) == (2, True)


@pytest.mark.slow
def test_versions_shows_scores_of_a_storage(bert_serving, exported, monkeypatch):
    with object_storage.running_storage():
        place = f"s3://{object_storage.BUCKET}/production"
        assert bert_serving("publish", exported, "--to", place).status == 0
        assert bert_serving("publish", exported, "--to", place, "--version", 2).status == 0
        object_storage.put_object("production/tiny/3/variables/variables.index", b"of a publication that goes on")
        object_storage.put_object("production/tiny/.publishing-3/claim-000001.json", b"{}")
        rows = json.loads(bert_serving("versions", f"{place}/tiny", "--json").out)["versions"]
        assert [(row["version"], row["complete"]) for row in rows] == [(3, False), (2, True), (1, True)]
        accuracy = load_manifest(exported).metrics["accuracy"]
        assert [row["metrics"].get("accuracy") for row in rows] == [None, accuracy, accuracy]
        assert "not complete" in bert_serving("versions", f"{place}/tiny").out
        assert "removed: 1 " in bert_serving("prune", f"{place}/tiny", "--keep", 1).out
        left = {name.split("/")[2] for name in object_storage.objects()}
        assert left == {"2", "3", ".publishing-3"}


@pytest.mark.slow
def test_mistakes_are_one_line(bert_serving, exported, gate, tmp_path):
    assert bert_serving("publish", exported, "--to", "served").status == 0
    changed = shutil.copytree(exported, tmp_path / "changed" / "1")
    (changed / "assets.extra" / "README.md").write_text("other words")
    before = sorted((tmp_path / "served").rglob("*"))
    for words, message in (
        ([changed, "--to", "served"], "version 1 exists and is never overwritten; give --version 2 for the next one"),
        ([exported, "--to", "served", "--version", 0], "version 0 is not a positive integer"),
        (["absent", "--to", "served"], "neither a SavedModel nor a folder of versions"),
        ([exported, "--to", "nosuch://x"], "give a folder, or a URL such as s3://bucket/models"),
        ([exported, "--to", "served", "--force", "x"], "--force and --against need --gate"),
        ([exported, "--to", "served", "--gate", gate(), "--force", " "], "--force needs a reason"),
        ([exported, "--to", "served", "--gate", "absent.toml"], "cannot read the gate file"),
        ([exported, "--to", "/proc/x"], "cannot write it"),
    ):
        ended = bert_serving("publish", *words)
        assert (ended.status, message in ended.err, ended.err.count("\n")) == (2, True, 1), (words, ended)
    assert sorted((tmp_path / "served").rglob("*")) == before


STORAGES = {
    "no bucket": ("s3://absent/models", {}, "not found: "),
    "no credentials": (
        "s3://models/production",
        {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        "no credentials were found; set AWS_ACCESS_KEY_ID",
    ),
    "half of the credentials": ("s3://models/production", {"AWS_SECRET_ACCESS_KEY": None}, "credentials"),
    "no such profile": ("s3://models/production", {"AWS_PROFILE": "absent"}, "AWS_PROFILE is not a profile"),
    "unreachable": (
        "s3://models/production",
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"},
        "cannot connect to the storage; check the network and AWS_ENDPOINT_URL",
    ),
}


def test_a_storage_that_cannot_be_used_is_one_line_of_every_command(bert_serving, exported, tmp_path, monkeypatch):
    config = tmp_path / "models.config"
    config.write_text(
        'model_config_list { config { name: "tiny" base_path: "/models/tiny" model_platform: "tensorflow"\n'
        'model_version_policy { specific { versions: 1 } } version_labels { key: "stable" value: 1 } } }\n'
    )
    with object_storage.running_storage():
        object_storage.put_object("production/tiny/1/saved_model.pb", b"of version 1")
        before = config.read_text(), object_storage.objects()
        for case, (to, environment, message) in STORAGES.items():
            with monkeypatch.context() as changed:
                for name, value in environment.items():
                    changed.delenv(name) if value is None else changed.setenv(name, value)
                object_storage.forget_connections()
                for words in (
                    ["publish", exported, "--to", to],
                    ["versions", f"{to}/tiny"],
                    ["prune", f"{to}/tiny", "--keep", 1],
                    ["label", "stable=2", "--config", config, "--at", f"{to}/tiny"],
                    ["k8s", "render", "--model", "tiny", "--url", to, "--out", "cluster"],
                ):
                    ended = bert_serving(*words)
                    assert (ended.status, message in ended.err, ended.err.count("\n")) == (2, True, 1), (case, ended)
            object_storage.forget_connections()
            assert (config.read_text(), object_storage.objects()) == before
    assert not (tmp_path / "cluster").exists()


def test_a_storage_whose_package_is_missing_is_one_line(bert_serving, exported, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "gcsfs", None)
    ended = bert_serving("publish", exported, "--to", "gs://models/production")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "Please install gcsfs to access Google Storage; pip install 'bert-serving[publish]'" in ended.err
