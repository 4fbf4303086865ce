"""Operation of a running server: health, reflection, metrics, logs, limits, timeouts, TLS, loading and stopping."""

import asyncio
import contextlib
import gzip
import json
import logging
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from support import serving_models
from tensorflow_serving.apis import classification_pb2, inference_pb2, predict_pb2, prediction_service_pb2_grpc

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.clients.rest_client import RestClient
from bert_serving.clients.tls import ClientTls
from bert_serving.errors import InputError, ServerUnavailable
from bert_serving.model_server.batching.executor import Executor
from bert_serving.model_server.config.batching import BatchingParameters
from bert_serving.model_server.config.limits import Limits
from bert_serving.model_server.config.monitoring import DEFAULT_PATH
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.config.tls import Tls, read_tls
from bert_serving.model_server.models.store import ModelStore, State
from bert_serving.model_server.requests import RequestHandler
from bert_serving.model_server.rest_api.body import BodyReader
from bert_serving.model_server.rest_api.http_server import TimeoutProtocol
from bert_serving.model_server.server import ServerThread


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    serving_models.write_texts(base / "texts" / "1")
    (base / "broken" / "1").mkdir(parents=True)
    return base


def options(base, *names, **more):
    return ServerOptions(models=[ModelConfig(name, base / name) for name in names or ("texts",)], **more)


@pytest.fixture(scope="module")
def access_log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "access.jsonl"


@pytest.fixture(scope="module")
def server(base, access_log):
    chosen = options(
        base,
        "texts",
        "broken",
        metrics_path=DEFAULT_PATH,
        access_log=access_log,
        rest_cors=True,
        limits=Limits(request_bytes=5000, rows=3, text_bytes=100),
    )
    with ServerThread(chosen) as running:
        yield running


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.rest_url, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


def predict_request(texts, *, signature="", name="texts"):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(texts, tf.string, [len(texts)]))
    return request


def ask(http, texts, **more):
    return http.post("/v1/models/texts:predict", content=json.dumps({"instances": texts}), **more)


# === Health and reflection ===


def check_health(channel, service):
    stub = health_pb2_grpc.HealthStub(channel)
    reply = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)


def test_health_is_that_of_the_models(base, channel):
    assert check_health(channel, "texts") == "SERVING"
    assert check_health(channel, "broken") == "NOT_SERVING"
    assert check_health(channel, "") == "NOT_SERVING"
    with pytest.raises(grpc.RpcError) as caught:
        check_health(channel, "no")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_health_follows_the_models_and_turns_before_the_server_stops(base, tmp_path):
    shutil.copytree(base / "texts", tmp_path / "m")
    chosen = options(tmp_path, "m", file_system_poll_wait_seconds=0.05)
    with ServerThread(chosen) as running, grpc.insecure_channel(running.grpc_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", "PredictionService", "tensorflow.serving.ModelService", "m"):
            assert check_health(channel, service) == "SERVING"
        seen = stub.Watch(health_pb2.HealthCheckRequest(service="m"), timeout=20)
        assert next(seen).status == health_pb2.HealthCheckResponse.SERVING
        shutil.rmtree(tmp_path / "m" / "1")
        assert next(seen).status == health_pb2.HealthCheckResponse.NOT_SERVING
        shutil.copytree(base / "texts" / "1", tmp_path / "m" / "2")
        assert next(seen).status == health_pb2.HealthCheckResponse.SERVING
        stopping = asyncio.run_coroutine_threadsafe(running.server.stop(), running._loop)
        assert next(seen).status == health_pb2.HealthCheckResponse.NOT_SERVING
        seen.cancel()
        stopping.result(20)


def test_reflection_describes_the_services(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="tensorflow.serving.PredictionService"),
    ]
    listed, file = stub.ServerReflectionInfo(iter(asked), timeout=20)
    names = {service.name for service in listed.list_services_response.service}
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= names
    described = descriptor_pb2.FileDescriptorProto.FromString(file.file_descriptor_response.file_descriptor_proto[0])
    assert "MultiInference" in [method.name for method in described.service[0].method]


# === Metrics and log ===


