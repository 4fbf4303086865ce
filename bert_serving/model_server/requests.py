"""Handling of decoded requests of both protocols: limits, execution, and request events."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from bert_serving.model_server.batching.executor import Executor
from bert_serving.model_server.config.limits import Limits
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.status_code import Status, status_of
from bert_serving.model_server.observability.events import EventListener, RequestEvent, now

T = TypeVar("T")

ResponseListener = Callable[[RequestEvent, Any], object]


class RequestHandler:
    """Runs requests of both protocols.

    Attributes:
        limits: limits of one request.
    """

    def __init__(self, executor: Executor, limits: Limits, on_response: ResponseListener = lambda *_: None):
        """Makes a handler.

        Args:
            executor: runs the requests.
            limits: limits of one request.
            on_response: called with answered requests on the event loop; must be quick.
        """
        self.limits = limits
        self._executor = executor
        self._on_response = on_response
        self._listeners: list[EventListener] = []

    def subscribe(self, listener: EventListener) -> None:
        """Calls `listener` on the event loop with each request that has ended; it must be quick."""
        self._listeners.append(listener)

    def start(self, entrypoint: str, method: str, model: str, client: str) -> RequestEvent:
        """Starts the event of a request that has arrived."""
        return RequestEvent(entrypoint, method, model, client, started=now())

    async def run(self, event: RequestEvent, inference: Inference[T]) -> T:
        """Runs an inference of a request.

        Raises:
            InvalidRequest: it is over a limit, or nested too deeply.
            Exception: see `Executor.run`.
        """
        event.inference = inference
        self.limits.check(inference.inputs)
        inference.check_nesting()
        began = now()
        result = await self._executor.run(inference, event.client)
        event.runtime = max(event.runtime, now() - began)
        return result

    def finish(self, event: RequestEvent, response: Any) -> None:
        """Ends a request that was answered; listeners are called once the response is sent."""
        event.status, event.seconds = "OK", now() - event.started
        asyncio.get_running_loop().call_soon(self._publish_response, event, response)

    def fail(self, event: RequestEvent, error: Exception) -> Status:
        """Ends a request with an error; returns its status on the wire."""
        status = status_of(error)
        event.status, event.message, event.seconds = status.code, status.message, now() - event.started
        self._publish(event)
        return status

    def _publish_response(self, event: RequestEvent, response: Any) -> None:
        self._publish(event)
        self._on_response(event, response)

    def _publish(self, event: RequestEvent) -> None:
        for listener in self._listeners:
            listener(event)
