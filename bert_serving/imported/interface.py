"""What the signature of a foreign SavedModel takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from bert_serving import contract
from bert_serving.contract import TOKEN_INPUTS
from bert_serving.errors import EncoderError

_SUPPORTED = (
    "supported is a classifier that takes one text or two, or {tokens}, and gives one output of logits or probabilities"
).format(tokens=", ".join(TOKEN_INPUTS))
_NAMED = 6
_LENGTH_AXIS = 1


@dataclass(frozen=True)
class Interface:
    """The signature `serving_default`.

    Attributes:
        function: of the loaded SavedModel.
        inputs: names of its inputs: one or two texts in their order, or `TOKEN_INPUTS`.
        takes_tokens: whether it takes token ids rather than texts.
        length: number of tokens that it takes; None: any.
    """

    function: Any
    inputs: tuple[str, ...]
    takes_tokens: bool
    length: int | None

    @property
    def pairs(self) -> bool:
        """Whether a row has two texts; not known of a model that takes token ids."""
        return not self.takes_tokens and len(self.inputs) > 1

    def call(self, values: Mapping[str, tf.Tensor]) -> np.ndarray:
        """The only output for inputs by name, float [B, outputs]."""
        specs = self.function.structured_input_signature[1]
        given = {
            name: tf.cast(
                tf.reshape(value, [-1, 1]) if specs[name].shape.rank == 2 and not self.takes_tokens else value,
                specs[name].dtype,
            )
            for name, value in values.items()
        }
        (output,) = self.function(**given).values()
        return np.asarray(output, np.float32)


def interface_of(model: Any, source: str) -> Interface:
    """The interface of a loaded SavedModel.

    Args:
        model: what `tf.saved_model.load` gave.
        source: for messages.

    Raises:
        EncoderError: it is not that of a text classifier.
    """
    function = getattr(model, "signatures", {}).get(contract.SERVING_DEFAULT)
    if function is None:
        kind = "is an encoder" if callable(model) else "holds a SavedModel"
        raise EncoderError(
            f"{source}: {kind} without a signature {contract.SERVING_DEFAULT}, so no classifier; give the folder that model.save of the "
            "whole classifier wrote, or train a classifier on an encoder that is named in encoder.path of a run file"
        )
    specs: Mapping[str, tf.TensorSpec] = function.structured_input_signature[1]
    outputs: Mapping[str, tf.TensorSpec] = function.structured_outputs
    texts = [name for name, spec in specs.items() if spec.dtype == tf.string]
    is_text = len(texts) == len(specs) in (1, 2) and all(specs[name].shape.rank in (1, 2) for name in texts)
    takes_tokens = set(specs) == set(TOKEN_INPUTS)
    scores = [spec for spec in outputs.values() if spec.dtype.is_floating and spec.shape.rank == 2]
    if not (is_text or takes_tokens) or len(outputs) != 1 or not scores:
        raise EncoderError(
            f"{source}: takes {_named(specs)} and gives {_named(outputs)}; {_SUPPORTED}, as model.save of TensorFlow's tutorial "
            '"Classify text with BERT" writes it'
        )
    length = specs[contract.WORD_IDS].shape[_LENGTH_AXIS] if takes_tokens else None
    # `text` stands before `text_pair`, `text1` before `text2`.
    return Interface(function, TOKEN_INPUTS if takes_tokens else tuple(sorted(texts)), takes_tokens, length)


def _named(specs: Mapping[str, tf.TensorSpec]) -> str:
    listed = [f"{name} ({spec.dtype.name} {_shape(spec)})" for name, spec in sorted(specs.items())]
    return (
        ", ".join(listed[:_NAMED]) + (f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else "") or "nothing"
    )


def _shape(spec: tf.TensorSpec) -> str:
    if spec.shape.rank is None:
        return "of any shape"
    return "[" + ", ".join("any" if size is None else str(size) for size in spec.shape) + "]"
