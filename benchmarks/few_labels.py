"""Few labels: contrastive training, plain fine-tuning, TF-IDF and SetFit on the very same rows.

    python benchmarks/few_labels.py --data data/trec6 --model models/all-MiniLM-L6-v2 \\
        --rows-per-label 8 16 64 --seeds 5 [--torch-python venv/bin/python] [--setfit-iterations 5]
    python benchmarks/few_labels.py --data data/emotion --model models/all-MiniLM-L6-v2 --rows 1000

`--data` is a folder with train.tsv and test.tsv, columns text and label. For each size and seed the
training rows are drawn from train.tsv, and every method gets them all: the run files' validation
rows are the training rows themselves, so that none are given away and none choose anything.
Accuracy is that on test.tsv (`--test-rows N`: on the first N of its rows in an order drawn once).
Fine-tuning runs for about as many row visits as the contrastive training, at least 10 epochs, the
last of which counts. Minutes are those of training and evaluation, on the machine as it was.
Writes benchmarks/results/few_labels.json after each seed, by data set, size and method; seeds that
stand there, of a method with the same settings, are not measured again.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import interleaved
import numpy as np

CONTRASTIVE, FINE_TUNING, TFIDF, SETFIT = "contrastive", "fine-tuning", "TF-IDF", "SetFit"
METHODS = (CONTRASTIVE, FINE_TUNING, SETFIT)
RESULTS = Path(__file__).parent / "results" / "few_labels.json"
_TEST_SEED = 0
_FINE_TUNING_EPOCHS = 10

Rows = list[tuple[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy with few labels.")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.tsv and test.tsv")
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder of a sentence encoder")
    sizes = parser.add_mutually_exclusive_group(required=True)
    sizes.add_argument("--rows-per-label", type=int, nargs="+", default=[])
    sizes.add_argument("--rows", type=int, nargs="+", default=[], help="of all labels together")
    parser.add_argument("--seeds", type=int, default=5, help="number of drawn sets of rows")
    parser.add_argument("--test-rows", type=int, help="at most this many rows of test.tsv")
    parser.add_argument("--torch-python", type=Path, help="interpreter that has setfit; without it SetFit is left out")
    parser.add_argument(
        "--setfit-iterations", type=int, help="SetFit's num_iterations; absent: oversampling, its default"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to add the results to")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="key of the contrastive run file")
    arguments = parser.parse_args()
    wanted = [(f"{rows} rows a label", rows, None) for rows in arguments.rows_per_label]
    wanted += [(f"{rows} rows", None, rows) for rows in arguments.rows]
    for name, per_label, total in wanted:
        measure(arguments, name, per_label, total)


def measure(arguments: argparse.Namespace, name: str, per_label: int | None, total: int | None) -> None:
    """Accuracy and minutes of each method for each seed."""
    rows = read_rows(arguments.data / "train.tsv")
    test = read_rows(arguments.data / "test.tsv")
    order = np.random.default_rng(_TEST_SEED).permutation(len(test))[: arguments.test_rows]
    results = known(arguments, name)
    for seed in range(arguments.seeds):
        lacking = [method for method in arguments.methods if len(results.get(method, [])) <= seed]
        with tempfile.TemporaryDirectory(prefix="few-labels-") as place:
            folder = Path(place)
            write_rows(folder / "train.tsv", drawn(rows, per_label, total, seed))
            write_rows(folder / "test.tsv", [test[number] for number in sorted(order)])
            for method in (CONTRASTIVE, FINE_TUNING):
                if method in lacking:
                    ours, tfidf = train_ours(method, folder, arguments, seed)
                    results.setdefault(method, []).append(ours)
                    results.setdefault(TFIDF, [])[seed:] = [tfidf]
            if SETFIT in lacking and arguments.torch_python is not None:
                results.setdefault(SETFIT, []).append(train_setfit(folder, arguments, seed))
        print(
            f"seed {seed}: "
            + ", ".join(
                f"{method} {each[seed]['accuracy']:.4f}" for method, each in results.items() if len(each) > seed
            ),
            flush=True,
        )
        write(arguments, name, results)
    print(f"{arguments.data.name}, {name}")
    for method, runs in results.items():
        print(f"  {method:<12} {np.mean([run['accuracy'] for run in runs]):.4f}")


def known(arguments: argparse.Namespace, name: str) -> dict[str, list[dict]]:
    """What the results have of the seeds, measured with the same settings."""
    entries = read_results(arguments).get(arguments.data.name, {}).get(name, {})
    return {
        method: [
            {"accuracy": accuracy} | ({} if minutes is None else {"minutes": minutes})
            for accuracy, minutes in zip(
                entry["by_seed"], entry["minutes_by_seed"] or [None] * len(entry["by_seed"]), strict=True
            )
        ]
        for method, entry in entries.items()
        if entry["settings"] == settings_of(method, arguments)
    }


def train_ours(method: str, folder: Path, arguments: argparse.Namespace, seed: int) -> tuple[dict, dict]:
    """Our score and that of TF-IDF, from a run's metrics."""
    from bert_serving.config import parse_run_config
    from bert_serving.training.contrastive.plan import iterations_of
    from bert_serving.training.run import train

    count = len(read_rows(folder / "train.tsv"))
    training: dict[str, object] = {"seed": seed, "batch_size": 16}
    if method == CONTRASTIVE:
        training |= {"method": "contrastive", "epochs": 1}
        training |= {key: json.loads(value) for key, _, value in (each.partition("=") for each in arguments.overrides)}
    else:
        # The last epoch has the smallest loss on the training rows, which stand in for validation rows.
        training |= {"epochs": max(_FINE_TUNING_EPOCHS, iterations_of(count, 1)), "best_metric": "loss"}
    config = parse_run_config(
        {
            "data": {"folder": str(folder), "train": "train.tsv", "validation": "train.tsv", "test": "test.tsv"},
            "encoder": {"path": str(arguments.model)},
            "head": {"pooling": "mean"},
            "training": training,
        }
    )
    started = time.monotonic()
    metrics = train(config, folder / method).metrics
    minutes = (time.monotonic() - started) / 60
    tfidf = metrics["baselines"]["tfidf_logistic_regression"]["accuracy"]
    return {"accuracy": metrics["test"]["accuracy"], "minutes": minutes}, {"accuracy": tfidf}


