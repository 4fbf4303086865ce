"""The signatures of an exported classifier, and the module that carries them into a SavedModel."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from bert_serving import contract
from bert_serving.classifier import Classifier, label_of, probabilities
from bert_serving.contract import Graph
from bert_serving.text.packing import combine_segments, pad, trimmed_length

# A regression has no labels; its only "class" in the Classify call is called so.
REGRESSION_CLASS = "value"

Tensors = dict[str, tf.Tensor]


@dataclass(frozen=True)
class ServingGraph:
    """A module to save and its signatures."""

    module: tf.Module
    signatures: dict[str, Any]


def build_serving_graph(classifier: Classifier, graph: Graph, labels_file: Path) -> ServingGraph:
    """Traces the four signatures of a classifier.

    Args:
        classifier: whose variables and preprocessing are saved.
        graph: how padding is treated.
        labels_file: written by the caller, becomes the asset `labels.txt`.
    """
    module = tf.Module(name="classifier")
    # The Keras model itself is left out: it would bring training functions and metadata that a server never needs.
    module.model_variables = list(classifier.token_model.variables)
    module.preprocessing = classifier.preprocessing.model
    module.labels_file = tf.saved_model.Asset(str(labels_file))
    calls = _Calls(classifier, graph)
    texts = [tf.TensorSpec([None], tf.string, name=contract.TEXT)]
    if classifier.options.pairs:
        texts.append(tf.TensorSpec([None], tf.string, name=contract.TEXT_PAIR))
    tokens = [tf.TensorSpec([None, None], tf.int32, name=name) for name in contract.TOKEN_INPUTS]
    examples = [tf.TensorSpec([None], tf.string, name=contract.EXAMPLES)]
    signatures = {
        contract.SERVING_DEFAULT: _trace(calls.predict, texts),
        contract.TOKENS: _trace(calls.predict_tokens, tokens),
        contract.CLASSIFY: _trace(calls.classify, examples),
        contract.EMBED: _trace(calls.embed, texts),
    }
    return ServingGraph(module, signatures)


class _Calls:
    """The functions behind the signatures."""

    def __init__(self, classifier: Classifier, graph: Graph):
        self._classifier = classifier
        self._options = classifier.options
        self._graph = graph
        self._labels = list(self._options.labels) or [REGRESSION_CLASS]

    def predict(self, *texts: tf.Tensor) -> Tensors:
        return self._answer(self._tokens(*texts))

    def predict_tokens(self, *tokens: tf.Tensor) -> Tensors:
        return self._answer(dict(zip(contract.TOKEN_INPUTS, tokens, strict=True)))

    def classify(self, examples: tf.Tensor) -> Tensors:
        names = (contract.TEXT, contract.TEXT_PAIR) if self._options.pairs else (contract.TEXT,)
        features = tf.io.parse_example(examples, {name: tf.io.FixedLenFeature([], tf.string) for name in names})
        scores = self._answer(self._tokens(*(features[name] for name in names)))[contract.PROBABILITIES]
        best = tf.math.top_k(scores, k=len(self._labels))
        return {contract.CLASSES: tf.gather(tf.constant(self._labels), best.indices), contract.SCORES: best.values}

    def embed(self, *texts: tf.Tensor) -> Tensors:
        outputs = self._classifier.features_model(self._tokens(*texts), training=False)
        return {contract.POOLED_OUTPUT: outputs[contract.POOLED_OUTPUT]}

    def _answer(self, tokens: Tensors) -> Tensors:
        logits = self._classifier.features_model(tokens, training=False)[contract.LOGITS]
        scores = probabilities(self._options.head, logits)
        return {
            contract.LABEL: label_of(self._options.head, self._options.labels, scores),
            contract.PROBABILITIES: scores,
            contract.LOGITS: logits,
        }

    def _tokens(self, *texts: tf.Tensor) -> Tensors:
        preprocessing = self._classifier.preprocessing
        segments = [preprocessing.segment(text) for text in texts]
        word_ids, type_ids = combine_segments(segments, preprocessing.special, self._options.sequence_length)
        length: int | tf.Tensor = self._options.sequence_length
        if self._graph is Graph.TRIMMED:
            length = trimmed_length(word_ids, self._options.sequence_length)
        return pad(word_ids, type_ids, preprocessing.special, length)


def _trace(call: Callable[..., Tensors], specification: list[tf.TensorSpec]) -> Any:
    return tf.function(call, input_signature=specification, autograph=False).get_concrete_function()
