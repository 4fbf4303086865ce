"""Labels on two running servers: each step on both, all the way back when one does not follow, and no request lost."""

import json
import shutil
import socket
import threading

import httpx
import pytest
from support import serving_models

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.clients.rest_client import RestClient
from bert_serving.errors import BertServingError, PublishError
from bert_serving.model_server.config.model_config import read_model_config_file
from bert_serving.model_server.config.options import ServerOptions
from bert_serving.model_server.server import ServerThread
from bert_serving.publishing.published_versions import published_versions
from bert_serving.publishing.storage.location import open_location

CONFIG = """# Kept.
model_config_list {{ config {{
  name: "texts" base_path: "{base}" model_platform: "tensorflow"
  model_version_policy {{ specific {{ versions: 1 }} }} version_labels {{ key: "stable" value: 1 }}
}} }}
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return serving_models.write_texts(tmp_path_factory.mktemp("saved") / "1")


@pytest.fixture
def base(tmp_path, saved):
    for version in range(1, 6):
        shutil.copytree(saved, tmp_path / "models" / "texts" / str(version))
    (tmp_path / "models" / "texts" / "6").mkdir()
    (tmp_path / "models" / "texts" / "6" / "saved_model.pb").write_bytes(b"no model")
    (tmp_path / "models.config").write_text(CONFIG.format(base=tmp_path / "models" / "texts"))
    return tmp_path / "models" / "texts"


@pytest.fixture
def servers(base):
    """Two servers of one models.config, which they read once."""
    models = read_model_config_file(base.parent.parent / "models.config")
    options = ServerOptions(models=models, file_system_poll_wait_seconds=0.05, max_num_load_retries=0)
    with ServerThread(options) as one, ServerThread(options) as other:
        yield one, other


def flags(servers):
    return [word for server in servers for word in ("--server", server.grpc_address)]


def served_by(server):
    """Version behind each label, and the versions that are AVAILABLE."""
    labels = {}
    with RestClient(server.rest_url) as client:
        available = sorted(each.version for each in client.status("texts") if each.state == "AVAILABLE")
    for label in ("stable", "canary"):
        answer = httpx.get(f"{server.rest_url}/v1/models/texts/labels/{label}/metadata").json()
        if "model_spec" in answer:
            labels[label] = int(answer["model_spec"]["version"])
    return labels, available


@pytest.mark.slow
def test_a_rollout_and_its_way_back_on_two_servers(bert_serving, servers, tmp_path):
    failed, asked, stop = [], [0], threading.Event()

    def ask():
        with RestClient(servers[0].rest_url) as rest, GrpcClient(servers[1].grpc_address) as over_grpc:
            while not stop.is_set():
                for client in (rest, over_grpc):
                    try:
                        client.predict("texts", ["kurz"], version_label="stable")
                        asked[0] += 1
                    except BertServingError as error:
                        failed.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for words, labels, available in (
            (["label", "canary=2"], {"stable": 1, "canary": 2}, [1, 2]),
            (["label", "stable=2"], {"stable": 2, "canary": 2}, [1, 2]),
            (["label", "canary=3"], {"stable": 2, "canary": 3}, [2, 3]),
            (["rollback"], {"stable": 2, "canary": 2}, [2, 3]),
            (["rollback"], {"stable": 1, "canary": 2}, [1, 2]),
            (["rollback"], {"stable": 1}, [1, 2]),
        ):
            ended = bert_serving(*words, *flags(servers))
            assert (ended.status, ended.err) == (0, ""), words
            assert [served_by(server) for server in servers] == [(labels, available)] * 2, words
    finally:
        stop.set()
        asking.join()
    assert failed == []
    assert asked[0] > 20
    text = (tmp_path / "models.config").read_text()
    assert text.startswith("# Kept.\n")
    assert "value: 1" in text
    ended = bert_serving("rollback", *flags(servers))
    assert ended.status == 2
    assert "has no change of a label" in ended.err


def test_each_step_is_told(bert_serving, servers):
    ended = bert_serving("label", "canary=2", *flags(servers))
    assert "Load 2" in ended.out
    assert "Label 2 canary" in ended.out
    assert "texts: versions 1, 2; labels canary=2, stable=1" in ended.out
    assert "nothing to do" in bert_serving("label", "canary=2", *flags(servers)).out


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.slow
def test_a_step_that_would_fail_changes_nothing(bert_serving, servers, base, tmp_path):
    before = (tmp_path / "models.config").read_text(), [served_by(server) for server in servers]
    unreachable = f"127.0.0.1:{closed_port()}"
    cases = [
        (["label", "stable=9", *flags(servers)], 2, "there is no version 9; published are 1, 2, 3, 4, 5, 6"),
        (["label", "stable=6", *flags(servers)], 1, "version 6 of texts is not AVAILABLE after"),
        (["label", "stable=2", *flags(servers), "--server", unreachable], 2, f"Cannot reach {unreachable}"),
        (["label", "stable=2"], 2, "does not load version 2 yet, and a server refuses a label"),
        (["label", "stable=2", "--model", "other", *flags(servers)], 2, "has no model 'other'; it lists texts"),
        (["label", *flags(servers)], 2, "nothing to do; give label=version"),
        (["label", "stable=2", "--config", "absent.config"], 2, "absent.config: cannot read it"),
        (["rollback", *flags(servers)], 2, "has no change of a label of texts"),
        (
            ["label", "stable=2", "--at", str(tmp_path / "nowhere"), *flags(servers)],
            2,
            "there is no version 2; published are none",
        ),
    ]
    for words, status, message in cases:
        ended = bert_serving(*words)
        assert (ended.status, message in ended.err, ended.err.count("\n")) == (status, True, 1), (words, ended)
        assert "Traceback" not in ended.err
        assert ((tmp_path / "models.config").read_text(), [served_by(server) for server in servers]) == before, words
    assert not (tmp_path / "models.config.history").exists()


def test_without_servers_the_file_is_changed_in_two_steps(bert_serving, base, tmp_path):
    assert bert_serving("label", "--load", 2).status == 0
    ended = bert_serving("label", "stable=2")
    assert (ended.status, ended.err) == (0, "")
    (config,) = read_model_config_file(tmp_path / "models.config")
    assert (config.policy.specific, config.labels) == ((1, 2), {"stable": 2})
    assert bert_serving("rollback").status == 0
    (config,) = read_model_config_file(tmp_path / "models.config")
    assert config.labels == {"stable": 1}


# === What is there, and what may go ===


def test_versions_shows_labels_and_who_has_them(bert_serving, servers, base):
    bert_serving("label", "canary=2", *flags(servers))
    ended = bert_serving("versions", base, "--config", "models.config", *flags(servers), "--json")
    rows = {row["version"]: row for row in json.loads(ended.out)["versions"]}
    assert list(rows) == [6, 5, 4, 3, 2, 1]
    assert {number: row["labels"] for number, row in rows.items() if row["labels"]} == {1: ["stable"], 2: ["canary"]}
    both = [server.grpc_address for server in servers]
    assert {number: row["available"] for number, row in rows.items() if row["available"]} == {1: both, 2: both}
    assert rows[1]["bytes"] == sum(path.stat().st_size for path in (base / "1").rglob("*") if path.is_file())
    shown = bert_serving("versions", base, "--config", "models.config", *flags(servers)).out
    assert "AVAILABLE on" in shown
    assert "canary" in shown


def test_prune_keeps_what_is_needed(bert_serving, servers, base):
    def numbers():
        return sorted(int(path.name) for path in base.iterdir())

    words = ["prune", base, "--keep", 2, "--config", "models.config", *flags(servers)]
    assert "would remove: 2, 3, 4" in bert_serving(*words, "--dry-run").out
    assert numbers() == [1, 2, 3, 4, 5, 6]
    assert "removed: 2, 3, 4" in bert_serving(*words).out
    assert numbers() == [1, 5, 6], "version 1 is labeled"
    assert "removed: none" in bert_serving(*words).out
    for words, message in (
        (["prune", base, "--keep", 0], "--keep 0: keep at least 1 version"),
        (["prune", base / "1"], "holds no versions"),
        (["prune", base, "--server", f"127.0.0.1:{closed_port()}"], "Cannot reach"),
    ):
        ended = bert_serving(*words)
        assert (ended.status, message in ended.err) == (2, True)
    assert numbers() == [1, 5, 6]


def test_what_a_killed_prune_left_goes_with_the_next(base):
    from bert_serving.publishing.pruning import remove_leftovers

    (base / "5").rename(base / ".removed-5")
    remove_leftovers(open_location(str(base)))
    assert not (base / ".removed-5").exists()
    assert [each.number for each in published_versions(open_location(str(base)))] == [6, 4, 3, 2, 1]
    with pytest.raises(PublishError, match="holds no versions"):
        published_versions(open_location(str(base / "nowhere")))


# === Shadow comparison ===


def test_compare_asks_both_and_tells_what_changed(bert_serving, servers, tmp_path):
    bert_serving("label", "canary=2", *flags(servers))
    (tmp_path / "texts.txt").write_text("kurz\nein langer Text\n\nnoch ein langer Text\n")
    first, second = (f"grpc://{server.grpc_address}/texts" for server in servers)
    for pair in ((first, second), (f"{first}/labels/stable", f"{servers[1].rest_url}/texts/versions/2")):
        ended = bert_serving("compare", *pair, "--data", "texts.txt", "--json")
        found = json.loads(ended.out)
        assert (found["rows"], found["agreement"], found["changed"]) == (3, 1.0, [])
        assert all(each["p95_ms"] > 0 for each in found["latency"])
    ended = bert_serving("compare", first, second, "--data", "texts.txt", "--labels", "long,short")
    assert "agreement: 1.0000 of 3 texts" in ended.out
    assert "short" in ended.out
    for words, status, message in (
        ([f"grpc://127.0.0.1:{closed_port()}/texts", second, "--data", "texts.txt"], 2, "is the model server running?"),
        ([f"{first}/versions/9", second, "--data", "texts.txt"], 2, "Servable not found for request"),
        ([f"{first}/labels/none", second, "--data", "texts.txt"], 2, "Unrecognized servable version label: none"),
        ([first, second, "--data", "absent.txt"], 2, "absent.txt: cannot be read"),
        ([first, second, "--data", "texts.txt", "--labels", "one"], 2, "--labels names 1 labels"),
        ([first, second, "--data", "texts.txt", "--minimum", "1.1"], 1, "agreement 1.0000 is below 1.1"),
    ):
        ended = bert_serving("compare", *words)
        assert (ended.status, message in ended.err) == (status, True), (words, ended)
