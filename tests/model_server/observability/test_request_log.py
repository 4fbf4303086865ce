"""The request log: what is written, that it costs no answer, and that it becomes warmup requests."""

import json
import logging
import resource
import shutil
import signal
import threading
import time

import grpc
import httpx
import pytest
import tensorflow as tf
from support import serving_models
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from bert_serving.cli.main import app
from bert_serving.contract import WARMUP_FILE
from bert_serving.errors import DataError, InputError
from bert_serving.model_server.config.flags import parse_flags
from bert_serving.model_server.config.model_config import parse_model_config
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.config.request_logging import RequestLogConfig
from bert_serving.model_server.models.store import ModelStore
from bert_serving.model_server.observability import request_log
from bert_serving.model_server.server import ServerThread
from bert_serving.saved_model.warmup import warmup_from_logs


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    serving_models.write_texts(base / "texts" / "1")
    serving_models.write_arithmetic(base / "numbers" / "1")
    return base


def options(base, where, *, model_where=None):
    models = [ModelConfig("texts", base / "texts", logging=model_where), ModelConfig("numbers", base / "numbers")]
    return ServerOptions(models=models, request_log=where)


def ask(http, texts, model="texts"):
    return http.post(f"/v1/models/{model}:predict", content=json.dumps({"instances": texts}))


