"""A request in a queue: its client, its cost and the future of its answer."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bert_serving.model_server.inference.inference import Inference

# A WordPiece token of English text has about four characters.
_BYTES_PER_TOKEN = 4


@dataclass(eq=False)
class BatchTask:
    """An inference that waits in a queue.

    Attributes:
        inference: what to run.
        client: address of the connection that sent it.
        rows: its rows in a batch; 0 for a request that cannot be merged with others.
        tokens: estimated cost, in tokens.
        loop: the event loop that waits for the answer.
        future: resolved on that loop.
        enqueued: when it came, on the clock of `time.monotonic`.
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
        """Whether the request was cancelled, so that nobody waits for its answer."""
        return self.future.cancelled()


def token_estimate(inputs: Mapping[str, np.ndarray]) -> int:
    """Estimated number of tokens of the largest input, without running a tokenizer.

    A number counts as one token; a string as one, and one more for every four bytes.
    """
    tokens = 1
    for array in inputs.values():
        text_bytes = sum(map(len, array.ravel().tolist())) if array.dtype == object else 0
        tokens = max(tokens, array.size + text_bytes // _BYTES_PER_TOKEN)
    return tokens
