"""Reads a classifier that was fine-tuned elsewhere, of whatever kind its files are."""

from collections.abc import Callable, Mapping
from pathlib import Path

import tf_keras

from bert_serving.hugging_face import ConvertedClassifier, convert_classifier
from bert_serving.imported import kinds
from bert_serving.imported.keras_file import convert_keras_file
from bert_serving.imported.keras_hub import convert_task
from bert_serving.imported.options import ImportOptions
from bert_serving.imported.saved_model import convert_keras_model, convert_saved_model
from bert_serving.imported.tf1_checkpoint import convert_fine_tuned_checkpoint

_Converter = Callable[[Path, Path, ImportOptions], ConvertedClassifier]


def convert_import(source: Path | tf_keras.Model, scratch: Path, options: ImportOptions) -> ConvertedClassifier:
    """Reads a classifier that was fine-tuned elsewhere.

    Args:
        source: file or folder, or a Keras model in memory.
        scratch: folder for the preprocessing SavedModel; must exist as long as the classifier is used.
        options: what its files do not tell.

    Raises:
        EncoderError: it is damaged, or a model that cannot be converted; the message says what it is.
        ExportError: it is nothing that is known, or an option does not fit.
    """
    if not isinstance(source, Path):
        return convert_keras_model(source, scratch, options)
    kind = kinds.kind_of(source)
    kinds.check_told(source, kind, options)
    return _CONVERTERS[kind.name](source, scratch, options)


def _convert_hugging_face(folder: Path, scratch: Path, options: ImportOptions) -> ConvertedClassifier:
    return convert_classifier(folder, scratch, sequence_length=options.sequence_length, pairs=options.pairs)


_CONVERTERS: Mapping[str, _Converter] = {
    kinds.SAVED_MODEL.name: convert_saved_model,
    kinds.KERAS_FILE.name: convert_keras_file,
    kinds.KERAS_HUB.name: convert_task,
    kinds.CHECKPOINT.name: convert_fine_tuned_checkpoint,
    kinds.HUGGING_FACE.name: _convert_hugging_face,
}