def test_metrics_have_the_reference_names_with_version_and_signature(base, http, channel):
    assert ask(http, ["a", "b"]).status_code == 200
    prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(predict_request(["a"]), timeout=20)
    ask(http, [1])
    http.post("/v1/models/unheard_of:predict", content=b'{"instances": [1]}')
    reply = http.get(DEFAULT_PATH)
    assert reply.headers["content-type"].startswith("text/plain")
    text = reply.text
    model = 'model_name="texts",version="1",signature="serving_default"'
    assert "# TYPE :tensorflow:serving:request_count counter" in text
    assert f':tensorflow:serving:request_count{{{model},status="OK",entrypoint="GRPC"}} 1\n' in text
    assert f':tensorflow:serving:request_latency_bucket{{{model},API="predict",entrypoint="REST",le="+Inf"}}' in text
    assert f':tensorflow:serving:request_latency_count{{{model},API="Predict",entrypoint="GRPC"}} 1\n' in text
    assert f':tensorflow:serving:runtime_latency_count{{{model},API="Predict",runtime="TF1"}}' in text
    assert ":tensorflow:serving:batching_session:queuing_latency_count" not in text
    assert (
        f':tensorflow:cc:saved_model:load_attempt_count{{model_path="{base / "texts" / "1"}",status="success"}} 1\n'
        in text
    )
    assert (
        f':tensorflow:cc:saved_model:load_attempt_count{{model_path="{base / "broken" / "1"}",status="fail"}} 1\n'
        in text
    )
    assert ':bert_serving:version_state{model_name="broken",version="1",state="END"} 1' in text
    assert ":bert_serving:waiting_requests 0" in text
    assert 'status="INVALID_ARGUMENT"' in text
    # Names that a client makes up must not fill the memory.
    assert "unheard_of" not in text


REFUSED = [
    ("predict", b"{", "INVALID_ARGUMENT"),
    ("predict", b'{"instances": [1]}', "INVALID_ARGUMENT"),
    ("predict", b'{"signature_name": "no", "instances": ["a"]}', "INVALID_ARGUMENT"),
    ("classify", b'{"examples": [{"x": 1}]}', "INVALID_ARGUMENT"),
]


def counted(text, **labels):
    """The number of requests with these labels."""
    lines = [line for line in text.splitlines() if line.startswith(":tensorflow:serving:request_count{")]
    chosen = [line for line in lines if all(f'{name}="{value}"' in line for name, value in labels.items())]
    return sum(int(line.rpartition(" ")[2]) for line in chosen)


@pytest.mark.parametrize(("method", "body", "status"), REFUSED)
def test_a_request_that_is_refused_at_once_counts_for_its_model(http, method, body, status):
    labels = {"model_name": "texts", "version": "", "status": status, "entrypoint": "REST"}
    before = counted(http.get(DEFAULT_PATH).text, **labels)
    assert http.post(f"/v1/models/texts:{method}", content=body).status_code == 400
    assert counted(http.get(DEFAULT_PATH).text, **labels) == before + 1


def test_runtime_latency_has_the_method_and_batches_are_measured(tmp_path):
    serving_models.write_arithmetic(tmp_path / "m" / "1")
    chosen = options(tmp_path, "m", metrics_path=DEFAULT_PATH, batching=BatchingParameters(), port=None)
    with ServerThread(chosen) as running, httpx.Client(base_url=running.rest_url, timeout=20) as http:
        asked = [
            ("predict", '{"instances": [1.0]}'),
            ("regress", '{"signature_name": "regress", "examples": [{"x": 1.0}]}'),
        ]
        for method, body in asked:
            assert http.post(f"/v1/models/m:{method}", content=body).status_code == 200
        text = http.get(DEFAULT_PATH).text
    for method, signature in (("Predict", "serving_default"), ("Regress", "regress")):
        model = f'model_name="m",version="1",signature="{signature}"'
        assert f':tensorflow:serving:runtime_latency_count{{{model},API="{method}",runtime="TF1"}} 1\n' in text
        for name in ("queuing_latency", "input_batch_size", "processed_batch_size", "padding_size"):
            assert f":tensorflow:serving:batching_session:{name}_count{{{model}}} 1\n" in text


