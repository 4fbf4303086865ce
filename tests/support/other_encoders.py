"""An encoder in TF Hub's format that is no BERT, for the road on which it stays a `hub.KerasLayer`."""

from pathlib import Path

import tensorflow as tf

from bert_serving import contract
from support.tiny import VOCABULARY

WIDTH = 6


class _BagOfWords(tf.train.Checkpoint):
    """The mean of word vectors. Where it `reads` a file, it does so in vain."""

    def __init__(self, reads: str | None):
        super().__init__()
        table = tf.Variable(tf.random.stateless_normal([len(VOCABULARY), WIDTH], [1, 2]), name="words")
        self.variables = [table]
        self.trainable_variables = [table]
        self.regularization_losses: list = []
        self._reads = reads
        spec = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in contract.TOKEN_INPUTS}
        for training in (False, True):
            self.__call__.get_concrete_function(spec, training=training)

    @tf.function
    def __call__(self, inputs, training=False):
        vectors = tf.gather(self.variables[0], inputs[contract.WORD_IDS])
        if self._reads is not None:
            vectors += 0.0 * tf.cast(tf.strings.length(tf.io.read_file(self._reads)), tf.float32)
        mask = tf.cast(inputs[contract.MASK], tf.float32)[..., None]
        pooled = tf.reduce_sum(vectors * mask, axis=1) / tf.reduce_sum(mask, axis=1)
        return {contract.POOLED_OUTPUT: pooled, contract.SEQUENCE_OUTPUT: vectors, contract.DEFAULT_OUTPUT: pooled}


def write_bag_of_words(folder: Path, *, reads: str | None = None) -> None:
    """Writes the encoder as SavedModel, one that reads a file when it is called if asked for."""
    tf.saved_model.save(_BagOfWords(reads), str(folder))
