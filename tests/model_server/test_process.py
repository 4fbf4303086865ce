import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from support import serving_models

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.clients.rest_client import RestClient
from bert_serving.errors import InputError, ServerUnavailable
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.process import ModelServerProcess
from bert_serving.model_server.server import ServerThread

EMBEDDED = (sys.executable, "-m", "bert_serving.model_server")


@pytest.fixture(scope="module")
def base_path(tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "texts"
    serving_models.write_texts(base / "1")
    return base


def run_server(*flags):
    return subprocess.run([*EMBEDDED, *flags], capture_output=True, text=True, timeout=60)


def test_the_process_serves_until_it_is_stopped_and_ends_well(base_path):
    process = ModelServerProcess(base_path, "texts", program=EMBEDDED, extra_flags=["--enable_profiler=false"])
    with process, RestClient(process.rest_url) as rest, GrpcClient(process.grpc_address) as over_grpc:
        assert process.program == EMBEDDED
        texts = ["kurz", "ein langer Text"]
        predictions = rest.predict("texts", texts)
        assert [prediction.label for prediction in predictions] == ["kurz", "länger"]
        assert over_grpc.predict("texts", texts) == predictions
        lines = process.log().splitlines()
        assert process.stop() == 0
        assert process.process_id is None
    assert len(lines) == 3
    assert "No effect here: --enable_profiler" in lines[0]
    assert "texts version 1 is AVAILABLE" in lines[1]
    assert f"Listening: gRPC port {process.grpc_port}, REST port {process.rest_port}" in lines[2]
    for port in (process.grpc_port, process.rest_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


@pytest.mark.slow
def test_a_server_waits_with_closed_ports_for_the_first_version(base_path, tmp_path):
    process = ModelServerProcess(tmp_path, "texts", program=EMBEDDED)
    process.launch()
    try:
        while "waiting for one" not in process.log():
            assert process.process_id
            time.sleep(0.05)
        assert f"No versions of servable texts found under base path {tmp_path}" in process.log()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", process.rest_port))
        shutil.copytree(base_path / "1", tmp_path / "unpublished")
        (tmp_path / "unpublished").rename(tmp_path / "1")
        process.wait_until_available()
        with RestClient(process.rest_url) as rest:
            assert rest.predict("texts", ["kurz"])[0].label == "kurz"
        assert process.log().count("waiting for one") == 1
    finally:
        process.stop()


def test_an_interrupt_while_it_starts_ends_the_process_at_once(base_path):
    flags = [f"--model_base_path={base_path}", "--enable_profiler=false"]
    with subprocess.Popen([*EMBEDDED, *flags], stderr=subprocess.PIPE, text=True) as process:
        assert "No effect here: --enable_profiler" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=20)
    assert process.returncode == 0
    assert rest.endswith("Stopped while starting\n")


def test_a_process_that_ends_early_is_reported_with_its_last_words(tmp_path):
    with pytest.raises(ServerUnavailable) as caught, ModelServerProcess(tmp_path / "no", "m", program=EMBEDDED):
        pass
    assert "ended with status 2" in str(caught.value)
    assert f"The base path {tmp_path / 'no'} does not exist" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_cannot_be_loaded_is_reported_and_the_process_stopped(tmp_path):
    (tmp_path / "1").mkdir()
    process = ModelServerProcess(tmp_path, "m", program=EMBEDDED)
    with pytest.raises(ServerUnavailable, match="could not load model m: Could not find SavedModel"):
        process.start()
    assert process.process_id is None


def test_a_process_that_is_never_ready_is_given_up_and_killed_in_the_end(tmp_path):
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('here', flush=True)\n"
        "time.sleep(60)\n"
    )
    program = (sys.executable, str(stubborn))
    process = ModelServerProcess(tmp_path, "m", program=program, start_timeout=1.0, stop_timeout=0.5)
    before = time.monotonic()
    with pytest.raises(ServerUnavailable, match=r"did not make model m available within 1 s: here"):
        process.start()
    assert time.monotonic() - before < 10
    assert process.process_id is None


