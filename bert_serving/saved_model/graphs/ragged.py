"""The ragged serving graph: a BERT encoder without padding outside attention.

Dense layers run on the batch's real tokens, one flat [tokens, H] matrix; only attention sees padding, [B, heads, T, T]. Query,
key and value are one product, the last layer is computed for [CLS] alone where the head sees nothing else, and there is neither
Assert nor control flow. The rows are sorted by length and split into a few independent chains, so that short texts are not
padded to a long one and a server's threads can run in parallel.

Weights are variables, which all chains and signatures share in memory. As constants of the graph they would be held three times
for each signature: in its optimized graph, by its kernels, and in the order in which oneDNN keeps a constant. The encoder is a
function that is traced once, and so is a chain within it.
docs/explanation/serving_graphs.md has the measurements behind each choice.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import tensorflow as tf

from bert_serving.classifier import Classifier
from bert_serving.contract import Pooling
from bert_serving.encoders.architecture import Architecture
from bert_serving.errors import EncoderError
from bert_serving.saved_model.graphs.dense import ACTIVATIONS, Arithmetic, Dense, FeedForward, FloatArithmetic, Weights

_MASKED = -1e9
_OF_ALL_TOKENS = (Pooling.MEAN, Pooling.MAX)
# Long texts gain from more chains of similar length; for short ones the overhead of a chain is larger than the gain.
_SHORT_SEQUENCE = 128
_CHAINS_SHORT = 2
_CHAINS_LONG = 4
# oneDNN compiles its kernels once for each shape, which takes longer than a small batch. Sizes are rounded up to a sixteenth of
# their power of two, so that few shapes occur, at 3% more work on average.
_SHAPES_OF_AN_OCTAVE = 16
_STEPS = [1 << power for power in range(2, 17)]
# Sizes from which on the next step is used.
_STEP_BOUNDARIES = [float(_SHAPES_OF_AN_OCTAVE * step // 2 + 1) for step in _STEPS[1:]]


@dataclass(frozen=True)
class _Norm:
    """Layer normalization, in float32.

    Written in a form that TensorFlow's graph optimizer does not recognize and fuse: its fused kernel ignores epsilon and computes
    with 0.001, which is far off for BERT's small embeddings.
    """

    gamma: tf.Tensor
    beta: tf.Tensor
    epsilon: float

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
        return (centred * tf.math.rsqrt(variance + self.epsilon)) * self.gamma + self.beta


@dataclass(frozen=True)
class _Layer:
    """Weights of one Transformer layer."""

    attention_inputs: tuple[Dense, ...]
    """query, key and value in one; in a last layer that is computed for [CLS] alone: query, and key and value"""
    attention_output: Dense
    attention_norm: _Norm
    feed_forward: FeedForward
    output_norm: _Norm

    def around(self, x: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
        """Output of the layer for its input and the context from attention; float32 [N, H]."""
        x = self.attention_norm(self.attention_output.onto(x, context))
        return self.output_norm(self.feed_forward(x))


class RaggedEncoder(tf.Module):
    """A BERT encoder and its pooling on ragged batches."""

    def __init__(
        self,
        architecture: Architecture,
        weights: Mapping[str, np.ndarray],
        *,
        pooling: Pooling,
        arithmetic: Arithmetic,
        sequence_length: int,
        traced: bool = True,
    ):
        """Reads the weights of an encoder.

        Args:
            architecture: sizes of the encoder.
            weights: by the variable names of TF Hub's BERT encoders.
            pooling: how the last layer becomes one vector.
            arithmetic: of the dense layers; layer normalization stays float32.
            sequence_length: maximum number of tokens in a row.
            traced: trace graphs; otherwise the encoder runs eagerly.
        """
        super().__init__(name="ragged_encoder")
        self._size = architecture
        self._pooling = pooling
        self._dtype = arithmetic.dtype
        self._chains = _CHAINS_SHORT if sequence_length <= _SHORT_SEQUENCE else _CHAINS_LONG
        # In float32 the optimizer fuses the factor and the mask with the matrix product; in bfloat16 it cannot.
        factor = (architecture.hidden_size // architecture.num_attention_heads) ** -0.5
        self._factor = factor if self._dtype == tf.float32 else None
        self._folded = 1.0 if self._dtype == tf.float32 else factor
        self._pooler_activation = ACTIVATIONS[architecture.pooler_activation]
        self._table = _WeightTable(weights, arithmetic, architecture.layer_norm_eps)
        self.word_embeddings = tf.Variable(self._table.array("word_embeddings/embeddings"), trainable=False)
        self.position_embeddings = tf.Variable(self._table.positions_by_type(), trainable=False)
        self._traced = traced
        self.dense_weights: list[tf.Variable] = []
        with _kept_in(self.dense_weights):
            self._embedding_norm = self._table.norm("embeddings/layer_norm")
            self._projection = self._table.dense("embedding_projection") if architecture.has_projection else None
            layers, pooler = self._layers(), self._pooler()
        chain = self._chain(layers, pooler)
        encode = self._function(partial(self._encode, chain), [tf.TensorSpec([None], tf.int32)] * 4)
        # A function that is an attribute would be saved once more, constants and all.
        self._pooled: Callable[..., tf.Tensor] = lambda *inputs: encode(*inputs)

    def __call__(self, word_ids: tf.Tensor, type_ids: tf.Tensor, positions: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Pooled output of a batch, float32 [B, H].

        Args:
            word_ids: of all tokens, row after row, int32 [tokens].
            type_ids: segment ids of the same tokens, int32 [tokens].
            positions: of the same tokens in their rows, int32 [tokens].
            lengths: tokens of each row, int32 [B]; every row has at least one.
        """
        return self._pooled(word_ids, type_ids, positions, lengths)

    def _encode(
        self,
        chain: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        word_ids: tf.Tensor,
        type_ids: tf.Tensor,
        positions: tf.Tensor,
        lengths: tf.Tensor,
    ) -> tf.Tensor:
        order = tf.argsort(lengths)
        sorted_lengths = tf.gather(lengths, order)
        starts = tf.gather(tf.cumsum(lengths, exclusive=True), order)
        # Chains have the same number of tokens, not of rows.
        before = tf.cumsum(sorted_lengths, exclusive=True)
        chain_of = before * self._chains // tf.maximum(tf.shape(word_ids)[0], 1)
        pooled = []
        for number in range(self._chains):
            rows = tf.reshape(tf.where(tf.equal(chain_of, number)), [-1])
            chain_lengths = tf.gather(sorted_lengths, rows)
            index = _lengthened(_ranges(tf.gather(starts, rows), chain_lengths))
            x = self._embedding_norm(self._embed(*(tf.gather(ids, index) for ids in (word_ids, type_ids, positions))))
            x = x if self._projection is None else tf.cast(self._projection(x), tf.float32)
            pooled.append(chain(x, chain_lengths))
        return tf.gather(tf.concat(pooled, axis=0), tf.math.invert_permutation(order))

    def _layers(self) -> list["_Layer"]:
        last = None if self._pooling in _OF_ALL_TOKENS else self._size.num_hidden_layers - 1
        return [
            self._table.layer(number, self._size, self._folded, only_first=number == last)
            for number in range(self._size.num_hidden_layers)
        ]

    def _pooler(self) -> Dense | None:
        return self._table.dense("pooler_transform") if self._pooling is Pooling.POOLER else None

    def _chain(self, layers: list["_Layer"], pooler: Dense | None) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """A function from embeddings [tokens, H] and lengths [B] of some rows, possibly none, to their pooled output [B, H]."""

        def pooled(x: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
            layout = _Layout(lengths, self._size.num_attention_heads)
            *first_layers, last_layer = layers
            for layer in first_layers:
                x = layer.around(x, self._attention(layer, x, layout))
            if self._pooling in _OF_ALL_TOKENS:
                x = last_layer.around(x, self._attention(last_layer, x, layout))
                return layout.mean(x) if self._pooling is Pooling.MEAN else layout.maximum(x)
            x = last_layer.around(layout.first(x), self._attention_of_first(last_layer, x, layout))
            return x if pooler is None else self._pooler_activation(tf.cast(pooler(x), tf.float32))

        specification = [tf.TensorSpec([None, self._size.hidden_size]), tf.TensorSpec([None], tf.int32)]
        return self._function(pooled, specification)

    def _function(self, call: Callable[..., tf.Tensor], specification: list[tf.TensorSpec]) -> Callable[..., tf.Tensor]:
        return tf.function(call, input_signature=specification, autograph=False) if self._traced else call

    def _embed(self, word_ids: tf.Tensor, type_ids: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """Sum of the embeddings of each token, float32 [tokens, H]."""
        words = tf.gather(self.word_embeddings, word_ids)
        rows = type_ids * self._size.max_position_embeddings + positions
        others = tf.gather(self.position_embeddings, rows)
        return tf.cast(words, tf.float32) + tf.cast(others, tf.float32)

    def _attention(self, layer: _Layer, x: tf.Tensor, layout: "_Layout") -> tf.Tensor:
        """Context of every token, [tokens, H]."""
        (query_key_value,) = layer.attention_inputs
        query, key, value = layout.split_heads(query_key_value(x), parts=3)
        return layout.join_heads(self._attend(query, key, value, layout))

    def _attention_of_first(self, layer: _Layer, x: tf.Tensor, layout: "_Layout") -> tf.Tensor:
        """Context of each row's first token, [B, H]."""
        to_query, key_value = layer.attention_inputs
        key, value = layout.split_heads(key_value(x), parts=2)
        heads = self._size.num_attention_heads
        query = tf.reshape(to_query(layout.first(x)), [layout.rows, heads, 1, self._size.hidden_size // heads])
        return tf.reshape(self._attend(query, key, value, layout), [layout.rows, self._size.hidden_size])

    def _attend(self, query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, layout: "_Layout") -> tf.Tensor:
        """Attention of queries [B, heads, Q, D] to keys and values [B, heads, T, D]."""
        scores = tf.matmul(query, key, transpose_b=True)
        if self._factor is not None:
            scores *= self._factor
        shares = tf.nn.softmax(tf.cast(scores, tf.float32) + layout.mask)
        return tf.matmul(tf.cast(shares, self._dtype), value)


@contextlib.contextmanager
def _kept_in(kept: list[tf.Variable]) -> Iterator[None]:
    """Adds each variable that is made within the context, so that it is saved with the object that has the list."""

    def make(next_creator: Callable[..., tf.Variable], **arguments: object) -> tf.Variable:
        variable = next_creator(**arguments)
        kept.append(variable)
        return variable

    with tf.variable_creator_scope(make):
        yield


def ragged_encoder(classifier: Classifier, arithmetic: Arithmetic, *, traced: bool = True) -> RaggedEncoder:
    """The ragged encoder of a classifier; `traced` as for `RaggedEncoder`.

    Raises:
        EncoderError: its encoder is not a BERT.
    """
    encoder, options = classifier.encoder, classifier.options
    if not isinstance(encoder.architecture, Architecture):
        raise EncoderError("the ragged graph needs a BERT encoder; use the trimmed one")
    return RaggedEncoder(
        encoder.architecture,
        {variable.name: variable.numpy() for variable in encoder.layer.variables},
        pooling=options.pooling,
        arithmetic=arithmetic,
        sequence_length=options.sequence_length,
        traced=traced,
    )


def end_to_end(word_ids: tf.RaggedTensor, type_ids: tf.RaggedTensor) -> tuple[tf.Tensor, ...]:
    """Concatenates rows of tokens, int32 [B, (tokens)], for `RaggedEncoder`: word ids, type ids, positions and lengths."""
    lengths = tf.cast(word_ids.row_lengths(), tf.int32)
    tokens = tf.range(tf.shape(word_ids.flat_values)[0])
    positions = tokens - tf.repeat(tf.cumsum(lengths, exclusive=True), lengths)
    return word_ids.flat_values, type_ids.flat_values, positions, lengths


class _WeightTable:
    """The weights of an encoder by name, shaped and scaled for the ragged graph."""

    def __init__(self, weights: Mapping[str, np.ndarray], arithmetic: Arithmetic, epsilon: float):
        self._weights = weights
        self._arithmetic = arithmetic
        self._epsilon = epsilon
        # Small layers stay in floating point: quantization would lose accuracy and gain little.
        self._float = FloatArithmetic(arithmetic.dtype)

    def array(self, name: str) -> np.ndarray:
        return self._cast(self._weights[f"{name}:0"])

    def _cast(self, array: np.ndarray) -> np.ndarray:
        return np.asarray(array, self._arithmetic.dtype.as_numpy_dtype)

    def positions_by_type(self) -> np.ndarray:
        """Sum of type and position embedding, [types * positions, H]: one lookup for two."""
        types, positions = (self._weights[f"{name}/embeddings:0"] for name in ("type_embeddings", "position_embedding"))
        return self._cast((types[:, None] + positions[None]).reshape(-1, positions.shape[1]))

    def dense(self, name: str) -> Dense:
        return self._float.dense(self._flat(name))

    def norm(self, name: str) -> _Norm:
        gamma, beta = (tf.constant(self._weights[f"{name}/{part}:0"], tf.float32) for part in ("gamma", "beta"))
        return _Norm(gamma, beta, self._epsilon)

    def layer(self, number: int, architecture: Architecture, query_factor: float, *, only_first: bool) -> _Layer:
        name = f"transformer/layer_{number}"
        query, key, value = (self._flat(f"{name}/self_attention/{part}") for part in ("query", "key", "value"))
        query = Weights(query.name, query.kernel * query_factor, query.bias * query_factor)
        inputs = [[query], [key, value]] if only_first else [[query, key, value]]
        output_name = f"{name}/self_attention/attention_output"
        output_kernel, output_bias = (self._weights[f"{output_name}/{part}:0"] for part in ("kernel", "bias"))
        output = Weights(output_name, output_kernel.reshape(-1, architecture.hidden_size), output_bias)
        return _Layer(
            attention_inputs=tuple(self._arithmetic.dense(_side_by_side(parts)) for parts in inputs),
            attention_output=self._arithmetic.dense(output),
            attention_norm=self.norm(f"{name}/self_attention_layer_norm"),
            feed_forward=self._arithmetic.feed_forward(
                self._flat(f"{name}/intermediate"), self._flat(f"{name}/output"), architecture.activation
            ),
            output_norm=self.norm(f"{name}/output_layer_norm"),
        )

    def _flat(self, name: str) -> Weights:
        """Kernel [inputs, outputs] and bias [outputs]; those of attention are stored per head."""
        kernel = self._weights[f"{name}/kernel:0"]
        return Weights(name, kernel.reshape(len(kernel), -1), self._weights[f"{name}/bias:0"].reshape(-1))


def _side_by_side(parts: list[Weights]) -> Weights:
    """Layers with the same input, as one."""
    return Weights(
        "+".join(part.name for part in parts),
        np.concatenate([part.kernel for part in parts], axis=1),
        np.concatenate([part.bias for part in parts]),
    )


class _Layout:
    """Layout of a chain's tokens: flat [tokens] for the dense layers, [B, heads, T] for attention.

    The flat form has a few tokens of padding at its end, the other one after each row; neither reaches an output.
    """

    def __init__(self, lengths: tf.Tensor, heads: int):
        self._lengths = lengths
        self._heads = heads
        self.rows = tf.shape(lengths)[0]
        # The 1 is for an empty chain, which has no longest row.
        self._longest = _rounded(tf.reduce_max(tf.concat([lengths, [1]], axis=0)))
        tokens = tf.reduce_sum(lengths)
        self._tokens = _rounded(tokens)
        self._starts = tf.cumsum(lengths, exclusive=True)
        columns = tf.range(self._longest)[tf.newaxis]
        # After a row's end any token will do, because it is masked.
        self._padded = tf.minimum(self._starts[:, tf.newaxis] + columns, tokens - 1)
        inside = columns < lengths[:, tf.newaxis]
        self.mask = tf.where(inside, 0.0, _MASKED)[:, tf.newaxis, tf.newaxis]
        self._by_head = {parts: self._head_index(parts) for parts in (2, 3)}
        self._row_of = tf.repeat(tf.range(self.rows), lengths)
        self._flat = self._flat_index(tokens)

    def first(self, x: tf.Tensor) -> tf.Tensor:
        """Each row's first token, [B, H]."""
        return tf.gather(x, self._starts)

    def mean(self, x: tf.Tensor) -> tf.Tensor:
        """The mean of each row's tokens, [B, H]."""
        total = tf.math.unsorted_segment_sum(x[: tf.size(self._row_of)], self._row_of, self.rows)
        return total / tf.cast(self._lengths, x.dtype)[:, tf.newaxis]

    def maximum(self, x: tf.Tensor) -> tf.Tensor:
        """The maximum over each row's tokens, [B, H]."""
        return tf.math.unsorted_segment_max(x[: tf.size(self._row_of)], self._row_of, self.rows)

    def split_heads(self, x: tf.Tensor, *, parts: int) -> list[tf.Tensor]:
        """[tokens, parts * H] to `parts` tensors [B, heads, T, D]: one lookup of slices; a transpose would copy once more."""
        slices = tf.reshape(x, [self._tokens * (parts * self._heads), x.shape[1] // (parts * self._heads)])
        split: list[tf.Tensor] = tf.unstack(tf.gather(slices, self._by_head[parts]))
        return split

    def join_heads(self, context: tf.Tensor) -> tf.Tensor:
        """[B, heads, T, D] to [tokens, H]."""
        width = context.shape[3]
        slices = tf.reshape(context, [self.rows * self._heads * self._longest, width])
        return tf.reshape(tf.gather(slices, self._flat), [self._tokens, self._heads * width])

    def _head_index(self, parts: int) -> tf.Tensor:
        heads = tf.range(self._heads)[tf.newaxis, :, tf.newaxis]
        first = self._padded[:, tf.newaxis] * (parts * self._heads) + heads
        return tf.stack([first + part * self._heads for part in range(parts)])

    def _flat_index(self, tokens: tf.Tensor) -> tf.Tensor:
        columns = tf.range(tokens) - tf.gather(self._starts, self._row_of)
        first = _lengthened(self._row_of * (self._heads * self._longest) + columns)
        return first[:, tf.newaxis] + (tf.range(self._heads) * self._longest)[tf.newaxis]


def _ranges(starts: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The numbers starts[i] ... starts[i] + lengths[i] - 1 of all i, concatenated."""
    shift = starts - tf.cumsum(lengths, exclusive=True)
    return tf.repeat(shift, lengths) + tf.range(tf.reduce_sum(lengths))


def _lengthened(flat: tf.Tensor) -> tf.Tensor:
    """Pads with zeros at the end, so that few sizes occur."""
    size = tf.shape(flat)[0]
    return tf.concat([flat, tf.zeros([_rounded(size) - size], flat.dtype)], axis=0)


def _rounded(size: tf.Tensor) -> tf.Tensor:
    """`size` rounded up so that few sizes occur; 0 stays 0."""
    # Two small operations; comparing with one step after the other would take two per step.
    step = tf.gather(tf.constant(_STEPS), tf.raw_ops.Bucketize(input=size, boundaries=_STEP_BOUNDARIES))
    return -tf.math.floordiv(-size, step) * step
