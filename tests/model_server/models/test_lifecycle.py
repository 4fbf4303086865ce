import logging
import shutil
import threading
import time

import grpc
import pytest
from google.protobuf import text_format
from support import serving_models
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
)

from bert_serving.errors import FailedPrecondition, InputError, InvalidRequest, LoadError, ServableNotFound
from bert_serving.model_server.config.options import ModelConfig, ServerOptions, VersionPolicy
from bert_serving.model_server.models import store as store_module
from bert_serving.model_server.models.reload import ConfigFile, reload_config
from bert_serving.model_server.models.retries import LoadAttempts, fingerprint
from bert_serving.model_server.models.store import ModelStore, State
from bert_serving.model_server.models.watcher import Watcher
from bert_serving.model_server.server import ServerThread


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    return serving_models.write_half_plus(tmp_path_factory.mktemp("saved") / "1", 2.0)


@pytest.fixture
def base(tmp_path, saved_model):
    base = tmp_path / "m"
    publish(saved_model, base, 1)
    return base


def publish(saved_model, base, *versions):
    for version in versions:
        shutil.copytree(saved_model, base / f"{version}.tmp")
        (base / f"{version}.tmp").rename(base / str(version))


def break_version(base, version):
    (base / str(version)).mkdir()
    (base / str(version) / "saved_model.pb").write_bytes(b"no SavedModel")


def loaded_store(*configs, **options):
    store = ModelStore(ServerOptions(models=list(configs), **options))
    store.load()
    return store


def poll_until_settled(store):
    store.poll()
    wait_until(lambda: not store.busy)


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def states(store, name="m"):
    return {record.version: State.Name(record.state) for record in store.versions(name)}


def served(store, name="m", **choice):
    spec = model_pb2.ModelSpec(name=name, version_label=choice.get("label", ""))
    if "label" not in choice:
        spec.ClearField("version_label")
    return store.resolve(spec).version


# === Folders ===


def test_a_new_version_takes_over_and_the_old_one_ends(base, saved_model):
    store = loaded_store(ModelConfig("m", base))
    publish(saved_model, base, 2)
    poll_until_settled(store)
    assert served(store) == 2
    assert states(store) == {2: "AVAILABLE", 1: "END"}


def test_the_old_version_answers_until_the_new_one_is_warm(base, saved_model, monkeypatch):
    store = loaded_store(ModelConfig("m", base))
    publish(saved_model, base, 2)
    observed = []
    real = store_module.load_version

    def watched(*arguments):
        servable = real(*arguments)
        observed.append((served(store), states(store)))
        return servable

    monkeypatch.setattr(store_module, "load_version", watched)
    poll_until_settled(store)
    assert observed == [(1, {2: "LOADING", 1: "AVAILABLE"})]


def test_a_version_that_requests_still_use_is_unloading_until_they_end(base, saved_model):
    store = loaded_store(ModelConfig("m", base))
    in_use = store.resolve(model_pb2.ModelSpec(name="m"))
    publish(saved_model, base, 2)
    poll_until_settled(store)
    assert states(store) == {2: "AVAILABLE", 1: "UNLOADING"}
    assert in_use.run("serving_default", {"x": [2.0]}, ["y"])["y"].tolist() == [3.0]
    del in_use
    assert states(store) == {2: "AVAILABLE", 1: "END"}


def test_a_broken_version_never_replaces_a_working_one(base, saved_model):
    store = loaded_store(ModelConfig("m", base))
    break_version(base, 2)
    poll_until_settled(store)
    assert served(store) == 1
    assert states(store) == {2: "END", 1: "AVAILABLE"}
    broken = store.versions("m")[0]
    assert broken.error_code != "OK"
    assert "saved_model.pb" in broken.error_message
    publish(saved_model, base, 3)
    poll_until_settled(store)
    assert served(store) == 3
    assert states(store) == {3: "AVAILABLE", 2: "END", 1: "END"}


