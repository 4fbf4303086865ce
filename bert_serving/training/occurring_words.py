"""Training with the rows of the embedding table whose word pieces occur in the training texts.

A vocabulary has 30,000 word pieces and more, a training set often a fraction of them, and an optimizer passes over the whole
table in each step. The row of a word piece that never occurs has a gradient of zero in every step, and so do the moments of
Adam: nothing but weight decay moves it, by the same factor as every other such row. So the training step has a table of the
occurring rows, and the others are multiplied by their factor afterwards: the same weights but for rounding.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tf_keras
from official.nlp.modeling.layers import OnDeviceEmbedding

from bert_serving.config import TrainingConfig
from bert_serving.data.batches import TokenRows
from bert_serving.encoders.architecture import layered_bert
from bert_serving.encoders.loading import LoadedEncoder

WORD_EMBEDDINGS = "word_embeddings"
"""name of the encoder's layer"""


@dataclass(frozen=True)
class OccurringWords:
    """The word pieces of training texts, and a table of their embeddings.

    Attributes:
        ids: of the word pieces, ascending, int64 [W].
        whole: the encoder's layer with the embeddings of all word pieces.
        layer: takes its place while training: one row for each of `ids`, in this order, and one more, that occurs nowhere.
    """

    ids: np.ndarray
    whole: OnDeviceEmbedding
    layer: OnDeviceEmbedding

    def renumbered(self, rows: TokenRows) -> TokenRows:
        """The training texts with row numbers of the small table as ids."""
        words = np.searchsorted(self.ids, rows.words).astype(np.int32)
        return dataclasses.replace(rows, words=words, padding=int(np.searchsorted(self.ids, rows.padding)))

    @contextlib.contextmanager
    def standing_in(self) -> Iterator[None]:
        """Inside, the small table is trained; afterwards the whole one has its weights."""
        table = self.whole.embeddings.numpy()
        # What the optimizer does to a row that never occurs is read off this one; many values, so that roundings cancel out.
        spare = np.linspace(0.5, 1.0, table.shape[1], dtype=table.dtype)
        self.layer.embeddings.assign(np.vstack([table[self.ids], spare]))
        try:
            yield
        finally:
            *_, decayed = trained = self.layer.embeddings.numpy()
            table *= np.mean(decayed.astype(float) / spare).astype(table.dtype)
            table[self.ids] = trained[:-1]
            self.whole.embeddings.assign(table)


def find_occurring_words(
    encoder: LoadedEncoder, rows: TokenRows, config: TrainingConfig, *, frozen_layers: int = 0
) -> OccurringWords | None:
    """The word pieces that occur in training texts; None where the whole table must be trained, or none of it.

    Args:
        encoder: whose embeddings are trained.
        rows: the training texts.
        config: of the training.
        frozen_layers: above none, the embeddings are frozen, too.
    """
    if layered_bert(encoder.architecture) is None or frozen_layers or not encoder.layer.trainable:
        return None
    # The strategies of several devices keep copies of the encoder's own table, and have it in the checkpoints of earlier versions.
    if config.strategy not in ("one_device", "multi_worker"):
        return None
    whole = encoder.layer.get_layer(WORD_EMBEDDINGS)
    ids = np.unique(np.append(rows.words, rows.padding))
    settings = whole.get_config() | {"vocab_size": len(ids) + 1, "initializer": "zeros"}
    layer: tf_keras.layers.Layer = OnDeviceEmbedding.from_config(settings)
    return OccurringWords(ids, whole, layer)
