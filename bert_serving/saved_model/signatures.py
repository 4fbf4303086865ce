"""The signatures of an exported classifier, and the module that is saved with them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from bert_serving import contract
from bert_serving.classifier import Classifier, label_of
from bert_serving.contract import Graph, WindowPooling
from bert_serving.encoders.architecture import layered_bert
from bert_serving.saved_model.graphs.dense import Arithmetic, FloatArithmetic
from bert_serving.saved_model.graphs.input_checks import TokenLimits, checked_rows, checked_tokens, checked_values
from bert_serving.saved_model.graphs.ragged import end_to_end, ragged_encoder
from bert_serving.text.packing import combine_segments, combine_windows, pad, trimmed_length
from bert_serving.window_pooling import NAME as WINDOW_POOLING
from bert_serving.window_pooling import pooled_windows

_FLOAT32 = FloatArithmetic(tf.float32)

Tensors = dict[str, tf.Tensor]


@dataclass(frozen=True)
class ServingGraph:
    """A module to save and its signatures."""

    module: tf.Module
    signatures: dict[str, Any]


def supported_graph(classifier: Classifier, graph: Graph) -> Graph:
    """`graph`, or the trimmed one instead of the ragged one for a classifier that it does not support."""
    # The ragged graph holds each layer's weights as constants: an ALBERT's shared weights once for each of its layers.
    is_bert = layered_bert(classifier.encoder.architecture) is not None
    is_plain = not classifier.options.blocks
    return graph if graph is not Graph.RAGGED or (is_bert and is_plain) else Graph.TRIMMED


def build_serving_graph(
    classifier: Classifier, graph: Graph, labels_file: Path, arithmetic: Arithmetic = _FLOAT32
) -> ServingGraph:
    """Traces the signatures of a classifier.

    Args:
        classifier: its weights and preprocessing are saved.
        graph: how padding is treated; one that `supported_graph` returns.
        labels_file: written by the caller, becomes an asset.
        arithmetic: of the ragged graph; the others compute in float32.
    """
    module = tf.Module(name="classifier")
    module.preprocessing = classifier.preprocessing.model
    module.labels_file = tf.saved_model.Asset(str(labels_file))
    features: _Features
    if graph is Graph.RAGGED:
        features = module.encoder = _RaggedFeatures(classifier, arithmetic)
    else:
        features = _PaddedFeatures(classifier, graph)
        # The Keras model itself is left out: a server does not need its training functions and metadata.
        module.model_variables = list(classifier.token_model.variables)
    calls = _Calls(classifier, features)
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
        contract.LABELS: _trace(calls.labels, texts[:1]),
    }
    return ServingGraph(module, signatures)


class _Features(Protocol):
    """From token ids to a dict of `pooled_output`, float32 [B, H], and `logits`, float32 [B, outputs]."""

    def of_rows(self, word_ids: tf.RaggedTensor, type_ids: tf.RaggedTensor, counts: tf.Tensor | None) -> Tensors:
        """Features of rows of tokens, int32 [B, (tokens)] each, cut at the sequence length already.

        With `counts`, int32 [B], the rows are windows, [W, (tokens)], and `counts` says how many of them each text has; the
        features then have `deciding_window`, int32 [B], too.
        """

    def of_tokens(self, tokens: Tensors) -> Tensors:
        """Features of `TOKEN_INPUTS`, int32 [B, L] each, of which the mask of a row is ones followed by zeros."""


class _PaddedFeatures:
    """The Keras model, on rows padded to one length."""

    def __init__(self, classifier: Classifier, graph: Graph):
        self._classifier = classifier
        self._graph = graph

    def of_rows(self, word_ids: tf.RaggedTensor, type_ids: tf.RaggedTensor, counts: tf.Tensor | None) -> Tensors:
        length: int | tf.Tensor = self._classifier.options.sequence_length
        if self._graph is Graph.TRIMMED:
            length = trimmed_length(word_ids, self._classifier.options.sequence_length)
        tokens = pad(word_ids, type_ids, self._classifier.preprocessing.special, length)
        return self._features(tokens, counts)

    def of_tokens(self, tokens: Tensors) -> Tensors:
        is_windowed = self._classifier.options.windows is not None
        return self._features(tokens, _one_window_each(tokens) if is_windowed else None)

    def _features(self, tokens: Tensors, counts: tf.Tensor | None) -> Tensors:
        inputs = tokens if counts is None else {**tokens, contract.WINDOW_COUNTS: counts}
        features: Tensors = self._classifier.features_model(inputs, training=False)
        return features


class _RaggedFeatures(tf.Module):
    """The ragged encoder and the head, on concatenated tokens."""

    def __init__(self, classifier: Classifier, arithmetic: Arithmetic):
        super().__init__(name="ragged_features")
        self._encoder = ragged_encoder(classifier, arithmetic)
        self._kernel, self._bias = (part.numpy() for part in classifier.token_model.get_layer("head").variables)
        window_kernel = _window_kernel(classifier)
        self._pool = partial(pooled_windows, classifier.options.window_pooling, kernel=window_kernel)
        self._decide = partial(classifier.deciding, head=self._logits, kernel=window_kernel)

    def of_rows(self, word_ids: tf.RaggedTensor, type_ids: tf.RaggedTensor, counts: tf.Tensor | None) -> Tensors:
        pooled = self._encoder(*end_to_end(word_ids, type_ids))
        if counts is None:
            return self._features(pooled)
        features = self._features(self._pool(pooled, counts))
        return {**features, contract.DECIDING_WINDOW: self._decide(pooled, counts, features[contract.LOGITS])}

    def of_tokens(self, tokens: Tensors) -> Tensors:
        indices = tf.where(tokens[contract.MASK] != 0)
        word_ids, type_ids = (tf.gather_nd(tokens[name], indices) for name in (contract.WORD_IDS, contract.TYPE_IDS))
        lengths = tf.reduce_sum(tokens[contract.MASK], axis=1)
        # Each row is a text, or a text of one window, whose vector is that of its window.
        return self._features(self._encoder(word_ids, type_ids, tf.cast(indices[:, 1], tf.int32), lengths))

    def _features(self, pooled: tf.Tensor) -> Tensors:
        return {contract.POOLED_OUTPUT: pooled, contract.LOGITS: self._logits(pooled)}

    def _logits(self, pooled: tf.Tensor) -> tf.Tensor:
        return tf.matmul(pooled, self._kernel) + self._bias


def _window_kernel(classifier: Classifier) -> np.ndarray | None:
    """The kernel of the attention over windows, float32 [H, 1]; None for classifiers without one."""
    options = classifier.options
    if options.windows is None or options.window_pooling is not WindowPooling.ATTENTION:
        return None
    kernel: np.ndarray = classifier.token_model.get_layer(WINDOW_POOLING).kernel.numpy()
    return kernel


def _one_window_each(tokens: Tensors) -> tf.Tensor:
    """The windows of each row, int32 [B], where each row is a text of its own."""
    return tf.ones_like(tokens[contract.MASK][:, 0])


class _Calls:
    """The functions behind the signatures."""

    def __init__(self, classifier: Classifier, features: _Features):
        self._classifier = classifier
        self._options = classifier.options
        self._features = features
        self._labels = list(self._options.labels) or [contract.REGRESSION_CLASS]
        self._limits = TokenLimits.of(classifier)
        self._names = (contract.TEXT, contract.TEXT_PAIR) if self._options.pairs else (contract.TEXT,)

    def predict(self, *texts: tf.Tensor) -> Tensors:
        features = self._features_of(*texts)
        windows = (contract.DECIDING_WINDOW, contract.WINDOWS)
        return self._answer(features) | {name: features[name] for name in windows if name in features}

    def predict_tokens(self, *tokens: tf.Tensor) -> Tensors:
        named = dict(zip(contract.TOKEN_INPUTS, tokens, strict=True))
        return self._answer(self._features.of_tokens(checked_tokens(named, self._limits)))

    def classify(self, examples: tf.Tensor) -> Tensors:
        (rows,) = checked_rows({contract.EXAMPLES: examples})
        # Ragged, because TensorFlow's own message about two values of one feature does not say so.
        features = tf.io.parse_example(rows, {name: tf.io.RaggedFeature(tf.string) for name in self._names})
        texts = checked_values({name: features[name] for name in self._names})
        scores = self._answer(self._features_of(*texts))[contract.PROBABILITIES]
        best = tf.math.top_k(scores, k=len(self._labels))
        return {contract.CLASSES: tf.gather(tf.constant(self._labels), best.indices), contract.SCORES: best.values}

    def embed(self, *texts: tf.Tensor) -> Tensors:
        return {contract.POOLED_OUTPUT: self._features_of(*texts)[contract.POOLED_OUTPUT]}

    def labels(self, texts: tf.Tensor) -> Tensors:
        # A row for each text, without looking at it: so the signature has a batch dimension, which batching and REST need.
        rows = tf.shape(texts)[0]
        told = {
            contract.LABELS: tf.tile(tf.constant([self._labels]), [rows, 1]),
            contract.HEAD: tf.fill([rows], str(self._options.head)),
        }
        if self._options.thresholds:
            told[contract.THRESHOLDS] = tf.tile(tf.constant([self._options.thresholds], tf.float32), [rows, 1])
        return told

    def _answer(self, features: Tensors) -> Tensors:
        logits = features[contract.LOGITS]
        scores = self._classifier.probabilities(logits)
        return {
            contract.LABEL: label_of(self._options.head, self._options.labels, scores, self._options.thresholds),
            contract.PROBABILITIES: scores,
            contract.LOGITS: logits,
        }

    def _features_of(self, *texts: tf.Tensor) -> Tensors:
        preprocessing = self._classifier.preprocessing
        rows = checked_rows(dict(zip(self._names, texts, strict=True)))
        segments = [preprocessing.segment(text) for text in rows]
        if self._options.windows is not None:
            windows = combine_windows(segments[0], preprocessing.special, self._options.windows)
            return self._features.of_rows(*windows) | {contract.WINDOWS: windows[-1]}
        packed = combine_segments(
            segments, preprocessing.special, self._options.sequence_length, long_texts=self._options.long_texts
        )
        return self._features.of_rows(*packed, None)


def _trace(call: Callable[..., Tensors], specification: list[tf.TensorSpec]) -> Any:
    return tf.function(call, input_signature=specification, autograph=False).get_concrete_function()
