"""Processor seconds of the commands, of one or several checkouts in turns.

    python benchmarks/start_times.py --run runs/bike_shop \\
        --tree before=/path/to/an/older/checkout --tree now=.

User and system time of the process and its children, medians over the rounds; wall time in
brackets. Each checkout predicts with, verifies and serves what it has exported. All use this
interpreter and its packages.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from memory_of_versions import processor_seconds

COMMAND = (sys.executable, "-c", "from bert_serving.cli.main import main; main()")
TEXT = "my order has not come yet"


def seconds_of(words: Sequence[str], tree: Path) -> tuple[float, float]:
    """Processor and wall seconds of a command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    result = subprocess.run([*COMMAND, *words], env=environment(tree), capture_output=True, text=True, check=False)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    if result.returncode:
        raise SystemExit(f"{' '.join(words)}: {result.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ended - began


def seconds_until_ready(model: Path, tree: Path) -> tuple[float, float]:
    """Processor and wall seconds of the embedded server until its model is AVAILABLE."""
    from bert_serving.model_server.process import ModelServerProcess

    os.environ.update(environment(tree))
    began = time.perf_counter()
    program = (sys.executable, "-m", "bert_serving.model_server")
    with ModelServerProcess(model, model.name, program=program, start_timeout=600) as server:
        return processor_seconds(server.process_id), time.perf_counter() - began


def environment(tree: Path) -> dict[str, str]:
    """The environment with a checkout in front of the installed package, and with bytecode."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(tree.resolve())}


def main() -> None:
    """Measures every command in every checkout and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", action="append", required=True, help="NAME=FOLDER of a checkout")
    parser.add_argument("--run", type=Path, required=True, help="run folder to export")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    trees = {name: Path(folder) for name, folder in (each.split("=", 1) for each in given.tree)}
    figures: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(given.rounds):
        for name, tree in trees.items():
            with tempfile.TemporaryDirectory() as folder:
                model = Path(folder) / "model"
                commands = {
                    "--help": ["--help"],
                    "export": ["export", str(given.run), "--to", folder, "--name", model.name],
                    "predict": ["predict", str(model), TEXT],
                    "verify": ["verify", str(model / "1")],
                }
                for what, words in commands.items():
                    figures.setdefault((what, name), []).append(seconds_of(words, tree))
                figures.setdefault(("serve until ready", name), []).append(seconds_until_ready(model, tree))
    for (what, name), measured in sorted(figures.items()):
        processor, wall = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"{what:20} {name:10} {processor:6.1f} s ({wall:.1f} s)")


if __name__ == "__main__":
    main()
