"""Start-up time of a training run with and without its word pieces cached (`encoder.cache_tokens`).

    python benchmarks/cached_start.py export/imdb_cached.toml [--set data.folder=DIR] [--rounds 5]

Each start is a process of its own, with a cache that holds the encoder alone, or the word pieces,
too; the two take turns. The time runs from the call of `train` to the first batch: reading the
data, preparing the encoder, tokenizing. The time of the imports before it, the same for both, is
printed separately. Writes benchmarks/results/cached_start.json.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import interleaved

FIRST, AGAIN = "first start", "second start"
_TOKENS = "tokens-*"


def main() -> None:
    """Measures both starts, prints and writes their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_file", type=Path, help="a run file with encoder.cache_tokens")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for `bert-serving train`")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        print(json.dumps(start(given.run_file, given.set)), flush=True)
        return
    command = [sys.executable, __file__, str(given.run_file), "--worker"]
    command += [part for setting in given.set for part in ("--set", setting)]
    with tempfile.TemporaryDirectory() as cache:
        ask(command, cache)  # fetches or converts the encoder
        starts: dict[str, list[dict[str, float]]] = {FIRST: [], AGAIN: []}
        for number in range(1, given.rounds + 1):
            for entry in Path(cache).glob(_TOKENS):
                shutil.rmtree(entry)
            for name, measured in starts.items():
                measured.append(ask(command, cache))
                print(f"round {number:>2}  {name:<14} {measured[-1]['seconds']:6.2f} s", file=sys.stderr, flush=True)
    report(starts)


def ask(command: list[str], cache: str) -> dict[str, float]:
    """Runs one start in its own process."""
    environment = os.environ | {"BERT_SERVING_CACHE": cache}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def start(run_file: Path, settings: list[str]) -> dict[str, float]:
    """Starts a run and stops before its first batch; returns seconds of the start and of the imports."""
    from bert_serving.cli.main import prepare_process

    prepare_process()
    began = time.perf_counter()
    from bert_serving.config import load_run_file
    from bert_serving.observer import Observer
    from bert_serving.training import loop
    from bert_serving.training.run import train

    class Started(Exception):
        """Training reached its first batch."""

    def stop(*_: Any, **__: Any) -> None:
        raise Started

    stages: dict[str, float] = {}

    class Clock(Observer):
        """Seconds of each stage."""

        @contextlib.contextmanager
        def stage(self, name: str) -> Iterator[None]:
            entered = time.perf_counter()
            yield
            stages[name] = time.perf_counter() - entered

    loop._Progress.on_train_batch_begin = stop
    config = load_run_file(run_file, settings)
    imported = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            train(config, Path(folder) / "run", observer=Clock())
        except Started:
            return {"seconds": time.perf_counter() - imported, "imports": imported - began, **stages}
    raise RuntimeError("the run ended without a batch")


def report(starts: dict[str, list[dict[str, float]]]) -> None:
    """Prints and writes medians; the ratio is the median of the rounds' ratios."""
    medians = {
        name: {part: statistics.median(each[part] for each in measured) for part in measured[0]}
        for name, measured in starts.items()
    }
    ratio = statistics.median(
        first["seconds"] / again["seconds"] for first, again in zip(starts[FIRST], starts[AGAIN], strict=True)
    )
    result = {"starts": starts, "medians": medians, "ratio": ratio, "machine": interleaved.machine()}
    target = Path(__file__).parent / "results" / "cached_start.json"
    target.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    for part in medians[FIRST]:
        print(f"{part:<22}" + "".join(f"{name}: {medians[name][part]:6.2f} s   " for name in medians))
    print(f"{ratio:.1f} times as fast; imports are not part of the seconds, the other lines are")


if __name__ == "__main__":
    main()
