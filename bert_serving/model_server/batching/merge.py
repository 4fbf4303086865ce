"""Merges the inputs of requests into a batch, and splits its outputs."""

from collections.abc import Mapping, Sequence

import numpy as np

from bert_serving.errors import FailedPrecondition, InvalidRequest

Arrays = Mapping[str, np.ndarray]


def batch_rows(inputs: Arrays) -> int:
    """Number of rows of a request.

    Raises:
        InvalidRequest: an input has no dimension, or the inputs have unequal first ones.
    """
    rows = None
    for array in inputs.values():
        if array.ndim == 0:
            raise InvalidRequest("Batching Run() input tensors must have at least one dimension")
        if rows is not None and array.shape[0] != rows:
            raise InvalidRequest("Batching Run() input tensors must have equal 0th-dimension size")
        rows = array.shape[0]
    return rows or 0


def merge(requests: Sequence[Arrays], *, rows: int) -> dict[str, np.ndarray]:
    """Concatenates inputs along their rows and pads the batch to `rows` rows by repeating one.

    Rows of unequal length are padded with zeros (strings: with empty ones) at their ends. The mask
    of a text model is zero there, so the padding has no effect.
    """
    return {name: _joined([inputs[name] for inputs in requests], rows) for name in requests[0]}


def split(outputs: Arrays, sizes: Sequence[int]) -> list[dict[str, np.ndarray]]:
    """Splits the outputs of a batch by request.

    Args:
        outputs: outputs of the batch; rows beyond the sum of `sizes` are dropped.
        sizes: rows of each request.
    """
    parts: list[dict[str, np.ndarray]] = []
    start = 0
    for size in sizes:
        parts.append({name: array[start : start + size] for name, array in outputs.items()})
        start += size
    return parts


def check_outputs(outputs: Arrays, rows: int) -> None:
    """Checks that the outputs of a batch can be split.

    Raises:
        FailedPrecondition: an output does not have a row for each row of the batch.
    """
    for array in outputs.values():
        if array.ndim == 0:
            raise FailedPrecondition("Batched output tensor has 0 dimensions")
        if array.shape[0] != rows:
            raise FailedPrecondition(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors"
            )


def same_shape(inputs: Arrays) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The shape of a row of each input; requests that share it merge without padding."""
    return tuple((name, array.shape[1:]) for name, array in sorted(inputs.items()))


def same_rank(inputs: Arrays) -> tuple[tuple[str, int], ...]:
    """The rank of each input; requests that share it merge with padding."""
    return tuple((name, array.ndim) for name, array in sorted(inputs.items()))


def _joined(arrays: Sequence[np.ndarray], rows: int) -> np.ndarray:
    if len({array.shape[1:] for array in arrays}) > 1:
        longest = tuple(max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True))
        arrays = [_padded(array, longest) for array in arrays]
    missing = rows - sum(len(array) for array in arrays)
    if missing > 0:
        arrays = [*arrays, np.repeat(arrays[-1][:1], missing, axis=0)]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _padded(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape[1:] == shape:
        return array
    padded = np.full((len(array), *shape), b"" if array.dtype == object else 0, dtype=array.dtype)
    padded[tuple(slice(size) for size in array.shape)] = array
    return padded
