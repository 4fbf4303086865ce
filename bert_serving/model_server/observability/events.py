"""A request that has been answered, for those who count and log."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RequestEvent:
    """One request and how it ended.

    Attributes:
        entrypoint: GRPC or REST.
        method: Predict, Classify, Regress, MultiInference; in lower case over REST, as in TensorFlow Serving.
        model: name of the model that was asked for.
        version: the version that answered; None when none was found.
        signature: the signature that ran, empty when none was found.
        status: name of the canonical code.
        seconds: from the arrival of the request to its answer.
        rows: rows of the request, 0 when it was refused before that was known.
        client: address of the client.
        message: what was wrong, empty when nothing was.
        runtime: seconds of these in the queue and in TensorFlow.
    """

    entrypoint: str
    method: str
    model: str
    version: int | None
    signature: str
    status: str
    seconds: float
    rows: int
    client: str
    message: str = ""
    runtime: float = 0.0


Listener = Callable[[RequestEvent], object]


class RequestEvents:
    """Tells every listener of every event."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Adds a listener; it is called on the event loop and must be quick."""
        self._listeners.append(listener)

    def note(self, event: RequestEvent) -> None:
        """Tells of an event."""
        for listener in self._listeners:
            listener(event)


def now() -> float:
    """Seconds on the clock by which events are measured."""
    return time.perf_counter()
