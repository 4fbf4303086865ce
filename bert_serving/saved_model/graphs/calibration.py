"""The arithmetic of a ragged graph; for int8 quantization with ranges that are calibrated on texts."""

import tensorflow as tf

from bert_serving.classifier import Classifier
from bert_serving.contract import Precision
from bert_serving.data.batches import sorted_batches
from bert_serving.errors import ExportError
from bert_serving.saved_model.graphs.dense import Arithmetic, FloatArithmetic
from bert_serving.saved_model.graphs.quantized import ObservingArithmetic, QuantizedArithmetic, Ranges
from bert_serving.saved_model.graphs.ragged import end_to_end, ragged_encoder
from bert_serving.saved_model.reference import Reference

MOST_TEXTS = 512
"""maximum number of a reference's texts on which ranges are measured"""
NO_TEXTS = (
    "int8 measures its ranges on texts, and there are none; put the run's validation data where its run file says, give --texts "
    "for a Hugging Face folder, or choose another --precision"
)
"""why int8 is refused without a reference"""
_BATCH = 32


def arithmetic_of(precision: Precision, classifier: Classifier, reference: Reference | None) -> Arithmetic:
    """The arithmetic of a ragged graph in a precision.

    Raises:
        ExportError: int8 without texts to measure its ranges on.
    """
    if precision is not Precision.INT8:
        return FloatArithmetic(tf.as_dtype(precision.value))
    if reference is None:
        raise ExportError(NO_TEXTS)
    return QuantizedArithmetic(measured_ranges(classifier, reference.part(0, MOST_TEXTS)))


def measured_ranges(classifier: Classifier, reference: Reference) -> Ranges:
    """The ranges of the inputs of the encoder's dense layers on some texts."""
    tokens, _ = classifier.tokenize(reference.texts, reference.pairs)
    rows = tokens.windows
    arithmetic = ObservingArithmetic()
    encoder = ragged_encoder(classifier, arithmetic, traced=False)
    words, types = (tf.RaggedTensor.from_row_splits(ids, rows.offsets) for ids in (rows.words, rows.types))
    for index in sorted_batches(rows.lengths, _BATCH):
        encoder(*end_to_end(tf.gather(words, index), tf.gather(types, index)))
    return arithmetic.ranges
