"""`bert-serving predict`: predicted labels for texts, from a model of any kind."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bert_serving.cli.options import ModelArgument, TextPairColumn, UnlabeledTextColumn
from bert_serving.console import (
    command_observer,
    console,
    error_console,
    print_json,
    show_lines,
    show_predictions,
)
from bert_serving.contract import TEXT_PAIR
from bert_serving.observer import Observer

if TYPE_CHECKING:
    from bert_serving.data.unlabeled import TextSource
    from bert_serving.model.model import Model
    from bert_serving.model.remote import RemoteModel


def predict(
    model: ModelArgument,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to classify.", metavar="[TEXT]...")] = None,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input", help="Table, .txt file with one text a line, or folder of .txt files; - for standard input."
        ),
    ] = None,
    text: UnlabeledTextColumn = None,
    text_pair: TextPairColumn = None,
    output_file: Annotated[
        Path | None, typer.Option("--output", help="File to write: .tsv, .csv or .jsonl, a row for each row.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the predictions as JSON.")] = False,
    retry_timeout: Annotated[
        float,
        typer.Option(help="Seconds to retry while a server is unavailable, with --input and --output.", min=0),
    ] = 600.0,
) -> None:
    """Classify texts given as arguments or in a file.

    With a server, the file may be of any size, and the same call continues after an interruption.
    """
    from bert_serving.data.unlabeled import TextColumns, TextSource
    from bert_serving.errors import InputError
    from bert_serving.model.prediction_file import is_resumable

    observer = command_observer(as_json=as_json)
    columns = TextColumns(text, text_pair)
    if output_file is not None:
        _check_writable(output_file)
    source = None if input_file is None else TextSource(input_file, columns)
    if source is None and columns != TextColumns():
        raise InputError("--text and --text-pair name columns of a table; give one with --input")
    is_streamed = "://" in model and not texts and not as_json
    if is_streamed and source is not None and output_file is not None and is_resumable(source.path, output_file):
        _predict_file(model, source, output_file, retry_timeout, observer)
        return
    rows = [] if source is None else list(source)
    if not rows and not texts:
        raise InputError("nothing to classify; give texts as arguments or a file with --input")
    from bert_serving.model.texts import predict_texts

    with observer.stage("Loading the model"):
        opened = _open(model)
    if opened.pairs and source is not None and source.is_table and text_pair is None:
        source = TextSource(source.path, replace(columns, text_pair=TEXT_PAIR))
        rows = list(source)
    firsts = [*(texts or []), *(row.text for row in rows)]
    seconds = [row.pair for row in rows if row.pair is not None] or None
    if seconds and texts:
        raise InputError("texts given as arguments have no second text; leave them out beside --text-pair")
    if source is not None:
        _tell(source, sum(not row.text.strip() for row in rows), observer)
    with observer.stage("Predicting"):
        predictions = predict_texts(opened, firsts, seconds)
    if output_file is not None:
        cleaned = predictions.write(output_file)
    if as_json:
        print_json(predictions.to_json())
    elif output_file is not None:
        _tell_cleaned(cleaned, observer)
        show_lines(f"  predictions: {output_file}")
    else:
        show_predictions(firsts, predictions.labels, predictions.rows)


def _open(name: str) -> "Model | RemoteModel":
    """Opens a model; a server is asked without numpy and TensorFlow, which the base package does not install."""
    if "://" in name:
        from bert_serving.model.remote import RemoteModel

        return RemoteModel.open(name)
    from bert_serving.model.model import open_model

    return open_model(name)


def _tell(source: "TextSource", empty: int, observer: Observer) -> None:
    """Says what was left out and repaired in reading, and how many rows have no text."""
    from bert_serving.wording import agreeing, counted

    for line in source.reading.lines():
        observer.note(line)
    if empty:
        observer.note(
            f"{source.path.name}: {counted(empty, 'row')} without a text {agreeing(empty, 'is', 'are')} classified as empty"
        )


def _tell_cleaned(cleaned: int, observer: Observer) -> None:
    from bert_serving.wording import counted

    if cleaned:
        observer.note(
            f"tabs and line breaks in the texts of {counted(cleaned, 'row')} are written as blanks; .csv and .jsonl keep them"
        )


def _check_writable(target: Path) -> None:
    from bert_serving.errors import DataError
    from bert_serving.io.files import check_writable
    from bert_serving.io.table_lines import TableFormat

    TableFormat.of(target)
    try:
        check_writable(target)
    except OSError as error:
        raise DataError(f"{target}: cannot write it: {error.strerror}; choose another --output") from None


def _predict_file(model: str, source: "TextSource", target: Path, retry_timeout: float, observer: Observer) -> None:
    """Classifies each row of a file on a server, with a progress bar."""
    from bert_serving.clients.model_address import ModelAddress
    from bert_serving.model.prediction_file import PredictionFile, predict_file

    address = ModelAddress.parse(model)
    file = PredictionFile(source, target, server=model)
    columns = (
        TextColumn("  Predicting"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("predicting", total=source.size, rows=0)

            def show(rows: int, done: int) -> None:
                bar.update(task, completed=done, rows=rows)

            predict_file(file, address, retry_timeout=retry_timeout, progress=show)
    except BaseException:
        if file.rows:
            kept = f"  {file.rows:,} rows are kept in {file.part}; the same call continues"
            error_console.print(kept, soft_wrap=True, markup=False)
        raise
    _tell(source, file.empty, observer)
    _tell_cleaned(file.cleaned, observer)
    show_lines(f"  predictions: {target} ({file.rows:,} rows)")
