"""The report's tables of rows: texts with labels, predictions and losses."""

from collections.abc import Callable

import numpy as np

from bert_serving.contract import Head
from bert_serving.evaluation.comparison import Comparison
from bert_serving.evaluation.label_errors import LabelErrors
from bert_serving.evaluation.page.names import ReportNames
from bert_serving.evaluation.predictions import Predictions
from bert_serving.html.parts import Field, Matrix, SortableTable, table_of
from bert_serving.wording import shortened, shown_of

TEXT_CHARACTERS = 400
"""of a text in a table; with the page's limits on rows, 25,000 long reviews stay under 8 MB"""


def rows_table(predictions: Predictions, rows: np.ndarray, most: int, description: str) -> SortableTable:
    """The first `most` of some rows; `description` says which rows they are."""
    shown = rows[:most].tolist()
    fields = _row_fields(predictions)
    return table_of(shown, fields, f"{shown_of(len(shown), len(rows), 'row')}, {description}")


def label_errors_table(predictions: Predictions, errors: LabelErrors, most: int) -> SortableTable:
    """The `most` suspicious labels."""
    rows = errors.ranking[: min(errors.suspicious, most)].tolist()
    ranks = {row: rank for rank, row in enumerate(rows, start=1)}
    fields: list[Field[int]] = [
        ("rank", "number", lambda row: ranks[row]),
        _row_number(),
        *_texts(predictions),
        ("label", "label", predictions.true_label),
        ("probability of the label", "percent", lambda row: float(errors.quality[row])),
        ("predicted label", "label", predictions.predicted_label),
        ("confidence", "percent", lambda row: float(predictions.confidence[row])),
    ]
    caption = f"Probable label errors, most suspicious first: {shown_of(len(rows), errors.suspicious, 'row')}"
    return table_of(rows, fields, caption)


def changes_table(first: Predictions, comparison: Comparison, names: ReportNames, most: int) -> SortableTable:
    """Predictions in which two models differ, at most `most` of each kind of change."""
    second = comparison.second
    changes = {
        "fixed": comparison.fixed,
        "regressed": comparison.regressed,
        "both incorrect": comparison.changed_incorrect,
    }
    kind_of = {row: kind for kind, rows in changes.items() for row in rows[:most].tolist()}
    fields: list[Field[int]] = [_row_number(), *_texts(first)]
    if first.head is Head.REGRESSION:
        fields += [
            ("true value", "number", lambda row: float(first.y_true[row])),
            (f"predicted by {names.model}", "number", lambda row: float(first.y_pred[row])),
            (f"predicted by {names.other}", "number", lambda row: float(second.y_pred[row])),
        ]
    else:
        fields += [
            ("true label", "label", first.true_label),
            (f"predicted by {names.model}", "label", first.predicted_label),
            (f"predicted by {names.other}", "label", second.predicted_label),
        ]
    fields.append(("change", "label", lambda row: kind_of[row]))
    total = sum(map(len, changes.values()))
    return table_of(kind_of, fields, f"Changed predictions: {shown_of(len(kind_of), total, 'row')}")


def confusion_matrix(
    predictions: Predictions,
    counts: np.ndarray,
    fields: list[Field[int]] | None = None,
    *,
    cell_rows: int,
    all_cell_rows: int,
    most_cells: int | None = None,
) -> Matrix:
    """A confusion matrix whose cells open their rows, the highest loss first.

    Args:
        predictions: the rows.
        counts: int [labels, labels], true labels first.
        fields: columns of the rows; absent: those of `rows_table`.
        cell_rows: most rows of one cell.
        all_cell_rows: most rows of all cells together; each cell has one at least.
        most_cells: cells that open, those with the most rows; absent: all.
    """
    if fields is None:
        fields = _row_fields(predictions)
    largest = np.argsort(-counts, axis=None, kind="stable")[:most_cells].tolist()
    filled = [divmod(cell, len(counts)) for cell in largest if counts.flat[cell]]
    most = min(cell_rows, max(all_cell_rows // max(len(filled), 1), 1))
    order = predictions.by_loss
    true, predicted = predictions.y_true[order], predictions.y_pred[order]
    cells = {}
    for row, column in filled:
        rows = order[(true == row) & (predicted == column)]
        shown = rows[:most].tolist()
        caption = f"{shown_of(len(shown), len(rows), 'row')}, highest loss first"
        cells[row, column] = table_of(shown, fields, caption)
    return Matrix(predictions.labels, counts.tolist(), "true label", "predicted label", cells)


def _row_fields(predictions: Predictions) -> list[Field[int]]:
    fields: list[Field[int]] = [_row_number(), *_texts(predictions)]
    if predictions.head is Head.REGRESSION:
        fields += [
            ("true value", "number", lambda row: float(predictions.y_true[row])),
            ("predicted value", "number", lambda row: float(predictions.y_pred[row])),
            ("absolute error", "number", lambda row: float(predictions.losses[row])),
        ]
    else:
        fields += [
            ("true label", "label", predictions.true_label),
            ("predicted label", "label", predictions.predicted_label),
            ("confidence", "percent", lambda row: float(predictions.confidence[row])),
            ("loss", "number", lambda row: float(predictions.losses[row])),
        ]
    if predictions.windows is not None:
        fields.append(("window that decided", "label", _deciding(predictions.windows)))
    return fields


def _deciding(windows: np.ndarray) -> Callable[[int], str]:
    """From a row to "3 of 7"; to nothing for a text of one window."""

    def shown(row: int) -> str:
        number, count = windows[row]
        return f"{number + 1} of {count}" if count > 1 else ""

    return shown


def _row_number() -> Field[int]:
    return "row", "number", lambda row: row + 1


def _texts(predictions: Predictions) -> list[Field[int]]:
    texts, pairs = predictions.table.texts, predictions.table.pairs
    fields: list[Field[int]] = [("text", "text", lambda row: shortened(texts[row], TEXT_CHARACTERS))]
    if pairs is not None:
        fields.append(("second text", "text", lambda row: shortened(pairs[row], TEXT_CHARACTERS)))
    return fields
