"""`bert-serving predict`: labels for texts, from a model of any kind."""

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.display import print_json, show_predictions
from bert_serving.cli.model_argument import MODEL_HELP, open_model


def predict(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to classify.", metavar="[TEXT]...")] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="File with one text a line; - for standard input.")
    ] = None,
    output_file: Annotated[Path | None, typer.Option("--output", help="TSV file to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
) -> None:
    """Classify texts given as arguments or in a file."""
    from bert_serving.errors import InputError

    rows = [*(texts or []), *(_read_lines(input_file) if input_file else [])]
    if not rows:
        raise InputError("nothing to classify; give texts as arguments or a file with --input")
    opened = open_model(model)
    if opened.pairs:
        raise InputError("this model takes two texts for each row; use evaluate or a client for pairs")
    scores = opened.predict(rows, None)
    names = opened.labels or tuple(f"class {place}" for place in range(scores.shape[1]))
    if output_file is not None:
        _write(output_file, rows, names, scores)
    elif as_json:
        print_json(
            [
                {"text": text, "probabilities": dict(zip(names, map(float, row), strict=True))}
                for text, row in zip(rows, scores, strict=True)
            ]
        )
    else:
        show_predictions(rows, names, scores.tolist())


def _read_lines(path: Path) -> list[str]:
    from bert_serving.errors import DataError

    try:
        text = sys.stdin.buffer.read().decode("utf-8") if str(path) == "-" else path.read_text("utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot read it: {error.strerror}; check --input") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; convert the file") from None
    return text.splitlines()


def _write(path: Path, texts: list[str], names: tuple[str, ...], scores: object) -> None:
    from bert_serving.errors import DataError

    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(["text", "label", *names])
            for text, row in zip(texts, scores, strict=True):  # type: ignore[call-overload]
                writer.writerow([text, names[int(row.argmax())], *(f"{value:.6g}" for value in row)])
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot write it: {error.strerror}; choose another --output") from None
