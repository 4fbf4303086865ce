"""Names of a served model's probabilities: told by the model, by its scores, by the user, or guessed and checked."""

import asyncio
import json
import os
import shutil

import numpy as np
import pytest
from support import serving_models

from bert_serving.clients.grpc_client import AsyncGrpcClient, GrpcClient
from bert_serving.clients.model_address import ModelAddress
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.rest_client import AsyncRestClient, RestClient
from bert_serving.clients.served_model import Named, ServedModel, named_by_scores, named_by_signature
from bert_serving.contract import Head
from bert_serving.data.table import LabeledTable
from bert_serving.data.unlabeled import TextSource
from bert_serving.errors import DataError, InputError, InvalidRequest, ServableNotFound
from bert_serving.model.facts import ModelFacts
from bert_serving.model.model import open_model, predict_table
from bert_serving.model.prediction_file import PredictionFile, predict_file
from bert_serving.model.remote import check_answers
from bert_serving.model_server.config.options import ModelConfig, ServerOptions, VersionPolicy
from bert_serving.model_server.server import ServerThread
from bert_serving.publishing.rollout.comparison import aligned

INTEGERS = tuple(map(str, range(12)))
"""labels whose order as numbers is not that of their texts"""
MODELS = {
    "told": (INTEGERS, "softmax", ("labels", "classify")),
    "ranked": (INTEGERS, "softmax", ("classify",)),
    "silent": (INTEGERS[::-1], "softmax", ()),
    "tags": (("b", "a", "c"), "multilabel", ("classify",)),
    "told_tags": (("b", "a", "c"), "multilabel", ("labels",)),
    "number": (("value",), "regression", ("classify",)),
    "commas": (("z, or y", "a, b"), "softmax", ("labels",)),
    "pairs": (("no", "yes"), "binary", ("labels",)),
}
TEXTS = [f"text {number}" for number in range(200)]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    for name, (labels, head, tells) in MODELS.items():
        serving_models.write_classifier(base / name / "1", labels, head, tells=tells)
    serving_models.write_classifier(base / "flat" / "1", INTEGERS, flat=True)
    serving_models.write_arithmetic(base / "arithmetic" / "1")
    return base


@pytest.fixture(scope="module")
def server(base):
    models = [ModelConfig(path.name, path) for path in sorted(base.iterdir())]
    with ServerThread(ServerOptions(models=models)) as running:
        yield running


@pytest.fixture(params=["grpc", "http"])
def address(request, server):
    return {"grpc": f"grpc://{server.grpc_address}", "http": server.rest_url}[request.param]


def rows_of(server, name):
    """Rows with the labels that a model answers."""
    with GrpcClient(server.grpc_address) as client:
        return LabeledTable(TEXTS, None, [each.label for each in client.predict(name, TEXTS)], "rows.tsv")


@pytest.mark.parametrize(
    ("name", "head", "labels"),
    [
        ("told", Head.SOFTMAX, INTEGERS),
        ("ranked", Head.SOFTMAX, INTEGERS),
        ("silent", None, None),
        ("flat", None, None),
        ("tags", Head.MULTILABEL, ("b", "a", "c")),
        ("told_tags", Head.MULTILABEL, ("b", "a", "c")),
        ("number", Head.REGRESSION, ()),
        ("commas", Head.SOFTMAX, ("z, or y", "a, b")),
    ],
)
def test_a_model_is_asked_for_its_head_and_labels(address, name, head, labels):
    model = open_model(f"{address}/{name}")
    assert (model.head, model.labels, model.pairs) == (head, labels, False)
    assert ModelFacts.read(f"{address}/{name}") == ModelFacts(f"{address}/{name}", head, labels)


@pytest.mark.parametrize("name", ["told", "ranked"])
def test_integer_labels_are_scored_in_the_order_of_the_model(server, address, name):
    predictions = predict_table(open_model(f"{address}/{name}"), rows_of(server, name))
    assert predictions.labels == INTEGERS
    assert predictions.correct.all()


