"""`bert-serving warmup`: turns logged requests into the warmup requests of a version."""

from pathlib import Path
from typing import Annotated

import typer

from bert_serving import contract
from bert_serving.console import show_lines


def warmup(
    logs: Annotated[
        list[Path], typer.Argument(help="Files that the server wrote with --request_log.", metavar="LOG...")
    ],
    to: Annotated[Path, typer.Option(help="SavedModel version folder, or a file to write.")],
    records: Annotated[
        int,
        typer.Option(help="Largest number of requests; TensorFlow Serving takes up to 1000.", min=1, max=1000),
    ] = 100,
    model: Annotated[str | None, typer.Option(help="Use only requests for this model.", show_default="all")] = None,
) -> None:
    """Turn a request log into the warmup requests of a version."""
    from bert_serving.errors import InputError
    from bert_serving.saved_model.warmup import warmup_from_logs

    target = to
    if to.is_dir():
        if not (to / contract.GRAPH_FILE).is_file():
            raise InputError(
                f"{to}: not a SavedModel; give a version folder, which contains saved_model.pb, or a file to write"
            )
        target = to / contract.WARMUP_FILE
    count = warmup_from_logs(logs, target, records=records, model=model)
    show_lines(f"  {count} requests: {target}")
