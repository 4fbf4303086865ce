import asyncio
import contextlib
import http.server
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from support import serving_models
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import error_codes_pb2, meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    status_pb2,
)

from bert_serving.clients import messages
from bert_serving.clients.errors import RetryableError
from bert_serving.clients.grpc_client import AsyncGrpcClient, GrpcClient
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.request import PredictRequest
from bert_serving.clients.rest_client import AsyncRestClient, RestClient
from bert_serving.clients.retry import RetryPolicy
from bert_serving.clients.served_model import VersionStatus
from bert_serving.clients.tls import ClientTls
from bert_serving.errors import (
    FailedPrecondition,
    InputError,
    InvalidRequest,
    RequestError,
    ServableNotFound,
    ServerUnavailable,
)
from bert_serving.model_server.config.options import ModelConfig, ServerOptions, VersionPolicy
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
        ModelConfig("texts", base / "texts", VersionPolicy(latest=None), labels={"stable": 1}),
        ModelConfig("numbers", base / "numbers"),
        ModelConfig("broken", base / "broken"),
    ]
    with ServerThread(ServerOptions(models=models)) as running:
        yield running


KINDS = ("rest", "grpc", "async rest", "async grpc")


class OnALoop:
    """An asynchronous client with the methods of a plain one."""

    def __init__(self, make):
        self._loop = asyncio.new_event_loop()
        self._client = self._loop.run_until_complete(self._made(make))

    def __getattr__(self, name):
        def call(*arguments, **options):
            return self._loop.run_until_complete(getattr(self._client, name)(*arguments, **options))

        return call

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self._loop.close()

    @staticmethod
    async def _made(make):
        return make()


def new_client(kind, port, **options):
    rest, over_grpc = f"http://127.0.0.1:{port}/", f"127.0.0.1:{port}"
    match kind:
        case "rest":
            return RestClient(rest, **options)
        case "grpc":
            return GrpcClient(over_grpc, **options)
        case "async rest":
            return OnALoop(lambda: AsyncRestClient(rest, **options))
    return OnALoop(lambda: AsyncGrpcClient(over_grpc, **options))


def port_of(server, kind):
    return server.server.rest_port if "rest" in kind else server.server.grpc_port


@pytest.fixture(scope="module")
def clients(server):
    with contextlib.ExitStack() as stack:
        yield {kind: stack.enter_context(new_client(kind, port_of(server, kind), batch_rows=60)) for kind in KINDS}


@pytest.fixture(params=KINDS)
def client(request, clients):
    return clients[request.param]


def test_predict_gives_a_label_and_probabilities_for_each_text(client):
    predictions = client.predict("texts", TEXTS)
    assert [prediction.label for prediction in predictions] == ["kurz", "kurz", "länger", "länger"]
    assert all(isinstance(prediction, Prediction) for prediction in predictions)
    assert all(sum(prediction.probabilities) == pytest.approx(1.0) for prediction in predictions)


def test_all_clients_give_the_same_to_the_bit_and_in_order(clients):
    texts = ["x" * length for length in range(200)]
    over_rest, *others = (clients[kind].predict("texts", texts) for kind in KINDS)
    assert all(other == over_rest for other in others)
    assert len(over_rest) == 200
    shares = [prediction.probabilities[1] for prediction in over_rest]
    assert shares == sorted(shares, reverse=True)
    for prediction in over_rest:
        for value in prediction.probabilities:
            assert struct.unpack("f", struct.pack("f", value))[0] == value


def test_pairs_of_texts_go_to_a_signature_of_pairs(client):
    (prediction,) = client.predict("texts", ["a" * 20], text_pairs=["b"], signature="pair")
    assert prediction.label == "länger"
    (prediction,) = client.predict("texts", ["a" * 20], text_pairs=["b" * 20], signature="pair")
    assert prediction.label == "kurz"


