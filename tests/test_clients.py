import http.server
import socket
import struct
import subprocess
import sys
import threading

import pytest
import serving_models

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.rest_client import RestClient
from bert_serving.clients.version_status import VersionStatus
from bert_serving.errors import FailedPrecondition, InvalidRequest, RequestError, ServableNotFound, ServerUnavailable
from bert_serving.model_server.options import ModelConfig, ServerOptions, VersionPolicy
from bert_serving.model_server.server import ServerThread

TEXTS = ["kurz", "", "ein Text mit 😀 und\nZeilen", "länger als die anderen" * 3]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    for version in (1, 2):
        serving_models.write_texts(base / "texts" / str(version))
    serving_models.write_arithmetic(base / "numbers" / "1")
    (base / "broken" / "3").mkdir(parents=True)
    models = [
        ModelConfig("texts", base / "texts", VersionPolicy(latest=None)),
        ModelConfig("numbers", base / "numbers"),
        ModelConfig("broken", base / "broken"),
    ]
    with ServerThread(ServerOptions(models=models)) as running:
        yield running


@pytest.fixture(scope="module")
def clients(server):
    with RestClient(server.rest_url + "/") as rest, GrpcClient(server.grpc_address) as over_grpc:
        yield {"rest": rest, "grpc": over_grpc}


@pytest.fixture(params=["rest", "grpc"])
def client(request, clients):
    return clients[request.param]


def new_client(kind, port, **options):
    return (
        RestClient(f"http://127.0.0.1:{port}", **options)
        if kind == "rest"
        else GrpcClient(f"127.0.0.1:{port}", **options)
    )


def test_predict_gives_a_label_and_probabilities_for_each_text(client):
    predictions = client.predict("texts", TEXTS)
    assert [prediction.label for prediction in predictions] == ["kurz", "kurz", "länger", "länger"]
    assert all(isinstance(prediction, Prediction) for prediction in predictions)
    assert all(sum(prediction.probabilities) == pytest.approx(1.0) for prediction in predictions)


def test_both_clients_give_the_same_to_the_bit(clients):
    texts = ["x" * length for length in range(200)]
    over_rest, over_grpc = clients["rest"].predict("texts", texts), clients["grpc"].predict("texts", texts)
    assert over_rest == over_grpc
    for prediction in over_rest:
        for value in prediction.probabilities:
            assert struct.unpack("f", struct.pack("f", value))[0] == value


def test_pairs_of_texts_go_to_a_signature_of_pairs(client):
    (prediction,) = client.predict("texts", ["a" * 20], text_pairs=["b"], signature="pair")
    assert prediction.label == "länger"
    (prediction,) = client.predict("texts", ["a" * 20], text_pairs=["b" * 20], signature="pair")
    assert prediction.label == "kurz"


def test_no_texts_need_no_server(client):
    assert client.predict("no such model", []) == []


def test_a_prediction_cannot_be_changed():
    prediction = Prediction("a", (1.0,))
    with pytest.raises(AttributeError):
        prediction.label = "b"


def test_status_lists_the_versions(client):
    assert client.status("texts") == [VersionStatus(2, "AVAILABLE"), VersionStatus(1, "AVAILABLE")]
    (broken,) = client.status("broken")
    assert (broken.version, broken.state, broken.error_code) == (3, "END", "NOT_FOUND")
    assert "Could not find SavedModel" in broken.error_message


def test_metadata_is_the_same_from_both_clients(clients):
    over_rest, over_grpc = clients["rest"].metadata("texts"), clients["grpc"].metadata("texts")
    assert over_rest == over_grpc
    assert over_rest["model_spec"]["version"] == "2"
    assert "pair" in over_rest["metadata"]["signature_def"]["signature_def"]


@pytest.mark.parametrize(
    ("model", "options", "error", "text"),
    [
        ("no", {}, ServableNotFound, "Latest(no)"),
        ("texts", {"version": 9}, ServableNotFound, "Specific(texts, 9)"),
        ("broken", {}, ServableNotFound, "Latest(broken)"),
        ("", {}, InvalidRequest, "name is empty"),
        ("texts", {"text_pairs": ["b"]}, InvalidRequest, "text_pair"),
        ("texts", {"text_pairs": ["b", "c"]}, InvalidRequest, "1 texts, but 2 text_pairs"),
        ("texts", {"text_pairs": "b"}, InvalidRequest, "text_pairs is one string, 'b'"),
        ("texts", {"signature": "pair"}, InvalidRequest, "text_pair"),
    ],
)
def test_a_refused_request_is_one_clear_line(client, model, options, error, text):
    with pytest.raises(error) as caught:
        client.predict(model, ["a"], **options)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "error"), [("rest", InvalidRequest), ("grpc", FailedPrecondition)])
def test_a_signature_that_the_model_does_not_have_is_refused(clients, kind, error):
    with pytest.raises(error, match='"no" not found'):
        clients[kind].predict("texts", ["a"], signature="no")


@pytest.mark.parametrize("texts", ["one string", [b"bytes"], [None], [1]])
def test_what_is_no_list_of_texts_is_refused_without_a_server(client, texts):
    with pytest.raises(InvalidRequest, match="texts"):
        client.predict("texts", texts)


def test_a_model_that_is_no_text_classifier_is_refused(client):
    with pytest.raises(InvalidRequest):
        client.predict("numbers", ["a"])


def test_half_of_a_surrogate_pair_is_refused(client):
    with pytest.raises(InvalidRequest):
        client.predict("texts", ["\ud800"])


@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_a_server_that_is_not_there_is_unavailable(kind):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with new_client(kind, port) as client:
        for call in (lambda: client.predict("m", ["a"]), lambda: client.status("m"), lambda: client.metadata("m")):
            with pytest.raises(ServerUnavailable) as caught:
                call()
            assert f"127.0.0.1:{port}" in str(caught.value)
            assert "is the model server running?" in str(caught.value)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_a_server_that_does_not_answer_in_time_is_unavailable(kind):
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        new_client(kind, silent.getsockname()[1], timeout=0.3) as client,
        pytest.raises(ServerUnavailable, match=r"within 0\.3 s"),
    ):
        client.predict("m", ["a"])


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (200, b"<html>", ServerUnavailable, "did not answer in JSON"),
        (200, b"[1]", ServerUnavailable, "did not answer in JSON"),
        (200, b"{}", InvalidRequest, "is no classifier"),
        (200, b'{"predictions": [[0.5]]}', InvalidRequest, "is no classifier"),
        (503, b'{"error": "full"}', ServerUnavailable, "full"),
        (429, b'{"error": "slow down"}', ServerUnavailable, "slow down"),
        (404, b"<html>", ServableNotFound, "HTTP status 404"),
        (500, b'{"error": "two\\nlines"}', RequestError, "two lines"),
    ],
)
def test_whatever_a_web_server_answers_becomes_one_of_our_errors(status, body, error, text):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        with RestClient(f"http://127.0.0.1:{web.server_port}") as client, pytest.raises(error) as caught:
            client.predict("m", ["a"])
        web.shutdown()
    assert type(caught.value) is error
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: RestClient("localhost:8501"), "give a URL like http://localhost:8501"),
        (lambda: GrpcClient("http://localhost:8500"), "host:port"),
    ],
)
def test_an_address_of_the_wrong_form_is_refused(make, text):
    with pytest.raises(InvalidRequest, match=text):
        make()


def test_the_rest_client_is_imported_without_tensorflow():
    code = "import sys, bert_serving.clients.rest_client as _; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0
