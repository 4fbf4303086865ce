"""Soak test of the model server: mixed load, hot swaps every 20 seconds, every response checked.

    python benchmarks/server_soak.py --minutes 30 --picture soak.png
    python benchmarks/server_soak.py --minutes 30 --model models/emotion --data data/emotion/test.tsv

Plots the server's memory. Two models are served and swapped: y = x / 2 + version, so that a
response shows which version gave it, and a classifier of texts: --model, or a tiny one. Exit status
0 if no request failed, no response was wrong, the versions took turns and the memory of the last
third is flat, else 1.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

EMBEDDED = (sys.executable, "-m", "bert_serving.model_server")
GRPC_CLIENTS, REST_CLIENTS = 6, 3
FLAT = 0.05
TEXTS = ("kurz", "", "ein Text mit 😀", "längere Texte sind auch dabei " * 3, "x" * 2000)


@dataclass
class Record:
    """Results of the soak test.

    Attributes:
        answers: number of correct responses.
        wrong: descriptions of wrong ones.
        failed: descriptions of requests without a response.
        late: versions that had not answered before the next one was published.
        versions: versions that answered.
        memory: (seconds, MiB) of the server.
        rates: (seconds, correct responses of that second).
        swaps: seconds at which a version was published.
    """

    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)
    memory: list[tuple[float, float]] = field(default_factory=list)
    rates: list[tuple[float, int]] = field(default_factory=list)
    swaps: list[float] = field(default_factory=list)


# === Models ===


def write_models(folder: Path, model: Path | None) -> None:
    """Writes version 1 of both models, and the sources of later versions."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    class Numbers(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offset = tf.Variable(1.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def predict(self, x):
            return {"y": 0.5 * x + self.offset}

    class Texts(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def predict(self, text):
            length = tf.cast(tf.strings.length(text, unit="UTF8_CHAR"), tf.float32)
            logits = tf.stack([length / 7.0, tf.ones_like(length)], axis=1)
            labels = tf.gather(["long", "short"], tf.argmax(logits, axis=1))
            return {"label": labels, "probabilities": tf.nn.softmax(logits)}

    numbers = Numbers()
    for version in range(1, 11):
        numbers.offset.assign(float(version))
        tf.saved_model.save(numbers, str(folder / "source" / str(version)), {"serving_default": numbers.predict})
    if model is None:
        texts = Texts()
        tf.saved_model.save(texts, str(folder / "source" / "texts"), {"serving_default": texts.predict})
    else:
        version = max((path for path in model.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
        shutil.copytree(version, folder / "source" / "texts")
    for name in ("numbers", "texts"):
        (folder / name).mkdir()
    publish(folder, 1)


def publish(folder: Path, version: int) -> None:
    """Publishes a new version of both models and deletes the one before the last."""
    for name, source in (("numbers", str((version - 1) % 10 + 1)), ("texts", "texts")):
        copy = folder / f"{name}.new"
        shutil.copytree(folder / "source" / source, copy)
        copy.rename(folder / name / str(version))
        shutil.rmtree(folder / name / str(version - 2), ignore_errors=True)


def write_config(folder: Path) -> Path:
    """Writes a model config file for both models."""
    entries = "".join(
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }}\n'
        for name in ("numbers", "texts")
    )
    path = folder / "models.config"
    path.write_text(f"model_config_list {{\n{entries}}}\n", "utf-8")
    return path


# === Load ===


class Load:
    """Clients of both protocols that check every response."""

    def __init__(self, server, texts: list[str], record: Record, until: float):
        self._server = server
        self._texts = texts
        self._record = record
        self._until = until
        self._expected: dict[str, tuple[str, tuple[float, ...]]] = {}

    async def run(self) -> None:
        """Sends requests until the time is over."""
        import grpc.aio
        import httpx

        from bert_serving.clients.grpc_client import AsyncGrpcClient

        async with (
            AsyncGrpcClient(self._server.grpc_address, retry_timeout=0) as client,
            grpc.aio.insecure_channel(self._server.grpc_address) as channel,
            httpx.AsyncClient(base_url=self._server.rest_url, timeout=30) as http,
        ):
            for prediction, text in zip(await client.predict("texts", self._texts), self._texts, strict=True):
                self._expected[text] = prediction.label, prediction.probabilities
            numbers_over_grpc = self._numbers_over_grpc(channel)
            tasks = [self._client(seed, numbers_over_grpc) for seed in range(GRPC_CLIENTS // 2)]
            tasks += [self._client(100 + seed, self._texts_over_grpc(client)) for seed in range(GRPC_CLIENTS // 2)]
            tasks += [self._client(200 + seed, self._numbers_over_rest(http)) for seed in range(REST_CLIENTS)]
            tasks += [self._client(300, self._status_over_rest(http))]
            await asyncio.gather(*tasks)

    async def _client(self, seed: int, ask: Callable[[random.Random], Awaitable[str]]) -> None:
        chance = random.Random(seed)
        while time.monotonic() < self._until:
            try:
                problem = await ask(chance)
            except Exception as error:  # noqa: BLE001  any failure of a request is counted
                self._record.failed.append(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
                await asyncio.sleep(0.1)
                continue
            if problem:
                self._record.wrong.append(problem)
            else:
                self._record.answers += 1
            await asyncio.sleep(chance.random() * 0.01)

    def _numbers_over_grpc(self, channel) -> Callable[[random.Random], Awaitable[str]]:
        from bert_serving.clients import grpc_wire, messages

        method = channel.unary_unary(grpc_wire.PREDICT)

        async def ask(chance: random.Random) -> str:
            values = [float(chance.randrange(1000)) for _ in range(chance.choice((1, 2, 7, 64, 1000)))]
            request = messages.new("PredictRequest")
            request.model_spec.name = "numbers"
            tensor = request.inputs["x"]
            tensor.dtype = messages.DATA_TYPES["DT_FLOAT"]
            tensor.tensor_shape.dim.add(size=len(values))
            tensor.float_val.extend(values)
            response = messages.parse("PredictResponse", await method(request.SerializeToString(), timeout=30))
            version = response.model_spec.version.value
            self._record.versions.add(version)
            offset = (version - 1) % 10 + 1
            right = list(response.outputs["y"].float_val) == [value / 2 + offset for value in values]
            return (
                "" if right else f"version {version} over gRPC: {values[:3]} gave {response.outputs['y'].float_val[:3]}"
            )

        return ask

    def _numbers_over_rest(self, http) -> Callable[[random.Random], Awaitable[str]]:
        async def ask(chance: random.Random) -> str:
            values = [float(chance.randrange(1000)) for _ in range(chance.choice((1, 3, 100)))]
            reply = await http.post("/v1/models/numbers:predict", content=json.dumps({"instances": values}))
            reply.raise_for_status()
            answers = reply.json()["predictions"]
            offsets = {answer - value / 2 for answer, value in zip(answers, values, strict=True)}
            right = len(offsets) == 1 and 1 <= next(iter(offsets)) <= 10
            return "" if right else f"over REST: {values[:3]} gave {answers[:3]}"

        return ask

    def _texts_over_grpc(self, client) -> Callable[[random.Random], Awaitable[str]]:
        async def ask(chance: random.Random) -> str:
            texts = chance.choices(self._texts, k=chance.choice((1, 1, 1, 4, 16)))
            for text, answer in zip(texts, await client.predict("texts", texts), strict=True):
                label, probabilities = self._expected[text]
                near = all(abs(a - b) < 1e-4 for a, b in zip(answer.probabilities, probabilities, strict=True))
                if not near or (answer.label != label and max(probabilities) > 0.51):
                    return f"{text[:40]!r} gave {answer.label} {answer.probabilities}, before {label} {probabilities}"
            return ""

        return ask

    def _status_over_rest(self, http) -> Callable[[random.Random], Awaitable[str]]:
        async def ask(chance: random.Random) -> str:
            await asyncio.sleep(0.5)
            reply = await http.get(chance.choice(("/v1/models/numbers", "/healthz/ready", "/v1/models/texts/metadata")))
            return "" if reply.status_code == 200 else f"{reply.request.url} gave {reply.status_code}"

        return ask


# === Watching ===


async def swap(folder: Path, record: Record, started: float, until: float, seconds: float) -> None:
    """Publishes versions, and records those that have not answered before the next one."""
    for version in itertools.count(2):
        await asyncio.sleep(seconds)
        if time.monotonic() > until - seconds / 2:
            return
        if record.swaps and version - 1 not in record.versions:
            record.late.append(version - 1)
        await asyncio.to_thread(publish, folder, version)
        record.swaps.append(time.monotonic() - started)


async def sample(process_id: int, record: Record, started: float, until: float) -> None:
    """Records the server's memory and its responses, once a second."""
    before = 0
    while time.monotonic() < until:
        await asyncio.sleep(1)
        passed = time.monotonic() - started
        record.memory.append((passed, resident(process_id)))
        record.rates.append((passed, record.answers - before))
        before = record.answers


def resident(process_id: int) -> float:
    """Resident memory of a process in MiB."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def growth(memory: list[tuple[float, float]], swap_seconds: float) -> float:
    """Relative growth of memory in the last third, on a line through the medians between swaps."""
    last = [(at, size) for at, size in memory if at >= memory[-1][0] * 2 / 3]
    pieces = [
        (statistics.mean(at for at, _ in piece), statistics.median(size for _, size in piece))
        for _, group in itertools.groupby(last, key=lambda each: int(each[0] // swap_seconds))
        if len(piece := list(group)) > swap_seconds / 2
    ]
    if len(pieces) < 2:
        return 0.0
    slope, _ = statistics.linear_regression(*zip(*pieces, strict=True))
    return slope * (pieces[-1][0] - pieces[0][0]) / statistics.mean(size for _, size in pieces)


def draw(record: Record, path: Path) -> None:
    """Plots memory and responses over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=(10, 6), constrained_layout=True)
    above.plot(*zip(*((at / 60, size) for at, size in record.memory), strict=True), color="#0072b2")
    above.set_ylabel("memory of the server, MiB")
    above.set_ylim(0, 1.2 * max(size for _, size in record.memory))
    below.plot(*zip(*((at / 60, rate) for at, rate in record.rates), strict=True), color="#d55e00", linewidth=0.8)
    below.set_ylabel("answers in a second")
    below.set_ylim(bottom=0)
    below.set_xlabel("minutes")
    for axes in (above, below):
        for at in record.swaps:
            axes.axvline(at / 60, color="0.85", linewidth=0.7, zorder=0)
    above.set_title(f"{record.answers:,} answers, {len(record.swaps)} hot swaps of two models (gray lines)")
    figure.savefig(path, dpi=120)


async def soak(arguments: argparse.Namespace, folder: Path, server, texts: list[str]) -> Record:
    record, started = Record(), time.monotonic()
    until = started + arguments.minutes * 60
    await asyncio.gather(
        Load(server, texts, record, until).run(),
        swap(folder, record, started, until, arguments.swap_seconds),
        sample(server.process_id, record, started, until),
    )
    return record


def report(record: Record, swap_seconds: float) -> bool:
    """Prints the results; returns whether all checks passed."""
    grown = growth(record.memory, swap_seconds)
    sizes = [size for at, size in record.memory if at >= record.memory[-1][0] * 2 / 3]
    print(f"{record.answers:12,}  correct responses")
    print(f"{len(record.failed):12,}  failed requests")
    print(f"{len(record.wrong):12,}  wrong responses")
    print(f"{len(record.swaps):12,}  hot swaps of two models; {len(record.versions)} versions of one have answered")
    print(f"{len(record.late):12,}  versions that had not answered after {swap_seconds:g} s, before the next one")
    print(f"{grown:+12.1%}  growth of memory in the last third, {min(sizes):.0f} to {max(sizes):.0f} MiB")
    times = [0.0, *(at for at, _ in record.memory)]
    longest = max(after - before for before, after in itertools.pairwise(times))
    # On a busy machine the clients themselves are delayed, and the results above say little.
    print(f"{longest:12.1f}  seconds between two samples at most; 1 on an idle machine")
    for kind, lines in (("failed", record.failed), ("wrong", record.wrong)):
        for line in lines[:5]:
            print(f"  {kind}: {line}")
    # A version that loads for longer than a swap interval is superseded; this is correct, but most must have answered.
    swapped = len(record.versions) > 0.9 * len(record.swaps)
    good = not record.failed and not record.wrong and abs(grown) <= FLAT and swapped
    print("verdict: " + ("passed" if good else "failed"))
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--swap-seconds", type=float, default=20.0)
    parser.add_argument("--model", type=Path, help="base path of a classifier of texts; a tiny one by default")
    parser.add_argument("--data", type=Path, help="TSV file; its first column is the text")
    parser.add_argument("--picture", type=Path, default=Path("soak.png"))
    parser.add_argument("--flag", action="append", default=["--enable_batching"], help="a flag for the server")
    arguments = parser.parse_args()
    texts = list(TEXTS)
    if arguments.data is not None:
        lines = arguments.data.read_text("utf-8").splitlines()[1:]
        texts = list(dict.fromkeys(line.split("\t")[0] for line in lines if line.strip()))[:500]
    from bert_serving.model_server.process import ModelServerProcess

    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        write_models(folder, arguments.model)
        flags = [f"--model_config_file={write_config(folder)}", *arguments.flag]
        with ModelServerProcess(folder / "numbers", "numbers", program=EMBEDDED, extra_flags=flags) as server:
            record = asyncio.run(soak(arguments, folder, server, texts))
    draw(record, arguments.picture)
    sys.exit(0 if report(record, arguments.swap_seconds) else 1)


if __name__ == "__main__":
    main()
