"""Models as TensorFlow's tutorial "Classify text with BERT" and tf-models-official make them, on the tests' tiny encoder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

from bert_serving import contract

TEXTS = ["good film", "a BAD bike", "", "the film is not very good the bike is very bad " * 30, "is 我 naïve wheel!"]


def tutorial_model(
    encoder: Path,
    outputs: int = 1,
    *,
    activation: str | None = None,
    pooled: Callable[[Any], Any] = lambda outputs: outputs[contract.POOLED_OUTPUT],
) -> tf_keras.Model:
    """The tutorial's `build_classifier_model`, with a head that makes different texts differ."""
    text_input = tf_keras.layers.Input(shape=(), dtype=tf.string, name="text")
    encoder_inputs = hub.KerasLayer(str(encoder / "preprocessing"), name="preprocessing")(text_input)
    outputs_of = hub.KerasLayer(str(encoder / "encoder"), trainable=True, name="BERT_encoder")(encoder_inputs)
    net = tf_keras.layers.Dropout(0.1)(pooled(outputs_of))
    net = tf_keras.layers.Dense(outputs, activation=activation, name="classifier")(net)
    return varied(tf_keras.Model(text_input, net))


def varied(model: tf_keras.Model) -> tf_keras.Model:
    """The model with weights that no initializer makes: a wrong mapping of them shows."""
    random = np.random.default_rng(5)
    for variable in model.trainable_variables:
        variable.assign_add(random.normal(size=variable.shape, scale=0.3))
    return model


def official_classifier(*, classes: int = 3, dict_outputs: bool = True, vocabulary: int, positions: int = 32) -> Any:
    """`BertClassifier` of tf-models-official on a tiny `BertEncoder`."""
    from official.nlp.modeling import models, networks

    encoder = networks.BertEncoder(
        vocab_size=vocabulary,
        hidden_size=8,
        num_layers=2,
        num_attention_heads=2,
        inner_dim=16,
        max_sequence_length=positions,
        type_vocab_size=2,
        dict_outputs=dict_outputs,
    )
    return varied(models.BertClassifier(encoder, num_classes=classes))


def softmax(logits: Any) -> np.ndarray:
    """Probabilities of logits."""
    return tf.nn.softmax(logits).numpy()


def two(positive: Any) -> np.ndarray:
    """Probabilities of two labels from that of the second one, [N, 1]."""
    return np.concatenate([1 - np.asarray(positive), np.asarray(positive)], axis=1)
