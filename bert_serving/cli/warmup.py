"""`bert-serving warmup`: logged requests become the requests that warm a version up."""

from pathlib import Path
from typing import Annotated

import typer

from bert_serving import contract
from bert_serving.cli.display import console


def warmup(
    logs: Annotated[
        list[Path], typer.Argument(help="Files that the server wrote with --request_log.", metavar="LOG...")
    ],
    to: Annotated[Path, typer.Option(help="SavedModel version folder, or a file to write.")],
    records: Annotated[
        int, typer.Option(help="Requests at most; TensorFlow Serving takes 1000.", min=1, max=1000)
    ] = 100,
    model: Annotated[str | None, typer.Option(help="Only requests for this model.")] = None,
) -> None:
    """Turn a request log into the warmup requests of a version."""
    from bert_serving.errors import InputError
    from bert_serving.saved_model.warmup import warmup_from_logs

    target = to
    if to.is_dir():
        if not (to / contract.GRAPH_FILE).is_file():
            raise InputError(
                f"{to}: no SavedModel; give the folder of a version, which holds saved_model.pb, or a file"
            )
        target = to / contract.WARMUP_FILE
    count = warmup_from_logs(logs, target, records=records, model=model)
    console.print(f"  {count} requests: {target}", soft_wrap=True, markup=False)