def test_requests_that_are_cancelled_or_expire_are_counted_and_logged(base, tmp_path):
    chosen = options(base, metrics_path=DEFAULT_PATH, access_log=tmp_path / "log")
    with (
        ServerThread(chosen) as running,
        grpc.insecure_channel(running.grpc_address) as channel,
        httpx.Client(base_url=running.rest_url, timeout=20) as http,
    ):
        slow = SlowModel(running)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(predict_request(["a"]), timeout=0.5)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        for more in ({}, {"timeout": 20}):
            slow.entered.clear()
            call = stub.Predict.future(predict_request(["a"]), **more)
            assert slow.entered.wait(20)
            call.cancel()
        with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=running.rest_url, timeout=0.3) as hasty:
            ask(hasty, ["a"])
        deadline = time.monotonic() + 10
        while len(lines := (tmp_path / "log").read_text().splitlines()) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        slow.leave.set()
        text = http.get(DEFAULT_PATH).text
    ends = [(line["entrypoint"], line["status"]) for line in map(json.loads, lines)]
    cancelled = ("GRPC", "CANCELLED")
    assert ends == [("GRPC", "DEADLINE_EXCEEDED"), cancelled, cancelled, ("REST", "CANCELLED")]
    labels = {"model_name": "texts", "version": "1"}
    assert counted(text, status="DEADLINE_EXCEEDED", entrypoint="GRPC", **labels) == 1
    assert counted(text, status="CANCELLED", entrypoint="GRPC", **labels) == 2
    assert counted(text, status="CANCELLED", entrypoint="REST", **labels) == 1


def test_an_answer_does_not_wait_until_it_is_counted_and_logged():
    order = []
    handler = RequestHandler(Executor(1, most_waiting=1), Limits(), lambda event, response: order.append(response))
    handler.subscribe(lambda event: order.append(event.status))

    async def answer():
        handler.finish(handler.start("GRPC", "Predict", "half_plus_two", "client"), "response")
        order.append("sent")
        await asyncio.sleep(0)

    asyncio.run(answer())
    assert order == ["sent", "OK", "response"]


def test_the_access_log_has_a_line_for_each_request(http, channel, access_log):
    before = len(access_log.read_text().splitlines())
    ask(http, ["a", "b"])
    ask(http, [1])
    request = classification_pb2.ClassificationRequest()
    with pytest.raises(grpc.RpcError):
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Classify(request, timeout=20)
    good, bad, refused = (json.loads(line) for line in access_log.read_text().splitlines()[before:])
    assert (good["status"], good["rows"], good["version"], good["entrypoint"]) == ("OK", 2, 1, "REST")
    assert good["milliseconds"] > 0
    assert good["client"].startswith("127.0.0.1:")
    assert (bad["status"], bad["method"], bad["model"]) == ("INVALID_ARGUMENT", "predict", "texts")
    assert (refused["method"], refused["entrypoint"], refused["message"]) == ("Classify", "GRPC", "Missing ModelSpec")


def test_a_full_disk_under_the_access_log_costs_no_answer(base, caplog):
    with caplog.at_level(logging.ERROR, logger="bert_serving.model_server"):
        chosen = options(base, access_log=Path("/dev/full"))
        with ServerThread(chosen) as running, httpx.Client(base_url=running.rest_url, timeout=20) as http:
            assert [ask(http, ["a"]).status_code for _ in range(3)] == [200] * 3
    assert sum("Cannot write the access log /dev/full" in line for line in caplog.messages) == 1


def test_an_access_log_that_cannot_be_opened_is_an_error(base, tmp_path):
    with (
        pytest.raises(InputError, match="Cannot write the access log"),
        ServerThread(options(base, access_log=tmp_path / "no" / "log")),
    ):
        pass


# === Limits ===


@pytest.mark.parametrize(
    ("texts", "more", "status", "text"),
    [
        (["a"] * 4, {}, 400, "Input text has 4 rows; this server takes at most 3"),
        (["a" * 101], {}, 400, "has a text of 101 bytes; this server takes at most 100"),
        (["a" * 6000], {}, 413, "The body is larger than 5000 bytes"),
    ],
)
def test_a_request_over_a_limit_is_refused_by_its_number(http, texts, more, status, text):
    reply = ask(http, texts, **more)
    assert reply.status_code == status
    assert text in reply.json()["error"]