def test_only_the_highest_old_version_stays_while_all_new_ones_are_broken(base, saved_model):
    publish(saved_model, base, 2)
    store = loaded_store(ModelConfig("m", base, VersionPolicy(latest=2)))
    break_version(base, 3)
    break_version(base, 4)
    poll_until_settled(store)
    assert states(store) == {4: "END", 3: "END", 2: "AVAILABLE", 1: "END"}


def test_superseded_versions_are_skipped_and_one_old_version_stays_loaded(base, saved_model, monkeypatch):
    store = loaded_store(ModelConfig("m", base))
    real, turns, begun, answering = store_module.load_version, threading.Semaphore(0), [], []

    def slow(name, loading, options):
        begun.append(loading.version)
        turns.acquire(timeout=20)
        answering.append(sum(record.state == State.AVAILABLE for record in store.versions("m")))
        return real(name, loading, options)

    monkeypatch.setattr(store_module, "load_version", slow)
    for while_loading, versions in ((None, [2]), (2, [3, 4]), (4, [5, 6])):
        wait_until(lambda expected=while_loading: begun[-1:] == [expected] or expected is None)
        for version in versions:
            publish(saved_model, base, version)
            store.poll()
        if while_loading:
            turns.release()
    wait_until(lambda: begun == [2, 4, 6])
    turns.release()
    wait_until(lambda: states(store) == dict.fromkeys(range(1, 6), "END") | {6: "AVAILABLE"})
    assert answering == [1, 1, 1]


def test_a_version_that_was_half_copied_is_loaded_once_it_is_whole(base, saved_model):
    store = loaded_store(ModelConfig("m", base), max_num_load_retries=0)
    (base / "2").mkdir()
    shutil.copy(saved_model / "saved_model.pb", base / "2")
    poll_until_settled(store)
    assert states(store) == {2: "END", 1: "AVAILABLE"}
    shutil.copytree(saved_model / "variables", base / "2" / "variables")
    poll_until_settled(store)
    assert states(store) == {2: "AVAILABLE", 1: "END"}


def test_a_version_that_was_deleted_ends_and_an_older_one_takes_over(base, saved_model):
    publish(saved_model, base, 2)
    store = loaded_store(ModelConfig("m", base))
    assert states(store) == {2: "AVAILABLE"}
    shutil.rmtree(base / "2")
    poll_until_settled(store)
    assert states(store) == {2: "END", 1: "AVAILABLE"}
    shutil.rmtree(base / "1")
    poll_until_settled(store)
    assert states(store) == {2: "END", 1: "END"}
    with pytest.raises(ServableNotFound, match=r"Latest\(m\)"):
        served(store)
    publish(saved_model, base, 2)
    poll_until_settled(store)
    assert states(store) == {2: "AVAILABLE", 1: "END"}


def test_an_unreadable_base_path_leaves_all_models_served(base, saved_model, tmp_path, caplog):
    other = tmp_path / "other"
    publish(saved_model, other, 1)
    store = loaded_store(ModelConfig("m", base), ModelConfig("other", other))
    base.rename(tmp_path / "away")
    publish(saved_model, other, 2)
    with caplog.at_level(logging.WARNING, logger="bert_serving.model_server"):
        poll_until_settled(store)
        poll_until_settled(store)
    assert served(store) == 1
    assert served(store, "other") == 2
    assert sum(f"The base path {base} does not exist" in line for line in caplog.messages) == 1
    (tmp_path / "away").rename(base)
    publish(saved_model, base, 2)
    poll_until_settled(store)
    assert served(store) == 2


@pytest.mark.parametrize(
    ("policy", "before", "after"),
    [
        (VersionPolicy(latest=2), {2: "AVAILABLE", 1: "AVAILABLE"}, {3: "AVAILABLE", 2: "AVAILABLE", 1: "END"}),
        (
            VersionPolicy(latest=None),
            {2: "AVAILABLE", 1: "AVAILABLE"},
            {3: "AVAILABLE", 2: "AVAILABLE", 1: "AVAILABLE"},
        ),
        (VersionPolicy(specific=(1, 3)), {1: "AVAILABLE"}, {3: "AVAILABLE", 1: "AVAILABLE"}),
    ],
)
def test_each_policy_keeps_its_versions_as_they_come(base, saved_model, policy, before, after):
    publish(saved_model, base, 2)
    store = loaded_store(ModelConfig("m", base, policy))
    assert states(store) == before
    publish(saved_model, base, 3)
    poll_until_settled(store)
    assert states(store) == after


