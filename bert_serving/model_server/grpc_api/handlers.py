"""Handlers that refuse malformed messages, and calls beyond a limit.

gRPC alone answers a malformed message with UNKNOWN and logs a traceback for each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from bert_serving import contract


@dataclass(frozen=True)
class _Malformed:
    """Stands for a request that cannot be parsed."""

    reason: str


class _CallLimit:
    """Counts the calls in flight; all run on one event loop, which makes a plain number safe."""

    def __init__(self, most: int):
        self._most = most
        self._running = 0

    def __enter__(self) -> bool:
        """Counts a call; whether it may run."""
        self._running += 1
        return self._most == 0 or self._running <= self._most

    def __exit__(self, *_: object) -> None:
        self._running -= 1


class CheckedRegistry:
    """Wraps the handlers that generated code registers with a server."""

    def __init__(self, server: grpc.aio.Server, most_calls: int = 0):
        """Takes the server to register with.

        Args:
            server: the server.
            most_calls: calls of all handlers that may be in flight; 0 is no limit.
        """
        self._server = server
        self._limit = _CallLimit(most_calls)

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Registers handlers; generated code calls this."""
        self._server.add_generic_rpc_handlers(tuple(_Checked(handler, self._limit) for handler in handlers))

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        """Does nothing: newer generated code calls this besides; generic handlers are enough."""


class _Checked(grpc.GenericRpcHandler):
    def __init__(self, handler: grpc.GenericRpcHandler, limit: _CallLimit):
        self._handler = handler
        self._limit = limit
        self._methods: dict[str, Any] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method
        if method not in self._methods:
            handler = self._handler.service(handler_call_details)
            if handler is None:
                return None  # not kept: clients choose the names
            self._methods[method] = _checked(handler, self._limit)
        return self._methods[method]


def _checked(handler: Any, limit: _CallLimit) -> Any:
    parse: Callable[[bytes], Any] = handler.request_deserializer

    def read(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError as error:
            return _Malformed(str(error))

    async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
        with limit as may_run:
            if not may_run:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, contract.NO_FREE_THREAD)
            if isinstance(request, _Malformed):
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, request.reason)
            return await handler.unary_unary(request, context)

    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=read, response_serializer=handler.response_serializer
    )
