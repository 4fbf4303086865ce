"""Scores to expect: for each data set the baselines, frozen features, plain fine-tuning and the best run file.

    python benchmarks/data_sets.py --data data --model models/all-MiniLM-L6-v2 --runs runs/data_sets

Trains what benchmarks/results/data_sets.json does not have yet, with one seed after the other, and writes
the file after each run: a stopped measurement goes on where it was, an unfinished training is resumed.
`--only` and `--recipes` choose data sets and recipes, `--set` changes keys of all run files; two such commands may run
side by side. `--page` writes the tables of docs/results/what_to_expect.md from the file and trains nothing.

Recipes:

- frozen: the encoder's features, computed once, and a dense head that is trained on them
- plain: three epochs, batches of 32, and the defaults of run files
- best: the run file of export/, whose keys were chosen by validation scores

All three have the data set's sequence length, pooling and head.
"""

import argparse
import fcntl
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_serving.wording import score_name

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "benchmarks" / "results" / "data_sets.json"
PAGE = PROJECT / "docs" / "results" / "what_to_expect.md"
BEGIN, END = "<!-- begin of the tables that benchmarks/data_sets.py writes -->", "<!-- end of the tables -->"


@dataclass(frozen=True)
class DataSet:
    """A data set and its run file.

    Attributes:
        about: what it is, in a few words.
        run_file: in export/, the best recipe.
        folder: of the data, below --data.
        scores: names of the measured scores, the most important first.
        encoder: overrides of the encoder; None for --model.
    """

    about: str
    run_file: str
    folder: str
    scores: tuple[str, ...] = ("accuracy", "macro_f1")
    encoder: str | None = None


DATA_SETS = {
    "emotion": DataSet("6 emotions, 16,000 English tweets", "emotion.toml", "emotion"),
    "sst2": DataSet("2 sentiments, 6,920 sentences", "sst2.toml", "sst2_sent"),
    "imdb": DataSet("2 sentiments, 25,000 long reviews", "imdb_long.toml", "imdb"),
    "trec6": DataSet("6 types of questions, 5,452 rows", "trec6.toml", "trec6"),
    "banking77": DataSet("77 intents, 10,003 questions", "banking77.toml", "banking77"),
    "sms_spam": DataSet("spam or not, 4,474 messages, 13% spam", "sms_spam.toml", "sms_spam"),
    "tweeteval_emotion": DataSet("4 emotions, 3,257 tweets", "tweeteval_emotion.toml", "tweeteval_emotion"),
    "mrpc": DataSet("paraphrase or not, 3,668 pairs of sentences", "mrpc.toml", "mrpc"),
    "stsb": DataSet("similarity of two sentences, 5,749 pairs", "stsb.toml", "stsb", ("spearman", "pearson")),
}
RECIPES = {
    "frozen": (
        "encoder.trainable=false",
        "encoder.cache_features=true",
        "training.epochs=30",
        "training.batch_size=64",
    ),
    "plain": ("training.epochs=3", "training.batch_size=32"),
    "best": (),
}
# What the best run files set beyond data, encoder and head, at its default for the other recipes.
DEFAULTS = {
    "training.adversarial_epsilon": 0.0,
    "training.average_last_epochs": 1,
    "training.layerwise_learning_rate_decay": 1.0,
    "training.label_smoothing": 0.0,
    "encoder.frozen_layers": 0,
    "encoder.reinitialized_layers": 0,
}


