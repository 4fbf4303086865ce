"""What a running server offers besides answers: health, reflection, metrics, limits, TLS, logs, a decent end."""

import asyncio
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
import serving_models
import tensorflow as tf
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tensorflow_serving.apis import classification_pb2, predict_pb2, prediction_service_pb2_grpc

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.clients.rest_client import RestClient
from bert_serving.clients.tls import ClientTls
from bert_serving.errors import InputError, ServerUnavailable
from bert_serving.model_server.exchange import Exchanges
from bert_serving.model_server.executor import Executor
from bert_serving.model_server.gateway import Gateway
from bert_serving.model_server.model_store import ModelStore, State
from bert_serving.model_server.monitoring import DEFAULT_PATH
from bert_serving.model_server.options import ModelConfig, ServerOptions
from bert_serving.model_server.request_limits import Limits
from bert_serving.model_server.rest_protocol import PatientProtocol
from bert_serving.model_server.server import ServerThread
from bert_serving.model_server.tls import Tls


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


def test_metrics_have_the_names_of_the_reference_and_tell_version_and_signature(http, channel):
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
    assert f':tensorflow:serving:runtime_latency_count{{{model},API="Predict",runtime="TF2"}}' in text
    for name in ("queuing_latency", "input_batch_size", "processed_batch_size", "padding_size"):
        assert f":tensorflow:serving:batching_session:{name}_count{{{model}}}" in text
    assert ':bert_serving:version_state{model_name="broken",version="1",state="END"} 1' in text
    assert ":bert_serving:waiting_requests 0" in text
    assert 'status="INVALID_ARGUMENT"' in text
    # Names that a client makes up must not fill the memory.
    assert "unheard_of" not in text


def test_an_answer_does_not_wait_until_it_is_counted_and_logged():
    order = []
    exchanges = Exchanges()
    exchanges.listen(lambda exchange: order.append(exchange.status))
    gateway = Gateway(Executor(1, most_waiting=1), Limits(), exchanges, lambda call, response: order.append(response))

    async def answer():
        gateway.succeeded(gateway.begin("GRPC", "Predict", "half_plus_two", "client"), "response")
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
            while any(not task.dropped for queue, _ in executor._queues.values() for task in _tasks(queue)):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            slow.leave.set()
            first.join(20)


def _tasks(queue):
    return [task for lane in (queue._short, queue._long) for line in list(lane._lines.values()) for task in line]


def test_a_connection_on_which_nothing_comes_is_closed(base, monkeypatch):
    monkeypatch.setattr(PatientProtocol, "header_seconds", 0.3)
    with ServerThread(options(base)) as running:
        with socket.create_connection(("127.0.0.1", running.server.rest_port)) as silent:
            silent.settimeout(20)
            assert silent.recv(1) == b""
        with socket.create_connection(("127.0.0.1", running.server.rest_port)) as talking:
            talking.settimeout(20)
            talking.sendall(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert talking.recv(1000).startswith(b"HTTP/1.1 200")


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
            RestClient(f"http://localhost:{ports[1]}", retry=0),
            RestClient(f"https://localhost:{ports[1]}", retry=0),
        ]
        if mutual:
            strangers.append(
                RestClient(f"https://localhost:{ports[1]}", retry=0, tls=ClientTls(authority=tmp_path / "cert"))
            )
        for stranger in strangers:
            with stranger, pytest.raises(ServerUnavailable):
                stranger.predict("texts", ["a"])


def test_a_key_that_is_none_is_an_error_at_the_start(base):
    tls = Tls(b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN CERTIFICATE-----")
    with (
        pytest.raises(InputError, match="holds no usable key and certificates"),
        ServerThread(options(base, port=None, tls=tls, rest_tls=True)),
    ):
        pass


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


def test_signatures_made_for_another_method_are_refused_where_that_is_asked_for(tmp_path):
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
        with pytest.raises(grpc.RpcError) as caught:
            stub.Classify(classify, timeout=20)
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