def test_a_version_can_be_asked_by_its_label(client):
    assert client.predict("texts", ["kurz"], version_label="stable")[0].label == "kurz"
    with pytest.raises(InvalidRequest, match="Unrecognized servable version label: no"):
        client.predict("texts", ["kurz"], version_label="no")


@pytest.mark.parametrize(
    ("texts", "most_rows", "sizes"),
    [(["a"] * 5, 2, [2, 2, 1]), (["a"] * 2, 2, [2]), ([], 2, []), (["a" * 700_000] * 3, 9, [1, 1, 1])],
)
def test_a_long_list_is_asked_in_parts(texts, most_rows, sizes):
    request = PredictRequest(model="m", texts=texts, text_pairs=texts)
    parts = list(request.parts(most_rows))
    assert [len(part.texts) for part in parts] == sizes
    assert [text for part in parts for text in part.text_pairs] == texts


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
    over_rest, *others = (clients[kind].metadata("texts") for kind in KINDS)
    assert all(other == over_rest for other in others)
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
        (
            "texts",
            {"version": 1, "version_label": "a"},
            InvalidRequest,
            "Both a version, 1, and a label, 'a', are given",
        ),
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_not_there_is_unavailable(kind):
    port = free_port()
    with new_client(kind, port, retry_timeout=0) as client:
        for call in (lambda: client.predict("m", ["a"]), lambda: client.status("m"), lambda: client.metadata("m")):
            with pytest.raises(ServerUnavailable) as caught:
                call()
            assert f"127.0.0.1:{port}" in str(caught.value)
            assert "is the model server running?" in str(caught.value)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_does_not_answer_in_time_is_unavailable(kind):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with (
            new_client(kind, port, timeout=0.3) as client,
            pytest.raises(ServerUnavailable, match=r"within 0\.3 s"),
        ):
            client.predict("m", ["a"])
        with new_client(kind, port) as client, pytest.raises(ServerUnavailable, match=r"within 0\.[23]\d* s"):
            client.predict("m", ["a"], deadline=0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_deadline_ends_the_waiting_for_a_server(kind):
    with new_client(kind, free_port(), retry_timeout=60) as client:
        began = time.monotonic()
        with pytest.raises(ServerUnavailable):
            client.predict("m", ["a"], deadline=0.5)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("kind", ["rest", "grpc"])  # the others: tests/model/test_prediction_file.py
def test_a_server_that_comes_back_is_asked_again(kind, server):
    texts = ServerOptions(models=[server.server.store.config("texts")], **{PORTS[kind]: free_port()})
    port = getattr(texts, PORTS[kind])
    answers = []
    with new_client(kind, port, retry_timeout=30) as client:
        for _ in range(2):  # a server that was never there, and one that was there before
            asking = threading.Thread(target=lambda: answers.extend(client.predict("texts", ["kurz"] * 100)))
            asking.start()
            time.sleep(0.3)
            with ServerThread(texts):
                asking.join(30)
    assert [answer.label for answer in answers] == ["kurz"] * 200


PORTS = {"rest": "rest_api_port", "grpc": "port"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_waits_grow_and_are_random():
    policy = RetryPolicy(timeout=1.0, retry_timeout=60.0)
    began = time.monotonic()
    waits = [
        policy.wait(RetryableError(ServerUnavailable("no")), attempts=attempts, began=began)
        for attempts in range(9)
        for _ in range(50)
    ]
    assert len(set(waits)) > 400
    assert max(waits[:50]) <= 0.1
    assert 1.0 < max(waits) <= 2.0


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (200, b"<html>", ServerUnavailable, "did not answer in JSON"),
        (200, b"[1]", ServerUnavailable, "did not answer in JSON"),
        (200, b"{}", InvalidRequest, "is not a text classifier"),
        (200, b'{"predictions": [[0.5]]}', InvalidRequest, "is not a text classifier"),
        (503, b'{"error": "full"}', ServerUnavailable, "full"),
        (429, b'{"error": "slow down"}', ServerUnavailable, "slow down"),
        (404, b"<html>", ServableNotFound, "HTTP status 404"),
        (500, b'{"error": "two\\nlines"}', RequestError, "two lines"),
        (413, b"<html>", InvalidRequest, "413"),
        (
            200,
            b'{"predictions": [{"label": "a", "probabilities": [1e39]}]}',
            InvalidRequest,
            "it is not a text classifier",
        ),
    ],
)
def test_whatever_a_web_server_answers_becomes_one_of_our_errors(status, body, error, text):
    with web_server(status, body) as client, pytest.raises(error) as caught:
        client.predict("m", ["a"])
    assert type(caught.value) is error
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"model_version_status": 1}',
        b'{"model_version_status": [{"version": "1"}]}',
        b'{"model_version_status": [{"version": "one", "state": "AVAILABLE", "status": {}}]}',
    ],
)
def test_a_web_server_that_knows_no_models_has_no_status(body):
    with web_server(200, body) as client, pytest.raises(ServerUnavailable, match="did not answer with the state"):
        client.status("m")


