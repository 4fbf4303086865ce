"""Faults around a running server: damaged files, kills, clocks, idle and flooding clients. Half-copied and deleted versions:
models/test_lifecycle.py; malformed requests: test_fuzz.py and test_api.py; full disks: test_request_log.py and test_operation.py."""

import contextlib
import json
import os
import resource
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

import grpc
import httpx
import pytest
import tensorflow as tf
from google.protobuf import text_format
from support import serving_models
from support.paths import RECORDED
from tensorflow_serving.config import model_server_config_pb2

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.clients.rest_client import RestClient
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.process import ModelServerProcess
from bert_serving.model_server.rest_api.http_server import TimeoutProtocol
from bert_serving.model_server.server import ServerThread

EMBEDDED = (sys.executable, "-m", "bert_serving.model_server")
CLOCK = RECORDED / "clock_jump.c"


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    return serving_models.write_texts(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture(scope="module")
def server(saved_model, tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "texts"
    shutil.copytree(saved_model, base / "1")
    with ServerThread(options(base)) as running:
        yield running


@pytest.fixture
def base(tmp_path, saved_model):
    shutil.copytree(saved_model, tmp_path / "texts" / "1")
    return tmp_path / "texts"


def options(base, **more):
    return ServerOptions(models=[ModelConfig("texts", base)], file_system_poll_wait_seconds=0.05, **more)


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def check_that_it_answers(server):
    with GrpcClient(server.grpc_address, timeout=5) as over_grpc, RestClient(server.rest_url, timeout=5) as rest:
        for client in (over_grpc, rest):
            assert client.predict("texts", ["kurz"])[0].label == "kurz"


# === Versions and configuration ===


def test_a_version_with_damaged_variables_never_replaces_a_working_one(tmp_path):
    base = tmp_path / "numbers"
    serving_models.write_half_plus(base / "1")
    with (
        ServerThread(
            ServerOptions(models=[ModelConfig("numbers", base)], file_system_poll_wait_seconds=0.05)
        ) as running,
        httpx.Client(base_url=running.rest_url, timeout=20) as http,
    ):
        shutil.copytree(base / "1", tmp_path / "damaged")
        (data,) = (tmp_path / "damaged" / "variables").glob("*.data-*")
        data.write_bytes(bytes(byte ^ 0xFF for byte in data.read_bytes()))
        (tmp_path / "damaged").rename(base / "2")
        wait_for(lambda: running.server.store.versions("numbers")[0].error_message)
        (damaged, good) = running.server.store.versions("numbers")
        assert (damaged.version, good.version) == (2, 1)
        assert damaged.error_code != "OK"
        reply = http.post("/v1/models/numbers:predict", content=b'{"instances": [2.0]}')
        assert reply.json() == {"predictions": [3.0]}


def test_a_config_file_with_a_mistake_leaves_a_running_server_as_it_is(base, tmp_path, caplog):
    path = tmp_path / "models.config"
    config = model_server_config_pb2.ModelServerConfig()
    entry = config.model_config_list.config.add(name="texts", base_path=str(base), model_platform="tensorflow")
    path.write_text(text_format.MessageToString(config))
    chosen = options(base, model_config_file=path, model_config_file_poll_wait_seconds=0.05)
    with ServerThread(chosen) as running:
        for wrong in ("model_config_list { config {", "\x00", 'model_config_list { config { name: "texts" } }'):
            said = len(caplog.messages)
            path.write_text(wrong)
            wait_for(lambda said=said: len(caplog.messages) > said)
            assert "the models stay as they are" in caplog.messages[-1]
            check_that_it_answers(running)
        entry.name = "renamed"
        path.write_text(text_format.MessageToString(config))
        wait_for(lambda: running.server.store.names() == ["renamed"])


@pytest.mark.slow
def test_a_server_that_is_killed_while_it_loads_starts_again(base, saved_model, tmp_path):
    versions = 40
    for version in range(2, versions + 1):
        shutil.copytree(saved_model, base / str(version))
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    (tmp_path / "models.config").write_text(
        f'model_config_list {{ config {{ name: "texts" base_path: "{base}" model_platform: "tensorflow" '
        "model_version_policy { all {} } } }"
    )
    process = ModelServerProcess(
        base, "texts", program=EMBEDDED, extra_flags=[f"--model_config_file={tmp_path / 'models.config'}"]
    )
    process.launch()
    wait_for(lambda: "is AVAILABLE" in process.log(), seconds=120)
    process._process.kill()
    process._process.wait(10)
    assert process.log().count("is AVAILABLE") < versions
    assert "Listening" not in process.log()
    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before
    process.start()
    try:
        check_that_it_answers(process)
    finally:
        process.stop()


@pytest.mark.slow
def test_a_clock_that_jumps_changes_nothing(base, saved_model, tmp_path, monkeypatch):
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    library, jump = tmp_path / "clock.so", tmp_path / "jump"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, CLOCK, "-ldl"], check=True, timeout=60)
    jump.write_text("0")
    process = ModelServerProcess(base, "texts", program=EMBEDDED, extra_flags=[f"--access_log={tmp_path / 'log'}"])
    with monkeypatch.context() as patched:
        patched.setenv("LD_PRELOAD", str(library))
        patched.setenv("CLOCK_JUMP", str(jump))
        process.start()
    try:
        for number, seconds in enumerate((86_400 * 400, -86_400 * 400, 0), start=2):
            jump.write_text(str(seconds))
            check_that_it_answers(process)
            year = json.loads((tmp_path / "log").read_text().splitlines()[-1])["time"][:4]
            assert abs(int(year) - time.gmtime(time.time() + seconds).tm_year) == 0  # the jump has reached the server
            shutil.copytree(saved_model, tmp_path / "new")
            (tmp_path / "new").rename(base / str(number))
            with RestClient(process.rest_url) as rest:
                wait_for(lambda rest=rest, number=number: rest.status("texts")[0].version == number)
                wait_for(lambda rest=rest: rest.status("texts")[0].state == "AVAILABLE")
            check_that_it_answers(process)
        assert process.stop() == 0
    finally:
        process.stop()


