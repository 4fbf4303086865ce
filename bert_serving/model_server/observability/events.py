"""Request events: one for each inference request, for metrics and logs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from bert_serving.model_server.inference.inference import Inference


@dataclass
class RequestEvent:
    """A request, filled in from its arrival to its end, and complete when listeners get it.

    Attributes:
        entrypoint: GRPC or REST.
        method: Predict, Classify, Regress, MultiInference; in lower case over REST.
        model: name of the model in the request.
        client: address of the client.
        started: when the request arrived, on the clock of `now`.
        inference: what the request runs; None until that is known.
        request: the message of a request that runs several inferences.
        runtime: seconds in the queue and in TensorFlow, of the slowest inference.
        status: name of the canonical code; empty until the request has ended.
        message: the error message; empty without an error.
        seconds: from the arrival of the request to its answer.
    """

    entrypoint: str
    method: str
    model: str
    client: str
    started: float
    inference: Inference[Any] | None = None
    request: Message | None = None
    runtime: float = 0.0
    status: str = ""
    message: str = ""
    seconds: float = 0.0

    @property
    def version(self) -> int | None:
        """The version that ran; None when no version did."""
        return None if self.inference is None else self.inference.servable.version

    @property
    def signature(self) -> str:
        """The signature that ran; empty when none did."""
        return "" if self.inference is None else self.inference.signature

    @property
    def rows(self) -> int:
        """Rows of the request; 0 when it was refused before that was known."""
        if self.inference is None:
            return 0
        first = next(iter(self.inference.inputs.values()), None)
        return 1 if first is None or first.ndim == 0 else len(first)


EventListener = Callable[[RequestEvent], object]


def now() -> float:
    """Seconds on the clock by which requests are timed."""
    return time.perf_counter()