# === Retries ===


def test_a_version_is_loaded_again_after_the_interval_a_few_times(tmp_path):
    now = [0.0]
    attempts = LoadAttempts(retries=2, interval=60.0, clock=lambda: now[0])
    contents = fingerprint(tmp_path)
    due = []
    for seconds in range(0, 300, 30):
        now[0] = float(seconds)
        due.append(attempts.due("m", 1, tmp_path))
        if due[-1]:
            attempts.failed("m", 1, contents)
    assert due == [True, False, True, False, True, *[False] * 5]
    (tmp_path / "more").write_text("")
    assert attempts.due("m", 1, tmp_path)
    attempts.forget("m", 1)
    assert attempts.due("m", 1, tmp_path)


def test_a_version_is_loaded_again_without_polling(base, monkeypatch):
    real, attempts = store_module.load_version, []

    def fails_once(*arguments):
        attempts.append(arguments)
        if len(attempts) == 1:
            raise LoadError("the disk was away")
        return real(*arguments)

    monkeypatch.setattr(store_module, "load_version", fails_once)
    options = ServerOptions(
        models=[ModelConfig("m", base)], port=0, file_system_poll_wait_seconds=0, load_retry_interval=0.1
    )
    with ServerThread(options) as running:
        assert not running.server.store.ready
        wait_for(lambda: running.server.store.ready)
    assert len(attempts) == 2


# === A new configuration ===


def reload_request(*models):
    """A request from tuples of name, base path and further text of the entry."""
    request = model_management_pb2.ReloadConfigRequest()
    for name, path, *more in models:
        entry = request.config.model_config_list.config.add()
        text_format.Parse(" ".join(more), entry)
        entry.name, entry.base_path, entry.model_platform = name, str(path), "tensorflow"
    return request


def test_a_reload_waits_for_new_models_and_unloads_those_not_listed(base):
    store = loaded_store(ModelConfig("m", base))
    response = reload_config(store, reload_request(("n", base)))
    assert response.status.error_code == 0
    assert store.names() == ["n"]
    assert served(store, "n") == 1
    assert states(store) == {1: "END"}
    with pytest.raises(ServableNotFound):
        served(store)
    assert store.ready
    reload_config(store, reload_request(("m", base), ("n", base)))
    assert served(store) == served(store, "n") == 1


def test_a_reload_changes_the_policy_of_a_model(base, saved_model):
    publish(saved_model, base, 2)
    store = loaded_store(ModelConfig("m", base))
    reload_config(store, reload_request(("m", base, "model_version_policy { specific { versions: 1 } }")))
    poll_until_settled(store)
    assert states(store) == {2: "END", 1: "AVAILABLE"}


def test_an_empty_reload_changes_nothing(base):
    store = loaded_store(ModelConfig("m", base))
    assert reload_config(store, model_management_pb2.ReloadConfigRequest()).status.error_code == 0
    assert served(store) == 1


def custom_request():
    request = model_management_pb2.ReloadConfigRequest()
    request.config.custom_model_config.SetInParent()
    return request


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda base: custom_request(), InvalidRequest, "Only ModelConfigList is currently supported"),
        (
            lambda base: reload_request(("n", base), ("n", base)),
            InvalidRequest,
            "Illegal to list model n multiple times",
        ),
        (lambda base: reload_request(("n", "models")), InvalidRequest, "to have an absolute path or URI"),
        (lambda base: reload_request(("n", f"{base}\0")), InvalidRequest, "to have an absolute path or URI"),
        (lambda base: reload_request(("m", f"{base}\0")), InvalidRequest, "to have an absolute path or URI"),
        (lambda base: reload_request(("n", base / "no")), InvalidRequest, "does not exist"),
        (
            lambda base: reload_request(("m", base, 'version_labels { key: "new" value: 9 }')),
            FailedPrecondition,
            "Request to assign label to version 9 of model m, which is not currently available for inference",
        ),
    ],
)
def test_a_reload_that_is_refused_changes_nothing(base, make, error, text):
    store = loaded_store(ModelConfig("m", base, labels={"stable": 1}))
    with pytest.raises(error, match=text):
        reload_config(store, make(base))
    assert store.names() == ["m"]
    assert served(store, label="stable") == 1


