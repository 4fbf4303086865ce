"""The answers of a shard as the bytes of an output file, and the rows that failed as the bytes of another."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_serving.answers import answer_texts, predicted_labels
from bert_serving.contract import Head
from bert_serving.io.json_text import json_text
from bert_serving.io.table_lines import TableFormat, distinct
from bert_serving.scoring.model_files import ModelFiles
from bert_serving.scoring.rows import Row
from bert_serving.scoring.settings import OutputFormat

if TYPE_CHECKING:
    import pyarrow

# ruff: noqa: PLC0415
# pyarrow is slow to import.


@dataclass(frozen=True)
class AnswersTable:
    """Columns of the outputs of a job: key, kept columns, answer, model.

    Attributes:
        model: the model.
        key: name of the first column.
        keep: names of the kept columns.
        format: of the files.
        all_probabilities: whether the probability of every label is written.
    """

    model: ModelFiles
    key: str
    keep: tuple[str, ...]
    format: OutputFormat
    all_probabilities: bool

    def encode(
        self, keys: Sequence[Any], rows: Sequence[Row], values: np.ndarray, types: "dict[str, pyarrow.DataType]"
    ) -> bytes:
        """The content of an output file.

        Args:
            keys: the first column.
            rows: the rows that were scored.
            values: their probabilities, float32 [N, C].
            types: type of the key and the kept columns, where it is not a string.
        """
        columns: dict[str, Any] = {self.key: keys}
        columns |= {name: [row.kept[number] for row in rows] for number, name in enumerate(self.keep)}
        columns |= self._answers(values)
        columns |= {
            "model": [self.model.name] * len(rows),
            "version": [self.model.version] * len(rows),
            "digest": [self.model.digest] * len(rows),
        }
        if self.format is OutputFormat.PARQUET:
            return self._parquet(columns, types)
        return self._lines(columns, TableFormat.CSV if self.format is OutputFormat.CSV else TableFormat.JSON_LINES)

    def _answers(self, values: np.ndarray) -> dict[str, Any]:
        if self.model.head is Head.REGRESSION:
            return {"value": values[:, 0]}
        labels = self.model.labels
        if self.model.head is Head.MULTILABEL:
            # One number does not tell how likely several labels are.
            answers: dict[str, Any] = {"label": answer_texts(self.model.head, labels, values, self.model.thresholds)}
        else:
            predicted = predicted_labels(self.model.head, values, self.model.thresholds)
            answers = {
                "label": [labels[number] for number in predicted],
                "probability": np.take_along_axis(values, predicted[:, None], axis=1)[:, 0],
            }
        if self.all_probabilities:
            answers["probabilities"] = values
        return answers

    def _parquet(self, columns: dict[str, Any], types: "dict[str, pyarrow.DataType]") -> bytes:
        import pyarrow
        import pyarrow.parquet

        types = types | {
            "probability": pyarrow.float32(),
            "probabilities": pyarrow.list_(pyarrow.float32()),
            "value": pyarrow.float32(),
            "version": pyarrow.int64(),
        }
        arrays = {}
        for name, values in columns.items():
            kind = types.get(name, pyarrow.string())
            kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
            arrays[name] = pyarrow.array(list(values) if name == "probabilities" else values, kind)
        sink = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(arrays), sink, compression="zstd")
        return sink.getvalue()

    def _lines(self, columns: dict[str, Any], table: TableFormat) -> bytes:
        probabilities = columns.pop("probabilities", None) if self.all_probabilities else None
        missing = "" if table is TableFormat.CSV else None
        plain = {name: _listed(values, missing) for name, values in columns.items()}
        if probabilities is not None and table is TableFormat.CSV:
            matrix = np.asarray(probabilities)
            names = distinct([*plain, *self.model.labels])[len(plain) :]
            plain |= {name: matrix[:, number].tolist() for number, name in enumerate(names)}
        elif probabilities is not None:
            labels = self.model.labels
            plain["probabilities"] = [dict(zip(labels, map(_short, row), strict=True)) for row in probabilities]
        header = table.header(list(plain))
        lines = (table.line(dict(zip(plain, values, strict=True))) for values in zip(*plain.values(), strict=True))
        return (header + "".join(lines)).encode("utf-8", "replace")


def encode_failures(keys: Sequence[str], rows: Sequence[Row]) -> bytes:
    """The content of a dead-letter file: JSON lines with row, id, reason, and digest and length of the text."""
    lines = []
    for key, row in zip(keys, rows, strict=True):
        digest, size = row.digest
        failure = {"row": key, "id": row.id, "reason": row.fault, "text_sha256": digest, "text_bytes": size}
        lines.append(json_text(failure) + "\n")
    return "".join(lines).encode("utf-8", "replace")


def _listed(values: Sequence[Any], missing: str | None) -> list[Any]:
    """Values as Python's; numbers of 32 bits by their shortest decimal."""
    if isinstance(values, np.ndarray):
        return [_short(value) for value in values]
    return [missing if value is None else value for value in values]


def _short(value: Any) -> float:
    return float(str(value)) if isinstance(value, np.float32) else float(value)
