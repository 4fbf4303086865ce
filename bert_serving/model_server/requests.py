"""The one way from a decoded request to its answer: limits, execution, and telling those who count."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import Message

from bert_serving.model_server.batching.executor import Executor
from bert_serving.model_server.config.limits import Limits
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.status_code import Status, status_of
from bert_serving.model_server.observability.events import RequestEvent, RequestEvents, now

T = TypeVar("T")


@dataclass
class Call:
    """A request on its way.

    Attributes:
        entrypoint: GRPC or REST.
        method: Predict and so on.
        model: name of the model that was asked for.
        client: address of the client, for turns and logs.
        started: when it arrived.
        inference: what it came to; None while it is not known, or was refused.
        request: the message of a request that comes to several inferences.
        runtime: seconds from the queue to the outputs; that of the slowest inference.
    """

    entrypoint: str
    method: str
    model: str
    client: str
    started: float
    inference: Inference[Any] | None = None
    request: Message | None = None
    runtime: float = 0.0


Answered = Callable[[Call, Any], object]


def _ignore(call: Call, response: Any) -> None:
    """For those whom answers do not concern."""


class RequestHandler:
    """Runs requests of both protocols."""

    def __init__(self, executor: Executor, limits: Limits, events: RequestEvents, answered: Answered = _ignore):
        """Makes a handler.

        Args:
            executor: what runs the requests.
            limits: what one request may ask for.
            events: is told how each request ended.
            answered: called on the event loop with each call that was answered, and its response, behind the answer; must be quick.
        """
        self.limits = limits
        self._executor = executor
        self._exchanges = events
        self._answered = answered

    def begin(self, entrypoint: str, method: str, model: str, client: str) -> Call:
        """A request has arrived."""
        return Call(entrypoint, method, model, client, now())

    async def run(self, call: Call, inference: Inference[T]) -> T:
        """Runs what a request came to.

        Raises:
            InvalidRequest: it is over a limit.
            Exception: see `Executor.run`.
        """
        call.inference = inference
        self.limits.check(inference)
        began = now()
        result = await self._executor.run(inference, call.client)
        call.runtime = max(call.runtime, now() - began)
        return result

    def succeeded(self, call: Call, response: Any) -> None:
        """The request has its answer, which shall not wait until everybody knows."""
        asyncio.get_running_loop().call_soon(self._tell, call, now() - call.started, response)

    def _tell(self, call: Call, seconds: float, response: Any) -> None:
        self._note(call, seconds, "OK", "")
        self._answered(call, response)

    def failed(self, call: Call, error: Exception) -> Status:
        """The request gets an error; gives what it is on the wire."""
        status = status_of(error)
        self._note(call, now() - call.started, status.code, status.message)
        return status

    def _note(self, call: Call, seconds: float, status: str, message: str) -> None:
        inference = call.inference
        self._exchanges.note(
            RequestEvent(
                entrypoint=call.entrypoint,
                method=call.method,
                model=call.model,
                version=None if inference is None else inference.servable.version,
                signature="" if inference is None else inference.signature,
                status=status,
                seconds=seconds,
                runtime=call.runtime,
                rows=0 if inference is None else _rows(inference),
                client=call.client,
                message=message,
            )
        )


def _rows(inference: Inference[Any]) -> int:
    first: np.ndarray | None = next(iter(inference.inputs.values()), None)
    return 1 if first is None or first.ndim == 0 else len(first)
