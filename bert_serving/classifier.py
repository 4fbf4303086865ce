"""The classifier: preprocessing, encoder, dropout and a dense head, joined as Keras models."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras
from official.nlp.modeling import layers

from bert_serving import contract
from bert_serving.contract import (
    LABEL_SEPARATOR,
    MULTILABEL_THRESHOLD,
    Head,
    LongTexts,
    Pooling,
    Scaling,
    Thresholds,
    WindowPooling,
    joined_labels,
)
from bert_serving.data.batches import TokenRows, bounded_batches, padded_batch, sorted_batches
from bert_serving.data.splits import label_array
from bert_serving.data.windows import WindowPlan, windowed
from bert_serving.encoders.architecture import ACTIVATIONS
from bert_serving.encoders.dropout import reproducible_dropout
from bert_serving.encoders.loading import LoadedEncoder
from bert_serving.encoders.token_cache import cached_token_rows
from bert_serving.errors import EncoderError, InputError
from bert_serving.text.packing import combine_segments, combine_windows, pad
from bert_serving.text.preprocessing import Preprocessing
from bert_serving.window_pooling import NAME as WINDOW_POOLING
from bert_serving.window_pooling import WindowPool, attention_weights, deciding_windows, logits_alone

# Initial values of the head's kernel, as in google-research/bert, run_classifier.py.
_HEAD_STDDEV = 0.02
_PREDICTION_BATCH = 64
# Of a batch of windows, padding included.
_PREDICTION_TOKENS = 16384
# More than any text has, so that it is not cut.
_WHOLE = 2**31 - 1
# Of new Transformer blocks, as in BERT.
_BLOCK_HEAD_WIDTH = 64
_BLOCK_INNER_FACTOR = 4
BLOCKS = "blocks"
"""prefix of the names of their variables"""
_AS_TRAINED = Scaling()


@dataclass(frozen=True)
class ClassifierOptions:
    """How a classifier is built on an encoder.

    Attributes:
        labels: in the order of the outputs; empty for regression.
        head: what the dense layer predicts.
        sequence_length: texts are cut at this number of tokens.
        pairs: whether a row has two texts.
        pooling: how the encoder's outputs become the input of the dense layer.
        blocks: new Transformer blocks between the encoder's sequence output and the pooling.
        dropout: rate between the pooled output and the dense layer.
        seed: of the head's initial weights.
        scaling: of logits before they become probabilities.
        thresholds: by which labels are predicted from probabilities; () without fitted ones.
        long_texts: what is read of a text with more tokens than the sequence length.
        windows: how a text is divided; None where it is not read in windows.
        window_pooling: how the pooled vectors of a text's windows become one.
    """

    labels: tuple[str, ...]
    head: Head = Head.SOFTMAX
    sequence_length: int = 128
    pairs: bool = False
    pooling: Pooling = Pooling.POOLER
    blocks: int = 0
    dropout: float = 0.1
    seed: int = 0
    scaling: Scaling = _AS_TRAINED
    thresholds: Thresholds = ()
    long_texts: LongTexts = LongTexts.TRUNCATE
    windows: WindowPlan | None = None
    window_pooling: WindowPooling = WindowPooling.MEAN

    @property
    def reach(self) -> int:
        """Tokens, special ones included, of the longest text that is read whole."""
        return self.sequence_length if self.windows is None else self.windows.reach

    @property
    def outputs(self) -> int:
        """Units of the dense layer."""
        return 1 if self.head in (Head.BINARY, Head.REGRESSION) else len(self.labels)


@dataclass(frozen=True)
class Classifier:
    """A classifier in memory.

    Attributes:
        options: labels, head and sequence length.
        encoder: the encoder's Keras layer.
        preprocessing: strings to token ids.
        token_model: Keras model from a dict of `TOKEN_INPUTS`, int32 [B, L], to logits, float32 [B, outputs]; where texts are read in
            windows, from the windows of all texts, int32 [W, L], and `WINDOW_COUNTS`, int32 [B].
    """

    options: ClassifierOptions
    encoder: LoadedEncoder
    preprocessing: Preprocessing
    token_model: tf_keras.Model

    @cached_property
    def model(self) -> tf_keras.Model:
        """The whole classifier as one Keras model: strings [B] (a list of two for pairs) to logits, padded to the sequence length."""
        options = self.options
        if self.preprocessing.rewrite is not None:
            raise InputError("encoder.normalizer is a Python function, which cannot be part of a graph; use predict")
        names = (contract.TEXT, contract.TEXT_PAIR) if options.pairs else (contract.TEXT,)
        texts = [tf_keras.layers.Input((), dtype=tf.string, name=name) for name in names]
        tokenize = hub.KerasLayer(self.preprocessing.model.tokenize, name="tokenize")

        special = self.preprocessing.special

        def pack(segments: Sequence[tf.RaggedTensor]) -> dict[str, tf.Tensor]:
            if options.windows is not None:
                word_ids, type_ids, counts = combine_windows(segments[0], special, options.windows)
                padded = pad(word_ids, type_ids, special, options.sequence_length)
                return {**padded, contract.WINDOW_COUNTS: counts}
            word_ids, type_ids = combine_segments(
                segments, special, options.sequence_length, long_texts=options.long_texts
            )
            return pad(word_ids, type_ids, special, options.sequence_length)

        tokens = tf_keras.layers.Lambda(pack, name="pack")([tokenize(text) for text in texts])
        return tf_keras.Model(texts if options.pairs else texts[0], self.token_model(tokens), name="classifier")

    @cached_property
    def features_model(self) -> tf_keras.Model:
        """Keras model from a dict of `TOKEN_INPUTS` to a dict of `pooled_output`, float32 [B, H], and `logits`, float32 [B, outputs].

        Where texts are read in windows, also of `deciding_window`, int32 [B].
        """
        model = self.token_model
        pooled = tf.cast(model.get_layer("dropout").input, tf.float32)
        features = {contract.POOLED_OUTPUT: pooled, contract.LOGITS: model.output}
        if self.options.windows is not None:
            pool = model.get_layer(WINDOW_POOLING)
            vectors, counts = pool.input
            decide = functools.partial(self.deciding, head=model.get_layer("head"), kernel=pool.kernel)
            features[contract.DECIDING_WINDOW] = tf_keras.layers.Lambda(
                lambda inputs: decide(*inputs), name=contract.DECIDING_WINDOW
            )([vectors, counts, model.output])
        return tf_keras.Model(model.input, features, name="features")

    def deciding(
        self,
        vectors: tf.Tensor,
        counts: tf.Tensor,
        logits: tf.Tensor,
        head: Callable[[tf.Tensor], tf.Tensor],
        kernel: tf.Tensor | None,
    ) -> tf.Tensor:
        """The number, from 0, of the window that decides each text, int32 [B].

        That is the window with the greatest weight where windows are pooled by attention, else the one for which the head,
        given this window alone, has the highest logit of the text's predicted label.

        Args:
            vectors: of the windows, [W, H].
            counts: windows of each text, int32 [B].
            logits: of the texts, float32 [B, outputs].
            head: from vectors to logits.
            kernel: of attention; None for other poolings.
        """
        vectors = tf.cast(vectors, tf.float32)
        if kernel is not None:
            return deciding_windows(attention_weights(vectors, counts, kernel)[:, 0], counts)
        answers = relative_scores(self.probabilities(logits), self.options.thresholds)
        return deciding_windows(logits_alone(self.options.head, head(vectors), answers, counts), counts)

    def tokenize(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, cache: bool = False
    ) -> tuple[TokenRows, np.ndarray]:
        """Token ids of many texts, and the length in tokens of each before truncation, int64 [N]; with `cache`, from disk."""
        options = self.options
        rows_of = functools.partial(cached_token_rows, self.preprocessing) if cache else self.preprocessing.token_rows
        if options.windows is not None:
            words, types, offsets, uncut = rows_of(texts, pairs, _WHOLE)
            return windowed(
                TokenRows(words, types, offsets, self.preprocessing.special.padding), options.windows
            ), uncut
        words, types, offsets, uncut = rows_of(texts, pairs, options.sequence_length, long_texts=options.long_texts)
        return TokenRows(words, types, offsets, self.preprocessing.special.padding), uncut

    def predict_tokens(
        self, rows: TokenRows, batch_size: int = _PREDICTION_BATCH, *, only: np.ndarray | None = None
    ) -> np.ndarray:
        """Logits of tokenized texts, float32 [N, outputs], in the order of the rows.

        Args:
            rows: the texts.
            batch_size: rows of a batch.
            only: numbers of the rows to compute, int [M]; the logits of all others are zeros. None for all.
        """
        logits = np.zeros((len(rows), self.options.outputs), np.float32)
        numbers = np.arange(len(rows)) if only is None else only
        for index in self._prediction_batches(rows, numbers, batch_size):
            logits[numbers[index]] = self._logits(self.batch(rows, numbers[index])).numpy()
        return logits

    @staticmethod
    def _prediction_batches(rows: TokenRows, numbers: np.ndarray, batch_size: int) -> list[np.ndarray]:
        """Indices of `numbers` in batches of similar length; those of windows have a bounded number of tokens."""
        if rows.window_offsets is None:
            return sorted_batches(rows.lengths[numbers], batch_size)
        (order,) = sorted_batches(rows.lengths[numbers], max(len(numbers), 1)) or [numbers]
        widths, counts = rows.widths[numbers], rows.window_counts[numbers]
        return bounded_batches(order, batch_size, _PREDICTION_TOKENS, widths, counts)

    @staticmethod
    def batch(rows: TokenRows, index: Sequence[int] | np.ndarray) -> dict[str, tf.Tensor]:
        """The token model's inputs for some rows, padded to the longest of them."""
        return {name: tf.constant(value) for name, value in padded_batch(rows, index).items()}

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Probabilities of texts, float32 [N, C]; for regression the value itself, [N, 1]."""
        if (pairs is not None) != self.options.pairs:
            raise InputError(f"this classifier takes {'two texts' if self.options.pairs else 'one text'} for each row")
        if pairs is not None and len(pairs) != len(texts):
            raise InputError(f"got {len(texts)} texts, but {len(pairs)} second texts; give the same number of both")
        rows, _ = self.tokenize(texts, pairs)
        values: np.ndarray = self.probabilities(tf.constant(self.predict_tokens(rows))).numpy()
        return values

    def with_thresholds(self, thresholds: Thresholds) -> "Classifier":
        """The same classifier, predicting labels by other thresholds."""
        if thresholds == self.options.thresholds:
            return self
        return dataclasses.replace(self, options=dataclasses.replace(self.options, thresholds=thresholds))

    def predict_windows(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of texts that are read in windows, and of which windows.

        Returns:
            float32 [N, C]; int64 [N, 2], the number, from 0, of the window that decided, and how many the text has.
        """
        rows, _ = self.tokenize(texts)
        logits = np.zeros((len(rows), self.options.outputs), np.float32)
        windows = np.stack([np.zeros(len(rows), np.int64), rows.window_counts], axis=1)
        for index in self._prediction_batches(rows, np.arange(len(rows)), _PREDICTION_BATCH):
            features = self.features_model(self.batch(rows, index), training=False)
            logits[index] = features[contract.LOGITS].numpy()
            windows[index, 0] = features[contract.DECIDING_WINDOW].numpy()
        return self.probabilities(tf.constant(logits)).numpy(), windows

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """This classifier's logits [B, outputs] as probabilities, float32 [B, C]."""
        return probabilities(self.options.head, logits, self.options.scaling)

    @cached_property
    def _logits(self) -> tf.types.experimental.ConcreteFunction:
        spec = {
            name: tf.TensorSpec([None, None, *tensor.shape[2:]][: len(tensor.shape)], tensor.dtype, name=name)
            for name, tensor in self.token_model.input.items()
        }
        function = tf.function(
            lambda tokens: self.token_model(tokens, training=False), input_signature=[spec], autograph=False
        )
        # TensorFlow counts the traces of all classifiers as those of one function, and warns of the fifth.
        return function.get_concrete_function()