def test_a_program_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match="Cannot run /no/such/program"):
        ModelServerProcess(tmp_path, "m", program=["/no/such/program"]).start()


def test_the_stock_server_on_path_is_preferred(tmp_path, monkeypatch):
    stock = tmp_path / "tensorflow_model_server"
    stock.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    stock.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    process = ModelServerProcess(tmp_path / "models", "m")
    assert process.program == (str(stock),)
    with pytest.raises(ServerUnavailable) as caught:
        process.start()
    flags = f"--port={process.grpc_port} --rest_api_port={process.rest_port} --model_name=m"
    assert f"tensorflow_model_server ended with status 3: {flags} --model_base_path={tmp_path}/models" in str(
        caught.value
    )
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert ModelServerProcess(tmp_path, "m").program == EMBEDDED


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--prot=1"], "the nearest known flag is --port"),
        (["--model_base_path={base}/no"], r"The base path {base}/no does not exist"),
        (["--model_base_path={base}/1"], r"The base path {base}/1 is itself a SavedModel: give the folder above"),
        (
            ["--model_base_path={base}/empty", "--file_system_poll_wait_seconds=0"],
            r"No versions of servable default found under base path {base}/empty: none of its subfolders is a number",
        ),
    ],
)
def test_a_users_mistake_ends_in_one_line_and_status_two(tmp_path, flags, text):
    for name in ("1", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    done = run_server(*(flag.format(base=tmp_path) for flag in flags))
    assert done.returncode == 2
    assert re.search(text.format(base=tmp_path), done.stderr)
    assert len(done.stderr.splitlines()) == 1


def test_the_version_is_shown(tmp_path):
    done = run_server("--version")
    assert done.returncode == 0
    assert re.search(r"bert-serving model server \d.*\nTensorFlow \d", done.stdout)


def test_a_port_that_is_taken_is_an_error_that_names_it(base_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        models = [ModelConfig("texts", base_path)]
        for ports in ({"port": port}, {"rest_api_port": port}):
            with (
                pytest.raises(InputError, match=f"Cannot listen for .*{port}"),
                ServerThread(ServerOptions(models=models, **ports)),
            ):
                pass


@pytest.mark.parametrize(("off", "on"), [("port", "rest_port"), ("rest_api_port", "grpc_port")])
def test_either_port_can_be_off(base_path, off, on):
    options = ServerOptions(models=[ModelConfig("texts", base_path)], **{off: None})
    with ServerThread(options) as running:
        ports = {"rest_port": running.server.rest_port, "grpc_port": running.server.grpc_port}
        assert [name for name, port in ports.items() if port] == [on]


def test_grpc_answers_on_a_unix_socket(base_path, tmp_path):
    path = tmp_path / "socket"
    options = ServerOptions(
        models=[ModelConfig("texts", base_path)], port=None, rest_api_port=None, grpc_socket_path=str(path)
    )
    with ServerThread(options), GrpcClient(f"unix:{path}") as client:
        assert client.predict("texts", ["kurz"])[0].label == "kurz"


def test_a_running_request_is_finished_while_the_server_stops(base_path, monkeypatch):
    options = ServerOptions(models=[ModelConfig("texts", base_path)])
    running = ServerThread(options)
    entered = threading.Event()
    answers = []
    with running:
        servable = running.server.store.resolve

        def slow(spec):
            entered.set()
            time.sleep(0.7)
            return servable(spec)

        monkeypatch.setattr(running.server.store, "resolve", slow)
        rest, over_grpc = RestClient(running.rest_url), GrpcClient(running.grpc_address)
        threads = [
            threading.Thread(target=lambda client=client: answers.append(client.predict("texts", ["kurz"])))
            for client in (rest, over_grpc)
        ]
        for thread in threads:
            thread.start()
        entered.wait(5)
        time.sleep(0.3)
    for thread in threads:
        thread.join(5)
    assert [answer[0].label for answer in answers] == ["kurz", "kurz"]