def test_several_labels_of_a_text_are_scored_as_such(server, address):
    table = rows_of(server, "tags")
    labeled = LabeledTable(TEXTS, None, [tuple(each.split(",")) if each else () for each in table.labels], "rows.tsv")
    predictions = predict_table(open_model(f"{address}/tags"), labeled)
    assert (predictions.head, predictions.labels, predictions.correct.all()) == (Head.MULTILABEL, ("b", "a", "c"), True)


def test_all_clients_are_told_the_same(server):
    told = ServedModel(1, False, Head.SOFTMAX, INTEGERS)
    with RestClient(server.rest_url) as over_rest, GrpcClient(server.grpc_address) as over_grpc:
        assert over_rest.describe("ranked", version=1) == over_grpc.describe("ranked") == told

    async def ask():
        async with AsyncRestClient(server.rest_url) as over_rest, AsyncGrpcClient(server.grpc_address) as over_grpc:
            return await over_rest.describe("ranked"), await over_grpc.describe("ranked", version=1)

    assert asyncio.run(ask()) == (told, told)


def test_a_guess_that_the_answers_contradict_is_refused(server, address):
    table = rows_of(server, "silent")
    with pytest.raises(InputError, match=r"order of labels of the data .*name all in the model's order with --labels"):
        predict_table(open_model(f"{address}/silent"), table)
    predictions = predict_table(open_model(f"{address}/silent", INTEGERS[::-1]), table)
    assert predictions.labels == INTEGERS[::-1]
    assert predictions.correct.all()


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        (
            "told",
            sorted(INTEGERS),
            "has the labels '0', '1', '2', .* --labels names '0', '1', '10', .*; leave out --labels",
        ),
        ("told", INTEGERS[:11], "has the labels .* '10', '11', --labels names"),
        ("silent", sorted(INTEGERS), "order of labels of --labels .*name all in the model's order"),
        ("silent", INTEGERS[:11], "returns 12 probabilities, --labels names 11 labels; name all in order"),
        ("number", ("a", "b"), "of no class: it predicts a number"),
    ],
)
def test_labels_that_do_not_fit_the_model_are_refused(address, name, given, message):
    with pytest.raises(InputError, match=message):
        open_model(f"{address}/{name}", given).predict(TEXTS, None)


def test_what_is_no_text_classifier_is_told_by_its_signature(address):
    with pytest.raises(InvalidRequest, match="arithmetic takes x and returns y: it is not a text classifier"):
        open_model(f"{address}/arithmetic")


def test_the_models_and_versions_of_a_server_are_named(address):
    with pytest.raises(ServableNotFound, match=r"Latest\(absent\); models of this server: arithmetic, commas, flat"):
        open_model(f"{address}/absent").predict(["x"], None)
    with pytest.raises(ServableNotFound, match=r"Specific\(told, 7\); versions of told: 1 \(AVAILABLE\)"):
        open_model(f"{address}/told/versions/7").predict(["x"], None)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_answers_of_another_version_are_never_named_by_the_first(protocol, base, tmp_path):
    shutil.copytree(base / "told" / "1", tmp_path / "told" / "1")
    serving_models.write_classifier(tmp_path / "next", INTEGERS[::-1], tells=("labels",))
    config = ModelConfig("told", tmp_path / "told", VersionPolicy(latest=1))
    with ServerThread(ServerOptions(models=[config], file_system_poll_wait_seconds=0.1)) as running:
        address = {"grpc": f"grpc://{running.grpc_address}", "http": running.rest_url}[protocol]
        opened = open_model(f"{address}/told")
        os.rename(tmp_path / "next", tmp_path / "told" / "2")
        with GrpcClient(running.grpc_address) as client:
            while [state.state for state in client.status("told")] != ["AVAILABLE", "END"]:
                assert client.describe("told").labels in (INTEGERS, INTEGERS[::-1])
        assert open_model(f"{address}/told").labels == INTEGERS[::-1]
        with pytest.raises(ServableNotFound, match="this was the latest version at the start; start again"):
            opened.predict(TEXTS, None)


