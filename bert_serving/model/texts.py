"""Predictions for texts without labels, and the lines of the files that they are written to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_serving.answers import answer_texts
from bert_serving.contract import LABEL, PROBABILITIES, TEXT, TEXT_PAIR, Head, Thresholds
from bert_serving.errors import DataError, InputError
from bert_serving.io.files import write_whole
from bert_serving.io.table_lines import TableFormat, distinct

if TYPE_CHECKING:
    import numpy as np

    from bert_serving.model.model import Model
    from bert_serving.model.remote import RemoteModel, Rows


class PredictionLines:
    """Lines of a file of predictions: texts, predicted label, and the probability of each label."""

    def __init__(self, table: TableFormat, labels: Sequence[str], *, pairs: bool):
        """Names the columns.

        Args:
            table: format of the file.
            labels: names of the probabilities, in order.
            pairs: whether there are second texts.
        """
        self._table = table
        self._labels = list(labels)
        # A label may have the name of another column.
        self._columns = distinct([TEXT, *([TEXT_PAIR] if pairs else []), LABEL, *labels])

    def header(self) -> str:
        """The first line of the file; empty in formats without one."""
        return self._table.header(self._columns)

    def line(self, text: str, pair: str | None, label: str, values: Sequence[float]) -> str:
        """The line of a text."""
        if self._table is TableFormat.JSON_LINES:
            return self._table.line(as_json(text, pair, label, dict(zip(self._labels, values, strict=True))))
        cells = [*_texts(text, pair).values(), label, *values]
        return self._table.line(dict(zip(self._columns, cells, strict=True)))


def beginning(table: TableFormat, text: str, pair: str | None) -> str:
    """How the line of a text begins, whatever is predicted for it."""
    return table.beginning(_texts(text, pair))


def is_changed(table: TableFormat, text: str, pair: str | None) -> bool:
    """Whether a format cannot hold a text as it is."""
    return any(map(table.changes, _texts(text, pair).values()))


def as_json(text: str, pair: str | None, label: str, probabilities: dict[str, float]) -> dict[str, Any]:
    """A prediction as JSON values."""
    return {**_texts(text, pair), LABEL: label, PROBABILITIES: probabilities}


def _texts(text: str, pair: str | None) -> dict[str, str]:
    return {TEXT: text} if pair is None else {TEXT: text, TEXT_PAIR: pair}


@dataclass(frozen=True)
class TextPredictions:
    """Texts and what a model predicts for them.

    Attributes:
        texts: N texts.
        pairs: N second texts; None for single texts.
        head: what the model predicts; None if it does not tell.
        labels: names of the C columns.
        values: probabilities, N rows of C; for regression the predicted values, [N, 1].
        answered: labels that a server answered, where the names of its probabilities are unknown.
        thresholds: by which the model predicts labels from probabilities; () without fitted ones.
    """

    texts: Sequence[str]
    pairs: Sequence[str] | None
    head: Head | None
    labels: tuple[str, ...]
    values: "np.ndarray | Rows"
    answered: Sequence[str] | None = None
    thresholds: Thresholds = ()

    @cached_property
    def predicted(self) -> list[str]:
        """The output `label` of the signature `serving_default` for each text."""
        if self.answered is not None:
            return list(self.answered)
        return answer_texts(self.head, self.labels, self.values, self.thresholds)

    @cached_property
    def rows(self) -> list[list[float]]:
        """The values as lists."""
        return [list(map(float, row)) for row in self.values]

    def to_json(self) -> list[dict[str, Any]]:
        """Each text with its predicted label and its probabilities, as JSON values."""
        return [
            as_json(text, pair, label, dict(zip(self.labels, values, strict=True)))
            for text, pair, label, values in self._rows()
        ]

    def write(self, path: Path) -> int:
        """Writes a line for each text, in the format that the file's suffix names.

        Returns:
            number of rows whose texts the format cannot hold as they are.

        Raises:
            InputError: the suffix names another format.
            DataError: the file cannot be written.
        """
        table = TableFormat.of(path)
        lines = PredictionLines(table, self.labels, pairs=self.pairs is not None)
        content = lines.header() + "".join(lines.line(*row) for row in self._rows())
        try:
            write_whole(path, content.encode("utf-8"))
        except OSError as error:
            raise DataError(f"{path}: cannot write it: {error.strerror}; choose another --output") from None
        return sum(is_changed(table, text, pair) for text, pair, _, _ in self._rows())

    def _rows(self) -> Iterator[tuple[str, str | None, str, list[float]]]:
        pairs: Sequence[str | None] = self.pairs or [None] * len(self.texts)
        yield from zip(self.texts, pairs, self.predicted, self.rows, strict=True)


def predict_texts(
    model: "Model | RemoteModel", texts: Sequence[str], pairs: Sequence[str] | None = None
) -> TextPredictions:
    """Predictions of a model for texts, or pairs of texts.

    Raises:
        InputError: the model takes pairs of texts and there are none, or the other way round.
    """
    if model.pairs is not None and model.pairs != (pairs is not None):
        raise InputError(
            f"{model.name} takes pairs of texts; give them as a table with --input and --text-pair"
            if model.pairs
            else f"{model.name} takes single texts; leave out --text-pair"
        )
    values: np.ndarray | Rows
    answered = None
    if model.labels is None and model.answers is not None:
        values, answered = model.answers(texts, pairs)
    else:
        values = model.predict(texts, pairs)
    if model.head is Head.REGRESSION:
        labels: tuple[str, ...] = ("value",)
    else:
        labels = model.labels or numbered(len(values[0]) if len(values) else 0)
    return TextPredictions(texts, pairs, model.head, labels, values, answered, model.thresholds)


def numbered(classes: int) -> tuple[str, ...]:
    """Names for the classes of a model that does not tell them."""
    return tuple(f"class {number}" for number in range(classes))
