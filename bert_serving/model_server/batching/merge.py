"""Inputs of several requests as one batch, and its outputs parted again."""

from collections.abc import Mapping, Sequence

import numpy as np

from bert_serving.errors import FailedPrecondition, InvalidRequest

Arrays = Mapping[str, np.ndarray]


def batch_rows(inputs: Arrays) -> int:
    """Rows of a request.

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
    """Inputs one below the other, filled up to `rows` with a row of theirs.

    Rows of unequal length are filled with zeros at their ends (strings: with empty ones), never with a value of their
    own: the mask of a text model is zero there, and so the filling is not seen.
    """
    return {name: _joined([each[name] for each in requests], rows) for name in requests[0]}


def part(outputs: Arrays, sizes: Sequence[int]) -> list[dict[str, np.ndarray]]:
    """Outputs of each request.

    Args:
        outputs: outputs of the batch; rows beyond the sum of `sizes` are dropped.
        sizes: rows of each request.

    Raises:
        FailedPrecondition: an output does not have a row for each row of the batch.
    """
    parts: list[dict[str, np.ndarray]] = []
    start = 0
    for size in sizes:
        parts.append({name: array[start : start + size] for name, array in outputs.items()})
        start += size
    return parts


def check_outputs(outputs: Arrays, rows: int) -> None:
    """Checks that a batch can be parted.

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
    """What requests must have in common to be merged without filling: the shape of a row of each input."""
    return tuple((name, array.shape[1:]) for name, array in sorted(inputs.items()))


def same_rank(inputs: Arrays) -> tuple[tuple[str, int], ...]:
    """What requests must have in common to be merged with filling."""
    return tuple((name, array.ndim) for name, array in sorted(inputs.items()))


def _joined(arrays: Sequence[np.ndarray], rows: int) -> np.ndarray:
    if len({array.shape[1:] for array in arrays}) > 1:
        longest = tuple(max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True))
        arrays = [_filled(array, longest) for array in arrays]
    missing = rows - sum(len(array) for array in arrays)
    if missing > 0:
        arrays = [*arrays, np.repeat(arrays[-1][:1], missing, axis=0)]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _filled(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape[1:] == shape:
        return array
    filled = np.full((len(array), *shape), b"" if array.dtype == object else 0, dtype=array.dtype)
    filled[tuple(slice(size) for size in array.shape)] = array
    return filled
