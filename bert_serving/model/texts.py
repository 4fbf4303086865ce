"""Predicted labels for texts without labels, and the TSV file of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bert_serving.answers import answer_texts
from bert_serving.contract import Head
from bert_serving.errors import DataError, InputError
from bert_serving.io.files import write_whole
from bert_serving.model.model import Model


@dataclass(frozen=True)
class TextPredictions:
    """Texts and what a model predicts for them.

    Attributes:
        texts: N texts.
        head: what the model predicts; None if it does not tell.
        labels: names of the C columns.
        values: probabilities, float32 [N, C]; for regression the predicted values, [N, 1].
    """

    texts: Sequence[str]
    head: Head | None
    labels: tuple[str, ...]
    values: np.ndarray

    @cached_property
    def predicted(self) -> list[str]:
        """The output `label` of the signature `serving_default` for each text."""
        return answer_texts(self.head, self.labels, self.values)

    def to_json(self) -> list[dict[str, Any]]:
        """Each text with its probabilities, as JSON values."""
        return [
            {"text": text, "probabilities": dict(zip(self.labels, map(float, values), strict=True))}
            for text, values in zip(self.texts, self.values, strict=True)
        ]

    def write_tsv(self, path: Path) -> None:
        """Writes text, predicted label and probabilities, a line for each text.

        Raises:
            DataError: the file cannot be written.
        """
        lines = ["\t".join(["text", "label", *self.labels])]
        for text, label, values in zip(self.texts, self.predicted, self.values, strict=True):
            # The project's TSV has no quotes: a cell cannot contain a tab or a line break.
            cell = re.sub(r"[\t\r\n]", " ", text)
            lines.append("\t".join([cell, label, *(f"{value:.6g}" for value in values)]))
        try:
            write_whole(path, ("\n".join(lines) + "\n").encode("utf-8"))
        except OSError as error:
            raise DataError(f"{path}: cannot write it: {error.strerror}; choose another --output") from None


def predict_texts(model: Model, texts: Sequence[str]) -> TextPredictions:
    """Predictions of a model for single texts.

    Raises:
        InputError: the model takes pairs of texts.
    """
    if model.pairs:
        raise InputError("this model takes pairs of texts; use evaluate or a client for pairs")
    values = model.predict(texts, None)
    if model.head is Head.REGRESSION:
        labels: tuple[str, ...] = ("value",)
    else:
        labels = model.labels or tuple(f"class {number}" for number in range(values.shape[1]))
    return TextPredictions(texts, model.head, labels, values)
