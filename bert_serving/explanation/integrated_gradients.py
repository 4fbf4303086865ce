"""Which words of one text moved a classifier's decision: integrated gradients over the word embeddings.

Sundararajan, Taly and Yan 2017, "Axiomatic Attribution for Deep Networks" (https://arxiv.org/abs/1703.01365). The attributions of all
words add up to the change of the logit from the baseline to the text, which is checked each time.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
import tensorflow_text
import tf_keras
from official.nlp.modeling import layers

from bert_serving import contract
from bert_serving.classifier import BLOCKS, Classifier, pool
from bert_serving.contract import Head
from bert_serving.data.batches import TokenRows, padded_batch
from bert_serving.errors import EncoderError, InputError
from bert_serving.observer import Observer
from bert_serving.text.packing import combine_segments
from bert_serving.text.preprocessing import VOCABULARY_FILE, normalize
from bert_serving.text.vocabulary import SpecialIds, read_vocabulary

TOLERANCE = 0.02
"""the sum of the attributions may miss the change of the logit by this share of it"""
FIRST_STEPS = 32
MOST_STEPS = 2048
REGRESSION_LABEL = "value"

# Sums of float32 products come no nearer than this to a change of the logit that is hardly any.
_ROUNDING = 1e-3
# The network run from its embeddings against the classifier itself: they differ by rounding only.
_SAME_LOGITS = 1e-3
_BATCH_TOKENS = 2048
_FRAMING = -1


@dataclass(frozen=True)
class Word:
    """A word of the text.

    Attributes:
        text: as it stands in the text.
        attribution: what it added to the logit; None where the sequence length cut it off.
        after_space: whether white space stands before it.
        segment: 0, or 1 in the second text of a pair.
    """

    text: str
    attribution: float | None
    after_space: bool
    segment: int


@dataclass(frozen=True)
class Explanation:
    """Why a classifier gives a text the logit that it gives.

    Attributes:
        head: what the classifier predicts.
        texts: the text, and the second one of a pair.
        labels: C names, in the order of `probabilities`.
        probabilities: float32 [C]; for regression the value itself, [1].
        label: the one whose logit is explained.
        words: in the order of the text.
        logit: of `label`.
        baseline_logit: the same with [MASK] for every word piece.
        steps: points of the path at which gradients were taken.
        cut_at: the sequence length, when words were cut off; else None.
    """

    head: Head
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: np.ndarray
    label: str
    words: tuple[Word, ...]
    logit: float
    baseline_logit: float
    steps: int
    cut_at: int | None

    @property
    def change(self) -> float:
        """How far the words moved the logit."""
        return self.logit - self.baseline_logit

    @property
    def total(self) -> float:
        """Sum of the attributions."""
        return sum(word.attribution for word in self.words if word.attribution is not None)

    @property
    def gap(self) -> float:
        """By how much the sum misses the change, as a share of the change."""
        return abs(self.total - self.change) / max(abs(self.change), _ROUNDING / TOLERANCE)

    @property
    def weights(self) -> tuple[float | None, ...]:
        """The attributions as shares of the strongest one, from -1 to 1; None for words that were cut off."""
        greatest = max((abs(word.attribution) for word in self.words if word.attribution is not None), default=0) or 1
        return tuple(None if word.attribution is None else word.attribution / greatest for word in self.words)

    @property
    def ranking(self) -> tuple[Word, ...]:
        """The words that the model read, strongest first."""
        read = [word for word in self.words if word.attribution is not None]
        return tuple(sorted(read, key=lambda word: -abs(word.attribution or 0)))

    @property
    def is_complete(self) -> bool:
        """Whether the attributions add up to the change within `TOLERANCE`."""
        return self.gap <= TOLERANCE


def explain(
    classifier: Classifier,
    text: str,
    pair: str | None = None,
    *,
    label: str | None = None,
    steps: int = FIRST_STEPS,
    observer: Observer | None = None,
) -> Explanation:
    """Explains one answer of a classifier whose encoder is a BERT network.

    The baseline has [MASK] for every word piece: the token that stands for "some word" in pretraining. [CLS], [SEP] and the
    positions stay, so that the whole change of the logit falls to the words. A word's pieces are summed. For the first label of
    a binary head the one logit counts with its sign turned.

    Args:
        classifier: the classifier.
        text: the text.
        pair: the second text, for a classifier of pairs.
        label: whose logit is explained; absent: the likeliest.
        steps: points of the path to begin with, doubled up to `MOST_STEPS` while the sum misses the change by too much.
        observer: told of the progress.

    Raises:
        InputError: the label is unknown, a text is missing, too many, no Unicode or without words, or `steps` is out of range.
        EncoderError: the encoder is no BERT network.
    """
    texts = _checked(classifier, (text,) if pair is None else (text, pair), steps)
    rows, _ = classifier.tokenize(*([each] for each in texts))
    words = _Words(classifier, texts)
    logits = classifier.predict_tokens(rows)
    probabilities = classifier.probabilities(tf.constant(logits)).numpy()[0]
    labels = classifier.options.labels or (REGRESSION_LABEL,)
    place = _place(labels, label, classifier.options.head, probabilities)
    path = _Path(classifier, rows, words.places >= 0, place)
    if abs(path.logit - path.chosen(logits)[0]) > _SAME_LOGITS * max(1.0, abs(path.logit)):
        raise EncoderError("the encoder's layers are not joined as in BERT; explain knows no other way through them")
    with (observer or Observer()).stage("Following the gradients"):
        while True:
            found = Explanation(
                head=classifier.options.head,
                texts=texts,
                labels=labels,
                probabilities=probabilities,
                label=labels[place],
                words=words.attributed(path.attributions(steps)),
                logit=path.logit,
                baseline_logit=path.baseline_logit,
                steps=steps,
                cut_at=classifier.options.sequence_length if words.are_cut else None,
            )
            if found.is_complete or 2 * steps > MOST_STEPS:
                return found
            steps *= 2


def _checked(classifier: Classifier, texts: tuple[str, ...], steps: int) -> tuple[str, ...]:
    if classifier.encoder.architecture is None:
        raise EncoderError(
            "the run's encoder is a TF Hub module that shows no embeddings; explain needs an encoder of the BERT family "
            "that was rebuilt as a Keras network"
        )
    wanted = 2 if classifier.options.pairs else 1
    if len(texts) != wanted:
        raise InputError(f"this classifier takes {wanted} text{'s' * (wanted > 1)}, got {len(texts)}")
    if not 1 <= steps <= MOST_STEPS:
        raise InputError(f"the number of steps must be from 1 to {MOST_STEPS}, got {steps}")
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"the text {text!r:.60} is not valid Unicode; give it in UTF-8") from None
    return texts


def _place(labels: Sequence[str], label: str | None, head: Head, probabilities: np.ndarray) -> int:
    if label is None:
        return int(probabilities.argmax())
    if head is Head.REGRESSION:
        raise InputError(f"a regression model has one value and no labels, got the label {label!r}; leave it out")
    if label not in labels:
        known = ", ".join(labels[:10]) + (" ..." if len(labels) > 10 else "")
        raise InputError(f"the model has no label {label!r}; it has {known}")
    return labels.index(label)


# === The path from the baseline to the text ===


class _Path:
    """The straight line between two embeddings of a text, and the logit along it."""

    def __init__(self, classifier: Classifier, rows: TokenRows, replaced: np.ndarray, place: int):
        """`replaced`: bool [tokens], which tokens the baseline replaces; `place`: of the label whose logit is looked at."""
        self._classifier, self._place = classifier, place
        batch = padded_batch(rows, [0])
        self._mask, self._types = (tf.constant(batch[name]) for name in (contract.MASK, contract.TYPE_IDS))
        mask_id = int(classifier.preprocessing.model.tokenize.get_special_tokens_dict()["mask_id"])
        embed = classifier.encoder.layer.get_layer("word_embeddings")
        ends = embed(tf.constant(np.where(replaced, mask_id, batch[contract.WORD_IDS])))
        self._start, self._difference = ends, embed(tf.constant(batch[contract.WORD_IDS])) - ends
        self.baseline_logit, self.logit = (float(value) for value in self._logits(self._points([0.0, 1.0])))

    def chosen(self, logits: tf.Tensor | np.ndarray) -> tf.Tensor | np.ndarray:
        """The looked-at logit [B] of a classifier's output [B, outputs]."""
        if self._classifier.options.head is Head.BINARY:
            return logits[:, 0] if self._place == 1 else -logits[:, 0]
        return logits[:, self._place]

    def attributions(self, steps: int) -> np.ndarray:
        """What each token adds to the logit, float64 [tokens].

        The integral of equation 1 of Sundararajan et al. by Gauss and Legendre's rule, which needs fewer points than
        equation 3's sum of equal steps.
        """
        places, weights = np.polynomial.legendre.leggauss(steps)
        at_once = max(_BATCH_TOKENS // self._mask.shape[1], 1)
        mean = np.zeros(self._difference.shape[1:])
        for i in range(0, steps, at_once):
            points = self._points((places[i : i + at_once] + 1) / 2)
            with tf.GradientTape() as tape:
                tape.watch(points)
                logits = self._logits(points)
            gradients = tape.gradient(logits, points).numpy()
            mean += np.tensordot(weights[i : i + at_once] / 2, gradients, axes=1)
        return (mean * self._difference.numpy()[0]).sum(axis=-1)

    def _points(self, shares: Sequence[float] | np.ndarray) -> tf.Tensor:
        """Embeddings at `shares` of the way, float32 [len(shares), tokens, H]."""
        return self._start + tf.constant(shares, tf.float32, [len(shares), 1, 1]) * self._difference

    def _logits(self, words: tf.Tensor) -> tf.Tensor:
        """The looked-at logit [B] of word embeddings [B, tokens, H]: the classifier from there on."""
        rows = tf.shape(words)[0]
        mask, types = tf.repeat(self._mask, rows, axis=0), tf.repeat(self._types, rows, axis=0)
        outputs = _encode(self._classifier.encoder.layer, words, mask, types)
        outputs[contract.SEQUENCE_OUTPUT] = _through_blocks(self._classifier, outputs[contract.SEQUENCE_OUTPUT], mask)
        pooled = pool(self._classifier.options.pooling, outputs, mask)
        return self.chosen(self._classifier.token_model.get_layer("head")(pooled))


def _encode(network: tf_keras.Model, words: tf.Tensor, mask: tf.Tensor, types: tf.Tensor) -> dict[str, tf.Tensor]:
    """The encoder's outputs from word embeddings: the layers of `official.nlp.modeling.networks.BertEncoder` in their order."""
    layer = network.get_layer
    states = layer("embeddings/layer_norm")(
        words + layer("position_embedding")(words) + layer("type_embeddings")(types)
    )
    attention_mask = layers.SelfAttentionMask()(states, mask)
    for block in [each for each in network.layers if each.name.startswith("transformer/layer_")]:
        states = block([states, attention_mask])
    return {
        contract.SEQUENCE_OUTPUT: states,
        contract.POOLED_OUTPUT: layer("pooler_transform")(states[:, 0]),
    }


def _through_blocks(classifier: Classifier, states: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """The sequence output behind the head's own Transformer blocks, if it has any."""
    if not classifier.options.blocks:
        return states
    attention_mask = layers.SelfAttentionMask()(states, mask)
    for number in range(classifier.options.blocks):
        states = classifier.token_model.get_layer(f"{BLOCKS}/layer_{number}")([states, attention_mask])
    return states


# === Words ===


class _Words:
    """The words of a row of one or two texts, and which of them each token belongs to."""

    def __init__(self, classifier: Classifier, texts: Sequence[str]):
        preprocessing = classifier.preprocessing
        self._words: list[Word] = []
        numbers = []
        for number, text in enumerate(texts):
            pieces = preprocessing.segment(tf.constant([text]))[0]
            counts = pieces.row_lengths().numpy()
            found = _words_of(text)
            if len(found) != len(counts):
                # Such as a word of accents alone, of which an uncased tokenizer leaves nothing.
                vocabulary = read_vocabulary(preprocessing.folder / contract.ASSETS_FOLDER / VOCABULARY_FILE)
                found = [
                    ("".join(vocabulary[piece] for piece in word).replace("##", ""), True) for word in pieces.numpy()
                ]
            flat = np.repeat(np.arange(len(counts)) + len(self._words), counts).astype(np.int32)
            numbers.append(tf.RaggedTensor.from_row_lengths(flat, [len(flat)]))
            self._words += [Word(word, None, after_space, number) for word, after_space in found]
        if not self._words:
            raise InputError(f"the text {texts[0]!r:.60} has no words to explain; give one with letters or signs")
        # Cut and framed as the tokens themselves are, so that each number stands where its token stands.
        framing = SpecialIds(_FRAMING, _FRAMING, _FRAMING)
        row, _ = combine_segments(numbers, framing, classifier.options.sequence_length)
        self.places = row.flat_values.numpy()
        """the word's number for each token, int32 [tokens]; -1 for [CLS] and [SEP]"""
        self.are_cut = int(tf.add_n([segment.row_lengths()[0] for segment in numbers])) > int((self.places >= 0).sum())

    def attributed(self, tokens: np.ndarray) -> tuple[Word, ...]:
        """The words with the sum of what their tokens added, float [tokens]."""
        sums = np.zeros(len(self._words))
        inside = self.places >= 0
        np.add.at(sums, self.places[inside], tokens[inside])
        kept = set(self.places.tolist())
        return tuple(
            replace(word, attribution=float(sums[number])) if number in kept else word
            for number, word in enumerate(self._words)
        )


def _words_of(text: str) -> list[tuple[str, bool]]:
    """The words that BERT's tokenizer parts a text into, as they stand in it, and whether white space stands before each."""
    cleaned = normalize(tf.constant([text]), lower_case=False)
    # To a tokenizer whose vocabulary is empty each word is one unknown piece.
    none = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["[UNK]"], tf.constant([0], tf.int64)), -1)
    tokenizer = tensorflow_text.BertTokenizer(none, lower_case=False, token_out_type=tf.int64)
    _, starts, _ = tokenizer.tokenize_with_offsets(cleaned)
    content = cleaned.numpy()[0]
    # The tokenizer ends a very long word too soon, but begins each where it begins.
    places = [*starts[0][:, :1].flat_values.numpy().tolist(), len(content)]
    return [
        (content[start:end].rstrip(b" ").decode(), content[:start].endswith(b" ") or start == 0)
        for start, end in itertools.pairwise(places)
    ]
