"""Measurement of an export's throughput and load time on this machine."""

import time
from pathlib import Path

from bert_serving.observer import Observer

_TEXTS = [f"Where is my order number {number}? It should have come on Tuesday." for number in range(256)]
_FIRST_TEXTS = 32


def measure_export(export: Path, observer: Observer) -> tuple[float, float]:
    """Measures an export.

    Args:
        export: version folder, or a folder of versions, of which the highest is used.
        observer: told of the progress.

    Returns:
        throughput in texts per second, and seconds to load the model and answer a first batch of 32
        texts.

    Raises:
        ExportError: the folder is not a SavedModel.
    """
    with observer.stage("Starting TensorFlow"):
        from bert_serving.saved_model.reader import ExportedModel  # noqa: PLC0415  imports TensorFlow
        from bert_serving.saved_model.versions import latest_version  # noqa: PLC0415  with the line above

        folder = latest_version(export)
    with observer.stage("Measuring throughput and load time"):
        started = time.perf_counter()
        model = ExportedModel(folder)
        pairs = _TEXTS if model.manifest is not None and model.manifest.pairs else None
        model.predict(_TEXTS[:_FIRST_TEXTS], pairs and pairs[:_FIRST_TEXTS])
        load_seconds = time.perf_counter() - started
        model.predict(_TEXTS, pairs)
        started = time.perf_counter()
        model.predict(_TEXTS, pairs)
        return len(_TEXTS) / (time.perf_counter() - started), load_seconds
