"""`bert-serving calibrate`: what makes a run's probabilities mean what they say."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console, print_json, show_table

if TYPE_CHECKING:
    from bert_serving.evaluation.temperature import TemperatureFit
    from bert_serving.training.run_folder import RunFolder


def calibrate(
    run_dir: Annotated[Path, typer.Argument(help="Run folder that train wrote.", metavar="RUN_DIR")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the fit as JSON.")] = False,
) -> None:
    """Fit a temperature to a run, so that its probabilities mean what they say."""
    from bert_serving.observer import Observer
    from bert_serving.training.run_folder import RunFolder

    run = RunFolder(run_dir)
    run.config()  # says so when this is no run folder at all
    observer = Observer() if as_json else ConsoleObserver()
    with observer.stage("Starting TensorFlow"):
        from bert_serving.training.calibrate import calibrate

    fit = calibrate(run, observer=observer)
    if as_json:
        print_json(fit.to_json())
    else:
        show_fit(fit, run)


def show_fit(fit: "TemperatureFit", run: "RunFolder") -> None:
    """Prints what a temperature changes."""
    rows = [
        ["log loss", f"{fit.log_loss_before:.4f}", f"{fit.log_loss_after:.4f}"],
        ["calibration error", f"{fit.calibration_error_before:.4f}", f"{fit.calibration_error_after:.4f}"],
    ]
    show_table(f"Temperature {fit.scaling}, fitted on {fit.rows:,} validation rows", ("score", "before", "after"), rows)
    console.print(
        f"\n  written:  {run.calibration}\n"
        "  From now on predict, evaluate, report and export of this run give probabilities of the logits so scaled.",
        soft_wrap=True,
        markup=False,
    )
