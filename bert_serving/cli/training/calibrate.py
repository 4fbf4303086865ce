"""`bert-serving calibrate`: temperature scaling of a run."""

from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.options import RunArgument
from bert_serving.console import command_observer, print_json, show_lines, show_table

if TYPE_CHECKING:
    from bert_serving.evaluation.temperature import TemperatureFit
    from bert_serving.training.run_folder import RunFolder


def calibrate(
    run_dir: RunArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print the fit as JSON.")] = False,
) -> None:
    """Calibrate a run's probabilities by temperature scaling, fitted on its validation split."""
    from bert_serving.training.run_folder import RunFolder

    run = RunFolder(run_dir)
    run.config()  # reports a folder that is not a run folder before TensorFlow is imported
    observer = command_observer(as_json=as_json)
    with observer.stage("Starting TensorFlow"):
        from bert_serving.training.calibrate import calibrate

    fit = calibrate(run, observer=observer)
    if as_json:
        print_json(fit.to_json())
    else:
        show_fit(fit, run)


def show_fit(fit: "TemperatureFit", run: "RunFolder") -> None:
    """Prints the scores before and after temperature scaling."""
    rows = [
        ["log loss", f"{fit.log_loss_before:.4f}", f"{fit.log_loss_after:.4f}"],
        ["calibration error", f"{fit.calibration_error_before:.4f}", f"{fit.calibration_error_after:.4f}"],
    ]
    show_table(f"Temperature {fit.scaling}, fitted on {fit.rows:,} validation rows", ("score", "before", "after"), rows)
    show_lines(
        f"\n  written:  {run.calibration}\n"
        "  predict, evaluate, report and export of this run now use the scaled logits."
    )
