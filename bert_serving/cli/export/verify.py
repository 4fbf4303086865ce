"""`bert-serving verify`: verifies that a SavedModel meets its contract."""

import re
from typing import Annotated

import typer

from bert_serving.cli.options import SavedModelArgument
from bert_serving.console import command_observer, print_json, show_lines


def verify(
    saved_model: SavedModelArgument,
    tf_serving: Annotated[
        str | None,
        typer.Option(
            help="Fail if the model needs operations that this TensorFlow Serving release lacks, such as 2.12."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Verify a SavedModel in a fresh process. The exit status is 1 if a check fails."""
    from bert_serving.errors import InputError, VerificationError
    from bert_serving.saved_model.verification.verify import verify_in_fresh_process
    from bert_serving.saved_model.versions import latest_version

    if tf_serving is not None and not re.fullmatch(r"\d+\.\d+", tf_serving):
        raise InputError(f"--tf-serving {tf_serving!r} is not a version; give one such as 2.12")
    folder = latest_version(saved_model)
    with command_observer(as_json=as_json).stage("Verifying in a fresh process"):
        result = verify_in_fresh_process(folder, minimum_tf_serving=tf_serving)
    if as_json:
        print_json(result.model_dump())
        raise typer.Exit(0 if result.passed else 1)
    if not result.passed:
        raise VerificationError(str(folder), result.problems)
    show_lines(
        f"  passed: {result.golden_texts} golden texts, "
        f"largest difference of a probability {result.max_probability_difference:.1e}\n"
        f"  operations: supported by TensorFlow Serving {result.oldest_tf_serving} and later"
    )