def train_setfit(folder: Path, arguments: argparse.Namespace, seed: int) -> dict:
    """SetFit's score, in its own interpreter."""
    command = [str(arguments.torch_python), str(Path(__file__).with_name("setfit_few_labels.py"))]
    command += ["--model", str(arguments.model), "--train", str(folder / "train.tsv")]
    command += ["--test", str(folder / "test.tsv"), "--seed", str(seed)]
    if arguments.setfit_iterations:
        command += ["--iterations", str(arguments.setfit_iterations)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def settings_of(method: str, arguments: argparse.Namespace) -> dict:
    """What else decides the scores of a method."""
    settings: dict = {"test_rows": arguments.test_rows}
    if method == CONTRASTIVE:
        settings["set"] = arguments.overrides
    if method == SETFIT:
        settings["num_iterations"] = arguments.setfit_iterations
    return settings


def read_results(arguments: argparse.Namespace) -> dict:
    """The results, or an empty file's."""
    return json.loads(arguments.results.read_text("utf-8")) if arguments.results.exists() else {}


def write(arguments: argparse.Namespace, name: str, found: dict[str, list[dict]]) -> None:
    """Adds what was measured, and its means, to the results."""
    results = read_results(arguments)
    entry = results.setdefault(arguments.data.name, {}).setdefault(name, {})
    for method, runs in found.items():
        values = [run["accuracy"] for run in runs]
        entry[method] = {
            "accuracy": float(np.mean(values)),
            "standard_deviation": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            "by_seed": values,
            "minutes_by_seed": [run["minutes"] for run in runs if "minutes" in run],
            "settings": settings_of(method, arguments),
        }
    results["machine"] = interleaved.machine()
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


def drawn(rows: Rows, per_label: int | None, total: int | None, seed: int) -> Rows:
    """Rows of each label, or of all together, in the order of the file."""
    random = np.random.default_rng(seed)
    if total is not None:
        numbers = random.permutation(len(rows))[:total]
    else:
        labels = np.asarray([label for _, label in rows])
        numbers = np.concatenate(
            [random.permutation(np.flatnonzero(labels == label))[:per_label] for label in np.unique(labels)]
        )
    return [rows[number] for number in np.sort(numbers)]


def read_rows(path: Path) -> Rows:
    """Texts and labels of a TSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def write_rows(path: Path, rows: Rows) -> None:
    """Writes a TSV file that `read_rows` reads."""
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows), "utf-8")


if __name__ == "__main__":
    main()
