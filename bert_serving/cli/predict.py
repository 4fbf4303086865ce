"""`bert-serving predict`: labels for texts, from a model of any kind."""

import re
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bert_serving.cli.display import ConsoleObserver, console, print_json, show_predictions
from bert_serving.cli.model_argument import MODEL_HELP, open_model
from bert_serving.cli.stream import stream_file
from bert_serving.contract import Head


def predict(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to classify.", metavar="[TEXT]...")] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="File with one text a line; - for standard input.")
    ] = None,
    output_file: Annotated[Path | None, typer.Option("--output", help="TSV file to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
    retry_timeout: Annotated[
        float, typer.Option(help="Seconds to wait for a server that has gone, with --input and --output.", min=0)
    ] = 600.0,
) -> None:
    """Classify texts given as arguments or in a file; with a server, a file of any size, continued after an interruption."""
    from bert_serving.answers import answer_texts
    from bert_serving.errors import InputError
    from bert_serving.observer import Observer

    if (
        "://" in model
        and input_file
        and output_file
        and not texts
        and not as_json
        and _is_streamed(input_file, output_file)
    ):
        stream_file(model, input_file, output_file, retry_timeout=retry_timeout)
        return
    rows = [*(texts or []), *(_read_lines(input_file) if input_file else [])]
    if not rows:
        raise InputError("nothing to classify; give texts as arguments or a file with --input")
    observer = Observer() if as_json else ConsoleObserver()
    with observer.stage("Loading the model"):
        opened = open_model(model)
    if opened.pairs:
        raise InputError("this model takes two texts for each row; use evaluate or a client for pairs")
    with observer.stage("Predicting"):
        scores = opened.predict(rows, None)
    names = _names(opened.head, opened.labels, scores.shape[1])
    if output_file is not None:
        _write(output_file, rows, answer_texts(opened.head, names, scores), names, scores)
    if as_json:
        print_json(
            [
                {"text": text, "probabilities": dict(zip(names, map(float, row), strict=True))}
                for text, row in zip(rows, scores, strict=True)
            ]
        )
    elif output_file is not None:
        console.print(f"  answers: {output_file}", soft_wrap=True, markup=False)
    else:
        show_predictions(rows, names, scores.tolist())


def _is_streamed(source: Path, target: Path) -> bool:
    """Whether the work can be continued later: both are plain files."""
    return source.is_file() and (target.is_file() or not target.exists())


def _read_lines(path: Path) -> list[str]:
    from bert_serving.errors import DataError

    try:
        text = sys.stdin.buffer.read().decode("utf-8") if str(path) == "-" else path.read_text("utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot read it: {error.strerror}; check --input") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; convert the file") from None
    # Not splitlines: it would also part texts at characters such as U+2028.
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _names(head: Head | None, labels: tuple[str, ...] | None, count: int) -> tuple[str, ...]:
    if head is Head.REGRESSION:
        return ("value",)
    return labels or tuple(f"class {place}" for place in range(count))


def _write(path: Path, texts: list[str], answers: list[str], names: tuple[str, ...], scores: np.ndarray) -> None:
    from bert_serving.errors import DataError
    from bert_serving.files import write_whole

    lines = ["\t".join(["text", "label", *names])]
    for text, answer, row in zip(texts, answers, scores, strict=True):
        # The project's TSV has no quotes: a tab or a line break cannot stand in a cell.
        cell = re.sub(r"[\t\r\n]", " ", text)
        lines.append("\t".join([cell, answer, *(f"{value:.6g}" for value in row)]))
    try:
        write_whole(path, ("\n".join(lines) + "\n").encode("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot write it: {error.strerror}; choose another --output") from None
