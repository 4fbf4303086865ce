"""Training of the head on cached features of a frozen encoder: an epoch costs no more than a matrix product."""

import dataclasses

import numpy as np
import tensorflow as tf
import tf_keras

from bert_serving import contract
from bert_serving.classifier import Classifier
from bert_serving.data.batches import TokenRows


def over_features(classifier: Classifier, features: np.ndarray) -> Classifier:
    """The same dropout and head on a table of features, float32 [N, H], in place of the encoder.

    The first token of a row is the row's index in the table. The encoder's weights stay among the model's, so that what is
    saved is the whole classifier.
    """
    table = tf.constant(features)
    tokens = {name: tf_keras.layers.Input((None,), dtype=tf.int32, name=name) for name in contract.TOKEN_INPUTS}
    pooled = tf_keras.layers.Lambda(lambda words: tf.gather(table, words[:, 0]), name="features")(
        tokens[contract.WORD_IDS]
    )
    dropout, head = (classifier.token_model.get_layer(name) for name in ("dropout", "head"))
    model = tf_keras.Model(tokens, head(dropout(pooled)), name="feature_classifier")
    model.encoder = classifier.encoder.layer
    return dataclasses.replace(classifier, token_model=model)


def feature_rows(first: int, count: int) -> TokenRows:
    """Rows `first` to `first + count - 1` of the table, as the model of `over_features` takes them."""
    numbers = np.arange(first, first + count, dtype=np.int32)
    return TokenRows(numbers, np.zeros_like(numbers), np.arange(count + 1))
