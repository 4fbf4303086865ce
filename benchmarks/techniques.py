"""Techniques of fine-tuning, each alone: accuracy on validation and test rows, over several seeds and data sets.

    python benchmarks/techniques.py --data data/trec6 data/emotion --model all-MiniLM-L6-v2 \\
        [--rows 2000] [--seeds 3] [--epochs 3] [--settings base label_smoothing=0.1] [--out FILE]

Each data set is a folder with `train.tsv`, `test.tsv` and, if there is one, `validation.tsv` (`.gz` of them, too), with the
columns text and label, or text_a, text_b and label; `--label` names another. A seed draws the training rows, the head's weights
and the order of rows. Results are written after each run, and runs that the file has are not repeated. For each data set the
setting with the greatest mean accuracy on validation rows is named, with its mean accuracy on test rows: whoever chooses by test
rows finds a winner by chance. Writes benchmarks/results/techniques.json.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import interleaved

from bert_serving.config import RunConfig, is_address, parse_run_config
from bert_serving.data.raw_table import read_raw_table
from bert_serving.training.run import train

BASE = "base"
# Overrides of the base by the name of the setting.
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    BASE: {},
    "layerwise_learning_rate_decay=0.9": {"training": {"layerwise_learning_rate_decay": 0.9}},
    "layerwise_learning_rate_decay=0.7": {"training": {"layerwise_learning_rate_decay": 0.7}},
    "reinitialized_layers=1": {"encoder": {"reinitialized_layers": 1}},
    "reinitialized_layers=2": {"encoder": {"reinitialized_layers": 2}},
    "label_smoothing=0.1": {"training": {"label_smoothing": 0.1}},
    "class_weights=true": {"training": {"class_weights": True}},
    "class_weights=effective_number": {"training": {"class_weights": "effective_number"}},
    "adversarial_epsilon=1.0": {"training": {"adversarial_epsilon": 1.0}},
    "average_last_epochs=2": {"training": {"average_last_epochs": 2}},
    "gradual_unfreezing=2": {"training": {"gradual_unfreezing": 2}},
    "thresholds=fitted": {"head": {"thresholds": "fitted"}},
}
SCORES = ("accuracy", "macro_f1")
RESULTS = Path(__file__).parent / "results" / "techniques.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Techniques of fine-tuning, each alone.")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders with train.tsv and test.tsv")
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="folder or name of an encoder")
    parser.add_argument("--rows", type=int, default=2000, help="training rows, at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--label", default="label", help="name of the label column")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), metavar="SETTING")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    result = json.loads(arguments.out.read_text("utf-8")) if arguments.out.is_file() else {"runs": []}
    result["machine"] = interleaved.machine()
    done = {_key(run) for run in result["runs"]}
    for folder in arguments.data:
        for seed in range(arguments.seeds):
            for setting in arguments.settings:
                facts = {
                    "data": folder.resolve().name,
                    "model": Path(arguments.model).name,
                    "rows": arguments.rows,
                    "epochs": arguments.epochs,
                    "setting": setting,
                    "seed": seed,
                }
                if _key(facts) not in done:
                    result["runs"].append(facts | measured(config_of(folder, setting, seed, arguments)))
                    result["table"] = table_of(result["runs"])
                    _write(arguments.out, result)
                    print(_line(result["runs"][-1]), flush=True)
    result["table"] = table_of(result["runs"])
    _write(arguments.out, result)
    _print(result["table"])


def config_of(folder: Path, setting: str, seed: int, arguments: argparse.Namespace) -> RunConfig:
    """The run file of one run."""
    files = {name: path for name in ("train", "validation", "test") if (path := _file(folder, name)) is not None}
    columns = read_raw_table(files["train"]).names
    pair = {"text": "text_a", "text_pair": "text_b"} if "text_b" in columns else {}
    tables: dict[str, dict[str, Any]] = {
        "data": {**files, **pair, "label": arguments.label, "max_train_rows": arguments.rows},
        "encoder": _encoder(arguments.model),
        "training": {"epochs": arguments.epochs, "seed": seed},
    }
    for table, changes in SETTINGS[setting].items():
        tables[table] = tables.get(table, {}) | changes
    return parse_run_config(tables, source=setting)


def measured(config: RunConfig) -> dict[str, Any]:
    """Scores on validation and test rows of one run, whose folder is removed."""
    with tempfile.TemporaryDirectory(prefix="techniques-") as folder:
        metrics = train(config, Path(folder) / "run").metrics
    return {
        split: {name: metrics[split][name] for name in SCORES} for split in ("validation", "test") if split in metrics
    }


def table_of(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and sample deviation over the seeds for each data set and setting; `is_chosen` marks the best on validation rows."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault(_key(run)[:-1], []).append(run)
    rows = []
    for same in groups.values():
        row = {name: same[0][name] for name in ("data", "model", "rows", "epochs", "setting")} | {"seeds": len(same)}
        for split in ("validation", "test"):
            for score in SCORES:
                values = [run[split][score] for run in same if split in run]
                if values:
                    deviation = statistics.stdev(values) if len(values) > 1 else None
                    row[f"{split}_{score}"] = {"mean": statistics.fmean(values), "deviation": deviation}
        rows.append(row)
    best: dict[tuple[Any, ...], float] = {}
    for row in rows:
        best[_set(row)] = max(best.get(_set(row), 0.0), row["validation_accuracy"]["mean"])
    return [row | {"is_chosen": row["validation_accuracy"]["mean"] == best[_set(row)]} for row in rows]


def _set(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["data"], row["model"], row["rows"], row["epochs"])


def _key(run: dict[str, Any]) -> tuple[Any, ...]:
    return (*_set(run), run["setting"], run["seed"])


def _file(folder: Path, name: str) -> Path | None:
    paths = (folder.resolve() / f"{name}.tsv{ending}" for ending in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def _encoder(model: str) -> dict[str, Any]:
    if not is_address(model) and Path(model).exists():
        return {"path": Path(model).resolve()}
    return {"name": model}


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    partial.replace(path)


def _line(run: dict[str, Any]) -> str:
    scores = " ".join(f"{split} {run[split]['accuracy']:.4f}" for split in ("validation", "test") if split in run)
    return f"{run['data']:<18} seed {run['seed']} {run['setting']:<34} {scores}"


def _print(table: list[dict[str, Any]]) -> None:
    for row in table:
        parts = []
        for split in ("validation", "test"):
            if score := row.get(f"{split}_accuracy"):
                deviation = "" if score["deviation"] is None else f" +- {score['deviation']:.4f}"
                parts.append(f"{split} {score['mean']:.4f}{deviation}")
        print(f"{row['data']:<18} {row['setting']:<34} {'  '.join(parts)}{'  chosen' if row['is_chosen'] else ''}")


if __name__ == "__main__":
    main()
