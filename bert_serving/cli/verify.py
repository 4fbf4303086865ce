"""`bert-serving verify`: does a SavedModel still do what its contract says?"""

import re
from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console, print_json


def verify(
    saved_model: Annotated[
        Path, typer.Argument(help="Version folder, or a folder of versions (the highest is taken).")
    ],
    tf_serving: Annotated[
        str | None, typer.Option(help="Refuse operations that this TensorFlow Serving lacks, such as 2.12.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Check a SavedModel in a fresh process. Exit status 1 when a check fails."""
    from bert_serving.errors import InputError, VerificationError
    from bert_serving.observer import Observer
    from bert_serving.saved_model.verification.verify import verify_in_fresh_process
    from bert_serving.saved_model.versions import latest_version

    if tf_serving is not None and not re.fullmatch(r"\d+\.\d+", tf_serving):
        raise InputError(f"--tf-serving {tf_serving!r} is no version; give one such as 2.12")
    folder = latest_version(saved_model)
    with (Observer() if as_json else ConsoleObserver()).stage("Verifying in a fresh process"):
        result = verify_in_fresh_process(folder, minimum_tf_serving=tf_serving)
    if as_json:
        print_json(result.model_dump())
        raise typer.Exit(0 if result.passed else 1)
    if not result.passed:
        raise VerificationError(str(folder), result.problems)
    console.print(
        f"  passed: {result.golden_texts} golden texts, largest difference of a probability {result.max_probability_difference:.1e}\n"
        f"  operations: TensorFlow Serving {result.oldest_tf_serving} and later have all",
        soft_wrap=True,
    )
