"""`bert-serving evaluate`: scores of a model on labeled text."""

from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.options import (
    LabelColumn,
    ModelArgument,
    ServerLabels,
    TextColumn,
    TextPairColumn,
    label_columns,
    labels_option,
)
from bert_serving.console import command_observer, print_json, show_classes, show_metrics, show_reading


def evaluate(
    model: ModelArgument,
    data: Annotated[list[Path], typer.Option(help="Labeled text. Repeatable.")],
    text: TextColumn = "text",
    text_pair: TextPairColumn = None,
    label: LabelColumn = "label",
    labels: ServerLabels = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Measure accuracy, F1 and other metrics of a model on labeled text."""
    from bert_serving.config import DataConfig
    from bert_serving.contract import Head
    from bert_serving.data.table import read_table
    from bert_serving.model.model import open_model, predict_table

    observer = command_observer(as_json=as_json)
    with observer.stage("Loading the model"):
        opened = open_model(model, labels_option(labels))
    columns = DataConfig(train=tuple(data), text=text, text_pair=text_pair, label=label_columns(label))
    table = read_table(data, columns, opened.head or Head.SOFTMAX)
    show_reading(table.reading)
    with observer.stage("Predicting"):
        predictions = predict_table(opened, table)
    metrics = predictions.metrics
    if as_json:
        print_json(metrics)
        return
    show_metrics("Scores", {", ".join(path.name for path in data): metrics})
    show_classes(metrics)
