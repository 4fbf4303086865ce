"""The report's tables of rows: texts with labels, answers and losses."""

from typing import Literal

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.comparison import Comparison
from bert_serving.evaluation.label_errors import LabelErrors
from bert_serving.evaluation.page.words import Names, out_of
from bert_serving.evaluation.predictions import Predictions
from bert_serving.html.parts import Cell, Column, Table, shortened

TEXT_CHARACTERS = 400
"""of a text in a table; with the page's limits on rows, 25,000 long reviews stay under 8 MB"""


def rows_table(predictions: Predictions, rows: np.ndarray, most: int, what: str) -> Table:
    """The first `most` of some rows; `what` says which they are."""
    regression = predictions.head is Head.REGRESSION
    columns = [Column("row", "number"), *_text_columns(predictions)]
    if regression:
        columns += [Column("right", "number"), Column("predicted", "number"), Column("distance", "number")]
    else:
        columns += [
            Column("label", "label"),
            Column("answer", "label"),
            Column("confidence", "percent"),
            Column("loss", "number"),
        ]
    body = [_row(predictions, int(row)) for row in rows[:most]]
    return Table(columns, body, caption=out_of("Rows", len(body), len(rows)) + f", {what}")


def _row(predictions: Predictions, row: int) -> list[Cell]:
    start: list[Cell] = [row + 1, *_texts(predictions, row)]
    loss = float(predictions.losses[row])
    if predictions.head is Head.REGRESSION:
        return [*start, float(predictions.y_true[row]), float(predictions.y_pred[row]), loss]
    answer = predictions.true_name(row), predictions.predicted_name(row)
    return [*start, *answer, float(predictions.confidence[row]), loss]


def _text_columns(predictions: Predictions) -> list[Column]:
    return [Column("text")] if predictions.table.pairs is None else [Column("text"), Column("second text")]


def _texts(predictions: Predictions, row: int) -> list[str]:
    table = predictions.table
    texts = [table.texts[row]] if table.pairs is None else [table.texts[row], table.pairs[row]]
    return [shortened(text, TEXT_CHARACTERS) for text in texts]


def label_errors_table(predictions: Predictions, found: LabelErrors, most: int) -> Table:
    """The `most` suspicious labels."""
    rows = found.ranking[: min(found.suspicious, most)]
    columns = [
        Column("rank", "number"),
        Column("row", "number"),
        *_text_columns(predictions),
        Column("label", "label"),
        Column("probability of the label", "percent"),
        Column("the model says", "label"),
        Column("with", "percent"),
    ]
    body: list[list[Cell]] = [
        [
            rank,
            int(row) + 1,
            *_texts(predictions, int(row)),
            predictions.true_name(int(row)),
            float(found.quality[row]),
            predictions.predicted_name(int(row)),
            float(predictions.confidence[row]),
        ]
        for rank, row in enumerate(rows, start=1)
    ]
    return Table(
        columns, body, caption=out_of("Labels that may be wrong, most suspicious first", len(body), found.suspicious)
    )


def changes_table(first: Predictions, found: Comparison, names: Names, most: int) -> Table:
    """Answers that two models do not share, at most `most` of each kind of change."""
    kind: Literal["number", "label"] = "number" if first.head is Head.REGRESSION else "label"
    columns = [
        Column("row", "number"),
        *_text_columns(first),
        *(Column(title, kind) for title in ("label", f"{names.model} says", f"{names.other} says")),
        Column("change", "label"),
    ]
    changes = {"better": found.mended, "worse": found.broken, "both wrong": found.otherwise}
    rows = [
        _changed_row(first, found.second, int(row), change)
        for change, all_rows in changes.items()
        for row in all_rows[:most]
    ]
    return Table(columns, rows, caption=out_of("Changed answers", len(rows), sum(map(len, changes.values()))))


def _changed_row(first: Predictions, second: Predictions, row: int, kind: str) -> list[Cell]:
    answers: list[Cell]
    if first.head is Head.REGRESSION:
        answers = [float(each) for each in (first.y_true[row], first.y_pred[row], second.y_pred[row])]
    else:
        answers = [first.true_name(row), first.predicted_name(row), second.predicted_name(row)]
    return [row + 1, *_texts(first, row), *answers, kind]
