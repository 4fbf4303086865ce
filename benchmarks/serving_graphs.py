"""Inference speed of the serving graphs, and of ONNX Runtime, PyTorch and KerasHub.

    bert-serving train export/emotion.toml --out runs/emotion
    python benchmarks/serving_graphs.py --run emotion=runs/emotion [--run imdb=runs/imdb] \\
        --model models/all-MiniLM-L6-v2

`--run NAME=RUN_DIR` is a finished run whose validation texts are used; `--model` the Hugging Face
folder of its encoder, for the other engines, whose speed does not depend on the values of the
weights. `--torch-python` is an interpreter with torch, transformers, onnx, onnxruntime and sympy,
`--keras-python` one with keras-hub and safetensors; without them, these engines are skipped. All
use two threads. Each candidate has its own process and waits, without using the processor, while
another works. Writes benchmarks/results/serving_graphs.json, where entries of other names are kept,
and docs/pictures/serving_graphs.png.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import interleaved

WORKERS = Path(__file__).parent / "serving_graph_workers.py"
RESULTS = Path(__file__).parent / "results" / "serving_graphs.json"
PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "serving_graphs.png"

OURS = ("padded", "trimmed", "ragged", "ragged bfloat16", "ragged int8")
TORCH = ("ONNX Runtime", "ONNX Runtime int8", "PyTorch", "PyTorch bfloat16")
KERAS = ("KerasHub",)
BATCHES = (1, 8, 32, 128)
# A candidate runs for about SECONDS in a round, at least once, at most MOST_CALLS times.
SECONDS = 1.5
MOST_CALLS = 24
# Texts run before timing, so that few of the timed ones have a new length.
WARMUP_TEXTS = 128
# Seconds between candidates: a worker's threads may spin for a moment after their work.
PAUSE = 0.3
COMPARED = 2_000
BASES = ("padded", "ONNX Runtime", "ONNX Runtime int8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Serving graphs, in turns.")
    parser.add_argument("--run", action="append", required=True, metavar="NAME=RUN_DIR", dest="runs")
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder of the encoder")
    parser.add_argument("--torch-python", help="interpreter with torch, transformers, onnx and onnxruntime")
    parser.add_argument("--keras-python", help="interpreter with keras-hub")
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="SUBJECT", help="candidates to skip")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument(
        "--compared",
        type=int,
        default=COMPARED,
        help="texts whose probabilities are compared; 0 keeps the earlier comparison",
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"work": {}}
    if arguments.out.is_file():
        result = json.loads(arguments.out.read_text("utf-8"))
    for name, run in (each.split("=", 1) for each in arguments.runs):
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(run), Path(folder), arguments)
        if not arguments.compared:
            found["same_answers"] = result["work"].get(name, {}).get("same_answers", {})
        result["work"][name] = {"machine": interleaved.machine(), "rounds": arguments.rounds, **found}
        # Written after each run: an hour of measuring is not lost if the next one fails.
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        show(name, result["work"][name])
    draw(result, PICTURE)


def measure(run: Path, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures all candidates on one run's texts."""
    ours = [sys.executable, str(WORKERS)]
    subprocess.run([*ours, "prepare", str(run), str(folder), str(arguments.compared)], check=True)
    commands = {name: [*ours, "serve", name, str(folder)] for name in OURS}
    if arguments.torch_python:
        torch = [arguments.torch_python, str(WORKERS)]
        subprocess.run([*torch, "export-onnx", str(arguments.model), str(folder)], check=True)
        commands |= {name: [*torch, "serve", name, str(folder), str(arguments.model)] for name in TORCH}
    if arguments.keras_python:
        keras = [arguments.keras_python, str(WORKERS)]
        commands |= {name: [*keras, "serve", name, str(folder), str(arguments.model)] for name in KERAS}
    subjects = [
        interleaved.Subject(name, command) for name, command in commands.items() if name not in arguments.leave_out
    ]
    facts = {subject.name: subject.start() for subject in subjects}
    seconds: dict[str, dict[str, list[float]]] = {name: {str(size): [] for size in arguments.batches} for name in facts}
    calls_of: dict[tuple[str, int], int] = {}
    for number in range(arguments.rounds + 1):
        for size in arguments.batches:
            for subject in subjects:
                calls = calls_of.get((subject.name, size), max(2, WARMUP_TEXTS // size))
                answer = subject.ask(f"{size} {calls} {number}")
                calls_of[subject.name, size] = max(1, min(MOST_CALLS, int(SECONDS / min(answer["calls"]))))
                time.sleep(PAUSE)
                found = statistics.median(answer["calls"])
                print(f"round {number}  batch {size:>3}  {subject.name:<20} {1000 * found:9.2f} ms", file=sys.stderr)
                # The first round compiles kernels and is not counted.
                if number:
                    seconds[subject.name][str(size)] += answer["calls"]
        print(file=sys.stderr, flush=True)
    for subject in subjects:
        facts[subject.name] |= subject.ask("memory")
        subject.stop()
    return {
        "facts": {
            name: {key: fact[key] for key in sorted(fact) if key not in ("rows", "seconds")}
            for name, fact in facts.items()
        },
        "seconds": seconds,
        "medians": {
            name: {size: statistics.median(found) for size, found in each.items()} for name, each in seconds.items()
        },
        "same_answers": json.loads((folder / "same_answers.json").read_text("utf-8")),
        "peak": json.loads(subprocess.run([*ours, "peak"], check=True, capture_output=True, text=True).stdout),
    }


def show(name: str, work: dict[str, Any]) -> None:
    """Prints milliseconds, and ratios to the bases."""
    medians = work["medians"]
    bases = [base for base in BASES if base in medians]
    for size in next(iter(medians.values())):
        print(f"\n{name}, batch {size}: milliseconds, texts per second, times as fast as {', '.join(bases)}")
        for subject, found in medians.items():
            ratios = "".join(f"{medians[base][size] / found[size]:8.2f}" for base in bases)
            print(f"  {subject:<20} {1000 * found[size]:9.2f} {int(size) / found[size]:9.1f} {ratios}")
    print(f"\n{name}: load seconds, peak memory MiB, folder MiB")
    for subject, fact in work["facts"].items():
        print(f"  {subject:<20} {fact['load']:6.1f} {fact['memory']:8.0f} {fact['folder']:8.1f}")
    print(f"{name}: differences from padded: {work['same_answers']}")
    print(f"{name}: matrix products of 2,048 x 2,048 reach {work['peak']} GFLOP/s")


def draw(result: dict[str, Any], path: Path) -> None:
    """Plots texts per second of every candidate, a panel for each run and batch size."""
    from matplotlib.figure import Figure

    works = result["work"]
    sizes_of = {name: list(next(iter(work["medians"].values()))) for name, work in works.items()}
    sizes = max(sizes_of.values(), key=len)
    figure = Figure(figsize=(4 * len(sizes), 3.4 * len(works)), layout="constrained")
    axes = figure.subplots(len(works), len(sizes), squeeze=False)
    for row, (name, work) in enumerate(works.items()):
        for column, size in enumerate(sizes):
            axis, medians = axes[row][column], work["medians"]
            if size not in sizes_of[name]:
                axis.set_visible(False)
                continue
            rates = [int(size) / medians[subject][size] for subject in medians]
            colors = ["#2a6f97" if subject in OURS else "#b8b8b8" for subject in medians]
            bars = axis.barh(list(medians), rates, color=colors)
            axis.bar_label(bars, [f"{rate:.3g}" for rate in rates], padding=3, fontsize=8)
            axis.invert_yaxis()
            axis.margins(x=0.18)
            axis.set_title(f"{name}, batch {size}: texts/s", fontsize=10)
            axis.tick_params(labelsize=8, labelleft=column == 0)
            axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
