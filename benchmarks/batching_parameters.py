"""Effect of each batching parameter in serving/batching_parameters.txt, as ratios to that file.

    python benchmarks/batching_parameters.py --model models/bike_shop \\
        --data bert_serving/data/sample/test.tsv

Measures the throughput of 32 clients and the latency of one. One embedded server for each setting,
all started at once; requests go to one at a time while the others wait.
"""

import argparse
import contextlib
import re
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from interleaved import Subject

CLIENTS = 32
PARAMETERS = Path(__file__).resolve().parents[1] / "serving" / "batching_parameters.txt"
CHANGES: dict[str, dict[str, int] | None] = {
    "as in serving/": {},
    "no batching": None,
    "max_batch_size 8": {"max_batch_size": 8},
    "max_batch_size 128": {"max_batch_size": 128},
    "batch_timeout_micros 2000": {"batch_timeout_micros": 2000},
    "batch_timeout_micros 10000": {"batch_timeout_micros": 10000},
    "num_batch_threads 1": {"num_batch_threads": 1},
    "num_batch_threads 4": {"num_batch_threads": 4},
}
# Flags of every server; OTHER_FLAGS overrides them.
FLAGS = {"tensorflow_intra_op_parallelism": 1, "tensorflow_inter_op_parallelism": 2}
OTHER_FLAGS = {"two intra-op threads": {"tensorflow_intra_op_parallelism": 2}}


def flags(title: str, path: Path) -> list[str]:
    """Flags of a server with changed parameters; writes its batching parameters file."""
    change = CHANGES.get(title, {})
    threads = [f"--{name}={value}" for name, value in (FLAGS | OTHER_FLAGS.get(title, {})).items()]
    if change is None:
        return threads
    text = PARAMETERS.read_text("utf-8")
    for name, value in change.items():
        text = re.sub(rf"^{name} {{ value: \d+ }}$", f"{name} {{ value: {value} }}", text, flags=re.MULTILINE)
    path.write_text(text, "utf-8")
    return [*threads, "--enable_batching=true", f"--batching_parameters_file={path}"]


def main() -> None:
    """Starts every server, measures them in turns and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="base path: the folder above the versions")
    parser.add_argument("--data", type=Path, required=True, help="TSV file; its first column is the text")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=4)
    given = parser.parse_args()
    from bert_serving.model_server.process import ModelServerProcess

    name = given.model.name
    program = (sys.executable, "-m", "bert_serving.model_server")
    script = [sys.executable, str(Path(__file__).with_name("server_load.py")), "--worker", "clients", "--model", name]
    script += ["--data", str(given.data)]
    titles = [*CHANGES, *OTHER_FLAGS]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(titles)) as pool:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        subjects = []
        servers = []
        for number, title in enumerate(titles):
            server = ModelServerProcess(
                given.model,
                name,
                program=program,
                extra_flags=flags(title, folder / str(number)),
                start_timeout=600,
            )
            stack.callback(server.stop)
            server.launch()
            servers.append(server)
            addresses = ["--grpc", server.grpc_address, "--rest", server.rest_url]
            subjects.append(Subject(title, [*script, *addresses]))
        for server in servers:
            server.wait_until_available()
        list(pool.map(Subject.start, subjects))
        for subject in subjects:
            stack.callback(subject.stop)
        print("measuring", flush=True)
        rates: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        alone: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        for number in range(given.rounds):
            # The order is reversed every other round, so that no server always follows the same one.
            for subject in subjects[:: -1 if number % 2 else 1]:
                many, one = (subject.ask(f"clients {number_of} {given.seconds}") for number_of in (CLIENTS, 1))
                rates[subject.name].append(many["rows"] / many["seconds"])
                alone[subject.name].append(one["median_ms"])
    base = subjects[0].name
    print(f"{'':28} {CLIENTS} clients, texts/s     to serving/   one client, ms     to serving/")
    for title in titles:
        faster = statistics.median(a / b for a, b in zip(rates[title], rates[base], strict=True))
        slower = statistics.median(a / b for a, b in zip(alone[title], alone[base], strict=True))
        print(
            f"{title:28} {statistics.median(rates[title]):19.0f} {faster:15.2f} "
            f"{statistics.median(alone[title]):16.2f} {slower:15.2f}"
        )


if __name__ == "__main__":
    main()
