"""gRPC clients of TensorFlow Serving's API; they need no TensorFlow."""

# ruff: noqa: PLC0415
# grpc is imported when a client is made, so that a command which makes none starts without it.

from typing import Any

from bert_serving.clients import grpc_wire as wire
from bert_serving.clients.client import AsyncClient, Call, Client
from bert_serving.clients.tls import ClientTls


class GrpcClient(Client):
    """A gRPC client that waits for its answers; threads may share it.

    ```python
    from bert_serving.clients.grpc_client import GrpcClient

    with GrpcClient("localhost:8500") as client:
        print(client.predict("tiny", ["a good film"])[0].label, client.describe("tiny").labels)
    ```
    """

    _wire: wire.GrpcWire

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 30.0,
        retry_timeout: float = 2.0,
        batch_rows: int = 64,
        tls: ClientTls | None = None,
    ):
        """Makes a client, which connects on its first request.

        Args:
            address: host:port, for example localhost:8500.
            timeout: seconds for one request.
            retry_timeout: seconds during which a request is sent again while the server is
                unavailable; 0 sends it once.
            batch_rows: texts of one request; a longer list is sent in several.
            tls: files for TLS; None sends plain text.

        Raises:
            InvalidRequest: `address` is a URL.
            InputError: a file of `tls` cannot be read.
        """
        import grpc

        super().__init__(wire.GrpcWire(address), timeout=timeout, retry_timeout=retry_timeout, batch_rows=batch_rows)
        self._channel = _channel(grpc, address, tls, self._wire.options)
        self._error = grpc.RpcError

    def reload(self, config: Any, *, timeout: float | None = None) -> None:
        """Replaces the models, versions and labels that the server serves.

        Args:
            config: a ModelServerConfig that lists every model: one that it does not list is
                unloaded.
            timeout: seconds for the answer, which waits for new models to load; None takes the
                client's timeout.

        Raises:
            InvalidRequest: an entry is not allowed.
            FailedPrecondition: a label names a version that is not AVAILABLE.
            ServerUnavailable: no answer.
        """
        request = wire.reload_request(config.SerializeToString())
        self._run(Call((wire.RELOAD, request), bytes), self._policy(timeout=timeout))

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def _send(self, message: tuple[str, bytes], seconds: float) -> bytes:
        method, request = message
        try:
            reply: bytes = self._channel.unary_unary(method)(request, timeout=seconds)
        except self._error as error:
            raise self._wire.failure(error, seconds) from None
        return reply


class AsyncGrpcClient(AsyncClient):
    """A gRPC client for programs on an event loop; make it there.

    ```python
    import asyncio

    from bert_serving.clients.grpc_client import AsyncGrpcClient


    async def main() -> None:
        async with AsyncGrpcClient("localhost:8500") as client:
            print((await client.predict("tiny", ["a good film"]))[0].label)


    asyncio.run(main())
    ```
    """

    _wire: wire.GrpcWire

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 30.0,
        retry_timeout: float = 2.0,
        batch_rows: int = 64,
        tls: ClientTls | None = None,
        at_once: int = 4,
    ):
        """As `GrpcClient`; `at_once` requests of a long list are sent at the same time."""
        import grpc.aio

        super().__init__(
            wire.GrpcWire(address),
            timeout=timeout,
            retry_timeout=retry_timeout,
            batch_rows=batch_rows,
            at_once=at_once,
        )
        self._channel = _channel(grpc.aio, address, tls, self._wire.options)
        self._error = grpc.aio.AioRpcError

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def _send(self, message: tuple[str, bytes], seconds: float) -> bytes:
        method, request = message
        try:
            reply: bytes = await self._channel.unary_unary(method)(request, timeout=seconds)
        except self._error as error:
            raise self._wire.failure(error, seconds) from None
        return reply


def _channel(library: Any, address: str, tls: ClientTls | None, options: list[tuple[str, int]]) -> Any:
    """A channel of `grpc` or `grpc.aio`, which name their functions alike."""
    if tls is None:
        return library.insecure_channel(address, options=options)
    return library.secure_channel(address, tls.channel_credentials(), options=options)
