"""How much the model server adds to a model: latency of one client, throughput of many, and the tail at half load.

    python benchmarks/server_load.py --model models/emotion --data data/emotion/test.tsv \\
        --flag=--enable_batching --flag=--tensorflow_intra_op_parallelism=1

Processes take turns: the model alone (batch 1 and batch 32), with TensorFlow's own number of threads and with one intra-op thread, of which
the better counts; the server; and its clients. Texts are single ones, as they come.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from interleaved import Subject

CLIENTS = 32
TAIL_CLIENTS = 64


def read_texts(path: Path) -> list[str]:
    return [line.split("\t")[0] for line in path.read_text("utf-8").splitlines()[1:] if line.strip()]


# === The model alone ===


def work_alone(version: Path, texts: list[str], seconds: float, intra_op_threads: int) -> None:
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    tf.config.threading.set_intra_op_parallelism_threads(intra_op_threads)
    function = tf.saved_model.load(str(version)).signatures["serving_default"]

    def ask(batch: list[str]) -> None:
        function(text=tf.constant(batch))["probabilities"].numpy()

    for size in (1, 32):
        ask(texts[:size])
    print(json.dumps({"ready": True}), flush=True)
    for job in sys.stdin:
        print(json.dumps(_alone(ask, texts, seconds, 1 if job.strip() == "latency" else 32)), flush=True)


def _alone(ask: Callable[[list[str]], None], texts: list[str], seconds: float, size: int) -> dict:
    took = []
    started, place = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        batch = [texts[(place + each) % len(texts)] for each in range(size)]
        place += size
        before = time.perf_counter()
        ask(batch)
        took.append(time.perf_counter() - before)
    return _summary(took, time.perf_counter() - started, rows=size * len(took))


# === Clients ===


def work_as_clients(grpc_address: str, rest_url: str, name: str, texts: list[str], seconds: float) -> None:
    asyncio.run(_clients(grpc_address, rest_url, name, texts, seconds))


async def _clients(grpc_address: str, rest_url: str, name: str, texts: list[str], seconds: float) -> None:
    import grpc
    import httpx
    from tensorflow_serving.apis import predict_pb2

    def serialized(text: str) -> bytes:
        request = predict_pb2.PredictRequest(output_filter=["probabilities"])
        request.model_spec.name = name
        tensor = request.inputs["text"]
        tensor.dtype = 7
        tensor.tensor_shape.dim.add(size=1)
        tensor.string_val.append(text.encode())
        return request.SerializeToString()

    # Requests are made beforehand and answers are not read: the clients share the processor with the server.
    requests = [serialized(text) for text in texts]
    bodies = [json.dumps({"instances": [text]}).encode() for text in texts]
    channels = [grpc.aio.insecure_channel(grpc_address, options=[("n", place)]) for place in range(4)]
    methods = [channel.unary_unary("/tensorflow.serving.PredictionService/Predict") for channel in channels]
    async with httpx.AsyncClient(base_url=rest_url) as http:

        async def over_grpc(place: int) -> None:
            await methods[place % 4](requests[place % len(requests)])

        async def over_rest(place: int) -> None:
            reply = await http.post(f"/v1/models/{name}:predict", content=bodies[place % len(bodies)])
            reply.raise_for_status()

        await over_grpc(0)
        await over_rest(0)
        print(json.dumps({"ready": True}), flush=True)
        loop = asyncio.get_running_loop()
        while job := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            kind, _, number = job.partition(" ")
            if kind == "grpc":
                answer = await _closed_loop(over_grpc, int(number), seconds)
            elif kind == "rest":
                answer = await _closed_loop(over_rest, int(number), seconds)
            else:
                answer = await _open_loop(over_grpc, float(number), seconds)
            print(json.dumps(answer), flush=True)


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
    return _summary(took, time.perf_counter() - started, rows=len(took))


async def _open_loop(ask: Callable[[int], Awaitable[None]], rate: float, seconds: float) -> dict:
    """64 clients that together send at a steady rate, each waiting for its answer before its next request."""
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
    return _summary(took, time.perf_counter() - started, rows=len(took))


def _summary(took: list[float], seconds: float, rows: int) -> dict:
    ordered = sorted(took)
    return {
        "rows": rows,
        "seconds": seconds,
        "median_ms": statistics.median(ordered) * 1e3,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1e3,
    }


# === In turns ===


def compare(arguments: argparse.Namespace) -> dict:
    from bert_serving.model_server.process import ModelServerProcess

    name = arguments.model.name
    script = [sys.executable, __file__, "--data", str(arguments.data), "--seconds", str(arguments.seconds)]
    version = max((path for path in arguments.model.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    program = (sys.executable, "-m", "bert_serving.model_server")
    with ModelServerProcess(arguments.model, name, program=program, extra_flags=arguments.flag) as server:
        worker = [*script, "--worker", "alone", "--model", str(version), "--intra-op-threads"]
        alone = [Subject(f"alone {threads}", [*worker, str(threads)]) for threads in (0, 1)]
        clients = Subject(
            "clients",
            [*script, "--worker", "clients", "--model", name, "--grpc", server.grpc_address, "--rest", server.rest_url],
        )
        for subject in (*alone, clients):
            subject.start()
        try:
            return _rounds(alone, clients, arguments.rounds)
        finally:
            for subject in (*alone, clients):
                subject.stop()


def _rounds(alone: list[Subject], clients: Subject, rounds: int) -> dict:
    seen: dict[str, list[float]] = {}

    def note(key: str, value: float) -> None:
        seen.setdefault(key, []).append(value)

    for _ in range(rounds):
        one = min(each.ask("latency")["median_ms"] for each in alone)
        note("one client, model alone, ms", one)
        note("one client over gRPC adds, ms", clients.ask("grpc 1")["median_ms"] - one)
        note("one client over REST adds, ms", clients.ask("rest 1")["median_ms"] - one)
        full = max(batch["rows"] / batch["seconds"] for batch in [each.ask("throughput") for each in alone])
        many = clients.ask(f"grpc {CLIENTS}")
        peak = many["rows"] / many["seconds"]
        note("model alone at batch 32, texts/s", full)
        note("32 clients over gRPC, texts/s", peak)
        note("32 clients over gRPC, share of the model alone", peak / full)
        tail = clients.ask(f"rate {peak / 2}")
        note("64 clients at half of the peak, p99 / median", tail["p99_ms"] / tail["median_ms"])
        note("64 clients at half of the peak, median ms", tail["median_ms"])
    return {key: {"median": statistics.median(values), "rounds": values} for key, values in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="base path: the folder above the versions")
    parser.add_argument("--data", type=Path, required=True, help="TSV file; its first column is the text")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--flag", action="append", default=[], help="a flag for the server, for example --flag=--enable_batching"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--intra-op-threads", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--grpc", help=argparse.SUPPRESS)
    parser.add_argument("--rest", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    texts = read_texts(arguments.data)
    if arguments.worker == "alone":
        work_alone(arguments.model, texts, arguments.seconds, arguments.intra_op_threads)
    elif arguments.worker == "clients":
        work_as_clients(arguments.grpc, arguments.rest, str(arguments.model), texts, arguments.seconds)
    else:
        for key, value in compare(arguments).items():
            print(f"{value['median']:10.3f}  {key}  {[round(each, 3) for each in value['rounds']]}")


if __name__ == "__main__":
    main()
