"""Serving an export, clients by address, and the steps of a rollout in Python."""

import asyncio

import pytest
from support.runs import in_process_verification

import bert_serving as bs
from bert_serving.errors import InputError, PublishError, ServerUnavailable

TEXTS = ["a good film", "a bad wheel"]


@pytest.fixture(scope="module", autouse=True)
def _verified_here():
    with in_process_verification():
        yield


@pytest.fixture(scope="module")
def server(exported):
    """A server of the tiny export."""
    with bs.serve(exported) as running:
        yield running


def test_both_clients_and_both_protocols_give_the_answers_of_the_export(server, exported):
    expected = bs.load(exported).predict(TEXTS)
    with bs.Client(server.address) as grpc_client, bs.Client(server.rest_address) as rest_client:
        answers = [grpc_client.predict(TEXTS), rest_client.predict(TEXTS), server.model().predict(TEXTS)]

    async def ask(address):
        async with bs.AsyncClient(address) as client:
            assert (await client.describe()).labels == ("blame", "praise")
            assert (await client.status())[0].state == "AVAILABLE"
            return await client.predict(TEXTS)

    answers += [asyncio.run(ask(address)) for address in (server.address, server.rest_address)]
    for predictions in answers:
        assert [prediction.label for prediction in predictions] == [prediction.label for prediction in expected]
        for prediction, same in zip(predictions, expected, strict=True):
            assert prediction.probabilities == pytest.approx(same.probabilities, abs=1e-6)


def test_a_client_tells_labels_state_and_takes_a_single_text(server):
    with bs.Client(f"{server.address}/versions/1", timeout=10) as client:
        assert client.describe().labels == ("blame", "praise")
        assert client.status()[0].version == 1
        assert client.predict("a good film") == client.predict(["a good film"])
        assert client.predict([]) == []


def test_a_served_model_is_measured_on_rows_of_any_form(server, rows):
    model = bs.load(server.address)
    texts, labels = zip(*rows, strict=True)
    assert model.evaluate(rows)["accuracy"] == model.evaluate({"text": texts, "label": labels})["accuracy"]
    assert model.predict(TEXTS)[0].scores.keys() == {"blame", "praise"}


@pytest.mark.slow
def test_a_server_stops_once_and_answers_no_more(exported):
    server = bs.serve(exported, flags=["--enable_batching=false"])
    server.stop()
    server.stop()
    with bs.Client(server.address, retry_timeout=0, timeout=2) as client, pytest.raises(ServerUnavailable):
        client.predict("a good film")


def test_a_folder_that_is_no_export_is_not_served(tmp_path):
    with pytest.raises(InputError, match="neither a SavedModel nor a folder of versions"):
        bs.serve(tmp_path)


# === Rollout ===


def test_an_export_is_published_labeled_rolled_back_and_pruned(exported, tmp_path):
    to = tmp_path / "published"
    published = [bs.publish(exported, to, name="tiny", version=version) for version in (1, 2)]
    assert [publication.is_new for publication in published] == [True, True]
    assert not bs.publish(exported, to, name="tiny", version=2).is_new
    assert [version.number for version in bs.versions(to / "tiny")] == [2, 1]
    config = tmp_path / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "tiny" base_path: "{to / "tiny"}" model_platform: "tensorflow"\n'
        'model_version_policy { specific { versions: 1 } } version_labels { key: "stable" value: 1 } } }\n',
        "utf-8",
    )
    bs.label({}, config, load=[2])
    assert bs.label({"stable": 2}, config).labels == {"stable": 2}
    assert bs.rollback(config).labels == {"stable": 1}
    assert bs.prune(to / "tiny", keep=1, config=config, dry_run=True) == []
    assert bs.prune(to / "tiny", keep=1, dry_run=True) == [1]
    assert bs.prune(to / "tiny", keep=1) == [1]
    assert [version.number for version in bs.versions(to / "tiny")] == [2]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"force": "why"}, InputError, "force and against need a gate"),
        ({"version": 0}, PublishError, "version 0 is not a positive integer"),
        ({"name": "a/b"}, PublishError, "a/b"),
    ],
)
def test_a_publication_that_cannot_be_meant_is_refused(exported, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        bs.publish(exported, tmp_path, **arguments)


def test_a_label_of_a_version_that_is_not_published_is_refused(exported, tmp_path):
    config = tmp_path / "models.config"
    config.write_text(f'model_config_list {{ config {{ name: "tiny" base_path: "{exported.parent}" }} }}', "utf-8")
    with pytest.raises(PublishError, match="there is no version 9; published are 1"):
        bs.label({"stable": 9}, config)
