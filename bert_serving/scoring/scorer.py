"""A loaded export that scores many texts: batches of similar length, and a text that cannot be scored costs only itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_serving.contract import Graph
from bert_serving.errors import ExportError

if TYPE_CHECKING:
    from bert_serving.saved_model.manifest import Manifest
    from bert_serving.saved_model.reader import ExportedModel

# ruff: noqa: PLC0415
# TensorFlow is imported when a worker loads its model.

_BYTES_OF_TOKEN = 4
"""bytes of a word piece, with the blank before it, in European languages; only the size of batches depends on it"""
_MOST_TEXTS = 512


@dataclass
class Scores:
    """What a model answers to texts.

    Attributes:
        values: probabilities, float32 [N, C]; for regression the numbers, [N, 1]. Rows of `failures` are NaN.
        failures: number of a text to why it was not scored.
    """

    values: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)


class Scorer:
    """Scores texts with an export in this process.

    Attributes:
        manifest: the export's manifest.

    ```python
    from bert_serving.scoring.scorer import Scorer

    scores = Scorer.load("models/tiny/1").score(["a good film"])
    print(scores.values.shape, scores.failures)
    ```
    """

    def __init__(self, model: "ExportedModel", *, batch_tokens: int = 4096):
        """Wraps a loaded export.

        Args:
            model: an export with a manifest.
            batch_tokens: number of tokens of a batch, estimated from the texts' lengths.

        Raises:
            ExportError: it has no manifest.
        """
        if model.manifest is None:
            raise ExportError(
                f"{model.folder}: has no manifest (assets.extra/bert_serving.json); give what export wrote"
            )
        self.manifest: Manifest = model.manifest
        self._model = model
        self._batch_tokens = batch_tokens
        self._columns = model.signatures["serving_default"].structured_outputs["probabilities"].shape[-1]

    @classmethod
    def load(cls, folder: str | Path, *, batch_tokens: int = 4096, threads: int | None = None) -> "Scorer":
        """Loads a version folder.

        Args:
            folder: the version folder.
            batch_tokens: number of tokens of a batch.
            threads: threads of an operation of TensorFlow; None leaves it as it is. Only the first model of a process decides it.

        Raises:
            ExportError: it cannot be loaded.
        """
        import os

        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        # oneDNN keeps a compiled product for each of the last 1,024 shapes. The layers of a batch share its shapes, but hardly any
        # two batches do, so that memory would grow for many thousands of texts for nothing.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
        import tensorflow as tf

        try:
            if threads is not None:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
                tf.config.threading.set_inter_op_parallelism_threads(1)
            for gpu in tf.config.list_physical_devices("GPU"):
                # Several workers share a GPU.
                tf.config.experimental.set_memory_growth(gpu, enable=True)
        except RuntimeError:
            pass  # TensorFlow is in use in this process
        from bert_serving.saved_model.reader import ExportedModel

        return cls(ExportedModel(Path(folder)), batch_tokens=batch_tokens)

    def score(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Scores:
        """Scores texts, or pairs of texts.

        A batch that the model refuses is halved until the texts that it refuses are alone.

        Args:
            texts: N texts.
            pairs: N second texts, for a model of pairs.

        Returns:
            values of all texts but those of `failures`.
        """
        scores = Scores(np.full((len(texts), self._columns), np.nan, np.float32))
        for batch in self._batches(texts, pairs):
            self._score(batch, texts, pairs, scores)
        return scores

    def _batches(self, texts: Sequence[str], pairs: Sequence[str] | None) -> list[np.ndarray]:
        """Numbers of the texts of each batch: of similar length, and of a bounded number of tokens."""
        sizes: np.ndarray = np.array([len(text.encode("utf-8", "replace")) for text in texts], np.int64)
        if pairs is not None:
            sizes = sizes + [len(text.encode("utf-8", "replace")) for text in pairs]
        tokens = np.minimum(sizes // _BYTES_OF_TOKEN + 3, self.manifest.max_text_tokens)
        order = np.argsort(sizes, kind="stable")
        batches: list[np.ndarray] = []
        start, total = 0, 0
        is_padded = self.manifest.graph is not Graph.RAGGED
        for position, number in enumerate(order):
            count = position - start + 1
            # In ascending order the last text is the longest, to which the others are padded.
            total = count * int(tokens[number]) if is_padded else total + int(tokens[number])
            if count > 1 and (total > self._batch_tokens or count > _MOST_TEXTS):
                batches.append(order[start:position])
                start, total = position, int(tokens[number])
        return [*batches, order[start:]] if len(order) else []

    def _score(self, batch: np.ndarray, texts: Sequence[str], pairs: Sequence[str] | None, scores: Scores) -> None:
        inputs: dict[str, Any] = {"text": [texts[number] for number in batch]}
        if pairs is not None:
            inputs["text_pair"] = [pairs[number] for number in batch]
        try:
            values = self._model.call("serving_default", **inputs)["probabilities"]
        except Exception as error:  # noqa: BLE001  whatever a graph raises, it concerns these texts
            if len(batch) == 1:
                scores.failures[int(batch[0])] = f"the model refuses it: {_reason(error)}"
                return
            for half in np.array_split(batch, 2):
                self._score(half, texts, pairs, scores)
            return
        scores.values[batch] = values
        for number in batch[~np.isfinite(values).all(axis=1)]:
            scores.failures[int(number)] = "the model answers NaN or infinity"


def _reason(error: Exception) -> str:
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
