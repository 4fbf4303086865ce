"""How requests are merged into batches: the batching parameters file of TensorFlow Serving, and a budget in tokens."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from bert_serving.errors import InputError

# Beside saved_model.pb, with --enable_per_model_batching_parameters.
PER_MODEL_FILE = "batching_params.pbtxt"

DEFAULT_TOKEN_BUDGET = 4096


@dataclass(frozen=True)
class BatchingParameters:
    """Limits of a batch.

    Attributes:
        max_batch_size: rows of one request, and of a batch.
        batch_timeout_micros: how long a batch waits for more requests; it never waits for the only client.
        max_enqueued_batches: full batches that may wait; further requests are refused.
        num_batch_threads: batches that run side by side, of all models.
        allowed_batch_sizes: sizes to which a batch is filled up, ascending; empty means any.
        pad_variable_length_inputs: fill rows of unequal length with zeros (strings: with empty ones).
        enable_large_batch_splitting: a request of more rows than fit is run in parts instead of refused.
        max_execution_batch_size: rows of a part then.
        max_batch_tokens: estimated tokens of a batch; a request with more runs on its own, and after those with less.
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
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads", "max_batch_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give a number of at least 1")
        if self.batch_timeout_micros < 0:
            raise InputError(f"batch_timeout_micros is {self.batch_timeout_micros}: give 0 or more")
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

    def filled_up(self, rows: int) -> int:
        """The allowed batch size for so many rows."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)


def read_batching_parameters(path: Path, *, defaults: BatchingParameters | None = None) -> BatchingParameters:
    """Parameters from a file in protobuf text form.

    Args:
        path: the file.
        defaults: where to take what no file of this form can hold: the thread pool and the token budget.

    Raises:
        InputError: the file cannot be read or parsed, or a value is not allowed.
    """
    # Only with batching is protobuf needed before TensorFlow is there.
    from bert_serving.model_server.config.text_protos import read_config_file

    given = read_config_file(path, "BatchingParameters")
    values: dict[str, object] = {
        "allowed_batch_sizes": tuple(given.allowed_batch_sizes),
        "pad_variable_length_inputs": given.pad_variable_length_inputs,
        "enable_large_batch_splitting": given.enable_large_batch_splitting,
    }
    for name in (
        "max_batch_size",
        "batch_timeout_micros",
        "max_enqueued_batches",
        "num_batch_threads",
        "max_execution_batch_size",
    ):
        if given.HasField(name):
            values[name] = getattr(given, name).value
    if defaults is not None:
        values |= {"num_batch_threads": defaults.num_batch_threads, "max_batch_tokens": defaults.max_batch_tokens}
    try:
        return replace(BatchingParameters(), **values)  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
