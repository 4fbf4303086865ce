"""`bert-serving train`: a run file to a run folder."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console, print_json, show_classes, show_metrics, spelled
from bert_serving.cli.offline import Offline


def train(
    run_file: Annotated[
        Path, typer.Argument(help="Run file (TOML); docs/run_files.md lists its keys.", metavar="RUN.toml")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a key, such as training.epochs=5. Repeatable.", metavar="KEY=VALUE"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder to write.", show_default="runs/<name of the run file>")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run in --out.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the metrics as JSON at the end, nothing else.")
    ] = False,
    offline: Offline = False,
) -> None:
    """Train and evaluate a classifier."""
    from bert_serving.config import load_run_file

    config = load_run_file(run_file, overrides or [])
    out = out or Path("runs") / run_file.stem
    from bert_serving.observer import Observer

    sets = [part for override in overrides or [] for part in ("--set", override)]
    observer = Observer() if as_json else ConsoleObserver()
    with observer.stage("Starting TensorFlow"):
        from bert_serving.training.run import train

    if not isinstance(observer, ConsoleObserver):
        print_json(train(config, out, resume=resume, observer=observer).metrics)
        return
    try:
        trained = train(config, out, resume=resume, observer=observer)
    except KeyboardInterrupt:
        observer.close()
        again = shlex.join(["bert-serving", "train", str(run_file), *sets, "--out", str(out), "--resume"])
        console.print(f"\n  stopped; go on with: {again}", soft_wrap=True, markup=False)
        raise
    finally:
        observer.close()
    show_results(trained.metrics)
    console.print(f"\n  run folder: {out}\n  pictures:   {trained.run.pictures}", soft_wrap=True, markup=False)


def show_results(metrics: dict) -> None:
    """Prints the scores of a run beside those of the baselines."""
    measured = metrics["baselines"]["on"]
    beside = {name: values for name, values in metrics["baselines"].items() if name != "on"}
    splits = {name: metrics[name] for name in ("validation", "test") if name in metrics}
    show_metrics("Scores", splits | {f"{spelled(name)} ({measured})": values for name, values in beside.items()})
    show_classes(metrics[measured])
