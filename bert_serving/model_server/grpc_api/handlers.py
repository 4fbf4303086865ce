"""Handlers that answer malformed messages with INVALID_ARGUMENT.

gRPC alone answers UNKNOWN and logs a traceback for each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError


@dataclass(frozen=True)
class _Malformed:
    """Stands for a request that cannot be parsed."""

    reason: str


class TolerantRegistry:
    """Wraps the handlers that generated code registers with a server."""

    def __init__(self, server: grpc.aio.Server):
        """Takes the server to register with."""
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Registers handlers; generated code calls this."""
        self._server.add_generic_rpc_handlers(tuple(_Tolerant(handler) for handler in handlers))

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        """Does nothing: newer generated code calls this besides; generic handlers are enough."""


class _Tolerant(grpc.GenericRpcHandler):
    def __init__(self, handler: grpc.GenericRpcHandler):
        self._handler = handler
        self._methods: dict[str, Any] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method
        if method not in self._methods:
            handler = self._handler.service(handler_call_details)
            if handler is None:
                return None  # not kept: clients choose the names
            self._methods[method] = _tolerant(handler)
        return self._methods[method]


def _tolerant(handler: Any) -> Any:
    parse: Callable[[bytes], Any] = handler.request_deserializer

    def read(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError as error:
            return _Malformed(str(error))

    async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
        if isinstance(request, _Malformed):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, request.reason)
        return await handler.unary_unary(request, context)

    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=read, response_serializer=handler.response_serializer
    )
