"""A request in a queue: what it costs, who sent it, and where its answer goes."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bert_serving.model_server.inference.inference import Inference

# English WordPiece takes about four characters for a token.
_BYTES_PER_TOKEN = 4


@dataclass(eq=False)
class BatchTask:
    """An inference that waits for its turn.

    Attributes:
        inference: what to run.
        client: who sent it, for taking turns.
        rows: rows of its batch; 0 for a request that cannot be merged with others.
        tokens: what it is estimated to cost.
        loop: the event loop that waits for the answer.
        future: resolved on that loop.
        enqueued: when it came, on the clock of time.monotonic.
    """

    inference: Inference[Any]
    client: str
    rows: int
    tokens: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    enqueued: float = field(default_factory=time.monotonic)

    @property
    def dropped(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.future.cancelled()


def token_estimate(inputs: Mapping[str, np.ndarray]) -> int:
    """About how many tokens there are to compute, without running a tokenizer.

    Strings count by their length in bytes, numbers by the number of elements of the largest input; every row counts at
    least as one.
    """
    most = 1
    for array in inputs.values():
        most = max(most, array.size)
        if array.dtype == object:
            most = max(most, sum(map(len, array.ravel().tolist())) // _BYTES_PER_TOKEN + array.size)
    return most
