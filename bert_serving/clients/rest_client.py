"""Clients of TensorFlow Serving's REST API; they need no TensorFlow."""

# ruff: noqa: PLC0415
# httpx is imported when a client is made: the import takes longer than all others together.

from typing import Any

from bert_serving.clients import rest_wire as wire
from bert_serving.clients.client import AsyncClient, Client
from bert_serving.clients.tls import ClientTls


class RestClient(Client):
    """A REST client that waits for its answers; threads may share it.

    ```python
    from bert_serving.clients.rest_client import RestClient

    with RestClient("http://localhost:8501") as client:
        print(client.predict("tiny", ["a good film"])[0].label, client.status("tiny")[0].state)
    ```
    """

    _wire: wire.RestWire

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 30.0,
        retry_timeout: float = 2.0,
        batch_rows: int = 64,
        tls: ClientTls | None = None,
    ):
        """Makes a client, which connects on its first request.

        Args:
            base_url: for example http://localhost:8501.
            timeout: seconds for one request.
            retry_timeout: seconds during which a request is sent again while the server is
                unavailable; 0 sends it once.
            batch_rows: texts of one request; a longer list is sent in several.
            tls: files for an https URL, where the roots of this machine are not enough.

        Raises:
            InvalidRequest: `base_url` is not an http or https URL.
            InputError: a file of `tls` or the proxy of the environment cannot be used.
        """
        import httpx

        super().__init__(wire.RestWire(base_url), timeout=timeout, retry_timeout=retry_timeout, batch_rows=batch_rows)
        self._http = httpx.Client(transport=self._wire.transport(httpx.HTTPTransport, tls))
        self._errors = (httpx.HTTPError, httpx.InvalidURL)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _send(self, message: tuple[str, str, bytes | None], seconds: float) -> dict[str, Any]:
        method, url, body = message
        try:
            reply = self._http.request(method, url, content=body, timeout=seconds)
        except self._errors as error:
            raise self._wire.failure(error, seconds) from None
        return self._wire.read_reply(reply.status_code, reply.content)


class AsyncRestClient(AsyncClient):
    """A REST client for programs on an event loop.

    ```python
    import asyncio

    from bert_serving.clients.rest_client import AsyncRestClient


    async def main() -> None:
        async with AsyncRestClient("http://localhost:8501", at_once=8) as client:
            print((await client.predict("tiny", ["a good film"]))[0].label)


    asyncio.run(main())
    ```
    """

    _wire: wire.RestWire

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 30.0,
        retry_timeout: float = 2.0,
        batch_rows: int = 64,
        tls: ClientTls | None = None,
        at_once: int = 4,
    ):
        """As `RestClient`; `at_once` requests of a long list are sent at the same time."""
        import httpx

        super().__init__(
            wire.RestWire(base_url),
            timeout=timeout,
            retry_timeout=retry_timeout,
            batch_rows=batch_rows,
            at_once=at_once,
        )
        self._http = httpx.AsyncClient(transport=self._wire.transport(httpx.AsyncHTTPTransport, tls))
        self._errors = (httpx.HTTPError, httpx.InvalidURL)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def _send(self, message: tuple[str, str, bytes | None], seconds: float) -> dict[str, Any]:
        method, url, body = message
        try:
            reply = await self._http.request(method, url, content=body, timeout=seconds)
        except self._errors as error:
            raise self._wire.failure(error, seconds) from None
        return self._wire.read_reply(reply.status_code, reply.content)