def test_a_small_body_that_unpacks_to_a_large_one_is_refused(http):
    body = gzip.compress(b'{"instances": ["' + b"a" * 10_000_000 + b'"]}')
    assert len(body) < 12_000
    for content in (body, body[:4000]):
        reply = http.post("/v1/models/texts:predict", content=content[:4999], headers={"Content-Encoding": "gzip"})
        assert reply.status_code == 413


def test_a_message_over_the_limit_is_refused_over_grpc(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(predict_request(["a" * 6000]), timeout=20)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ([4], "has 4 rows; this server takes at most 3"),
        ([2**40], "has 1099511627776 rows; this server takes at most 3"),
        ([3, 700], "bytes; this server takes at most 5000"),
    ],
)
def test_a_tensor_is_measured_before_it_is_unpacked(channel, shape, text):
    request = predict_request(["short"])
    request.inputs["text"].tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    with pytest.raises(grpc.RpcError) as caught:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=20)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert text in caught.value.details()


# === REST manners ===


def test_pages_of_other_origins_may_ask_where_that_is_allowed(http, base):
    reply = http.options("/v1/models/texts:predict", headers={"Origin": "https://a.example"})
    assert reply.headers["access-control-allow-origin"] == "*"
    assert ask(http, ["a"]).headers["access-control-allow-origin"] == "*"


class SlowModel:
    """Makes the model of a running server wait for the test's leave."""

    def __init__(self, running):
        self.entered, self.leave = threading.Event(), threading.Event()
        (record,) = running.server.store.versions("texts")
        functions = record.servable.functions
        real = functions["serving_default"]

        def slow(**inputs):
            self.entered.set()
            assert self.leave.wait(20)
            return real(**inputs)

        functions["serving_default"] = slow


def test_an_inference_over_rest_that_takes_too_long_is_given_up(base):
    with ServerThread(options(base, rest_timeout=0.2)) as running:
        slow = SlowModel(running)
        with httpx.Client(base_url=running.rest_url, timeout=20) as http:
            reply = ask(http, ["a"])
        slow.leave.set()
    assert reply.status_code == 504
    assert "No answer within 0.2 s" in reply.json()["error"]


def test_requests_of_clients_that_have_gone_or_given_up_are_not_computed(base):
    with ServerThread(options(base, max_threads=1)) as running:
        slow = SlowModel(running)
        with httpx.Client(base_url=running.rest_url, timeout=20) as http:
            first = threading.Thread(target=ask, args=(http, ["a"]))
            first.start()
            assert slow.entered.wait(20)
            with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=running.rest_url, timeout=0.3) as hasty:
                ask(hasty, ["gone"])
            with GrpcClient(running.grpc_address, timeout=0.3) as client, pytest.raises(Exception, match="within"):
                client.predict("texts", ["late"])
            executor = running.server._executor
            deadline = time.monotonic() + 10
            while _waits(executor):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            slow.leave.set()
            first.join(20)


def _waits(executor):
    """Whether somebody waits for the answer to a request in a queue."""
    with executor._changed:
        return any(queue.first() is not None for queue in executor._queues.values())