def read(folder, name="log"):
    paths = sorted(folder.glob(f"{name}.*.tfrecord"))
    records = (record for path in paths for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


def example_request(signature):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "numbers", signature
    request.input.example_list.examples.add().features.feature["x"].float_list.value.append(2.0)
    return request


@pytest.fixture(scope="module")
def logged(base, tmp_path_factory):
    """A folder with a log of one request of each kind, and answers of all of them."""
    folder = tmp_path_factory.mktemp("log")
    with (
        ServerThread(options(base, RequestLogConfig(folder / "log", 1.0))) as running,
        httpx.Client(base_url=running.rest_url, timeout=20) as http,
        grpc.insecure_channel(running.grpc_address) as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "texts"
        request.inputs["text"].CopyFrom(tf.make_tensor_proto(["kurz", "x" * 5000], tf.string))
        stub.Predict(request, timeout=20)
        assert ask(http, ["über REST"]).status_code == 200
        stub.Classify(example_request("classify"), timeout=20)
        both = inference_pb2.MultiInferenceRequest()
        for method in ("classify", "regress"):
            task = both.tasks.add(method_name=f"tensorflow/serving/{method}")
            task.model_spec.name, task.model_spec.signature_name = "numbers", method
        both.input.CopyFrom(example_request("classify").input)
        stub.MultiInference(both, timeout=20)
        body = {"signature_name": "classify", "examples": [{"x": 2.0}]}
        assert http.post("/v1/models/numbers:classify", content=json.dumps(body)).status_code == 200
        assert ask(http, [1]).status_code == 400
    return folder


def test_every_kind_of_request_is_logged_with_who_answered(logged):
    over_grpc, over_rest, classified, both, classified_over_rest = read(logged)
    assert over_grpc.predict_log.request.inputs["text"].string_val[0] == b"kurz"
    assert list(over_grpc.predict_log.response.outputs["label"].string_val) == [b"kurz", "länger".encode()]
    assert over_rest.predict_log.request.inputs["text"].string_val[0] == "über REST".encode()
    assert classified.classify_log.response.result.classifications[0].classes[0].score == 3.0
    assert len(both.multi_inference_log.response.results) == 2
    assert classified_over_rest.classify_log.request.input.example_list.examples
    metadata = over_rest.log_metadata
    assert (metadata.model_spec.name, metadata.model_spec.version.value) == ("texts", 1)
    assert metadata.sampling_config.sampling_rate == 1.0
    assert abs(metadata.timestamp_secs - time.time()) < 600


def test_a_log_becomes_warmup_requests_that_warm_a_version_up(logged, base, tmp_path, capsys):
    shutil.copytree(base / "texts", tmp_path / "texts")
    version = tmp_path / "texts" / "1"
    (path,) = logged.iterdir()
    app(["warmup", str(path), "--to", str(version), "--model", "texts"], standalone_mode=False)
    assert "2 requests" in capsys.readouterr().out
    warm = [
        prediction_log_pb2.PredictionLog.FromString(record)
        for record in tf.data.TFRecordDataset(str(version / WARMUP_FILE)).as_numpy_iterator()
    ]
    assert [len(log.predict_log.request.inputs["text"].string_val) for log in warm] == [1, 2]
    assert not any(log.predict_log.HasField("response") or log.HasField("log_metadata") for log in warm)
    store = ModelStore(ServerOptions(models=[ModelConfig("texts", tmp_path / "texts")]))
    store.load()
    assert store.answers("texts")


def test_warmup_requests_are_short_and_long_ones_and_each_but_once(tmp_path):
    log = tmp_path / "log.tfrecord"
    with tf.io.TFRecordWriter(str(log)) as writer:
        for _ in range(2):
            for length in range(500):
                entry = prediction_log_pb2.PredictionLog()
                entry.predict_log.request.inputs["text"].string_val.append(b"x" * length)
                writer.write(entry.SerializeToString())
    log.write_bytes(log.read_bytes()[:-5])  # a torn end, as a full disk leaves it
    assert warmup_from_logs([log], tmp_path / "warm", records=5) == 5
    lengths = [
        len(prediction_log_pb2.PredictionLog.FromString(record).predict_log.request.inputs["text"].string_val[0])
        for record in tf.data.TFRecordDataset(str(tmp_path / "warm")).as_numpy_iterator()
    ]
    assert lengths == [0, 125, 250, 374, 499]
    assert warmup_from_logs([log], tmp_path / "warm", records=1000) == 500
    assert {path.name for path in tmp_path.iterdir()} == {"log.tfrecord", "warm"}


@pytest.mark.parametrize(
    ("content", "model", "text"),
    [
        (None, None, "log: cannot read it: No such file"),
        (b"text\n" * 99, None, "log: not a TFRecord file of PredictionLog"),
        (b"", None, "log: no request to warm up with"),
        (b"", "m", "log: no request for model m to warm up with"),
    ],
)
def test_what_is_no_log_is_explained_and_nothing_is_written(tmp_path, content, model, text):
    if content is not None:
        (tmp_path / "log").write_bytes(content)
    with pytest.raises(DataError, match=text):
        warmup_from_logs([tmp_path / "log"], tmp_path / "warm", model=model)
    assert not (tmp_path / "warm").exists()


def test_only_a_share_is_logged_and_a_model_has_its_own_log(base, tmp_path):
    own = RequestLogConfig(tmp_path / "own", 0.5)
    with (
        ServerThread(options(base, RequestLogConfig(tmp_path / "log", 0.0), model_where=own)) as running,
        httpx.Client(base_url=running.rest_url, timeout=20) as http,
    ):
        for _ in range(100):
            assert ask(http, ["a"]).status_code == 200
            assert ask(http, [1.0], "numbers").status_code == 200
    assert 20 < len(read(tmp_path, "own")) < 80
    assert not read(tmp_path, "log")


def test_a_full_disk_in_the_log_folder_costs_no_answer_and_is_said_once(base, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(request_log, "RETRY_SECONDS", 0.05)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with (
        caplog.at_level(logging.ERROR, logger="bert_serving.model_server"),
        ServerThread(options(base, RequestLogConfig(tmp_path / "log", 1.0))) as running,
        httpx.Client(base_url=running.rest_url, timeout=20) as http,
    ):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            took = []
            for _ in range(30):
                began = time.perf_counter()
                assert ask(http, ["a"]).status_code == 200
                took.append(time.perf_counter() - began)
                time.sleep(0.01)
            assert sorted(took)[15] < 0.1
            wait_until(lambda: running.server._request_log.dropped >= 25)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        time.sleep(0.1)
        assert ask(http, ["again"]).status_code == 200
    said = [line for line in caplog.messages if "Cannot write the request log" in line]
    assert len(said) == 1
    assert "requests are answered all the same" in said[0]
    assert [log.predict_log.request.inputs["text"].string_val[0] for log in read(tmp_path)] == [b"again"]


def test_a_log_that_cannot_keep_up_leaves_requests_out(base, tmp_path, monkeypatch):
    blocked = threading.Event()
    real = request_log._prediction_log

    def slow(entry):
        blocked.wait(20)
        return real(entry)

    monkeypatch.setattr(request_log, "_prediction_log", slow)
    monkeypatch.setattr(request_log, "MAX_QUEUED_BYTES", 5000)
    with (
        ServerThread(options(base, RequestLogConfig(tmp_path / "log", 1.0))) as running,
        httpx.Client(base_url=running.rest_url, timeout=20) as http,
    ):
        for _ in range(8):
            assert ask(http, ["x" * 1000]).status_code == 200
        # An answer goes out before it is logged.
        deadline = time.monotonic() + 10
        while running.server._request_log.dropped < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert running.server._request_log.dropped == 3
        blocked.set()
    assert len(read(tmp_path)) == 5


def test_the_files_together_stay_within_their_limit(base, tmp_path):
    with (
        ServerThread(options(base, RequestLogConfig(tmp_path / "log", 1.0, max_bytes=20_000))) as running,
        httpx.Client(base_url=running.rest_url, timeout=20) as http,
    ):
        for number in range(60):
            assert ask(http, [f"{number:04d}" + "x" * 1000]).status_code == 200
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 25_000
    assert len(list(tmp_path.iterdir())) <= 4
    numbers = [int(log.predict_log.request.inputs["text"].string_val[0][:4]) for log in read(tmp_path)]
    assert numbers == list(range(numbers[0], 60))
    assert len(numbers) >= 8


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--request_log=/nowhere/log"], "needs the folder /nowhere, which does not exist: create it"),
        (["--request_log=/tmp/log", "--request_log_sampling_rate=2"], "'2' is not a number from 0 to 1"),
        (["--request_log=/tmp/log", "--request_log_sampling_rate=x"], "'x' is not a number from 0 to 1"),
    ],
)
def test_a_log_that_cannot_be_written_is_an_error_at_the_start(arguments, text):
    with pytest.raises(InputError, match=text):
        parse_flags(["--model_base_path=/m", *arguments])


def test_the_flags_say_where_and_how_much_is_logged():
    where = parse_flags(
        ["--model_base_path=/m", "--request_log=/tmp/log", "--request_log_max_bytes=9"]
    ).options.request_log
    assert (str(where.prefix), where.sampling_rate, where.max_bytes) == ("/tmp/log", 0.01, 9)


LOGGING = 'config {{ name: "m" base_path: "/m" model_platform: "tensorflow" logging_config {{ {} }} }}'
PREFIX = 'log_collector_config { filename_prefix: "/tmp/log" } '


def test_the_model_config_file_asks_for_a_log():
    body = PREFIX + "sampling_config { sampling_rate: 0.1 }"
    (config,) = parse_model_config(f"model_config_list {{ {LOGGING.format(body)} }}", source="file")
    assert (str(config.logging.prefix), config.logging.sampling_rate) == ("/tmp/log", 0.1)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("", "Model m: logging_config needs log_collector_config.filename_prefix"),
        ('log_collector_config { filename_prefix: "log" }', "Model m: The request log 'log' is not an absolute path"),
        (
            'log_collector_config { type: "kafka" filename_prefix: "/tmp/l" }',
            "Model m asks for the log collector 'kafka'",
        ),
        (PREFIX + "sampling_config { sampling_rate: 7 }", "Model m: The sampling rate 7.0 is not between 0 and 1"),
        (PREFIX + "sampling_config { per_task_sampling_configs {} }", "leave out the rest"),
        (PREFIX + "custom_logging_config {}", "leave out the rest"),
    ],
)
def test_a_logging_config_that_this_server_does_not_know_is_refused(body, text):
    with pytest.raises(InputError, match=text):
        parse_model_config(f"model_config_list {{ {LOGGING.format(body)} }}", source="file")


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
