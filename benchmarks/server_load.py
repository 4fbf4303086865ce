"""Latency and throughput of the model server, compared with the model alone.

    python benchmarks/server_load.py --model models/emotion --data data/emotion/test.tsv \\
        --flag=--enable_batching --flag=--tensorflow_intra_op_parallelism=1

Measures the latency of one client, the throughput of many clients, and the tail latency at half
load. Processes take turns: the model alone (batch 1 and batch 32), with TensorFlow's own number of
threads and with one intra-op thread, of which the better counts; the server, with one client that
uses gRPC's blocking stub or http.client, and with many clients on an event loop; and, for the cost
of gRPC in Python itself, a minimal grpc.aio service around the same model, without the server's
code. Each request has one text.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from interleaved import Subject

PREDICT = "/tensorflow.serving.PredictionService/Predict"
CLIENTS = 32
TAIL_CLIENTS = 64
# One client is measured in many short turns: the results are small differences, and the machine's speed drifts.
SHORT_TURNS = 5


def read_texts(path: Path) -> list[str]:
    return [line.split("\t")[0] for line in path.read_text("utf-8").splitlines()[1:] if line.strip()]


def tell(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


def summary(took: list[float], seconds: float, rows: int) -> dict:
    ordered = sorted(took)
    return {
        "rows": rows,
        "seconds": seconds,
        "median_ms": statistics.median(ordered) * 1e3,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1e3,
    }


def one_after_the_other(ask: Callable[[int], None], seconds: float, *, rows: int = 1) -> dict:
    """Calls `ask` with 0, 1, 2 and so on."""
    took: list[float] = []
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        before = time.perf_counter()
        ask(len(took))
        took.append(time.perf_counter() - before)
    return summary(took, time.perf_counter() - started, rows=rows * len(took))


# === The model alone ===


def load(version: Path, intra_op_threads: int) -> Callable[[list[str]], None]:
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    tf.config.threading.set_intra_op_parallelism_threads(intra_op_threads)
    function = tf.saved_model.load(str(version)).signatures["serving_default"]

    def ask(batch: list[str]) -> None:
        function(text=tf.constant(batch))["probabilities"].numpy()

    return ask


def work_alone(version: Path, texts: list[str], intra_op_threads: int) -> None:
    ask = load(version, intra_op_threads)

    def ask_batch(size: int, place: int) -> None:
        ask([texts[(place * size + each) % len(texts)] for each in range(size)])

    for size in (1, CLIENTS):
        ask_batch(size, 0)
    tell({"ready": True})
    for job in sys.stdin:
        rows, seconds = job.split()
        size = int(rows)
        tell(one_after_the_other(lambda place, size=size: ask_batch(size, place), float(seconds), rows=size))


# === A bare service ===


def work_as_bare_service(version: Path, texts: list[str]) -> None:
    asyncio.run(_serve_barely(load(version, 1), texts))


async def _serve_barely(ask: Callable[[list[str]], None], texts: list[str]) -> None:
    """Runs the model on the next text for any request; the response has as many bytes as a real one."""
    import grpc

    place = 0

    async def answer(_: bytes, __: grpc.aio.ServicerContext) -> bytes:
        nonlocal place
        ask([texts[place % len(texts)]])
        place += 1
        return bytes(100)

    _, service, method = PREDICT.split("/")
    handlers = {method: grpc.unary_unary_rpc_method_handler(answer)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    tell({"address": f"127.0.0.1:{port}"})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


# === One client, blocking calls ===


def work_as_one_client(grpc_address: str, bare_address: str, rest_address: str, name: str, texts: list[str]) -> None:
    import grpc

    requests = _requests(name, texts)
    call, call_bare = (grpc.insecure_channel(address).unary_unary(PREDICT) for address in (grpc_address, bare_address))
    http = HTTPConnection(rest_address)
    bodies = [json.dumps({"instances": [text]}).encode() for text in texts]

    def over_rest(place: int) -> None:
        http.request("POST", f"/v1/models/{name}:predict", bodies[place % len(bodies)])
        reply = http.getresponse()
        reply.read()
        if reply.status != HTTPStatus.OK:
            raise RuntimeError(f"HTTP status {reply.status}")

    ways: dict[str, Callable[[int], object]] = {
        "grpc": lambda place: call(requests[place % len(requests)]),
        "bare": lambda place: call_bare(requests[place % len(requests)]),
        "rest": over_rest,
    }
    tell({"ready": True})
    for job in sys.stdin:
        way, seconds = job.split()
        ask = ways[way]
        http.close()  # the server may have closed it as idle; the next request opens it anew
        ask(0)
        tell(one_after_the_other(ask, float(seconds)))


def _requests(name: str, texts: list[str]) -> list[bytes]:
    """Requests with one text each, built in advance: clients share the processor with the server."""
    from tensorflow_serving.apis import predict_pb2

    def serialized(text: str) -> bytes:
        request = predict_pb2.PredictRequest(output_filter=["probabilities"])
        request.model_spec.name = name
        tensor = request.inputs["text"]
        tensor.dtype = 7
        tensor.tensor_shape.dim.add(size=1)
        tensor.string_val.append(text.encode())
        return request.SerializeToString()

    return [serialized(text) for text in texts]


# === Many clients, on an event loop ===


def work_as_clients(grpc_address: str, name: str, texts: list[str]) -> None:
    asyncio.run(_clients(grpc_address, name, texts))


async def _clients(grpc_address: str, name: str, texts: list[str]) -> None:
    import grpc

    requests = _requests(name, texts)
    channels = [grpc.aio.insecure_channel(grpc_address, options=[("n", place)]) for place in range(4)]
    methods = [channel.unary_unary(PREDICT) for channel in channels]

    async def ask(place: int) -> None:
        await methods[place % 4](requests[place % len(requests)])

    await ask(0)
    tell({"ready": True})
    loop = asyncio.get_running_loop()
    while job := (await loop.run_in_executor(None, sys.stdin.readline)).split():
        kind, number, seconds = job
        if kind == "clients":
            tell(await _closed_loop(ask, int(number), float(seconds)))
        else:
            tell(await _open_loop(ask, float(number), float(seconds)))


async def _closed_loop(ask: Callable[[int], Awaitable[None]], clients: int, seconds: float) -> dict:
    took: list[float] = []
    started = time.perf_counter()

    async def client(number: int) -> None:
        place = number * 997
        while time.perf_counter() - started < seconds:
            before = time.perf_counter()
            await ask(place)
            took.append(time.perf_counter() - before)
            place += 1

    await asyncio.gather(*(client(number) for number in range(clients)))
    return summary(took, time.perf_counter() - started, rows=len(took))


async def _open_loop(ask: Callable[[int], Awaitable[None]], rate: float, seconds: float) -> dict:
    """64 clients that together send at a steady rate; each waits for its response before its next request."""
    took: list[float] = []
    started = time.perf_counter()

    async def client(number: int) -> None:
        due = started + number / rate
        while due < started + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            before = time.perf_counter()
            await ask(number * 997 + len(took))
            took.append(time.perf_counter() - before)
            due += TAIL_CLIENTS / rate

    await asyncio.gather(*(client(number) for number in range(TAIL_CLIENTS)))
    return summary(took, time.perf_counter() - started, rows=len(took))


# === In turns ===


class Rounds:
    """Runs the candidates in turns and records the measurements."""

    def __init__(self, alone: list[Subject], client: Subject, clients: Subject, seconds: float):
        self._alone = alone
        self._client = client
        self._clients = clients
        self._seconds = seconds
        self.seen: dict[str, list[float]] = {}

    def one_client(self) -> None:
        """Short turns of one client."""
        seconds = self._seconds / SHORT_TURNS
        for _ in range(SHORT_TURNS):
            each_alone = [subject.ask(f"1 {seconds}")["median_ms"] for subject in self._alone]
            asked = {way: self._client.ask(f"{way} {seconds}")["median_ms"] for way in ("bare", "grpc", "rest")}
            for subject, alone in zip(self._alone, each_alone, strict=True):
                self._note(f"one client, {subject.name}, ms", alone)
                for way, took in asked.items():
                    self._note(f"one client, {way} adds to {subject.name}, ms", took - alone)

    def many_clients(self) -> None:
        """Throughput, and the tail at half of it."""
        rates = [
            batch["rows"] / batch["seconds"]
            for batch in (each.ask(f"{CLIENTS} {self._seconds}") for each in self._alone)
        ]
        many = self._clients.ask(f"clients {CLIENTS} {self._seconds}")
        peak = many["rows"] / many["seconds"]
        self._note("model alone at batch 32, texts/s", max(rates))
        self._note("32 clients over gRPC, texts/s", peak)
        self._note("32 clients over gRPC, share of the model alone", peak / max(rates))
        tail = self._clients.ask(f"rate {peak / 2} {self._seconds}")
        self._note("64 clients at half of the peak, p99 / median", tail["p99_ms"] / tail["median_ms"])
        self._note("64 clients at half of the peak, median ms", tail["median_ms"])

    def _note(self, key: str, value: float) -> None:
        self.seen.setdefault(key, []).append(value)


def compare(arguments: argparse.Namespace) -> dict[str, list[float]]:
    from bert_serving.model_server.process import ModelServerProcess

    name = arguments.model.name
    script = [sys.executable, __file__, "--data", str(arguments.data)]
    version = max((path for path in arguments.model.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    program = (sys.executable, "-m", "bert_serving.model_server")
    with ModelServerProcess(arguments.model, name, program=program, extra_flags=arguments.flag) as server:
        worker = [*script, "--worker", "alone", "--model", str(version), "--intra-op-threads"]
        alone = [
            Subject(f"alone with {said} intra-op threads", [*worker, str(number)])
            for number, said in ((0, "all"), (1, "1"))
        ]
        bare = Subject("bare service", [*script, "--worker", "bare", "--model", str(version)])
        asking = ["--model", name, "--grpc", server.grpc_address, "--rest", server.rest_url.removeprefix("http://")]
        asking += ["--bare", bare.start()["address"]]
        client = Subject("one client", [*script, "--worker", "client", *asking])
        clients = Subject("clients", [*script, "--worker", "clients", *asking])
        for subject in (*alone, client, clients):
            subject.start()
        rounds = Rounds(alone, client, clients, arguments.seconds)
        try:
            for _ in range(arguments.rounds):
                rounds.one_client()
                if not arguments.one_client:
                    rounds.many_clients()
        finally:
            for subject in (*alone, client, clients, bare):
                subject.stop()
    return rounds.seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="base path: the folder above the versions")
    parser.add_argument("--data", type=Path, required=True, help="TSV file; its first column is the text")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one-client", action="store_true", help="measure one client only")
    parser.add_argument(
        "--flag", action="append", default=[], help="a flag for the server, for example --flag=--enable_batching"
    )
    for hidden in ("--worker", "--grpc", "--rest", "--bare"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--intra-op-threads", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    texts = read_texts(arguments.data)
    match arguments.worker:
        case "alone":
            work_alone(arguments.model, texts, arguments.intra_op_threads)
        case "bare":
            work_as_bare_service(arguments.model, texts)
        case "client":
            work_as_one_client(arguments.grpc, arguments.bare, arguments.rest, str(arguments.model), texts)
        case "clients":
            work_as_clients(arguments.grpc, str(arguments.model), texts)
        case _:
            for key, values in compare(arguments).items():
                quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
                print(
                    f"{statistics.median(values):10.3f}  {key}  (half of them {quartiles[0]:.3f} to {quartiles[2]:.3f})"
                )


if __name__ == "__main__":
    main()