def test_a_connection_on_which_nothing_comes_is_closed(base, monkeypatch):
    monkeypatch.setattr(TimeoutProtocol, "header_timeout", 1.0)
    with ServerThread(options(base)) as running:
        with socket.create_connection(("127.0.0.1", running.server.rest_port)) as silent:
            silent.settimeout(20)
            assert silent.recv(1) == b""
        with socket.create_connection(("127.0.0.1", running.server.rest_port)) as talking:
            talking.settimeout(20)
            talking.sendall(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert talking.recv(1000).startswith(b"HTTP/1.1 200")


ALIVE = b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/models/texts:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


def all_that_comes(connection):
    """Everything until the server closes."""
    connection.settimeout(20)
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        (b"G", 0),
        (ALIVE + b"G", 1),
        (ALIVE + ALIVE[:-2], 1),
        (ALIVE.replace(b"\r\n\r\n", b"\r\nContent-Length: 10\r\n\r\n"), 1),
    ],
)
def test_a_request_whose_headers_stop_midway_is_not_waited_for_for_ever(base, monkeypatch, sent, answers):
    monkeypatch.setattr(TimeoutProtocol, "header_timeout", 1.0)
    with (
        ServerThread(options(base)) as running,
        socket.create_connection(("127.0.0.1", running.server.rest_port)) as connection,
    ):
        connection.sendall(sent[:-1])
        time.sleep(0.1)
        connection.sendall(sent[-1:])
        connection.settimeout(20)
        time.sleep(0.1)
        with contextlib.suppress(OSError):
            for _ in range(12):  # bytes that trickle in do not set the clock back
                connection.sendall(b" ")
                time.sleep(0.1)
        with contextlib.suppress(ConnectionResetError):
            assert all_that_comes(connection).count(b"HTTP/1.1 200") == answers


def test_a_kept_connection_has_the_whole_time_for_its_next_headers(base, monkeypatch):
    monkeypatch.setattr(TimeoutProtocol, "header_timeout", 1.5)
    with (
        ServerThread(options(base)) as running,
        socket.create_connection(("127.0.0.1", running.server.rest_port)) as connection,
    ):
        connection.settimeout(20)
        for _ in range(3):
            time.sleep(0.8)
            connection.sendall(ALIVE)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("trickle", [b"", b" "])
def test_a_body_that_does_not_come_gets_408_and_the_connection_is_closed(base, monkeypatch, tmp_path, trickle):
    monkeypatch.setattr(BodyReader, "body_timeout", 0.3)
    chosen = options(base, access_log=tmp_path / "log")
    with (
        ServerThread(chosen) as running,
        socket.create_connection(("127.0.0.1", running.server.rest_port)) as connection,
    ):
        connection.sendall(POST)
        for _ in range(5 if trickle else 0):
            time.sleep(0.05)
            connection.sendall(trickle)
        head, _, body = all_that_comes(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in head.lower()
        assert json.loads(body)["error"].startswith("The body did not arrive within 0.3 s")
    assert json.loads((tmp_path / "log").read_text())["status"] == "DEADLINE_EXCEEDED"


def test_a_large_body_over_a_slow_link_is_waited_for(base, monkeypatch):
    monkeypatch.setattr(BodyReader, "body_timeout", 0.4)
    body = b'{"instances": ["' + b"x" * 2000 + b'"]}'
    with (
        ServerThread(options(base)) as running,
        socket.create_connection(("127.0.0.1", running.server.rest_port)) as connection,
    ):
        head = POST.replace(b": 10", f": {len(body)}\r\nConnection: close".encode())
        connection.sendall(head)
        for start in range(0, len(body), 500):
            connection.sendall(body[start : start + 500])
            time.sleep(0.15)
        assert all_that_comes(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "PATCH"])
def test_a_method_that_the_api_does_not_know_is_a_malformed_request(http, method):
    reply = http.request(method, "/v1/models/texts")
    assert reply.status_code == 400
    assert reply.json() == {"error": f"Malformed request: {method} /v1/models/texts"}


def test_what_is_no_http_is_refused_without_a_word_in_the_log(base, caplog, capfd):
    with (
        ServerThread(options(base)) as running,
        socket.create_connection(("127.0.0.1", running.server.rest_port)) as connection,
    ):
        connection.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert all_that_comes(connection).startswith(b"HTTP/1.1 400")
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]
    assert "Invalid HTTP request" not in capfd.readouterr().err


