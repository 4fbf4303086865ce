"""`bert-serving evaluate`: scores of a model on labeled text."""

from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, print_json, show_classes, show_metrics
from bert_serving.cli.model_argument import MODEL_HELP, answers, open_model


def evaluate(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    data: Annotated[list[Path], typer.Option(help="Labeled text. Repeatable.")],
    text: Annotated[str, typer.Option(help="Name of the text column.")] = "text",
    text_pair: Annotated[str | None, typer.Option(help="Name of the second text column, for pairs.")] = None,
    label: Annotated[str, typer.Option(help="Name of the label column.")] = "label",
    labels: Annotated[str | None, typer.Option(help="For a server: all labels in order, joined by commas.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Measure a model on labeled text."""
    from bert_serving.config import DataConfig
    from bert_serving.contract import Head
    from bert_serving.data.table import read_table
    from bert_serving.metrics import measure
    from bert_serving.observer import Observer

    observer = Observer() if as_json else ConsoleObserver()
    with observer.stage("Loading the model"):
        opened = open_model(model)
    head = opened.head or Head.SOFTMAX
    table = read_table(data, DataConfig(train=tuple(data), text=text, text_pair=text_pair, label=label), head)
    with observer.stage("Predicting"):
        predictions = answers(model, opened, table, head, labels.split(",") if labels else None)
    metrics = measure(head, predictions.labels, predictions.y_true, predictions.values)
    if as_json:
        print_json(metrics)
        return
    show_metrics("Scores", {", ".join(path.name for path in data): metrics})
    show_classes(metrics)