def build_classifier(encoder: LoadedEncoder, preprocessing: Preprocessing, options: ClassifierOptions) -> Classifier:
    """Joins an encoder, dropout and a dense head.

    Raises:
        EncoderError: the encoder cannot take what the preprocessing makes: too many tokens, token ids or token types.
    """
    encoder.check_length(options.sequence_length, "encoder.sequence_length")
    _check_tables(encoder, preprocessing, options)
    # === Layers ===
    initializer = tf_keras.initializers.TruncatedNormal(stddev=_HEAD_STDDEV, seed=options.seed)
    with reproducible_dropout():
        dropout = tf_keras.layers.Dropout(options.dropout, name="dropout")
    # The head stays float32 under mixed precision, where the rounding of logits would show.
    head = tf_keras.layers.Dense(options.outputs, kernel_initializer=initializer, dtype=tf.float32, name="head")
    # === Functional model ===
    tokens = {name: tf_keras.layers.Input((None,), dtype=tf.int32, name=name) for name in contract.TOKEN_INPUTS}
    outputs = encoder.layer(tokens)
    if options.blocks:
        outputs = _with_blocks(outputs, tokens[contract.MASK], options)
    pooled = pool(options.pooling, outputs, tokens[contract.MASK])
    if options.windows is not None:
        tokens[contract.WINDOW_COUNTS] = tf_keras.layers.Input((), dtype=tf.int32, name=contract.WINDOW_COUNTS)
        pooled = WindowPool(options.window_pooling)([pooled, tokens[contract.WINDOW_COUNTS]])
    with reproducible_dropout():
        logits = head(dropout(pooled))
    model = tf_keras.Model(tokens, logits, name="token_classifier")
    return Classifier(options, encoder, preprocessing, model)