# === TLS ===


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key", "-out", folder / "cert"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return (folder / "key").read_bytes(), (folder / "cert").read_bytes()


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_serves_those_who_know_the_certificate(base, certificate, mutual):
    key, cert = certificate
    tls = Tls(key, cert, authority=cert if mutual else b"", client_verify=mutual)
    with ServerThread(options(base, tls=tls)) as running:
        address = f"localhost:{running.server.grpc_port}"
        known = grpc.ssl_channel_credentials(cert, *((key, cert) if mutual else ()))
        with grpc.secure_channel(address, known) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert stub.Predict(predict_request(["a"]), timeout=20).outputs["label"].string_val[0] == b"kurz"
        strangers = [grpc.insecure_channel(address)]
        if mutual:
            strangers.append(grpc.secure_channel(address, grpc.ssl_channel_credentials(cert)))
        for stranger in strangers:
            with stranger, pytest.raises(grpc.RpcError) as caught:
                prediction_service_pb2_grpc.PredictionServiceStub(stranger).Predict(predict_request(["a"]), timeout=5)
            assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def test_tls_is_asked_for_on_the_unix_socket_too(base, certificate, tmp_path):
    key, cert = certificate
    path = f"unix:{tmp_path / 'socket'}"
    known, name = grpc.ssl_channel_credentials(cert), [("grpc.ssl_target_name_override", "localhost")]
    with ServerThread(options(base, port=None, grpc_socket_path=path.removeprefix("unix:"), tls=Tls(key, cert))):
        with grpc.secure_channel(path, known, name) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert stub.Predict(predict_request(["a"]), timeout=20).outputs["label"].string_val[0] == b"kurz"
        with grpc.insecure_channel(path) as channel, pytest.raises(grpc.RpcError):
            prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(predict_request(["a"]), timeout=5)


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_serves_the_rest_port_too_where_that_is_asked_for(base, certificate, tmp_path, mutual):
    key, cert = certificate
    (tmp_path / "key").write_bytes(key)
    (tmp_path / "cert").write_bytes(cert)
    own = {"certificate": tmp_path / "cert", "key": tmp_path / "key"} if mutual else {}
    known = ClientTls(authority=tmp_path / "cert", **own)
    tls = Tls(key, cert, authority=cert if mutual else b"", client_verify=mutual)
    with ServerThread(options(base, tls=tls, rest_tls=True)) as running:
        ports = running.server.grpc_port, running.server.rest_port
        with GrpcClient(f"localhost:{ports[0]}", tls=known) as client:
            assert client.predict("texts", ["a"])[0].label == "kurz"
        with RestClient(f"https://localhost:{ports[1]}", tls=known) as client:
            assert client.predict("texts", ["a"])[0].label == "kurz"
        strangers = [
            RestClient(f"http://localhost:{ports[1]}", retry_timeout=0),
            RestClient(f"https://localhost:{ports[1]}", retry_timeout=0),
        ]
        if mutual:
            strangers.append(
                RestClient(f"https://localhost:{ports[1]}", retry_timeout=0, tls=ClientTls(authority=tmp_path / "cert"))
            )
        for stranger in strangers:
            with stranger, pytest.raises(ServerUnavailable):
                stranger.predict("texts", ["a"])


@pytest.mark.parametrize("more", [{"rest_api_port": None}, {"rest_tls": True}, {"port": None, "rest_tls": True}])
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"server_key": "-----BEGIN PRIVATE KEY-----"}, "holds no usable key and certificates"),
        ({"server_cert": "-----BEGIN CERTIFICATE-----"}, "holds no usable key and certificates"),
        ({"server_key": "another"}, "holds no usable key and certificates"),
        ({"server_key": "encrypted"}, "holds no usable key and certificates"),
        ({"custom_ca": "-----BEGIN CERTIFICATE-----"}, "holds no usable custom_ca"),
    ],
)
def test_an_unusable_key_or_certificate_fails_the_start_and_is_named(
    base, certificate, tmp_path, other_keys, changes, text, more
):
    key, cert = (pem.decode() for pem in certificate)
    config = {"server_key": key, "server_cert": cert}
    config |= {field: other_keys.get(value, value) for field, value in changes.items()}
    (tmp_path / "ssl.config").write_text("\n".join(f"{field}: {json.dumps(pem)}" for field, pem in config.items()))
    chosen = options(base, tls=read_tls(tmp_path / "ssl.config"), **more)
    with pytest.raises(InputError) as caught, ServerThread(chosen):
        pass
    assert f"{tmp_path / 'ssl.config'} {text}" in str(caught.value)