def test_a_reload_tells_that_a_new_model_is_broken_and_serves_the_others(base, tmp_path):
    break_version(tmp_path, 7)
    store = loaded_store(ModelConfig("m", base))
    with pytest.raises(LoadError, match=r"1 servable\(s\) did not become available: \{\{name: bad version: 7\} due to"):
        reload_config(store, reload_request(("m", base), ("bad", tmp_path), ("n", base)))
    assert served(store) == served(store, "n") == 1
    assert not store.ready


def test_a_reload_does_not_wait_for_ever(base, monkeypatch):
    store = loaded_store(ModelConfig("m", base))
    may_end = threading.Event()
    real = store_module.load_version

    def slow(*arguments):
        may_end.wait(10)
        return real(*arguments)

    monkeypatch.setattr(store_module, "load_version", slow)
    with pytest.raises(LoadError, match=r"n: still loading after 0\.1 s"):
        reload_config(store, reload_request(("m", base), ("n", base)), timeout=0.1)
    may_end.set()
    poll_until_settled(store)
    assert served(store, "n") == 1


# === Labels ===


def label(name, version):
    return f'version_labels {{ key: "{name}" value: {version} }}'


ALL = "model_version_policy { all {} }"


def test_a_label_moves_to_a_version_that_is_available_and_back(base, saved_model):
    publish(saved_model, base, 2)
    store = loaded_store(ModelConfig("m", base, VersionPolicy(latest=None), labels={"stable": 1}))
    for version in (2, 1):
        reload_config(store, reload_request(("m", base, ALL, label("stable", version))))
        assert served(store, label="stable") == version
    reload_config(store, reload_request(("m", base, ALL, label("canary", 2))))
    with pytest.raises(InvalidRequest, match="Unrecognized servable version label: stable"):
        served(store, label="stable")


@pytest.mark.parametrize(
    ("allow", "labels", "accepted"),
    [
        (False, {"new": 9}, False),
        (True, {"new": 9}, True),
        (True, {"stable": 9}, False),
        (False, {"stable": 1, "other": 1}, True),
    ],
)
def test_only_a_new_label_may_name_an_unavailable_version_and_if_allowed(base, allow, labels, accepted):
    store = loaded_store(
        ModelConfig("m", base, labels={"stable": 1}), allow_version_labels_for_unavailable_models=allow
    )
    request = reload_request(("m", base, *(label(*pair) for pair in labels.items())))
    if accepted:
        reload_config(store, request)
        assert store.labels("m") == labels
    else:
        with pytest.raises(FailedPrecondition, match="not currently available"):
            reload_config(store, request)
        assert store.labels("m") == {"stable": 1}


# === The file ===


def write_config(path, *models):
    path.write_text(text_format.MessageToString(reload_request(*models).config))


def test_the_model_config_file_is_applied_when_it_changes(base, tmp_path, saved_model, caplog):
    path = tmp_path / "models.config"
    write_config(path, ("m", base))
    store, file = loaded_store(ModelConfig("m", base)), ConfigFile(path, [ModelConfig("m", base)])
    assert not file.poll(store)
    write_config(path, ("m", base), ("n", base))
    assert file.poll(store)
    assert store.names() == ["m", "n"]
    with caplog.at_level(logging.ERROR, logger="bert_serving.model_server"):
        path.write_text("model_config_list { config {")
        assert not file.poll(store)
        assert not file.poll(store)
    assert sum("Error parsing text-format" in line for line in caplog.messages) == 1
    assert store.names() == ["m", "n"]
    path.unlink()
    assert not file.poll(store)
    # A label that leads nowhere yet is applied at a later look.
    write_config(path, ("m", base, ALL, label("next", 2)))
    assert not file.poll(store)
    store.reload([ModelConfig("m", base, VersionPolicy(latest=None))])
    publish(saved_model, base, 2)
    poll_until_settled(store)
    assert file.poll(store)
    assert served(store, label="next") == 2


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "model_config_list {}"])
def test_a_model_config_file_that_lists_no_model_changes_nothing(text, base, tmp_path, caplog):
    path = tmp_path / "models.config"
    store, file = loaded_store(ModelConfig("m", base)), ConfigFile(path, [ModelConfig("m", base)])
    path.write_text(text)
    with caplog.at_level(logging.ERROR, logger="bert_serving.model_server"):
        assert not file.poll(store)
    assert "lists no model" in caplog.text
    assert served(store) == 1


