"""Batching parameters: the file of TensorFlow Serving, and a budget in tokens."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_serving.errors import InputError
from bert_serving.model_server.config.flag_values import MOST_THREADS
from bert_serving.model_server.config.text_protos import read_config_file

# Beside saved_model.pb, with --enable_per_model_batching_parameters.
PER_MODEL_FILE = "batching_params.pbtxt"

DEFAULT_TOKEN_BUDGET = 4096

# Requests over REST have timed out by then; a longer wait is a mistaken unit.
_LONGEST_WAIT = 60_000_000


@dataclass(frozen=True)
class BatchingParameters:
    """Limits of a batch.

    Attributes:
        max_batch_size: most rows of a request, and of a batch.
        batch_timeout_micros: wait of a batch for more requests; none for the only client.
        max_enqueued_batches: full batches that may wait; further requests are refused.
        num_batch_threads: batches that run in parallel, of all models.
        allowed_batch_sizes: batch sizes to pad to, ascending; empty allows any.
        pad_variable_length_inputs: pad rows of unequal length with zeros, or empty strings.
        enable_large_batch_splitting: split a request with too many rows, not refuse it.
        max_execution_batch_size: most rows of a part.
        max_batch_tokens: estimated tokens of a batch; a longer request runs alone, and last.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0
    max_batch_tokens: int = DEFAULT_TOKEN_BUDGET

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads", "max_batch_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give a number of at least 1")
        if not 0 <= self.batch_timeout_micros <= _LONGEST_WAIT:
            raise InputError(
                f"batch_timeout_micros is {self.batch_timeout_micros}: give 0 to {_LONGEST_WAIT}, which is a minute"
            )
        if self.num_batch_threads > MOST_THREADS:
            raise InputError(f"num_batch_threads is {self.num_batch_threads}: give at most {MOST_THREADS}")
        self._check_sizes()

    def _check_sizes(self) -> None:
        sizes = self.allowed_batch_sizes
        if list(sizes) != sorted(set(sizes)) or (sizes and sizes[0] < 1):
            raise InputError(f"allowed_batch_sizes {list(sizes)} must be positive and ascending")
        if sizes and sizes[-1] != self.execution_batch_size:
            raise InputError(
                "Last entry in allowed_batch_sizes must match max_batch_size; "
                f"last entry was {sizes[-1]}; expected {self.execution_batch_size}"
            )
        if self.max_execution_batch_size > self.max_batch_size or self.max_execution_batch_size < 0:
            raise InputError(
                f"max_execution_batch_size is {self.max_execution_batch_size}: give at most max_batch_size "
                f"({self.max_batch_size})"
            )

    @property
    def execution_batch_size(self) -> int:
        """Most rows of one run."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size:
            return self.max_execution_batch_size
        return self.max_batch_size

    @property
    def most_requests(self) -> int:
        """Requests of one row each that may run or wait at the same time."""
        return self.max_batch_size * (self.num_batch_threads + self.max_enqueued_batches)

    def filled_up(self, rows: int) -> int:
        """The allowed batch size for a number of rows."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)


def read_batching_parameters(path: Path, *, defaults: BatchingParameters | None = None) -> BatchingParameters:
    """Parameters from a file in protobuf text form.

    Args:
        path: the file.
        defaults: takes num_batch_threads and max_batch_tokens from here, not from the file.

    Raises:
        InputError: the file cannot be read or parsed, or a value is not allowed.
    """
    values: dict[str, Any] = {}
    for field, value in read_config_file(path, "BatchingParameters").ListFields():
        if field.name != "thread_pool_name":  # the pool has a name in TensorFlow Serving only
            values[field.name] = tuple(value) if isinstance(value, Sequence) else getattr(value, "value", value)
    if defaults is not None:
        values |= {"num_batch_threads": defaults.num_batch_threads, "max_batch_tokens": defaults.max_batch_tokens}
    try:
        return BatchingParameters(**values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