@contextlib.contextmanager
def web_server(status, body):
    """A client of a web server that answers everything in the same way."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        with RestClient(f"http://127.0.0.1:{web.server_port}", retry_timeout=0) as client:
            yield client
        web.shutdown()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: RestClient("localhost:8501"), "give a URL like http://localhost:8501"),
        (lambda: GrpcClient("http://localhost:8500"), "host:port"),
        (lambda: ClientTls(key=Path("key")), "A client's certificate and its key go together"),
        (
            lambda: GrpcClient("localhost:8500", tls=ClientTls(authority=Path("/nowhere"))),
            "Cannot read /nowhere: No such",
        ),
        (lambda: RestClient("https://localhost", tls=ClientTls(authority=Path(__file__))), "no usable PEM text"),
    ],
)
def test_an_address_of_the_wrong_form_is_refused(make, text):
    with pytest.raises((InvalidRequest, InputError), match=text):
        make()


PUBLISHED = {
    **{f"{name}{kind}": predict_pb2 for name in ("Predict",) for kind in ("Request", "Response")},
    **{f"GetModelStatus{kind}": get_model_status_pb2 for kind in ("Request", "Response")},
    **{f"GetModelMetadata{kind}": get_model_metadata_pb2 for kind in ("Request", "Response")},
    "ModelVersionStatus": get_model_status_pb2,
    "SignatureDefMap": get_model_metadata_pb2,
    "ModelSpec": model_pb2,
    "ReloadConfigRequest": model_management_pb2,
    "StatusProto": status_pb2,
    "TensorProto": tensor_pb2,
    "TensorShapeProto": tensor_shape_pb2,
    "Dim": tensor_shape_pb2.TensorShapeProto,
    "TensorInfo": meta_graph_pb2,
    "SignatureDef": meta_graph_pb2,
    "Example": example_pb2,
    **dict.fromkeys(("Features", "Feature", "BytesList"), feature_pb2),
}


@pytest.mark.parametrize("name", messages.MESSAGES)
def test_the_messages_are_those_that_are_published(name):
    published = getattr(PUBLISHED[name], name).DESCRIPTOR
    ours = messages.new(name).DESCRIPTOR
    for field in ours.fields:
        theirs = published.fields_by_name[field.name]
        # The same on the wire.
        alike = ({field.TYPE_INT32, field.TYPE_ENUM}, {field.TYPE_BYTES, field.TYPE_MESSAGE})
        assert field.number == theirs.number
        assert field.is_repeated == theirs.is_repeated
        assert field.type == theirs.type or {field.type, theirs.type} in alike
        if field.message_type is not None:
            assert field.message_type.name == theirs.message_type.name
            assert field.message_type.GetOptions().map_entry == theirs.message_type.GetOptions().map_entry


def test_the_names_of_numbers_are_those_that_are_published():
    published = dict(types_pb2.DataType.items())
    assert messages.DATA_TYPES.items() <= published.items()
    assert {name for name in published if not name.endswith("_REF")} == set(messages.DATA_TYPES)
    assert {number: name for name, number in get_model_status_pb2.ModelVersionStatus.State.items()} == messages.STATES
    codes = {name: number for name, number in error_codes_pb2.Code.items() if number <= 16}
    assert {name: number for number, name in enumerate(messages.CODES)} == codes


# === Proxies and wrong addresses ===


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "grpc_proxy"])
def test_a_server_on_this_machine_is_reached_without_a_proxy(kind, variable, server, monkeypatch):
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with new_client(kind, port_of(server, kind), retry_timeout=0) as client:
        assert client.predict("texts", ["kurz"])[0].label == "kurz"


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_is_in_the_way_is_named(kind, monkeypatch):
    for name in ("grpc_proxy", "https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:9")
    host = "host.invalid:8500"
    makers = {
        "rest": lambda: RestClient(f"http://{host}", retry_timeout=0),
        "grpc": lambda: GrpcClient(host, retry_timeout=0),
        "async rest": lambda: OnALoop(lambda: AsyncRestClient(f"http://{host}", retry_timeout=0)),
        "async grpc": lambda: OnALoop(lambda: AsyncGrpcClient(host, retry_timeout=0)),
    }
    named = r"through the proxy http://127\.0\.0\.1:9 \(environment variable http_proxy\): unset the variable, or"
    with makers[kind]() as client, pytest.raises(ServerUnavailable, match=named) as told:
        client.predict("texts", ["kurz"])
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("value", ["gopher://user:secret@h", "http://user:secret@h:port", "socks5://user:secret@h:1"])
def test_a_proxy_that_cannot_be_used_is_named(value, monkeypatch):
    monkeypatch.setenv("http_proxy", value)
    for make in (RestClient, AsyncRestClient):
        with pytest.raises(InputError, match=r"http_proxy is .*, which cannot be used as a proxy") as told:
            make("http://host.invalid")
        assert "secret" not in str(told.value)
        make("http://localhost:8501")  # directly


@pytest.mark.parametrize(
    ("make", "port", "message"),
    [
        (lambda port: GrpcClient(f"127.0.0.1:{port}"), "rest_port", "is this the REST port"),
        (lambda port: RestClient(f"http://127.0.0.1:{port}"), "grpc_port", "is this the gRPC port"),
        (lambda port: RestClient(f"https://127.0.0.1:{port}"), "rest_port", "it does not use TLS"),
        (lambda port: GrpcClient(f"127.0.0.1:{port}", tls=ClientTls()), "grpc_port", "it does not use TLS"),
    ],
)
def test_a_port_of_another_kind_is_told_at_once(make, port, message, server):
    with make(getattr(server.server, port)) as client, pytest.raises(InvalidRequest, match=message):
        client.predict("texts", ["kurz"], deadline=20)


@pytest.mark.parametrize("version", [-1, 1 << 63, 1.5, "3", True])
def test_a_version_that_no_server_can_have_is_refused(version, client):
    for call in (
        client.metadata,
        client.describe,
        lambda model, version: client.predict(model, ["x"], version=version),
    ):
        with pytest.raises(InvalidRequest, match="give a whole number from 0 to 9223372036854775807"):
            call("texts", version=version)


def test_the_port_that_an_address_lacks_is_told():
    with (
        GrpcClient("127.0.0.1", retry_timeout=0) as client,
        pytest.raises(ServerUnavailable, match="at port 443, as none"),
    ):
        client.predict("texts", ["kurz"])


def test_a_user_is_not_for_grpc_and_never_shown():
    with pytest.raises(InvalidRequest, match=r"^'127\.0\.0\.1:8500' is given with a user"):
        GrpcClient("user:secret@127.0.0.1:8500")
    with (
        RestClient("http://user:secret@127.0.0.1:9", retry_timeout=0) as client,
        pytest.raises(ServerUnavailable) as told,
    ):
        client.predict("texts", ["kurz"])
    assert "secret" not in str(told.value)