def _check_tables(encoder: LoadedEncoder, preprocessing: Preprocessing, options: ClassifierOptions) -> None:
    ids, rows = preprocessing.vocabulary, encoder.vocabulary
    if ids is not None and rows is not None and ids > rows:
        raise EncoderError(
            f"{preprocessing.folder}: the preprocessing makes {ids} token ids, the encoder has embeddings for {rows}; "
            "set encoder.preprocessing to the one that the encoder was trained with"
        )
    if options.pairs and encoder.types is not None and encoder.types <= preprocessing.special.second_type:
        raise EncoderError("pairs need two token types, the encoder has embeddings for 1; choose another encoder")


def _with_blocks(outputs: dict[str, tf.Tensor], mask: tf.Tensor, options: ClassifierOptions) -> dict[str, tf.Tensor]:
    """The encoder's outputs, with the sequence output after new Transformer blocks."""
    sequence = outputs[contract.SEQUENCE_OUTPUT]
    width = sequence.shape[-1]
    heads = next(heads for heads in (width // _BLOCK_HEAD_WIDTH, 2, 1) if heads and width % heads == 0)
    with reproducible_dropout():
        attention_mask = layers.SelfAttentionMask(name="blocks/mask")(sequence, mask)
        for number in range(options.blocks):
            sequence = layers.TransformerEncoderBlock(
                num_attention_heads=heads,
                inner_dim=_BLOCK_INNER_FACTOR * width,
                inner_activation=ACTIVATIONS["gelu"],
                output_dropout=options.dropout,
                attention_dropout=options.dropout,
                kernel_initializer=tf_keras.initializers.TruncatedNormal(
                    stddev=_HEAD_STDDEV, seed=options.seed + number
                ),
                name=f"{BLOCKS}/layer_{number}",
            )([sequence, attention_mask])
    return {**outputs, contract.SEQUENCE_OUTPUT: sequence}


def pool(pooling: Pooling, outputs: dict[str, tf.Tensor], mask: tf.Tensor) -> tf.Tensor:
    """One vector for each text, [B, H], from the encoder's outputs and the mask int32 [B, L]."""
    match pooling:
        case Pooling.POOLER:
            return outputs[contract.POOLED_OUTPUT]
        case Pooling.CLS:
            return outputs[contract.SEQUENCE_OUTPUT][:, 0]
        case Pooling.MEAN:
            tokens = tf.cast(outputs[contract.SEQUENCE_OUTPUT], tf.float32)
            weights = tf.cast(mask, tf.float32)[:, :, tf.newaxis]
            return tf.reduce_sum(tokens * weights, axis=1) / tf.reduce_sum(weights, axis=1)
        case Pooling.MAX:
            tokens = tf.cast(outputs[contract.SEQUENCE_OUTPUT], tf.float32)
            return tf.reduce_max(tf.where(mask[:, :, tf.newaxis] != 0, tokens, tokens.dtype.min), axis=1)


def probabilities(head: Head, logits: tf.Tensor, scaling: Scaling = _AS_TRAINED) -> tf.Tensor:
    """Logits [B, outputs] to probabilities float32 [B, C]; a regression's value passes through."""
    if scaling != _AS_TRAINED and head is not Head.REGRESSION:
        logits = _scaled(head, logits, scaling)
    match head:
        case Head.SOFTMAX:
            return tf.nn.softmax(logits)
        case Head.BINARY:
            positive = tf.sigmoid(logits)
            return tf.concat([1 - positive, positive], axis=1)
        case Head.MULTILABEL:
            return tf.sigmoid(logits)
        case Head.REGRESSION:
            return logits


def _scaled(head: Head, logits: tf.Tensor, scaling: Scaling) -> tf.Tensor:
    if scaling.exponent == 1:
        return logits / scaling.temperature
    if head is Head.SOFTMAX:
        distances = tf.reduce_max(logits, axis=1, keepdims=True) - logits
        return -(distances**scaling.exponent) / scaling.temperature
    return tf.sign(logits) * tf.abs(logits) ** scaling.exponent / scaling.temperature


def label_of(head: Head, labels: Sequence[str], scores: tf.Tensor, thresholds: Thresholds = ()) -> tf.Tensor:
    """The predicted label as string [B]: the likeliest, all with at least 0.5 (`joined_labels`), or a regression's value.

    With fitted thresholds, what they say (`contract.Thresholds`).
    """
    match head:
        case Head.SOFTMAX | Head.BINARY:
            relative = relative_scores(scores, thresholds)
            return tf.gather(tf.constant(list(labels)), tf.argmax(relative, axis=1, output_type=tf.int32))
        case Head.MULTILABEL:
            chosen = scores >= (tf.constant(thresholds) if thresholds else MULTILABEL_THRESHOLD)
            beginning, names, end = joined_labels(labels)
            rows = tf.ragged.boolean_mask(tf.broadcast_to(tf.constant(names), tf.shape(scores)), chosen)
            # An empty row of a ragged tensor joins to the empty string.
            joined = tf.strings.reduce_join(rows, axis=1, separator=LABEL_SEPARATOR)
            return tf.strings.join([beginning, joined, end]) if beginning else joined
        case Head.REGRESSION:
            return tf.strings.as_string(scores[:, 0])


def relative_scores(scores: tf.Tensor, thresholds: Thresholds) -> tf.Tensor:
    """Probabilities [B, C] as multiples of the thresholds, by which labels are compared."""
    return scores / tf.constant(thresholds) if thresholds else scores


def targets_of(head: Head, labels: Sequence[str], values: Sequence[object]) -> np.ndarray:
    """Labels of a table as training targets: int32 [N] for softmax, else float32 [N, outputs]."""
    numbers = label_array(values, labels, head)
    return numbers.astype(np.int32) if head is Head.SOFTMAX else numbers.reshape(len(numbers), -1).astype(np.float32)


def loss_of(head: Head, label_smoothing: float = 0.0) -> tf_keras.losses.Loss:
    """The loss between targets and logits.

    Args:
        head: what the logits mean.
        label_smoothing: fraction of a label's probability that is spread over all C labels, with a sigmoid over yes and no
            (Szegedy et al. 2015, https://arxiv.org/abs/1512.00567, section 7); a regression has none.
    """
    match head:
        case Head.SOFTMAX if label_smoothing:
            return _SmoothedCrossentropy(label_smoothing)
        case Head.SOFTMAX:
            return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        case Head.BINARY | Head.MULTILABEL:
            return tf_keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing)
        case Head.REGRESSION:
            return tf_keras.losses.MeanSquaredError()


class _SmoothedCrossentropy(tf_keras.losses.Loss):  # type: ignore[misc]  # tf_keras has no annotations
    """Cross entropy of label numbers with label smoothing, which Keras has for one-hot targets alone."""

    def __init__(self, smoothing: float):
        super().__init__(name="smoothed_crossentropy")
        self._smoothing = smoothing

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Of targets, int [B] or [B, 1], and logits [B, C]; float32 [B]."""
        logits = tf.convert_to_tensor(y_pred)
        targets = tf.one_hot(tf.reshape(tf.cast(y_true, tf.int32), [-1]), logits.shape[-1], dtype=logits.dtype)
        return tf_keras.losses.categorical_crossentropy(
            targets, logits, from_logits=True, label_smoothing=self._smoothing
        )