def test_changes_of_the_config_file_during_the_start_are_applied(base, tmp_path):
    path = tmp_path / "models.config"
    write_config(path, ("m", base), ("n", base))
    store, file = loaded_store(ModelConfig("m", base)), ConfigFile(path, [ModelConfig("m", base)])
    assert file.poll(store)
    assert store.names() == ["m", "n"]


# === A running server ===


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_running_server_follows_folders_config_file_and_reloads(base, saved_model, tmp_path):
    path = tmp_path / "models.config"
    write_config(path, ("m", base))
    options = ServerOptions(
        models=[ModelConfig("m", base)],
        model_config_file=path,
        model_config_file_poll_wait_seconds=0.05,
        file_system_poll_wait_seconds=0.05,
    )
    with ServerThread(options) as running, grpc.insecure_channel(running.grpc_address) as channel:
        models = model_service_pb2_grpc.ModelServiceStub(channel)

        def available(name):
            request = get_model_status_pb2.GetModelStatusRequest(model_spec=model_pb2.ModelSpec(name=name))
            listed = models.GetModelStatus(request, timeout=5).model_version_status
            return [item.version for item in listed if item.state == State.AVAILABLE]

        publish(saved_model, base, 5)
        wait_for(lambda: available("m") == [5])
        write_config(path, ("m", base), ("n", base))
        wait_for(lambda: "n" in running.server.store.names() and available("n") == [5])
        response = models.HandleReloadConfigRequest(reload_request(("m", base), ("o", base)), timeout=20)
        assert response.status.error_code == 0
        assert available("o") == [5]
        wait_for(lambda: available("n") == [])
        with pytest.raises(grpc.RpcError) as caught:
            models.HandleReloadConfigRequest(reload_request(("m", base, label("x", 9))), timeout=20)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        with pytest.raises(grpc.RpcError) as caught:
            models.HandleReloadConfigRequest(reload_request(("p", base / "no")), timeout=20)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_slow_new_model_does_not_delay_versions_of_the_others(base, saved_model, tmp_path, monkeypatch):
    path, other = tmp_path / "models.config", tmp_path / "other"
    write_config(path, ("m", base))
    publish(saved_model, other, 1)
    real, may_end = store_module.load_version, threading.Event()

    def slow(name, *arguments):
        if name == "slow":
            may_end.wait(20)
        return real(name, *arguments)

    monkeypatch.setattr(store_module, "load_version", slow)
    options = ServerOptions(
        models=[ModelConfig("m", base)],
        model_config_file=path,
        model_config_file_poll_wait_seconds=0.05,
        file_system_poll_wait_seconds=0.05,
        load_threads=2,
    )
    with ServerThread(options) as running:
        store = running.server.store
        write_config(path, ("m", base), ("slow", other))
        wait_for(lambda: "slow" in store.names())
        publish(saved_model, base, 7)
        wait_for(lambda: served(store) == 7)
        assert not store.answers("slow")
        may_end.set()
        wait_for(lambda: store.answers("slow"))


def test_a_poll_that_fails_does_not_end_the_polling():
    polls = []

    def poll():
        polls.append(1)
        raise InputError("bad")

    watcher = Watcher()
    watcher.add(0.01, poll)
    watcher.add(0, lambda: pytest.fail("an interval of 0 means never"))
    watcher.start()
    wait_for(lambda: len(polls) > 2)
    watcher.stop()