# === Clients ===

SILENT = """
import socket, sys, time
connections = []
for place in range(int(sys.argv[3])):
    connections.append(socket.create_connection(("127.0.0.1", int(sys.argv[1 + place % 2]))))
print(len(connections), flush=True)
sys.stdin.read()
"""


def open_silent(running, number):
    """A process with so many connections, half of them gRPC and half REST, on which nothing is sent."""
    ports = [str(running.server.grpc_port), str(running.server.rest_port)]
    process = subprocess.Popen(
        [sys.executable, "-c", SILENT, *ports, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (number + 100, number + 100)),
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == str(number)
    return process


@pytest.mark.parametrize("number", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_connections_that_send_nothing_leave_room_for_the_others(base, monkeypatch, number):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < number + 1000:
        pytest.skip(f"needs {number + 1000} open files, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    monkeypatch.setattr(TimeoutProtocol, "header_timeout", 1.0 if number < 1000 else 30.0)
    try:
        with ServerThread(options(base)) as running:
            before = open_files()
            silent = open_silent(running, number)
            try:
                wait_for(lambda: open_files() > before + number / 3)  # the system answers before the server has
                check_that_it_answers(running)
                if number < 1000:
                    wait_for(lambda: open_files() <= before + number / 2 + 20)  # REST has closed its half
            finally:
                silent.communicate("", timeout=30)
            wait_for(lambda: open_files() <= before + 20)
            check_that_it_answers(running)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files():
    return len(os.listdir("/proc/self/fd"))


LONG = 8_000_000


class Long(tf.Module):
    """A few bytes in, eight megabytes out: more than what lies between a server and its reader can hold."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def predict(self, x):
        return {"s": tf.fill(tf.shape(x), "x" * LONG)}


@pytest.fixture(scope="module")
def long_answers(tmp_path_factory):
    folder, module = tmp_path_factory.mktemp("long"), Long()
    tf.saved_model.save(module, str(folder / "1"), signatures={"serving_default": module.predict})
    return folder


@contextlib.contextmanager
def long_reader(running):
    """A connection on which a long answer has been asked for."""
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", running.server.rest_port))
        head = "POST /v1/models/long:predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 18\r\n\r\n"
        reader.sendall(head.encode() + b'{"instances": [1]}')
        yield reader


def test_readers_that_take_nothing_hold_up_nobody_and_are_let_go(long_answers, base, monkeypatch):
    monkeypatch.setattr(TimeoutProtocol, "send_timeout", 1.0)
    models = [ModelConfig("long", long_answers), ModelConfig("texts", base)]
    with ServerThread(ServerOptions(models=models)) as running, contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(long_reader(running))
        wait_for(lambda: connections(running) == 8)
        check_that_it_answers(running)
        wait_for(lambda: connections(running) == 0)
        check_that_it_answers(running)


def connections(running):
    return len(running.server._rest.server_state.connections)


def test_a_slow_reader_gets_its_answer_whole(long_answers, monkeypatch):
    monkeypatch.setattr(TimeoutProtocol, "send_timeout", 0.5)
    with (
        ServerThread(ServerOptions(models=[ModelConfig("long", long_answers)])) as running,
        long_reader(running) as reader,
    ):
        answer, began = [], time.monotonic()
        while piece := reader.recv(1 << 16):
            answer.append(piece)
            if time.monotonic() - began < 2:
                time.sleep(0.02)
    assert json.loads(b"".join(answer).partition(b"\r\n\r\n")[2]) == {"predictions": ["x" * LONG]}


class SlowModel:
    """Makes each run of a model take a while."""

    def __init__(self, running, seconds):
        (record,) = running.server.store.versions("texts")
        real = record.servable.functions["serving_default"]

        def slow(**inputs):
            time.sleep(seconds)
            return real(**inputs)

        record.servable.functions["serving_default"] = slow


def test_a_client_that_floods_is_refused_and_the_others_keep_their_latency(base):
    chosen = options(base, max_threads=2, max_waiting_requests=40)
    with ServerThread(chosen) as running, GrpcClient(running.grpc_address, retry_timeout=0) as polite:
        SlowModel(running, 0.02)
        alone = median_latency(polite, 10)
        stop, counts = threading.Event(), {"answered": 0, "refused": 0}
        flooding = threading.Thread(target=flood, args=(running.grpc_address, stop, counts))
        flooding.start()
        try:
            wait_for(lambda: counts["refused"] > 20)
            crowded = median_latency(polite, 20)
        finally:
            stop.set()
            flooding.join(30)
    assert counts["answered"] > 0
    # Its own turn, one run that is under way, and a slow machine; a queue of forty would be twenty times as long.
    assert crowded < 4 * alone + 0.05


def median_latency(client, number):
    took = []
    for _ in range(number):
        began = time.perf_counter()
        client.predict("texts", ["kurz"])
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def flood(address, stop, counts):
    from bert_serving.clients import grpc_wire
    from bert_serving.clients.request import PredictRequest

    request = grpc_wire.predict_request(PredictRequest(model="texts", texts=["kurz"]))
    # A connection of its own: the other client of this process would share it.
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        ask = channel.unary_unary(grpc_wire.PREDICT)
        while not stop.is_set():
            for call in [ask.future(request, timeout=20) for _ in range(80)]:
                error = call.exception()
                assert error is None or error.code() is grpc.StatusCode.UNAVAILABLE
                counts["answered" if error is None else "refused"] += 1


# === Messages ===


def http2_frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header(name, value):
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def test_a_message_of_two_gigabytes_is_refused_before_it_comes(server):
    with socket.create_connection(("127.0.0.1", server.server.grpc_port), timeout=20) as connection:
        head = b"".join(
            header(name, value)
            for name, value in (
                (b":method", b"POST"),
                (b":scheme", b"http"),
                (b":path", b"/tensorflow.serving.PredictionService/Predict"),
                (b":authority", b"x"),
                (b"content-type", b"application/grpc"),
                (b"te", b"trailers"),
            )
        )
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + http2_frame(4, 0, 0, b"")
            + http2_frame(1, 4, 1, head)
            + http2_frame(0, 0, 1, b"\x00" + struct.pack(">I", 2**31) + b"x" * 1000)
        )
        assert b"Received message larger than max" in read_until(connection, b"larger than max")
    with socket.create_connection(("127.0.0.1", server.server.rest_port), timeout=20) as connection:
        connection.sendall(
            f"POST /v1/models/texts:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {2**31}\r\n\r\n".encode() + b'{"'
        )
        assert read_until(connection, b"the limit of this server").startswith(b"HTTP/1.1 413")
    check_that_it_answers(server)


def read_until(connection, wanted):
    received = b""
    while wanted not in received:
        piece = connection.recv(1 << 16)
        assert piece, received
        received += piece
    return received


@pytest.mark.parametrize(
    ("tensor", "code"),
    [
        (b"\x08\x07\x12\x04\x12\x02\x08\x01\x42\x02\xff\xfe", None),  # a string that is no UTF-8 is only bytes
        (b"\x08\x07\x12\x04\x12\x02\x08\x05\x42\x01a" + b"\xff" * 9, grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x08\x01\x12\x04\x12\x02\x08\x01\x42\x01a", grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x08\x07\x12\x0c\x12\x0a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_malformed_tensors_are_refused_on_the_wire(server, tensor, code):
    inputs = b"\x0a\x04text\x12" + bytes([len(tensor)]) + tensor
    request = b"\x0a\x07\x0a\x05texts\x12" + bytes([len(inputs)]) + inputs
    with grpc.insecure_channel(server.grpc_address) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict").with_call
        if code is None:
            call(request, timeout=20)
        else:
            with pytest.raises(grpc.RpcError) as caught:
                call(request, timeout=20)
            assert caught.value.code() is code
    check_that_it_answers(server)


def test_deep_json_and_bad_utf_8_are_refused_over_http(server):
    with httpx.Client(base_url=server.rest_url, timeout=20) as http:
        for body in (b"[" * 500_000, b'{"instances": [' + b"[" * 100_000, b'{"instances": ["\xff\xfe"]}', b"\xff"):
            assert http.post("/v1/models/texts:predict", content=body).status_code == 400
    check_that_it_answers(server)