def main() -> None:
    """Trains what is missing, or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/data_sets"))
    parser.add_argument("--only", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--page", action="store_true")
    arguments = parser.parse_args()
    if not arguments.page:
        for name in arguments.only:
            for recipe in arguments.recipes:
                for seed in arguments.seeds:
                    measure(name, recipe, seed, arguments)
    write_page(json.loads(RESULTS.read_text()))


def measure(name: str, recipe: str, seed: int, arguments: argparse.Namespace) -> None:
    """Trains one run unless its scores are known, and adds them to the results."""
    if any(run["seed"] == seed for run in _runs(_results(), name, recipe)):
        return
    out = arguments.runs / f"{name}_{recipe}_{seed}"
    data, model = arguments.data / DATA_SETS[name].folder, arguments.model
    overrides = [f"training.seed={seed}", *arguments.settings, *_overrides(name, recipe)]
    command = ["train", str(PROJECT / "export" / DATA_SETS[name].run_file), "--out", str(out)]
    places = [f"data.folder={data.resolve()}", f"encoder.path={model.resolve()}"]
    settings = [part for setting in [*places, *overrides] for part in ("--set", setting)]
    resume = ["--resume"] if (out / "run.toml").is_file() else []
    print(f"{name}, {recipe}, seed {seed}", flush=True)
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "bert_serving.cli.main", *command, *settings, *resume], check=True)
    metrics = json.loads((out / "metrics.json").read_text())
    scores = DATA_SETS[name].scores
    run = {
        "seed": seed,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "cores": len(os.sched_getaffinity(0)),
        "resumed": bool(resume),
        "settings": arguments.settings,
        **{split: {score: metrics[split][score] for score in scores} for split in ("validation", "test")},
    }
    baselines = {
        baseline: {score: values[score] for score in scores if score in values}
        for baseline, values in metrics["baselines"].items()
        if isinstance(values, Mapping)
    }
    _add(name, recipe, run, baselines)


def _results() -> dict[str, Any]:
    if not RESULTS.is_file():
        return {"processor": _processor(), "data_sets": {}}
    results: dict[str, Any] = json.loads(RESULTS.read_text())
    return results


def _runs(results: dict[str, Any], name: str, recipe: str) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = (
        results["data_sets"].setdefault(name, {}).setdefault("recipes", {}).setdefault(recipe, [])
    )
    return runs


def _add(name: str, recipe: str, run: dict[str, Any], baselines: dict[str, Any]) -> None:
    """Adds a run to the results as they are now: another command may have written some since this run began."""
    with RESULTS.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = _results()
        _runs(results, name, recipe).append(run)
        results["data_sets"][name]["baselines"] = baselines
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def _overrides(name: str, recipe: str) -> list[str]:
    if recipe == "best":
        return []
    run_file = (PROJECT / "export" / DATA_SETS[name].run_file).read_text("utf-8")
    set_there = [key for key in DEFAULTS if f"\n{key.partition('.')[2]} = " in run_file]
    return [*(f"{key}={DEFAULTS[key]}" for key in set_there), *RECIPES[recipe]]


# === The page ===


def write_page(results: Mapping[str, Any]) -> None:
    """Writes the tables between the page's marks."""
    text = PAGE.read_text("utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{_tables(results)}\n{END}{after}", "utf-8")


def _tables(results: Mapping[str, Any]) -> str:
    return "\n".join(_table(name, results["data_sets"][name]) for name in DATA_SETS if name in results["data_sets"])


def _table(name: str, found: Mapping[str, Any]) -> str:
    data_set = DATA_SETS[name]
    scores = data_set.scores
    lines = [f"### {name}", "", f"{data_set.about[0].upper()}{data_set.about[1:]}.", ""]
    lines.append("| | " + " | ".join(score_name(score) for score in scores) + " | seeds | minutes |")
    lines.append("|---|" + "---|" * (len(scores) + 2))
    lines += [
        f"| {score_name(label)} | {_cells(values.get(score) for score in scores)} | | |"
        for label, values in found["baselines"].items()
    ]
    for recipe, runs in found["recipes"].items():
        if runs:
            values = " | ".join(_spread([run["test"][score] for run in runs]) for score in scores)
            lines.append(f"| {recipe} | {values} | {len(runs)} | {_minutes(runs)} |")
    command = f"bert-serving train export/{data_set.run_file} --set data.folder=FOLDER"
    return "\n".join([*lines, "", f"`{shlex.join(command.split())}`", ""])


def _minutes(runs: list[dict[str, Any]]) -> str:
    """Median minutes of a run, for each number of cores and each arithmetic."""
    kinds: dict[tuple[int, str], list[float]] = {}
    for run in runs:
        if run["minutes"] is None:  # It was stopped for a while.
            continue
        arithmetic = "bfloat16" if "training.mixed_precision=bfloat16" in run.get("settings", []) else "float32"
        kinds.setdefault((run.get("cores", 2), arithmetic), []).append(run["minutes"])
    return ", ".join(
        f"{statistics.median(minutes):g} ({arithmetic}, {'one core' if cores == 1 else f'{cores} cores'})"
        for (cores, arithmetic), minutes in kinds.items()
    )


def _cells(values: Iterable[float | None]) -> str:
    return " | ".join("" if value is None else f"{value:.4f}" for value in values)


def _spread(values: list[float]) -> str:
    mean = statistics.mean(values)
    return f"{mean:.4f}" if len(values) == 1 else f"{mean:.4f} ± {statistics.stdev(values):.4f}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