def test_two_models_are_compared_by_the_names_of_their_labels(server, base):
    ranked = f"{server.rest_url}/ranked"
    first, second = aligned(open_model(ranked), open_model(ranked))
    assert second.predict is not first.predict
    other = open_model(f"{server.rest_url}/commas")
    with pytest.raises(InputError, match="have different labels"):
        aligned(first, other)
    swapped = open_model(ranked)
    object.__setattr__(swapped, "labels", INTEGERS[::-1])
    np.testing.assert_array_equal(aligned(first, swapped)[1].predict(TEXTS, None), first.predict(TEXTS, None)[:, ::-1])


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl"])
def test_a_file_of_predictions_has_a_column_for_each_label(address, tmp_path, suffix):
    (tmp_path / "in.txt").write_text("a\nb\n")
    source, target = TextSource(tmp_path / "in.txt"), tmp_path / f"out{suffix}"
    file = PredictionFile(source, target, server=address)
    predict_file(file, ModelAddress.parse(f"{address}/commas"), retry_timeout=0)
    first = target.read_text().splitlines()[0]
    if suffix == ".tsv":
        assert first == "text\tlabel\tz, or y\ta, b"
    else:
        assert list(json.loads(first)["probabilities"]) == ["z, or y", "a, b"]


def test_answers_of_other_labels_are_not_continued(server, tmp_path):
    (tmp_path / "in.txt").write_text("a\nb\n")
    file = PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server="a")
    file.part.write_text("text\tlabel\ta, b\tz, or y\na\ta, b\t0.75\t0.25\n")
    with pytest.raises(DataError, match="holds answers of a model with other labels; remove that file"):
        predict_file(file, ModelAddress.parse(f"{server.rest_url}/commas"), retry_timeout=0)


# === What answers tell ===


def answers(*rows):
    """Ranked and plain answers of a model with the labels x, y and z."""
    ranked, plain = [], []
    for row in rows:
        order = sorted(range(3), key=lambda position: -row[position])
        ranked.append({"classes": ["xyz"[i] for i in order], "scores": [row[i] for i in order]})
        plain.append(Prediction("xyz"[order[0]], row))
    return ranked, plain


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([(0.2, 0.5, 0.3)], True),
        ([(0.4, 0.4, 0.2), (0.5, 0.2, 0.3)], True),
        ([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)], True),
        ([(1.0, 0.0, 0.0)], False),
        ([(0.4, 0.4, 0.2), (0.3, 0.3, 0.4)], False),
        ([(float("nan"),) * 3], False),
    ],
)
def test_equal_probabilities_leave_an_order_open_unless_another_text_settles_it(rows, named):
    assert named_by_scores(*answers(*rows)) == (Named(Head.SOFTMAX, ("x", "y", "z")) if named else None)


def test_scores_that_differ_by_rounding_name_the_labels_that_are_further_apart():
    ranked, plain = answers((0.2, 0.5, 0.3), (0.25, 0.3, 0.45))
    ranked[0]["scores"] = [0.499, 0.3005, 0.2001]
    assert named_by_scores(ranked, plain) == Named(Head.SOFTMAX, ("x", "y", "z"))
    ranked[0]["scores"] = [0.9, 0.05, 0.05]
    assert named_by_scores(ranked, plain) is None


@pytest.mark.parametrize(
    "rows",
    [[], [{}], ["x"], [{"labels": "abc", "head": "softmax"}], [{"labels": ["a"], "head": "none"}], {"labels": 1}],
)
def test_an_answer_of_another_form_names_no_labels(rows):
    assert named_by_signature(rows) is None
    assert named_by_scores(rows, [Prediction("a", (1.0,))]) is None


def test_a_tie_and_a_missing_number_contradict_no_order():
    values = np.array([[0.5, 0.5], [np.nan, np.nan]], np.float32)
    check_answers("m", Head.SOFTMAX, ("x", "y"), values, ["y", "y"])
    with pytest.raises(InputError, match="m answers 'y' where the order of labels of the data"):
        check_answers("m", None, ("x", "y"), np.array([[0.6, 0.4]], np.float32), ["y"])
