"""Whatever a client or a config file holds: no crash, no hang, no error of the server for a mistake of the client."""

import asyncio
from urllib.parse import quote

import httpx
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from support import serving_models
from support.random_requests import SIGNATURES, bodies, paths, tensors
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import classification_pb2, model_pb2, predict_pb2, regression_pb2

from bert_serving.errors import InputError
from bert_serving.model_server.batching.executor import Executor
from bert_serving.model_server.config.flags import parse_flags
from bert_serving.model_server.config.limits import Limits
from bert_serving.model_server.config.model_config import parse_model_config
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.config.text_protos import parse_config
from bert_serving.model_server.inference.examples import prepare_classify, prepare_regress
from bert_serving.model_server.inference.predict import prepare_predict
from bert_serving.model_server.inference.status_code import status_of
from bert_serving.model_server.models.store import ModelStore
from bert_serving.model_server.requests import RequestHandler
from bert_serving.model_server.rest_api.app import build_rest_app
from bert_serving.model_server.rest_api.operations import RestApi
from bert_serving.model_server.thread_pool import Workers

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
LONG = settings(max_examples=2500, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "m"
    serving_models.write_arithmetic(base / "1")
    store = ModelStore(ServerOptions(models=[ModelConfig("m", base)]))
    store.load()
    return store


@pytest.fixture(scope="module")
def http(store):
    """Sends a request to the REST API and gives the status of the answer."""
    executor, workers = Executor(1, most_waiting=1), Workers(1, most_waiting=1)
    app = build_rest_app(RestApi(store), workers, RequestHandler(executor, Limits()))
    with asyncio.Runner() as runner:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

        def ask(method, path, body):
            raw_path = "/" + quote(path.removeprefix("/"), safe="/:%", errors="replace")
            url = httpx.URL("http://test", raw_path=raw_path.encode())
            return runner.run(client.request(method, url, content=body)).status_code

        yield ask
    executor.close()
    workers.close()


def check_rest(http, method, path, body):
    status = http(method, path, body)
    # 501: a data type that JSON cannot carry, as in the reference.
    assert status < 500 or status == 501, body


def check_grpc(servable, prepare, request):
    code = "OK"
    try:
        prepare(servable, request).run()
    except Exception as error:
        code = status_of(error).code
    assert code not in ("INTERNAL", "UNKNOWN", "DATA_LOSS"), request


def check_parser(parse, text):
    message = ""
    try:
        parse(text)
    except InputError as error:
        message = str(error)
    assert "\n" not in message


def predict_request(signature, inputs, outputs):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.signature_name = signature
    for name, proto in inputs.items():
        request.inputs[name].CopyFrom(proto)
    return request


def rest_case(limits):
    @limits
    @given(method=some.sampled_from(["GET", "POST", "PUT"]), path=paths, body=bodies)
    def case(http, method, path, body):
        check_rest(http, method, path, body)

    return case


def predict_case(limits):
    @limits
    @given(
        signature=some.sampled_from(SIGNATURES),
        inputs=some.dictionaries(some.sampled_from("xabsildu"), tensors(), max_size=5),
        outputs=some.lists(some.sampled_from(["y", "z", "no"]), max_size=2),
    )
    def case(store, signature, inputs, outputs):
        servable = store.resolve(model_pb2.ModelSpec(name="m"))
        # Rank and type decide; a lone x or s reaches the model more often than a random set of names.
        if len(inputs) == 1:
            wanted = servable.signatures[signature].inputs
            inputs = {next(iter(wanted)): next(iter(inputs.values()))} if len(wanted) == 1 else inputs
        check_grpc(servable, prepare_predict, predict_request(signature, inputs, outputs))

    return case


def wire_case(limits):
    @limits
    @given(data=some.binary(max_size=120))
    def case(store, data):
        servable = store.resolve(model_pb2.ModelSpec(name="m"))
        for kind, prepare in (
            (predict_pb2.PredictRequest, prepare_predict),
            (classification_pb2.ClassificationRequest, prepare_classify),
            (regression_pb2.RegressionRequest, prepare_regress),
        ):
            try:
                request = kind.FromString(data)
            except DecodeError:
                continue
            check_grpc(servable, prepare, request)

    return case


def config_case(limits):
    @limits
    @given(
        text=some.text(max_size=40)
        | some.lists(
            some.sampled_from(
                ["model_config_list", "{", "}", "config", "name:", '"m"', "base_path:", '"/m"', "max_batch_size", "value:",
                 "-1", "9e9", "prometheus_config", "path:", "server_key:", "allowed_batch_sizes:", "enable: true"]
            ),
            max_size=12,
        ).map(" ".join)
    )  # fmt: skip
    def case(store, text):
        check_parser(lambda each: parse_model_config(each, source="file"), text)
        for message in ("BatchingParameters", "SSLConfig", "MonitoringConfig"):
            check_parser(lambda each, message=message: parse_config(each, message, source="file"), text)
        check_parser(lambda each: parse_flags(each.split() or ["--version"]), text)

    return case


test_rest_takes_anything = rest_case(QUICK)
test_predict_takes_any_tensors = predict_case(QUICK)
test_every_method_takes_any_bytes = wire_case(QUICK)
test_config_parsers_take_any_text = config_case(QUICK)

test_rest_takes_anything_for_long = pytest.mark.slow(rest_case(LONG))
test_predict_takes_any_tensors_for_long = pytest.mark.slow(predict_case(LONG))
test_every_method_takes_any_bytes_for_long = pytest.mark.slow(wire_case(LONG))
test_config_parsers_take_any_text_for_long = pytest.mark.slow(config_case(LONG))


def test_deep_json_is_refused(http):
    for body in (b"[" * 200_000, b'{"instances":' * 50_000, b'{"instances": [' + b"[" * 64 + b"1" + b"]" * 64 + b"]}"):
        check_rest(http, "POST", "/v1/models/m:predict", body)


def test_a_tensor_of_any_type_is_refused_or_answered(store):
    servable = store.resolve(model_pb2.ModelSpec(name="m"))
    for dtype in types_pb2.DataType.values():
        proto = tensor_pb2.TensorProto(dtype=dtype)
        proto.tensor_shape.dim.add(size=2)
        check_grpc(servable, prepare_predict, predict_request("serving_default", {"x": proto}, []))
    assert tf.executing_eagerly()
