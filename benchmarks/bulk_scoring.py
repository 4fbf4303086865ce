"""A scoring job with worker processes, beside the same graph in one process on all processors.

    python benchmarks/bulk_scoring.py models/emotion --texts data/emotion/train.tsv --rows 1000000

Repeats the texts with running numbers until there are `--rows` of them, and scores them with
`bert-serving score`, one worker process for each processor. Before and after the job, and as often as
`--rounds` says, one process scores `--sample` of the rows with TensorFlow's threads on all processors.
Reports texts a second of both, with and without the start of the workers, whether every number occurs
once, and the memory of the workers after their first and their last shard. Writes
benchmarks/results/bulk_scoring.json.
"""

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

RESULTS = Path(__file__).parent / "results" / "bulk_scoring.json"
# As many texts as a shard of the job has, so that both sort the same number of them.
SHARD = 25_000


def read_texts(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row[0] for row in list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]]


def write_rows(texts: list[str], rows: int, path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(
        path, pyarrow.schema({"id": pyarrow.int64(), "text": pyarrow.string()})
    ) as writer:
        for start in range(0, rows, SHARD):
            numbers = range(start, min(start + SHARD, rows))
            some = {"id": list(numbers), "text": [texts[number % len(texts)] for number in numbers]}
            writer.write_table(pyarrow.table(some, writer.schema))


def in_one_process(model: str, texts: list[str], sample: int) -> float:
    """Texts a second in a process of its own, the load of the model left out."""
    command = [sys.executable, __file__, model, "--sample", str(sample), "--in-process"]
    done = subprocess.run(command, input="\n".join(texts), capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def measure_here(model: str, sample: int) -> float:
    from bert_serving.saved_model.versions import latest_version
    from bert_serving.scoring.scorer import Scorer

    texts = sys.stdin.read().split("\n")
    texts = [texts[number % len(texts)] for number in range(sample)]
    scorer = Scorer.load(latest_version(Path(model)), threads=len(os.sched_getaffinity(0)))
    scorer.score(texts[:1000])
    started = time.monotonic()
    for start in range(0, sample, SHARD):
        scorer.score(texts[start : start + SHARD])
    return sample / (time.monotonic() - started)


def job(model: str, rows: Path, output: Path) -> tuple[dict[str, Any], float]:
    """The manifest, and the seconds of the whole command."""
    command = [sys.executable, "-m", "bert_serving.cli.main", "score", model, "--input", str(rows)]
    command += ["--id", "id", "--output", str(output), "--shard-rows", str(SHARD), "--json"]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), time.monotonic() - started


def occurs_once(output: Path, rows: int) -> bool:
    import pyarrow.compute
    import pyarrow.parquet

    ids = pyarrow.parquet.read_table(output, columns=["id"]).column("id")
    return len(ids) == rows == len(pyarrow.compute.unique(ids)) and pyarrow.compute.max(ids).as_py() == rows - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=2 * SHARD)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_process:
        print(measure_here(arguments.model, arguments.sample))
        return
    texts = read_texts(arguments.texts)
    alone, jobs = [in_one_process(arguments.model, texts, arguments.sample)], []
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.parquet"
        write_rows(texts, arguments.rows, rows)
        for number in range(arguments.rounds):
            output = Path(folder) / f"scored_{number}"
            manifest, seconds = job(arguments.model, rows, output)
            workers = manifest["workers"]
            busiest = max(worker["seconds"] for worker in workers)
            jobs.append(
                {
                    "texts_per_second": arguments.rows / seconds,
                    "texts_per_second_without_start": arguments.rows / busiest,
                    "seconds": seconds,
                    "processor_seconds_per_million": manifest["processor_seconds"] * 1e6 / arguments.rows,
                    "every_id_once": occurs_once(output, arguments.rows),
                    "workers": workers,
                }
            )
            alone.append(in_one_process(arguments.model, texts, arguments.sample))
            print(json.dumps(jobs[-1], indent=2), alone, flush=True)
    # A job is compared with the measurements before and after it.
    ratios = [
        each["texts_per_second"] / statistics.mean(alone[number : number + 2]) for number, each in enumerate(jobs)
    ]
    result = {
        "rows": arguments.rows,
        "processor": platform.processor() or _processor(),
        "in_one_process_texts_per_second": alone,
        "jobs": jobs,
        "job_to_one_process": ratios,
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
