"""The workers of one job as processes of this machine, each by the command line, with ports on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from support.paths import ROOT

from bert_serving.model_server.process import free_ports

_COMMAND = "from bert_serving.cli.main import main; main()"


class Job:
    """Some workers that train one run file into one run folder.

    Attributes:
        out: the run folder.
        workers: the running process of each.
    """

    def __init__(self, run_file: Path, out: Path, size: int, *options: str, timeout: float = 60):
        """Starts nothing yet."""
        self.run_file, self.out, self.options = run_file, out, options
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(size)]
        self.timeout = timeout
        self.workers: dict[int, subprocess.Popen] = {}
        out.parent.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Job":
        """Nothing to do."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends all workers."""
        for worker in self.workers.values():
            worker.kill()
            worker.wait()

    def start(self, *numbers: int, run_file: Path | None = None, options: tuple[str, ...] = ()) -> None:
        """Starts some workers, or starts them again; without numbers all of them."""
        for number in numbers or range(len(self.addresses)):
            task = {"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": number}}
            variables = os.environ | {
                "PYTHONPATH": f"{ROOT}",
                "TF_CONFIG": json.dumps(task),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "CUDA_VISIBLE_DEVICES": "",
            }
            command = [sys.executable, "-c", _COMMAND, "train", str(run_file or self.run_file), "--out", str(self.out)]
            sets = ["training.strategy=multi_worker", f"training.worker_timeout={self.timeout:g}", *self.options, *options]
            command += [word for each in sets for word in ("--set", each)]
            with self.log(number).open("ab") as log:
                self.workers[number] = subprocess.Popen(command, stdout=log, stderr=log, env=variables)

    def kill(self, number: int, sent: signal.Signals = signal.SIGKILL) -> None:
        """Sends a worker a signal; after SIGKILL, it is gone when this returns."""
        self.workers[number].send_signal(sent)
        if sent == signal.SIGKILL:
            self.workers[number].wait()

    def wait(self, seconds: float = 240) -> list[int]:
        """The exit status of each worker, once all have ended."""
        deadline = time.monotonic() + seconds
        return [
            self.workers[number].wait(max(deadline - time.monotonic(), 0.1)) for number in range(len(self.addresses))
        ]

    def log(self, number: int) -> Path:
        """What a worker has printed."""
        return self.out.parent / f"{self.out.name}-{number}.log"

    def printed(self, number: int) -> str:
        """What a worker has printed."""
        return self.log(number).read_text(errors="replace")
