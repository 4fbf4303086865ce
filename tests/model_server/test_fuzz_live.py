"""A server that runs, under random requests on both ports: no error of the server, and afterwards it still answers."""

import socket
from http.client import HTTPConnection
from urllib.parse import quote

import grpc
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from support import random_requests as made
from support import serving_models
from tensorflow_serving.apis import model_management_pb2, predict_pb2

from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
LONG = settings(max_examples=2500, deadline=None, suppress_health_check=list(HealthCheck))

SECONDS = 20.0
PREDICTION = "/tensorflow.serving.PredictionService/"
MODELS = "/tensorflow.serving.ModelService/"
METHODS = [PREDICTION + name for name in ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata")]
METHODS += [MODELS + "GetModelStatus", MODELS + "HandleReloadConfigRequest"]
FAULTS = {"INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE", "DEADLINE_EXCEEDED"}
REQUESTS = {
    PREDICTION + "Predict": made.predict_requests(),
    PREDICTION + "MultiInference": made.multi_inference_requests(),
    PREDICTION + "GetModelMetadata": made.metadata_requests(),
    MODELS + "GetModelStatus": made.status_requests(),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return serving_models.write_arithmetic(tmp_path_factory.mktemp("models") / "m" / "1").parent


@pytest.fixture(scope="module")
def server(base):
    with ServerThread(ServerOptions(models=[ModelConfig(made.MODEL, base)])) as running:
        yield running


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="module")
def changing(base):
    """A server whose configuration is played with."""
    with ServerThread(ServerOptions(models=[ModelConfig(made.MODEL, base)], max_num_load_retries=0)) as running:
        yield running


def code_of(channel, method, data):
    try:
        channel.unary_unary(method)(data, timeout=SECONDS)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def check_that_it_answers(channel):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = made.MODEL
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([2.0]))
    answer = channel.unary_unary(PREDICTION + "Predict", None, predict_pb2.PredictResponse.FromString)
    assert list(answer(request.SerializeToString(), timeout=SECONDS).outputs["y"].float_val) == [3.0]


def bytes_case(limits):
    @limits
    @given(method=some.sampled_from(METHODS[:-1]), data=some.binary(max_size=120))
    def case(channel, method, data):
        assert code_of(channel, method, data) not in FAULTS, (method, data)

    return case


def requests_case(limits):
    @limits
    @given(asked=some.one_of(*(some.tuples(some.just(method), each) for method, each in REQUESTS.items())))
    def case(channel, asked):
        method, request = asked
        assert code_of(channel, method, request.SerializeToString()) not in FAULTS, asked

    return case


def http_case(limits):
    @limits
    @given(
        method=some.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE"]),
        path=made.paths,
        body=made.bodies,
        headers=some.dictionaries(
            some.sampled_from(["Content-Encoding", "Content-Type", "Expect", "Accept", "Origin"]),
            some.sampled_from(["gzip", "deflate", "application/json", "100-continue", "", "*/*", "http://x"]),
            max_size=2,
        ),
    )
    def case(server, method, path, body, headers):
        connection = HTTPConnection("127.0.0.1", server.server.rest_port, timeout=SECONDS)
        try:
            connection.request(method, quote(path, safe="/:%?&=+", errors="replace"), body, headers)
            reply = connection.getresponse()
            reply.read()
        finally:
            connection.close()
        # 501: a data type that JSON cannot carry, as in the reference.
        assert reply.status < 500 or reply.status == 501, (method, path, body)

    return case


def stream_case(limits):
    @limits
    @given(
        pieces=some.lists(
            some.binary(max_size=30)
            | some.sampled_from([b"POST /v1/models/m:predict HTTP/1.1\r\n", b"Host: x\r\n", b"Content-Length: 5\r\n",
                                 b"Transfer-Encoding: chunked\r\n", b"\r\n", b"5\r\nabcde\r\n", b"0\r\n\r\n", b"GET / HTTP/1.0\r\n",
                                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"Content-Length: -1\r\n", b"\x00\x00\x04\x00"]),
            max_size=6,
        ),
        grpc_port=some.booleans(),
    )  # fmt: skip
    def case(server, pieces, grpc_port):
        port = server.server.grpc_port if grpc_port else server.server.rest_port
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
            connection.sendall(b"".join(pieces))
            connection.shutdown(socket.SHUT_WR)
            came = b""
            try:
                while some_more := connection.recv(1 << 16):
                    came += some_more
            except ConnectionError:
                pass
        assert grpc_port or b"HTTP/1.1 5" not in came, pieces

    return case


def reload_case(limits):
    @limits
    @given(some.data())
    def case(changing, base, tmp_path_factory, data):
        empty = tmp_path_factory.getbasetemp()
        paths = [str(base), str(base), str(empty), str(base / "no"), "", "relative", "\u00e4"]
        request = data.draw(made.reload_requests(paths))
        with grpc.insecure_channel(changing.grpc_address) as channel:
            # A folder without versions is UNKNOWN, as in TensorFlow Serving.
            assert code_of(channel, METHODS[-1], request.SerializeToString()) not in FAULTS - {"UNKNOWN"}, request

    return case


CASES = [bytes_case, requests_case, http_case, stream_case]
(
    test_any_bytes_on_any_method_are_the_mistake_of_the_client,
    test_any_message_on_any_method_is_answered_or_refused,
    test_any_http_request_is_answered_or_refused,
    test_any_stream_of_bytes_leaves_the_server_standing,
) = (case(QUICK) for case in CASES)
(
    test_any_bytes_on_any_method_are_the_mistake_of_the_client_for_long,
    test_any_message_on_any_method_is_answered_or_refused_for_long,
    test_any_http_request_is_answered_or_refused_for_long,
    test_any_stream_of_bytes_leaves_the_server_standing_for_long,
) = (pytest.mark.slow(case(LONG)) for case in CASES)
test_any_configuration_is_taken_or_refused = reload_case(QUICK)
test_any_configuration_is_taken_or_refused_for_long = pytest.mark.slow(reload_case(LONG))


def test_after_all_that_the_server_answers(channel):
    check_that_it_answers(channel)


def test_after_any_configuration_a_right_one_brings_the_model_back(changing, base):
    with grpc.insecure_channel(changing.grpc_address) as channel:
        request = model_management_pb2.ReloadConfigRequest()
        request.config.model_config_list.config.add(name=made.MODEL, base_path=str(base), model_platform="tensorflow")
        assert code_of(channel, METHODS[-1], request.SerializeToString()) == "OK"
        check_that_it_answers(channel)
