"""Beam's model handler for an export: it calls the SavedModel's signature itself.

Beam's own TensorFlow handlers cannot load a SavedModel beside Keras 3 (apache/beam#30616).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bert_serving.answers import answer_texts
from bert_serving.contract import Head
from bert_serving.errors import InputError
from bert_serving.io.quiet_import import quiet_import
from bert_serving.scoring.model_files import ModelFiles, check_digest, fetched, find_model
from bert_serving.scoring.scorer import Scorer

with quiet_import():
    from apache_beam.ml.inference.base import ModelHandler

_SMALLEST_BATCH, _LARGEST_BATCH = 64, 4096


class Answer(NamedTuple):
    """What a model answers to a text.

    Attributes:
        label: the likeliest label; of a multilabel head all predicted labels; None for regression and for a failure.
        probability: that of the label; None for multilabel heads, regression and a failure.
        probabilities: of all labels, in the model's order; for regression the number. Empty for a failure.
        failure: why the text was not scored; None if it was.
    """

    label: str | None
    probability: float | None
    probabilities: tuple[float, ...]
    failure: str | None = None


class ClassifierHandler(ModelHandler[str | tuple[str, str], Answer, Scorer]):
    """Scores strings, or pairs of strings, in `RunInference`; a text that fails costs only itself.

    A worker process loads the model once, and its threads share it. Texts of a batch are sorted by length, and batches are
    bounded in tokens.

    ```python
    import apache_beam as beam
    from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
    from bert_serving.beam import ClassifierHandler

    with beam.Pipeline() as pipeline:
        texts = pipeline | beam.Create([(1, "a good film"), (2, "a bad wheel")])
        texts | RunInference(KeyedModelHandler(ClassifierHandler("models/tiny"))) | beam.Map(print)
    ```
    """

    def __init__(self, model: str, *, batch_tokens: int = 4096, threads: int | None = None):
        """Finds the model, without loading it.

        Args:
            model: folder of an export, or of its versions; also s3:// and gs://, as workers elsewhere need it.
            batch_tokens: number of tokens of a batch, estimated from the texts' lengths.
            threads: threads of an operation of TensorFlow in each worker process; None for its own choice.

        Raises:
            InputError, ExportError, DataError: there is no such export.
        """
        super().__init__()
        self.files: ModelFiles = find_model(model)
        self._batch_tokens, self._threads = batch_tokens, threads

    def load_model(self) -> Scorer:
        """Loads the model in a worker, if it is still the one of the beginning.

        Raises:
            ExportError: its files changed, or it cannot be loaded.
        """
        with fetched(self.files.path) as folder:
            check_digest(folder, self.files.digest)
            return Scorer.load(folder, batch_tokens=self._batch_tokens, threads=self._threads)

    def run_inference(
        self,
        batch: Sequence[str | tuple[str, str]],
        model: Scorer,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[Answer]:
        """Scores a batch: an answer for each text, in its order."""
        del inference_args
        faults = [self._fault(item) for item in batch]
        good = [number for number, fault in enumerate(faults) if not fault]
        texts, pairs = self._texts([batch[number] for number in good])
        scores = model.score(texts, pairs)
        found = dict(zip(good, _answers(self.files, scores.values), strict=True))
        failures = {good[number]: reason for number, reason in scores.failures.items()}
        for number, fault in enumerate(faults):
            reason = fault or failures.get(number)
            yield Answer(None, None, (), reason) if reason else found[number]

    def get_num_bytes(self, batch: Sequence[str | tuple[str, str]]) -> int:
        """Bytes of the texts of a batch."""
        return sum(len(text) for item in batch for text in ([item] if isinstance(item, str) else item))

    def get_metrics_namespace(self) -> str:
        """Namespace of Beam's metrics."""
        return "bert_serving"

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """Sizes of Beam's batches, inside which texts are sorted."""
        return {"min_batch_size": _SMALLEST_BATCH, "max_batch_size": _LARGEST_BATCH}

    def update_model_path(self, model_path: str | None = None) -> None:
        """Takes another version, as `RunInference` does with its argument `model_metadata_pcoll`."""
        if model_path:
            self.files = find_model(model_path)

    def _fault(self, item: Any) -> str:
        """What is wrong with an element; empty if nothing is."""
        parts = item if isinstance(item, tuple | list) else (item,)
        if len(parts) != 1 + self.files.pairs:
            return f"expected {'a pair of strings' if self.files.pairs else 'a string'}, got {item!r:.100}"
        for part in parts:
            if not isinstance(part, str):
                return f"expected a string, got {part!r:.100}"
            if not part.strip():
                return "has no text"
            try:
                part.encode()
            except UnicodeEncodeError:
                return "holds half a surrogate pair"
        return ""

    def _texts(self, items: Sequence[Any]) -> tuple[list[str], list[str] | None]:
        if self.files.pairs:
            return [first for first, _ in items], [second for _, second in items]
        return [item if isinstance(item, str) else item[0] for item in items], None


def check_pairs(files: ModelFiles, text_pair: str | None) -> None:
    """Checks that there are second texts if the model takes pairs, and none otherwise.

    Raises:
        InputError: it is not so.
    """
    if files.pairs != (text_pair is not None):
        remedy = "name the second texts with text_pair" if files.pairs else "leave out text_pair"
        raise InputError(f"{files.path}: takes {'pairs of texts' if files.pairs else 'single texts'}; {remedy}")


def _answers(files: ModelFiles, values: np.ndarray) -> list[Answer]:
    rows = [tuple(row) for row in values.tolist()]
    if files.head is Head.REGRESSION:
        return [Answer(None, None, row) for row in rows]
    labels = answer_texts(files.head, files.labels, rows)
    if files.head is Head.MULTILABEL:
        return [Answer(label, None, row) for label, row in zip(labels, rows, strict=True)]
    return [Answer(label, max(row), row) for label, row in zip(labels, rows, strict=True)]
