"""The Keras network of a ModernBERT encoder."""

from collections.abc import Callable, Sequence

import tensorflow as tf
import tf_keras

from bert_serving import contract
from bert_serving.encoders.modernbert.architecture import ModernBertArchitecture
from bert_serving.encoders.modernbert.attention import (
    global_attention,
    local_attention,
    padding_bias,
    rotary_angles,
    rotated,
    window_bias,
)

_STDDEV = 0.02
Activation = Callable[[tf.Tensor], tf.Tensor]


def build_modernbert(
    architecture: ModernBertArchitecture, activation: Activation, pooler_activation: Activation, *, blank: bool = False
) -> tf_keras.Model:
    """Builds the encoder with random weights, or with zeros (`blank`) where weights are assigned later.

    Inputs and outputs are those of BERT's network; token types make no difference. `encoder_outputs` are the layers' outputs,
    `sequence_output` is normalized after the last one.

    Args:
        architecture: sizes.
        activation: of the gated dense layers.
        pooler_activation: of the pooler's dense layer.
        blank: whether weights are zeros.
    """
    parts = _Parts(architecture, blank=blank)
    # === Layers ===
    embed = tf_keras.layers.Embedding(
        architecture.vocab_size, architecture.hidden_size, parts.initializer(), name="word_embeddings", dtype=tf.float32
    )
    embeddings_norm = parts.norm("embeddings/layer_norm")
    blocks = [
        _Block(parts, activation, is_first=number == 0, is_global=is_global, name=f"transformer/layer_{number}")
        for number, is_global in enumerate(architecture.global_layers)
    ]
    # === Functional model ===
    tokens = {name: tf_keras.layers.Input((None,), dtype=tf.int32, name=name) for name in contract.TOKEN_INPUTS}
    mask = tokens[contract.MASK]
    states = embeddings_norm(embed(tokens[contract.WORD_IDS]))
    if dropout := parts.dropout(architecture.embedding_dropout, "embedding_dropout", dtype=tf.float32):
        states = dropout(states)
    global_inputs = _AttentionInputs(architecture, is_global=True, name="global_attention")(mask)
    local_inputs = _AttentionInputs(architecture, is_global=False, name="local_attention")(mask)
    outputs = []
    for block, is_global in zip(blocks, architecture.global_layers, strict=True):
        states = block([states, *(global_inputs if is_global else local_inputs)])
        outputs.append(states)
    sequence = parts.norm("final_layer_norm")(states)
    pooled = _Pooled(mean=architecture.pools_mean, name="pooled")([sequence, mask])
    if architecture.has_pooler:
        dense = parts.dense(architecture.hidden_size, architecture.pooler_bias, "pooler_transform")
        pooled = parts.norm("pooler_layer_norm")(tf_keras.layers.Activation(pooler_activation)(dense(pooled)))
    return tf_keras.Model(
        tokens,
        {
            contract.POOLED_OUTPUT: pooled,
            contract.SEQUENCE_OUTPUT: sequence,
            contract.ENCODER_OUTPUTS: outputs,
        },
        name="modernbert",
    )


class _Parts:
    """Layers of one architecture."""

    def __init__(self, architecture: ModernBertArchitecture, *, blank: bool):
        self.architecture = architecture
        self._blank = blank

    def initializer(self) -> tf_keras.initializers.Initializer:
        return tf_keras.initializers.Zeros() if self._blank else tf_keras.initializers.TruncatedNormal(stddev=_STDDEV)

    def dense(self, width: int, bias: bool, name: str) -> tf_keras.layers.Dense:
        return tf_keras.layers.Dense(width, use_bias=bias, kernel_initializer=self.initializer(), name=name)

    def norm(self, name: str) -> tf_keras.layers.LayerNormalization:
        # In float32, as in BERT's network: the variance of narrower numbers is too coarse.
        size = self.architecture
        return tf_keras.layers.LayerNormalization(
            epsilon=size.layer_norm_eps, center=size.layer_norm_bias, name=name, dtype=tf.float32
        )

    @staticmethod
    def dropout(rate: float, name: str, dtype: tf.DType | None = None) -> tf_keras.layers.Dropout | None:
        if not rate:
            return None
        dropout = tf_keras.layers.Dropout(rate, name=name, dtype=dtype)
        # With its first call it would get its generator, and the network is built for inference.
        dropout.build(None)
        return dropout


