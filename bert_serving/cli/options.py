"""Arguments and options that several commands share."""

import csv
import os
from pathlib import Path
from typing import Annotated

import typer


def _go_offline(chosen: bool) -> None:
    if chosen:
        os.environ["BERT_SERVING_OFFLINE"] = "1"


MODEL_HELP = "Run folder, SavedModel folder, grpc://host:port/name or http://host:port/name."
MODEL_NAME_HELP = "Name of the model in models.config."

Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Download nothing: use only cached and local files (as BERT_SERVING_OFFLINE=1).",
        callback=_go_offline,
        is_eager=True,
        expose_value=False,
    ),
]
"""type of the unused parameter `offline`: the callback sets the environment variable"""
ModelArgument = Annotated[str, typer.Argument(help=MODEL_HELP)]
RunArgument = Annotated[Path, typer.Argument(help="Run folder that train wrote.", metavar="RUN_DIR")]
SavedModelArgument = Annotated[
    Path, typer.Argument(help="Version folder, or a folder of versions, of which the highest is used.")
]
PublishedArgument = Annotated[
    str, typer.Argument(help="Folder of the model's published versions, or its URL: s3://bucket/models/NAME.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a key, such as training.epochs=5. Repeatable.", metavar="KEY=VALUE"),
]
TextColumn = Annotated[str, typer.Option("--text", help="Name of the text column.")]
TextPairColumn = Annotated[
    str | None, typer.Option("--text-pair", help="Name of the second text column, for pairs of texts.")
]
UnlabeledTextColumn = Annotated[
    str | None,
    typer.Option("--text", help="Name of the text column.", show_default="text, or the only column of texts"),
]
_LABEL_HELP = "Name of the label column; for multilabel models also several columns of 0 and 1, separated by commas."
LabelColumn = Annotated[str, typer.Option("--label", help=_LABEL_HELP)]
RunTextColumn = Annotated[
    str | None, typer.Option("--text", help="Name of the text column.", show_default="the run's own, else text")
]
RunTextPairColumn = Annotated[
    str | None,
    typer.Option(
        "--text-pair", help="Name of the second text column, for pairs of texts.", show_default="the run's own"
    ),
]
RunLabelColumn = Annotated[
    str | None, typer.Option("--label", help=_LABEL_HELP, show_default="the run's own, else label")
]
ServerLabels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        help="Names of all labels in order, for a server that does not tell: a file with one a line, or a,b,c.",
        metavar="FILE|A,B,...",
    ),
]
Servers = Annotated[
    list[str] | None,
    typer.Option("--server", help="Address of a server's gRPC port, host:port. Repeatable."),
]
ModelsConfigOption = Annotated[Path, typer.Option("--config", help="Path of the servers' models.config.")]
PublishedAt = Annotated[
    str | None,
    typer.Option(
        "--at",
        help="Folder or URL of the model's published versions, to check that they exist.",
        show_default="the base_path in models.config, if it is a local folder",
    ),
]
LoadTimeout = Annotated[float, typer.Option("--timeout", help="Seconds for a version to become AVAILABLE.")]


def label_columns(value: str) -> str | tuple[str, ...]:
    """The column in the value of `--label`, or the columns separated by commas; quotes protect a comma in a name."""
    names = next(csv.reader([value], skipinitialspace=True), [])
    return tuple(names) if len(names) > 1 else names[0] if names else value


def labels_option(value: str | None) -> list[str] | None:
    """The names in the value of `--labels`: the lines of a file, or parts between commas.

    Raises:
        InputError: there is no such file, or a name is empty or comes twice.
        DataError: the file cannot be read.
    """
    if value is None:
        return None
    from bert_serving.errors import InputError

    path = Path(value)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # a long list is no name of a file
        is_file = False
    if is_file:
        from bert_serving.data.file_text import read_text, split_lines

        labels = split_lines(read_text(path))
    elif "," not in value and ("/" in value or path.suffix):
        raise InputError(f"--labels {value}: no such file; give a file with one label a line, or a,b,c")
    else:
        labels = [label.strip() for label in value.split(",")]
    for number, label in enumerate(labels, 1):
        if not label.strip():
            raise InputError(f"--labels {value}: label {number} is empty; name all labels in order")
        if label in labels[: number - 1]:
            raise InputError(f"--labels {value}: names {label!r} twice; name each label once, in order")
    if not labels:
        raise InputError(f"--labels {value}: the file is empty; give one label a line")
    return labels
