"""A file of texts through a model server, with a bar."""

import asyncio
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from bert_serving.cli.display import console, error_console
from bert_serving.cli.model_argument import ServedModel, served_model


def stream_file(argument: str, source: Path, target: Path, *, retry_timeout: float) -> None:
    """Classifies each line of a file by a server.

    Args:
        argument: address of the model.
        source: file with one text a line.
        target: TSV file to write.
        retry_timeout: seconds to wait for a server that has gone.

    Raises:
        InputError: the address is none, or the output cannot be written.
        DataError, RequestError: see `TextFile.predict`.
    """
    from bert_serving.clients.text_file import TextFile
    from bert_serving.errors import DataError
    from bert_serving.files import check_writable

    served = served_model(argument)
    try:
        check_writable(target)
    except OSError as error:
        raise DataError(f"{target}: cannot write it: {error.strerror}; choose another --output") from None
    file = TextFile(source, target, server=argument)
    try:
        asyncio.run(_stream(file, served, source.stat().st_size, retry_timeout))
    except BaseException:
        if file.rows:
            error_console.print(
                f"  {file.rows:,} rows are kept in {file.part}; the same call continues", soft_wrap=True
            )
        raise
    console.print(f"  answers: {target} ({file.rows:,} rows)", soft_wrap=True, markup=False)


async def _stream(file: Any, served: ServedModel, size: int, retry_timeout: float) -> None:
    columns = (
        TextColumn("  Predicting"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("predicting", total=size, rows=0)

        def show(rows: int, done: int) -> None:
            bar.update(task, completed=done, rows=rows)

        async with _client(served, retry_timeout) as client:
            one_version = SimpleNamespace(predict=partial(client.predict, **served.choice))
            await file.predict(one_version, served.name, progress=show)


def _client(served: ServedModel, retry_timeout: float) -> Any:
    # The requests of a file wait for each other at a small server; only one that has gone is given up.
    settings: dict[str, Any] = {"retry_timeout": retry_timeout, "timeout": 300.0, **served.settings}
    if served.over_grpc:
        from bert_serving.clients.grpc_client import AsyncGrpcClient

        return AsyncGrpcClient(served.address, **settings)
    from bert_serving.clients.rest_client import AsyncRestClient

    return AsyncRestClient(served.address, **settings)
