"""Inputs that the graph must refuse: an encoder would read beyond its tables, or another token than was meant."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bert_serving import contract

if TYPE_CHECKING:
    from bert_serving.saved_model.reader import ExportedModel

_LENGTH = 4


def check_refusals(model: "ExportedModel", max_tokens: int) -> list[str]:
    """Problems with the `tokens` signature: wrong inputs that it answers. `max_tokens` is the longest row that it takes."""
    import tensorflow as tf  # noqa: PLC0415  which the process that starts the verification does not need

    problems = []
    for what, inputs in _wrong_inputs(max_tokens):
        try:
            model.call(contract.TOKENS, **inputs)
        except tf.errors.InvalidArgumentError:
            continue
        problems.append(f"signature {contract.TOKENS} answers {what} instead of refusing it; export again")
    return problems


def _wrong_inputs(max_tokens: int) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    yield f"a row of {max_tokens + 1} tokens", _rows(max_tokens + 1)
    for name in contract.TOKEN_INPUTS:
        row = _rows(_LENGTH)
        row[name][0, -1] = -1
        yield f"{name} with the value -1", row
        yield f"{name} of another shape", row | {name: np.ones((2, _LENGTH), np.int32)}
    gap = _rows(_LENGTH)
    gap[contract.MASK][0, 1] = 0
    yield f"{contract.MASK} with a 1 after a 0", gap


def _rows(length: int) -> dict[str, np.ndarray]:
    zeros = np.zeros((1, length), np.int32)
    return {name: zeros.copy() for name in contract.TOKEN_INPUTS} | {contract.MASK: zeros + 1}