class _AttentionInputs(tf_keras.layers.Layer):  # type: ignore[misc]  # tf_keras has no annotations
    """What all layers of one kind need: what is added to their scores, and the angles of rotary positions."""

    def __init__(self, architecture: ModernBertArchitecture, *, is_global: bool, name: str):
        super().__init__(name=name, dtype=tf.float32)
        self._size = architecture
        self._is_global = is_global

    def call(self, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Of the mask int32 [B, T]."""
        size = self._size
        bias = padding_bias(mask) if self._is_global else window_bias(mask, size.window)
        theta = size.global_rope_theta if self._is_global else size.local_rope_theta
        return bias, *rotary_angles(tf.shape(mask)[1], size.head_size, theta)


class _Block(tf_keras.layers.Layer):  # type: ignore[misc]
    """A Transformer layer with its normalizations before its parts; the first one has none before its attention.

    The sum of all parts' outputs stays float32 under mixed precision.
    """

    def __init__(self, parts: _Parts, activation: Activation, *, is_first: bool, is_global: bool, name: str):
        super().__init__(name=name, autocast=False)
        size = self._size = parts.architecture
        self._activation = activation
        self._attention = global_attention if is_global else local_attention
        self._attention_norm = None if is_first else parts.norm("self_attention_layer_norm")
        self._query_key_value = parts.dense(3 * size.hidden_size, size.attention_bias, "self_attention/query_key_value")
        self._attention_output = parts.dense(size.hidden_size, size.attention_bias, "self_attention/attention_output")
        self._probability_dropout = parts.dropout(size.attention_dropout, "self_attention/dropout")
        self._attention_dropout = parts.dropout(size.attention_dropout, "self_attention/output_dropout")
        self._mlp_norm = parts.norm("mlp_layer_norm")
        self._gated = parts.dense(2 * size.intermediate_size, size.mlp_bias, "intermediate")
        self._mlp_dropout = parts.dropout(size.dropout, "intermediate_dropout")
        self._output = parts.dense(size.hidden_size, size.mlp_bias, "output")

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Of states [B, T, H] and the three parts of `_AttentionInputs`."""
        states, *attention_inputs = inputs
        normalized = states if self._attention_norm is None else self._attention_norm(states)
        states += tf.cast(self._attend(normalized, *attention_inputs, training=bool(training)), tf.float32)
        return states + tf.cast(self._mlp(self._mlp_norm(states), training=bool(training)), tf.float32)

    def _attend(
        self, states: tf.Tensor, bias: tf.Tensor, cosine: tf.Tensor, sine: tf.Tensor, *, training: bool
    ) -> tf.Tensor:
        size, shape = self._size, tf.shape(states)
        joined = tf.reshape(
            self._query_key_value(states), [shape[0], shape[1], 3, size.num_attention_heads, size.head_size]
        )
        query, key, value = tf.unstack(tf.transpose(joined, [2, 0, 3, 1, 4]))
        query, key = (rotated(each, (cosine, sine)) for each in (query, key))
        query *= size.head_size**-0.5
        attended = self._attention(query, key, value, bias, self._probability_dropout, training=training)
        flat = tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [shape[0], shape[1], size.hidden_size])
        return _dropped(self._attention_dropout, self._attention_output(flat), training=training)

    def _mlp(self, states: tf.Tensor, *, training: bool) -> tf.Tensor:
        values, gate = tf.split(self._gated(states), 2, axis=-1)
        inner = self._activation(values) * gate
        return self._output(_dropped(self._mlp_dropout, inner, training=training))


class _Pooled(tf_keras.layers.Layer):  # type: ignore[misc]
    """The first token, or the mean of all, [B, H]."""

    def __init__(self, *, mean: bool, name: str):
        super().__init__(name=name, dtype=tf.float32)
        self._mean = mean

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Of the sequence output [B, T, H] and the mask int32 [B, T]."""
        sequence, mask = inputs
        if not self._mean:
            return sequence[:, 0]
        weights = tf.cast(mask, sequence.dtype)[:, :, tf.newaxis]
        return tf.reduce_sum(sequence * weights, axis=1) / tf.reduce_sum(weights, axis=1)


def _dropped(dropout: tf_keras.layers.Dropout | None, values: tf.Tensor, *, training: bool) -> tf.Tensor:
    return values if dropout is None else dropout(values, training=training)
