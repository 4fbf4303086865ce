"""Integrated gradients: the attribution of each word of a text to a classifier's logit.

Sundararajan, Taly and Yan 2017, "Axiomatic Attribution for Deep Networks" (https://arxiv.org/abs/1703.01365). The
attributions of all words add up to the change of the logit from the baseline to the text, which is checked each time.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import tensorflow as tf
import tf_keras
from official.nlp.modeling import layers

from bert_serving import contract, window_pooling
from bert_serving.answers import relative_to
from bert_serving.classifier import BLOCKS, Classifier, pool
from bert_serving.contract import Head, WindowPooling
from bert_serving.data.batches import TokenRows, padded_batch
from bert_serving.encoders.architecture import Architecture
from bert_serving.encoders.loading import LoadedEncoder
from bert_serving.encoders.modernbert.architecture import ModernBertArchitecture
from bert_serving.errors import EncoderError, InputError
from bert_serving.explanation.attribution import ExplainedWindow, Explanation
from bert_serving.explanation.words import TokenWords
from bert_serving.observer import Observer
from bert_serving.wording import counted, listed

FIRST_STEPS = 32
MOST_STEPS = 2048
REGRESSION_LABEL = "value"

# The network that starts at the embeddings and the classifier itself differ by rounding only.
_SAME_LOGITS = 1e-3
_BATCH_TOKENS = 2048
# Where embeddings are narrower than the layers.
_PROJECTION = "embedding_projection"


def explain(
    classifier: Classifier,
    text: str,
    pair: str | None = None,
    *,
    label: str | None = None,
    steps: int = FIRST_STEPS,
    observer: Observer | None = None,
) -> Explanation:
    """Explains one prediction of a classifier whose encoder is a BERT network.

    The baseline has [MASK] for every word piece: the token that stands for any word in pretraining. [CLS], [SEP] and the
    positions stay, so that the words account for the whole change of the logit. A word's pieces are summed. For the first
    label of a binary head the sign of the one logit is inverted.

    Args:
        classifier: the classifier.
        text: the text.
        pair: the second text, for a classifier of pairs.
        label: whose logit is explained; absent: the most probable.
        steps: points of the path to begin with, doubled up to `MOST_STEPS` while the sum misses the change by too much.
        observer: receives the progress.

    Raises:
        InputError: the label is unknown; the number of texts is wrong; a text is not Unicode or has no words; or `steps`
            is out of range.
        EncoderError: the encoder is not a BERT network.
    """
    texts = _checked(classifier, (text,) if pair is None else (text, pair), steps)
    rows, _ = classifier.tokenize(*([part] for part in texts))
    words = TokenWords(classifier, texts)
    logits = classifier.predict_tokens(rows)
    probabilities = classifier.probabilities(tf.constant(logits)).numpy()[0]
    labels = classifier.options.labels or (REGRESSION_LABEL,)
    relative = np.asarray(relative_to(classifier.options.thresholds, probabilities))
    index = _label_index(labels, label, classifier.options.head, relative)
    path = _Path(classifier, rows, words.numbers >= 0, index)
    if abs(path.logit - path.chosen(logits)[0]) > _SAME_LOGITS * max(1.0, abs(path.logit)):
        raise EncoderError("the encoder's layers are not connected as in BERT; explain supports no other architecture")
    with (observer or Observer()).stage("Integrating gradients"):
        while True:
            explanation = Explanation(
                head=classifier.options.head,
                texts=texts,
                labels=labels,
                probabilities=probabilities,
                label=labels[index],
                words=words.attributed(path.attributions(steps)),
                logit=path.logit,
                baseline_logit=path.baseline_logit,
                steps=steps,
                cut_at=classifier.options.reach if words.are_cut else None,
                windows=path.windows(words.ranges),
            )
            if explanation.is_complete or 2 * steps > MOST_STEPS:
                return explanation
            steps *= 2


def _checked(classifier: Classifier, texts: tuple[str, ...], steps: int) -> tuple[str, ...]:
    if classifier.encoder.architecture is None:
        raise EncoderError(
            "the run's encoder is a TF Hub module without access to its embeddings; explain needs an encoder of the BERT "
            "family that was rebuilt as a Keras network"
        )
    expected = 2 if classifier.options.pairs else 1
    if len(texts) != expected:
        raise InputError(f"this classifier takes {counted(expected, 'text')}, got {len(texts)}")
    if not 1 <= steps <= MOST_STEPS:
        raise InputError(f"the number of steps must be from 1 to {MOST_STEPS}, got {steps}")
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"the text {text!r:.60} is not valid Unicode; give it in UTF-8") from None
    return texts


def _label_index(labels: Sequence[str], label: str | None, head: Head, probabilities: np.ndarray) -> int:
    if label is None:
        return int(probabilities.argmax())
    if head is Head.REGRESSION:
        raise InputError(f"a regression model has one value and no labels, got the label {label!r}; leave it out")
    if label not in labels:
        raise InputError(f"the model has no label {label!r}; it has {listed(labels, 10)}")
    return labels.index(label)


# === The path from the baseline to the text ===


class _Path:
    """The straight line from the baseline's embeddings to the text's, and the logit along it."""

    def __init__(self, classifier: Classifier, rows: TokenRows, replaced: np.ndarray, label: int):
        """`replaced`: bool [tokens], which tokens the baseline replaces; `label`: index of the explained label."""
        self._classifier, self._label = classifier, label
        batch = padded_batch(rows, [0])
        inside = batch[contract.MASK].astype(bool)
        masked = np.zeros_like(inside)
        masked[inside] = replaced
        self._mask, self._types = (tf.constant(batch[name]) for name in (contract.MASK, contract.TYPE_IDS))
        mask_id = int(classifier.preprocessing.model.tokenize.get_special_tokens_dict()["mask_id"])
        embed = classifier.encoder.layer.get_layer("word_embeddings")
        ends = embed(tf.constant(np.where(masked, mask_id, batch[contract.WORD_IDS])))
        self._start, self._difference = ends, embed(tf.constant(batch[contract.WORD_IDS])) - ends
        self.baseline_logit, self.logit = (float(value) for value in self._logits(self._points([0.0, 1.0])))

    def chosen(self, logits: tf.Tensor | np.ndarray) -> tf.Tensor | np.ndarray:
        """The explained logit [B] of a classifier's output [B, outputs]."""
        if self._classifier.options.head is Head.BINARY:
            return logits[:, 0] if self._label == 1 else -logits[:, 0]
        return logits[:, self._label]

    def attributions(self, steps: int) -> np.ndarray:
        """The attribution of each token, float64 [tokens].

        The integral of equation 1 of Sundararajan et al. by Gauss-Legendre quadrature, which needs fewer points than
        the Riemann sum of equation 3.
        """
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        at_once = max(_BATCH_TOKENS // (self._mask.shape[0] * self._mask.shape[1]), 1)
        mean = np.zeros(self._difference.shape)
        for i in range(0, steps, at_once):
            points = self._points((nodes[i : i + at_once] + 1) / 2)
            with tf.GradientTape() as tape:
                tape.watch(points)
                logits = self._logits(points)
            gradients = tape.gradient(logits, points).numpy().reshape(-1, *mean.shape)
            mean += np.tensordot(weights[i : i + at_once] / 2, gradients, axes=1)
        return np.asarray((mean * self._difference.numpy()).sum(axis=-1)[self._mask.numpy().astype(bool)])

    def windows(self, ranges: Sequence[tuple[int, int]]) -> tuple[ExplainedWindow, ...]:
        """What the head makes of each window alone; empty for a text of one.

        Args:
            ranges: number of the first and the last word of each window.
        """
        if len(ranges) < 2:
            return ()
        vectors = tf.cast(self._vectors(self._points([1.0])), tf.float32)
        model, options = self._classifier.token_model, self._classifier.options
        logits = self.chosen(model.get_layer("head")(vectors).numpy())
        weights: list[float | None] = [None] * len(ranges)
        if options.window_pooling is WindowPooling.ATTENTION:
            kernel = model.get_layer(window_pooling.NAME).kernel
            shares = window_pooling.attention_weights(vectors, tf.constant([len(ranges)]), kernel)
            weights = shares.numpy()[:, 0].tolist()
        return tuple(
            ExplainedWindow(first, last, float(logit), weight)
            for (first, last), logit, weight in zip(ranges, logits, weights, strict=True)
        )

    @cached_property
    def _after_embeddings(self) -> tf_keras.Model:
        """A ModernBERT's layers after its word embeddings, from these [B, tokens, H] and the mask [B, tokens]."""
        network = self._classifier.encoder.layer
        inputs = [network.get_layer("word_embeddings").output, network.input[contract.MASK]]
        return tf_keras.Model(inputs, network.output, name="after_embeddings")

    def _points(self, shares: Sequence[float] | np.ndarray) -> tf.Tensor:
        """Embeddings at `shares` of the way, float32 [len(shares) * windows, tokens, H]."""
        way = tf.constant(shares, tf.float32, [len(shares), 1, 1, 1]) * self._difference
        return tf.reshape(self._start + way, [-1, *self._start.shape[1:]])

    def _logits(self, words: tf.Tensor) -> tf.Tensor:
        """The explained logit [B] of word embeddings [B * windows, tokens, H]."""
        pooled, model, windows = self._vectors(words), self._classifier.token_model, self._mask.shape[0]
        if self._classifier.options.windows is not None:
            counts = tf.fill([len(pooled) // windows], windows)
            pooled = model.get_layer(window_pooling.NAME)([pooled, counts])
        return self.chosen(model.get_layer("head")(pooled))

    def _vectors(self, words: tf.Tensor) -> tf.Tensor:
        """The pooled vectors [B * windows, H] of word embeddings [B * windows, tokens, H]."""
        times = [len(words) // self._mask.shape[0], 1]
        mask, types = tf.tile(self._mask, times), tf.tile(self._types, times)
        if isinstance(self._classifier.encoder.architecture, ModernBertArchitecture):
            outputs = dict(self._after_embeddings([words, mask]))
        else:
            outputs = _encode(self._classifier.encoder, words, mask, types)
        outputs[contract.SEQUENCE_OUTPUT] = _through_blocks(self._classifier, outputs[contract.SEQUENCE_OUTPUT], mask)
        return pool(self._classifier.options.pooling, outputs, mask)


def _encode(encoder: LoadedEncoder, words: tf.Tensor, mask: tf.Tensor, types: tf.Tensor) -> dict[str, tf.Tensor]:
    """The encoder's outputs of word embeddings: the layers of `BertEncoder` or `AlbertEncoder` in order."""
    layer, names = encoder.layer.get_layer, [each.name for each in encoder.layer.layers]
    states = layer("embeddings/layer_norm")(
        words + layer("position_embedding")(words) + layer("type_embeddings")(types)
    )
    if _PROJECTION in names:
        states = layer(_PROJECTION)(states)
    attention_mask = layers.SelfAttentionMask()(states, mask)
    blocks = [name for name in names if name.startswith("transformer/layer_")]
    if isinstance(encoder.architecture, Architecture) and encoder.architecture.shared_layers:
        blocks = ["transformer"] * encoder.architecture.num_hidden_layers
    for name in blocks:
        states = layer(name)([states, attention_mask])
    return {
        contract.SEQUENCE_OUTPUT: states,
        contract.POOLED_OUTPUT: layer("pooler_transform")(states[:, 0]),
    }


def _through_blocks(classifier: Classifier, states: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """The sequence output after the head's own Transformer blocks, if it has any."""
    if not classifier.options.blocks:
        return states
    attention_mask = layers.SelfAttentionMask()(states, mask)
    for number in range(classifier.options.blocks):
        states = classifier.token_model.get_layer(f"{BLOCKS}/layer_{number}")([states, attention_mask])
    return states
