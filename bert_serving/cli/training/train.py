"""`bert-serving train`: trains a classifier from a run file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bert_serving.cli.options import Offline, Overrides
from bert_serving.cli.restart import restart
from bert_serving.console import (
    command_observer,
    print_json,
    resumable,
    show_classes,
    show_lines,
    show_metrics,
    show_table,
)
from bert_serving.observer import Observer
from bert_serving.wording import counted, score_name

if TYPE_CHECKING:
    from bert_serving.config import RunConfig
    from bert_serving.tuning.seeds import SeedRuns


def train(
    run_file: Annotated[
        Path, typer.Argument(help="Run file (TOML); its keys are in docs/reference/run_files.md.", metavar="RUN.toml")
    ],
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder to write.", show_default="runs/<name of the run file>")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the unfinished run in --out.")] = False,
    seeds: Annotated[
        int | None,
        typer.Option(
            help="Train with this many seeds, from training.seed on; --out becomes the run that is best by validation.",
            show_default="one",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the metrics as JSON at the end, and nothing else.")
    ] = False,
    offline: Offline = False,  # noqa: ARG001  its callback sets the environment
) -> None:
    """Fine-tune a BERT classifier on labeled text and evaluate it."""
    from bert_serving.config import load_run_file

    config = load_run_file(run_file, overrides or [])
    out = out or Path("runs") / run_file.stem
    sets = [word for override in overrides or [] for word in ("--set", override)]
    observer = command_observer(as_json=as_json)
    if seeds is not None:
        show_seeds(_train_seeds(config, out, seeds, resume, observer, [str(run_file), *sets]), as_json=as_json)
        return
    with observer.stage("Starting TensorFlow"):
        from bert_serving.training.run import train

    with resumable(observer, ["train", str(run_file), *sets, "--out", str(out)]):
        trained = train(config, out, resume=resume, observer=observer, end=restart)
    if as_json:
        print_json(trained.metrics)
        return
    show_results(trained.metrics)
    show_lines(f"\n  run folder: {out}\n  plots:      {trained.run.pictures}")


def _train_seeds(
    config: "RunConfig", out: Path, seeds: int, resume: bool, observer: Observer, words: Sequence[str]
) -> "SeedRuns":
    with observer.stage("Starting TensorFlow"):
        from bert_serving.tuning.seeds import train_seeds

    with resumable(observer, ["train", *words, "--out", str(out), "--seeds", str(seeds)]):
        return train_seeds(config, out, seeds=seeds, resume=resume, observer=observer)


def show_seeds(runs: "SeedRuns", *, as_json: bool) -> None:
    """Prints the scores of each seed, their mean and deviation, and which run was chosen."""
    table, out = runs.table, runs.run.path
    if as_json:
        print_json(table)
        return
    columns = [
        (split, name)
        for split, scores in table["summary"].items()
        for name in dict.fromkeys((table["metric"], "accuracy", "macro_f1", "spearman"))
        if name in scores
    ]
    rows = [
        [
            str(row["seed"]),
            *(f"{row[split][name]:.4f}" if split in row else "" for split, name in columns),
            "chosen" if row["seed"] == table["chosen"] else "",
            row["failure"] or "",
        ]
        for row in table["seeds"]
    ]
    for statistic in ("mean", "deviation"):
        values = [table["summary"][split][name][statistic] for split, name in columns]
        rows.append([statistic, *("" if value is None else f"{value:.4f}" for value in values), "", ""])
    names = [f"{score_name(name)} ({split})" for split, name in columns]
    show_table("Seeds", ("seed", *names, "", "failure"), rows)
    chosen = next(row for row in table["seeds"] if row["seed"] == table["chosen"])
    failed = sum(row["failure"] is not None for row in table["seeds"])
    if failed:
        show_lines(
            f"\n  {failed} of {counted(len(table['seeds']), 'seed')} failed; more epochs and a longer warmup help (arXiv:2006.05987)"
        )
    show_lines(
        f"\n  chosen by {score_name(table['metric'])} on validation: seed {chosen['seed']} ({chosen['selection']:.4f}); "
        "test scores did not decide\n"
        "  deviation: of the sample (n - 1)\n"
        f"  run folder: {out}, the run of seed {chosen['seed']}\n  all seeds:  {out / 'seeds'}, scores in {out / 'seeds.json'}"
    )


def show_results(metrics: Mapping[str, Any]) -> None:
    """Prints the scores of a run beside those of the baselines."""
    split = metrics["baselines"]["on"]
    baselines = {
        f"{score_name(name)} ({split})": scores for name, scores in metrics["baselines"].items() if name != "on"
    }
    splits = {name: metrics[name] for name in ("validation", "test") if name in metrics}
    show_metrics("Scores", splits | baselines)
    show_classes(metrics[split])