@pytest.fixture(scope="module")
def other_keys(certificate, tmp_path_factory):
    """A key of another certificate, and the right one behind a password."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "key").write_bytes(certificate[0])
    commands = {
        "another": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "encrypted": ["pkcs8", "-topk8", "-in", folder / "key", "-passout", "pass:secret"],
    }
    for name, arguments in commands.items():
        subprocess.run(["openssl", *arguments, "-out", folder / name], check=True, capture_output=True, timeout=60)
    return {name: (folder / name).read_text() for name in commands}


# === At load ===


class Writer(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def write(self, text):
        tf.io.write_file("/tmp/never", tf.strings.reduce_join(text))
        return {"text": text}


def test_a_model_that_writes_files_is_refused_unless_that_is_allowed(tmp_path):
    module = Writer()
    tf.saved_model.save(module, str(tmp_path / "m" / "1"), signatures={"serving_default": module.write})
    for allowed, state in ((False, State.END), (True, State.AVAILABLE)):
        store = ModelStore(options(tmp_path, "m", allow_unsafe_operations=allowed))
        store.load()
        (record,) = store.versions("m")
        assert record.state == state
        if not allowed:
            assert record.error_code == "FAILED_PRECONDITION"
            assert "WriteFile (writes files)" in record.error_message


def test_operations_that_a_stock_server_lacks_are_named_at_load(base, caplog):
    with caplog.at_level(logging.WARNING, logger="bert_serving.model_server"):
        ModelStore(options(base, tf_serving="2.20")).load()
        assert not [line for line in caplog.messages if "would not run" in line]
        ModelStore(options(base, tf_serving="1.0")).load()
    assert any("texts version 1 would not run on TensorFlow Serving 1.0: " in line for line in caplog.messages)


def test_signatures_of_another_method_are_refused_where_switched_on(tmp_path):
    serving_models.write_arithmetic(tmp_path / "m" / "1")
    with (
        ServerThread(options(tmp_path, "m", check_method_names=True)) as running,
        grpc.insecure_channel(running.grpc_address) as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "m"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([2.0], np.float32)))
        assert list(stub.Predict(request, timeout=20).outputs["y"].float_val) == [3.0]
        classify = classification_pb2.ClassificationRequest(model_spec=request.model_spec)
        classify.model_spec.signature_name = "classify"
        several = inference_pb2.MultiInferenceRequest()
        several.tasks.add(method_name="tensorflow/serving/classify").model_spec.CopyFrom(classify.model_spec)
        several.input.example_list.examples.add()
        for call, refused in ((stub.Classify, classify), (stub.MultiInference, several)):
            with pytest.raises(grpc.RpcError) as caught:
                call(refused, timeout=20)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert (
                "Expected classification signature method_name to be tensorflow/serving/classify. Was: "
                "tensorflow/serving/predict" in caught.value.details()
            )


def test_stopping_is_bounded_by_the_grace_period(base):
    running = ServerThread(options(base, grace_seconds=0.3))
    with running:
        slow = SlowModel(running)
        channel = grpc.insecure_channel(running.grpc_address)
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict.future(predict_request(["a"]))
        assert slow.entered.wait(20)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert running.server.busy
    slow.leave.set()
    with pytest.raises(grpc.RpcError):
        answer.result(20)
    channel.close()


def test_a_request_over_rest_that_outlives_the_grace_period_gets_503(base, tmp_path, caplog):
    replies = []
    chosen = options(base, grace_seconds=0.3, access_log=tmp_path / "log", port=None)
    with ServerThread(chosen) as running:
        slow = SlowModel(running)
        url = f"{running.rest_url}/v1/models/texts:predict"
        asking = threading.Thread(
            target=lambda: replies.append(httpx.post(url, content=b'{"instances": ["a"]}', timeout=20))
        )
        asking.start()
        assert slow.entered.wait(20)
    asking.join(20)
    slow.leave.set()
    (reply,) = replies
    assert reply.status_code == 503
    assert reply.json() == {"error": "The server is stopping: retry later"}
    assert json.loads((tmp_path / "log").read_text())["status"] == "UNAVAILABLE"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
