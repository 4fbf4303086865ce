"""Runs benchmark candidates in turns, each in its own process, and compares medians.

A machine's speed drifts; candidates that take turns drift together, so that their ratios hold.
While one works, the others wait for a line on standard input and use no processor. A line may name
a job, for workers that have several.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Subject:
    """A benchmark candidate.

    Attributes:
        name: as printed in the table.
        command: starts a worker that answers each input line with a JSON line `{"rows": ..., "seconds": ...}`.
        rates: rows per second of each round.
    """

    name: str
    command: list[str]
    rates: list[float] = field(default_factory=list)

    def start(self) -> dict[str, Any]:
        """Starts the worker, waits until it is ready, and returns its first answer."""
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
        )
        return self._answer()

    def ask(self, job: str = "go") -> dict[str, Any]:
        """Runs a job in the worker and returns its answer."""
        if self._process.stdin is None:
            raise RuntimeError(f"{self.name} was not started")
        self._process.stdin.write(f"{job}\n")
        return self._answer()

    def measure(self) -> float:
        """Runs one round; returns rows per second."""
        answer = self.ask()
        return answer["rows"] / answer["seconds"]

    def stop(self) -> None:
        """Ends the worker."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=60)

    def _answer(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError(f"{self.name} was not started")
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self.name} ended with status {self._process.wait()}; see its messages above")


def run(subjects: list[Subject], *, rounds: int, warmups: int = 1) -> dict[str, Any]:
    """Runs all candidates in turns; returns their rates in rows per second and the medians."""
    for subject in subjects:
        subject.start()
    for number in range(warmups + rounds):
        for subject in subjects:
            rate = subject.measure()
            print(
                f"round {number - warmups + 1:>2}  {subject.name:<40} {rate:8.1f} rows/s", file=sys.stderr, flush=True
            )
            if number >= warmups:
                subject.rates.append(rate)
    for subject in subjects:
        subject.stop()
    medians = {subject.name: statistics.median(subject.rates) for subject in subjects}
    return {"rates": {subject.name: subject.rates for subject in subjects}, "medians": medians}


def work(prepare: Callable[[], Callable[[], int]]) -> None:
    """Worker loop: `prepare` returns a function that runs one round and returns its number of rows."""
    import time

    do_round = prepare()
    print(json.dumps({"rows": 0, "seconds": 0}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        rows = do_round()
        print(json.dumps({"rows": rows, "seconds": time.perf_counter() - started}), flush=True)


def machine() -> dict[str, Any]:
    """The machine of the measurement: processor, cores, Python version."""
    import platform

    model = platform.processor()
    with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    return {"processor": model, "cores": os.cpu_count(), "python": platform.python_version()}
