"""Beam's model handler for an export: it calls the SavedModel's signature itself.

Beam's own TensorFlow handlers cannot load a SavedModel beside Keras 3 (apache/beam#30616).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bert_serving.io.quiet_import import quiet_import
from bert_serving.scoring.answers import Answer, answers_to
from bert_serving.scoring.model_files import ModelFiles, check_digest, fetched, find_model
from bert_serving.scoring.scorer import Scorer

with quiet_import():
    from apache_beam.ml.inference.base import ModelHandler

_SMALLEST_BATCH, _LARGEST_BATCH = 64, 4096


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
        return answers_to(batch, self.files, model)

    def get_num_bytes(self, batch: Sequence[str | tuple[str, str]]) -> int:
        """Bytes of the texts of a batch, where it has texts."""
        parts = (part for item in batch for part in (item if isinstance(item, tuple | list) else (item,)))
        return sum(len(part) for part in parts if isinstance(part, str | bytes))

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
