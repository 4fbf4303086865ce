"""Checks of a signature's inputs, as part of the graph, so that every model server refuses what an encoder cannot take.

Without them a wrong input fails in some operation within the encoder, or is answered: an index beyond a table reads another row of
it, or zeros on a GPU. A failed check is INVALID_ARGUMENT with one message that names the input, the value received and the limit.

The checks cost a few small operations for each input. They come before everything else, because operations without a dependency
run in any order, and the first error is the one that a server answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import tensorflow as tf

from bert_serving import contract
from bert_serving.classifier import Classifier

Tensors = dict[str, tf.Tensor]


@dataclass(frozen=True)
class TokenLimits:
    """What an encoder takes.

    Attributes:
        tokens: longest row, in tokens.
        vocabulary: number of token ids; None where it is not known.
        types: number of token types.
    """

    tokens: int
    vocabulary: int | None
    types: int

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """The sizes of the encoder's tables; where it has none by TF Hub's names, what its preprocessing makes."""
        encoder, options = classifier.encoder, classifier.options
        return cls(
            tokens=encoder.positions or options.sequence_length,
            vocabulary=encoder.vocabulary or classifier.preprocessing.vocabulary,
            types=encoder.types or 2,
        )


def checked_tokens(tokens: Mapping[str, tf.Tensor], limits: TokenLimits) -> Tensors:
    """`TOKEN_INPUTS`, int32 [B, L] each, once they are known to be what the encoder takes.

    They have one shape; a row has 1 to `limits.tokens` tokens, its mask is ones followed by zeros, ids and types are those of the
    encoder's tables.
    """
    tokens = _of_one_shape(tokens)
    length = tf.shape(tokens[contract.MASK])[1]
    fits = (length > 0) & (length <= limits.tokens)
    tokens = _checked(tokens, fits, f"rows have {{}} tokens, the encoder takes 1 to {limits.tokens}", length)
    for name, size in zip(contract.TOKEN_INPUTS, (limits.vocabulary, 2, limits.types), strict=True):
        tokens = _below(tokens, name, size or tf.int32.max)
    return _with_padding_at_the_end(tokens)


def checked_rows(texts: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
    """Strings, one for each row and equally many of each input; string [B] each."""
    rows: Tensors = {}
    for name, text in texts.items():
        shape = tf.shape(_of_any_shape(text))
        # A column [B, 1] has one string for each row, too.
        fits = tf.reduce_prod(shape) == tf.reduce_prod(shape[:1])
        rows |= _checked({name: text}, fits, f"{name} has shape {{}}, expected one string for each row", shape)
    # Without the known rank, which a column contradicts, or the reshaping would be optimized away.
    rows = {name: tf.reshape(_of_any_shape(text), [-1]) for name, text in rows.items()}
    if len(rows) == 2:
        first, second = (tf.size(text) for text in rows.values())
        message = ", ".join(f"{name} has {{}}" for name in rows)
        rows = _checked(rows, first == second, f"unequal numbers of rows: {message}", first, second)
    return list(rows.values())


def checked_values(features: Mapping[str, tf.RaggedTensor]) -> list[tf.Tensor]:
    """Features of serialized examples, string [B, (values)] each, of which each example has one value; string [B] each."""
    values: Tensors = {}
    for name, feature in features.items():
        counts = feature.row_lengths()
        row = _first(counts != 1)
        message = f"example {{}} has {{}} values of the feature {name}, expected 1"
        value = {name: feature.flat_values}
        values |= _checked(value, tf.reduce_all(counts == 1), message, row, _at(counts, row))
    return list(values.values())


def _of_one_shape(tokens: Mapping[str, tf.Tensor]) -> Tensors:
    shapes = [tf.shape(_of_any_shape(each)) for each in tokens.values()]
    first, *others = shapes
    # Shapes of two ranks are unequal, which is not an error here.
    same = [tf.reduce_all(tf.raw_ops.Equal(x=first, y=other, incompatible_shape_error=False)) for other in others]
    ranks = [tf.size(shape) == 2 for shape in shapes]
    message = ", ".join(f"{name} has shape {{}}" for name in tokens)
    return _checked(
        tokens, tf.reduce_all(tf.stack([*ranks, *same])), f"{message}, expected one shape [rows, tokens]", *shapes
    )


def _below(tokens: Tensors, name: str, size: int) -> Tensors:
    least, most = tf.reduce_min(tokens[name]), tf.reduce_max(tokens[name])
    value = tf.where(least < 0, least, most)
    return _checked(tokens, (least >= 0) & (most < size), f"{name} has the value {{}}, expected 0 to {size - 1}", value)


def _with_padding_at_the_end(tokens: Tensors) -> Tensors:
    mask = tokens[contract.MASK]
    ones = tf.reduce_sum(mask, axis=1)
    at_start = tf.reduce_sum(tf.math.cumprod(mask, axis=1), axis=1)
    fits = (ones == at_start) & (ones > 0)
    row = _first(~fits)
    message = (
        f"{contract.MASK} of row {{}} has {{}} ones, {{}} of them at its start; expected all of them, and at least 1"
    )
    return _checked(tokens, tf.reduce_all(fits), message, row, *(_at(counts, row) for counts in (ones, at_start)))


def _first(chosen: tf.Tensor) -> tf.Tensor:
    """Number of the first chosen row, bool [B]; B if there is none."""
    return tf.argmax(tf.concat([chosen, [True]], axis=0), output_type=tf.int32)


def _at(counts: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    """The count of a row; 0 where there is no such row."""
    return tf.reduce_sum(counts[row : row + 1])


def _of_any_shape(tensor: tf.Tensor) -> tf.Tensor:
    """The same tensor for operations that look at its shape.

    A server does not check the shapes of inputs against the signature, but TensorFlow's optimizer believes the signature: it would
    remove a check that only another shape fails.
    """
    return tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tf.TensorShape(None))


def _checked(tensors: Mapping[str, tf.Tensor], condition: tf.Tensor, message: str, *values: tf.Tensor) -> Tensors:
    """The tensors, which nothing can read before the condition was found true."""
    text = tf.strings.format(message, values)
    with tf.control_dependencies([tf.raw_ops.Assert(condition=condition, data=[text], name="input_check")]):
        return {name: tf.identity(tensor) for name, tensor in tensors.items()}
