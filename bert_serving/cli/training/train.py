"""`bert-serving train`: trains a classifier from a run file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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
)
from bert_serving.wording import score_name


def train(
    run_file: Annotated[
        Path, typer.Argument(help="Run file (TOML); its keys are in docs/reference/run_files.md.", metavar="RUN.toml")
    ],
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder to write.", show_default="runs/<name of the run file>")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the unfinished run in --out.")] = False,
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
    with observer.stage("Starting TensorFlow"):
        from bert_serving.training.run import train

    with resumable(observer, ["train", str(run_file), *sets, "--out", str(out)]):
        trained = train(config, out, resume=resume, observer=observer, end=restart)
    if as_json:
        print_json(trained.metrics)
        return
    show_results(trained.metrics)
    show_lines(f"\n  run folder: {out}\n  plots:      {trained.run.pictures}")


def show_results(metrics: Mapping[str, Any]) -> None:
    """Prints the scores of a run beside those of the baselines."""
    split = metrics["baselines"]["on"]
    baselines = {
        f"{score_name(name)} ({split})": scores for name, scores in metrics["baselines"].items() if name != "on"
    }
    splits = {name: metrics[name] for name in ("validation", "test") if name in metrics}
    show_metrics("Scores", splits | baselines)
    show_classes(metrics[split])
