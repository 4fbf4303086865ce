"""--grpc_max_threads limits the calls in flight as in TensorFlow Serving, and the shipped files give enough."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from support import serving_models
from support.paths import ROOT

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.errors import ServerUnavailable
from bert_serving.model_server.config.batching import read_batching_parameters
from bert_serving.model_server.config.flags import parse_flags
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread

SERVING, K8S = ROOT / "serving", ROOT / "k8s"
RESERVED = 64
# File with the server's flags, file with its batching parameters.
SHIPPED = [
    (SERVING / "Dockerfile", SERVING / "batching_parameters.txt"),
    (K8S / "base/deployment.yaml", K8S / "base/config/start/batching_parameters.txt"),
    (K8S / "base/deployment.yaml", K8S / "overlays/gpu/batching_parameters.txt"),
    (K8S / "overlays/kserve/servingruntime.yaml", K8S / "overlays/kserve/batching_parameters.txt"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "texts"
    serving_models.write_texts(base / "1")
    return base


class HeldModel:
    """Holds the answers of a running server's model until `leave` is set, and counts the requests that arrive."""

    def __init__(self, running):
        self.leave = threading.Event()
        self._arrived = threading.Semaphore(0)
        handlers = running.server._handler
        start = handlers.start

        def counted(*arguments):
            self._arrived.release()
            return start(*arguments)

        handlers.start = counted
        functions = running.server.store.versions("texts")[0].servable.functions
        real = functions["serving_default"]

        def held(**inputs):
            assert self.leave.wait(60)
            return real(**inputs)

        functions["serving_default"] = held

    def wait_for(self, requests):
        for _ in range(requests):
            assert self._arrived.acquire(timeout=60)


def flag(file, name):
    return int(re.search(rf"--{name}=(\d+)", file.read_text())[1])


@pytest.mark.parametrize(("flags", "parameters"), SHIPPED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_shipped_files_have_a_thread_for_each_request_that_may_run_or_wait(flags, parameters):
    assert flag(flags, "grpc_max_threads") == read_batching_parameters(parameters).most_requests + RESERVED
    assert flag(flags, "rest_api_num_threads") == 64


def test_a_call_beyond_the_limit_is_refused_in_the_words_of_tensorflow_serving(base):
    options = ServerOptions(models=[ModelConfig("texts", base)], grpc_max_threads=2)
    with ServerThread(options) as running, GrpcClient(running.grpc_address, retry_timeout=0) as client:
        held = HeldModel(running)
        with ThreadPoolExecutor() as pool:
            first = [pool.submit(client.predict, "texts", ["kurz"]) for _ in range(2)]
            held.wait_for(2)
            with grpc.insecure_channel(running.grpc_address) as channel, pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")(b"", timeout=20)
            with pytest.raises(ServerUnavailable, match=r"each request in flight holds one of .* --grpc_max_threads"):
                client.predict("texts", ["kurz"])
            with GrpcClient(running.grpc_address, retry_timeout=60) as patient:
                retried = pool.submit(patient.predict, "texts", ["kurz"])
                held.leave.set()
                assert [prediction.label for call in (*first, retried) for prediction in call.result(60)] == [
                    "kurz"
                ] * 3
    assert (refused.value.code(), refused.value.details()) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Server Threadpool Exhausted",
    )


# 8 is what was shipped once: from nine requests at once, the others were refused.
@pytest.mark.parametrize(("threads", "answered"), [(None, 200), (8, 8)])
def test_the_shipped_server_answers_two_hundred_requests_at_once(base, tmp_path, threads, answered):
    text = re.search(r"^CMD (\[.*\])", (SERVING / "Dockerfile").read_text().replace("\\\n", ""), re.MULTILINE)[1]
    arguments = [each.replace("/config/", f"{SERVING}/") for each in json.loads(text)]
    arguments = [
        each for each in arguments if not each.startswith(("--port", "--rest", "--model_config", "--monitoring"))
    ]
    shipped = parse_flags([*arguments, f"--model_base_path={base}", "--model_name=texts"]).options
    changed = {"port": 0, "metrics_path": None} | ({} if threads is None else {"grpc_max_threads": threads})
    options = ServerOptions(**(vars(shipped) | changed))
    with ServerThread(options) as running, GrpcClient(running.grpc_address, retry_timeout=0) as client:
        held = HeldModel(running)
        with ThreadPoolExecutor(200) as pool:
            calls = [pool.submit(client.predict, "texts", ["kurz"]) for _ in range(200)]
            held.wait_for(answered)
            # Refusals do not wait for the model.
            while sum(call.done() for call in calls) < 200 - answered:
                time.sleep(0.02)
            held.leave.set()
            errors = [call.exception(60) for call in calls]
    assert errors.count(None) == answered
