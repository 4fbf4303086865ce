"""Rehearses lost workers on this machine: training jobs of several processes, in each of which one is killed.

    python scripts/rehearse_lost_workers.py run.toml --workers 2 --runs 20 --out /tmp/rehearsal

Trains the run file once undisturbed, then again and again; each time a worker chosen by chance, the
chief included, is killed (SIGKILL), and started again with the same command up to three seconds later.
Of three kills, one is at a random moment of the undisturbed run's duration, from the start of Python to the
last plot; the others up to a second after the checkpoint of a random epoch. Every run must end with status
0 on every worker, and with the same weights and history as the undisturbed one, bit for bit. Prints a line
for each run, and exits with status 1 if any is different. Ports are on loopback; `--set` changes keys of
the run file.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

COMMAND = "from bert_serving.cli.main import main; main()"
# What differs from run to run without meaning anything.
CLOCK = ("seconds", "rows_per_second")


class Job:
    """Workers that train one run file into one run folder, each by the command line.

    Attributes:
        out: the run folder.
        workers: the process of each that was started.
    """

    def __init__(self, run_file: Path, out: Path, size: int, *sets: str, timeout: float = 60):
        """Starts nothing yet; `sets` are keys of the run file, as in `--set`."""
        self.run_file, self.out, self.sets = run_file, out, sets
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

    def start(self, *numbers: int, sets: tuple[str, ...] = (), environment: dict[str, str] | None = None) -> None:
        """Starts some workers, or starts them again; without numbers all of them."""
        for number in numbers or range(len(self.addresses)):
            task = {"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": number}}
            variables = os.environ | {"TF_CONFIG": json.dumps(task), "TF_CPP_MIN_LOG_LEVEL": "3"} | (environment or {})
            command = [sys.executable, "-c", COMMAND, "train", str(self.run_file), "--out", str(self.out)]
            together = ("training.strategy=multi_worker", f"training.worker_timeout={self.timeout:g}")
            command += [word for each in (*together, *self.sets, *sets) for word in ("--set", each)]
            with self.log(number).open("ab") as log:
                self.workers[number] = subprocess.Popen(command, stdout=log, stderr=log, env=variables)

    def send(self, number: int, sent: signal.Signals = signal.SIGKILL) -> None:
        """Sends a worker a signal; after SIGKILL, it is gone when this returns."""
        self.workers[number].send_signal(sent)
        if sent == signal.SIGKILL:
            self.workers[number].wait()

    def wait(self, seconds: float = 300) -> list[int]:
        """The exit status of each worker, once all have ended."""
        deadline = time.monotonic() + seconds
        return [self.workers[each].wait(max(deadline - time.monotonic(), 0.1)) for each in sorted(self.workers)]

    def log(self, number: int) -> Path:
        """The file of what a worker has printed."""
        return self.out.parent / f"{self.out.name}-{number}.log"

    def printed(self, number: int) -> str:
        """What a worker has printed."""
        return self.log(number).read_text(errors="replace")


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def result(out: Path) -> tuple[bytes, list[dict[str, float]]]:
    """The weights' file, and the history without times."""
    history = json.loads((out / "history.json").read_text())
    rows = [{name: value for name, value in row.items() if name not in CLOCK} for row in history]
    return (out / "weights" / "model.safetensors").read_bytes(), rows


def main() -> None:
    """Runs the rehearsal."""
    parser = argparse.ArgumentParser(description="Kills workers of training jobs, and compares the results.")
    parser.add_argument("run_file", type=Path, metavar="RUN.toml")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="new folder for run folders and logs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    started = time.monotonic()
    with Job(arguments.run_file, arguments.out / "undisturbed", arguments.workers, *arguments.set) as job:
        job.start()
        if any(job.wait(900)):
            sys.exit(f"the undisturbed run failed; see {job.log(0)}")
    duration = time.monotonic() - started
    expected = result(job.out)
    print(f"undisturbed: {duration:.1f} s, {len(expected[1])} epochs", flush=True)
    chance, equal = random.Random(arguments.seed), 0
    for number in range(1, arguments.runs + 1):
        victim, pause = chance.randrange(arguments.workers), chance.uniform(0, 3)
        if number % 3 == 0:
            epoch, delay = 0, chance.uniform(0, duration)
        else:
            epoch, delay = chance.randrange(1, len(expected[1])), chance.uniform(0, 1)
        is_equal, line = disturbed(arguments, number, victim, (epoch, delay, pause), expected)
        equal += is_equal
        when = f"{delay:.2f} s after " + (f"epoch {epoch}" if epoch else "the start")
        print(f"{number:>3}  worker {victim} killed {when}  {line}", flush=True)
    print(f"{equal} of {arguments.runs} runs ended with the weights and the history of the undisturbed one")
    sys.exit(equal < arguments.runs)


def disturbed(
    arguments: argparse.Namespace, number: int, victim: int, moment: tuple[int, float, float], expected: object
) -> tuple[bool, str]:
    """One run with a killed worker: whether it ended as it should, and a line about it."""
    started = time.monotonic()
    epoch, delay, pause = moment
    with Job(arguments.run_file, arguments.out / f"run-{number}", arguments.workers, *arguments.set) as job:
        job.start()
        while epoch and not (job.out / "checkpoints" / f"epoch_{epoch:03}").exists():
            if job.workers[0].poll() is not None:
                return False, f"the chief ended with status {job.workers[0].returncode}; see {job.log(0)}"
            time.sleep(0.005)
        time.sleep(delay)
        has_ended = job.workers[victim].poll() is not None
        kept = sorted(path.name for path in job.out.glob("checkpoints/epoch_*"))
        phase = "complete" if (job.out / "weights").exists() else (kept or ["no checkpoint yet"])[-1]
        job.send(victim)
        time.sleep(pause)
        job.start(victim)
        try:
            statuses = job.wait(900)
        except subprocess.TimeoutExpired:
            return False, f"({phase}): HANGS; see {job.log(victim)}"
    seconds = time.monotonic() - started
    is_equal = not any(statuses) and result(job.out) == expected
    if is_equal:
        shutil.rmtree(job.out)
    ending = "it had ended" if has_ended else phase
    return is_equal, f"({ending}): {seconds:5.1f} s, statuses {statuses}, {'same' if is_equal else 'DIFFERENT'}"


if __name__ == "__main__":
    main()
