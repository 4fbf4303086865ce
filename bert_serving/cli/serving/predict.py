"""`bert-serving predict`: predicted labels for texts, from a model of any kind."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from bert_serving.cli.display import (
    command_observer,
    console,
    error_console,
    print_json,
    show_lines,
    show_predictions,
)
from bert_serving.cli.options import ModelArgument


def predict(
    model: ModelArgument,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to classify.", metavar="[TEXT]...")] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="File with one text a line; - for standard input.")
    ] = None,
    output_file: Annotated[Path | None, typer.Option("--output", help="TSV file to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the predictions as JSON.")] = False,
    retry_timeout: Annotated[
        float,
        typer.Option(help="Seconds to retry while a server is unavailable, with --input and --output.", min=0),
    ] = 600.0,
) -> None:
    """Classify texts given as arguments or in a file.

    With a server, the file may be of any size, and the same call continues after an interruption.
    """
    from bert_serving.clients.model_address import is_resumable
    from bert_serving.errors import InputError

    has_only_files = input_file is not None and output_file is not None and not texts and not as_json
    if "://" in model and has_only_files and is_resumable(input_file, output_file):  # type: ignore[arg-type]  # not None
        _predict_file(model, input_file, output_file, retry_timeout)  # type: ignore[arg-type]  # not None
        return
    rows = [*(texts or []), *(_read_lines(input_file) if input_file else [])]
    if not rows:
        raise InputError("nothing to classify; give texts as arguments or a file with --input")
    from bert_serving.model.model import open_model
    from bert_serving.model.texts import predict_texts

    observer = command_observer(as_json=as_json)
    with observer.stage("Loading the model"):
        opened = open_model(model)
    with observer.stage("Predicting"):
        predictions = predict_texts(opened, rows)
    if output_file is not None:
        predictions.write_tsv(output_file)
    if as_json:
        print_json(predictions.to_json())
    elif output_file is not None:
        show_lines(f"  predictions: {output_file}")
    else:
        show_predictions(rows, predictions.labels, predictions.values.tolist())


def _read_lines(path: Path) -> list[str]:
    from bert_serving.data.file_text import split_lines
    from bert_serving.errors import DataError

    try:
        return split_lines((sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()).decode("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot read it: {error.strerror}; check --input") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; convert the file") from None


def _predict_file(model: str, source: Path, target: Path, retry_timeout: float) -> None:
    """Classifies each line of a file on a server, with a progress bar."""
    from bert_serving.clients.model_address import ModelAddress, predict_file
    from bert_serving.clients.text_file import TextFile
    from bert_serving.errors import DataError
    from bert_serving.io.files import check_writable

    address = ModelAddress.parse(model)
    try:
        check_writable(target)
    except OSError as error:
        raise DataError(f"{target}: cannot write it: {error.strerror}; choose another --output") from None
    file = TextFile(source, target, server=model)
    columns = (
        TextColumn("  Predicting"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("predicting", total=source.stat().st_size, rows=0)

            def show(rows: int, done: int) -> None:
                bar.update(task, completed=done, rows=rows)

            predict_file(file, address, retry_timeout=retry_timeout, progress=show)
    except BaseException:
        if file.rows:
            kept = f"  {file.rows:,} rows are kept in {file.part}; the same call continues"
            error_console.print(kept, soft_wrap=True, markup=False)
        raise
    show_lines(f"  predictions: {target} ({file.rows:,} rows)")
