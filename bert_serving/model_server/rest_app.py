"""The REST API as an ASGI application."""

import asyncio
import zlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bert_serving.errors import DeadlineExceeded, InvalidRequest, http_status
from bert_serving.model_server.gateway import Gateway
from bert_serving.model_server.inference import Inference
from bert_serving.model_server.json_text import quoted, write_json
from bert_serving.model_server.rest_api import Reply, RestApi, inference_target, refusal
from bert_serving.model_server.workers import Workers

# A body up to this size is read on the event loop, where it costs less than the way to a thread.
_SMALL = 1 << 14
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Content-Encoding",
}
_GONE = 499
_TOO_LARGE = 413


@dataclass(frozen=True)
class Document:
    """Something that is served besides the API.

    Attributes:
        media_type: its type.
        make: gives its text, anew for each request.
        headers: sent along with it.
    """

    media_type: str
    make: Callable[[], str]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RestOptions:
    """Options of the REST port.

    Attributes:
        timeout: seconds for one inference.
        cors: allow pages of other origins to ask.
        documents: what is served besides the API, by path.
    """

    timeout: float = 30.0
    cors: bool = False
    documents: Mapping[str, Document] = field(default_factory=dict)


def build_rest_app(api: RestApi, workers: Workers, gateway: Gateway, options: RestOptions) -> Starlette:
    """One endpoint for everything, so that `api` alone decides what a path means."""
    endpoint = _Endpoint(api, workers, gateway, options)
    return Starlette(routes=[Route("/{path:path}", endpoint.answer, methods=_METHODS)])


class _TooLargeError(InvalidRequest):
    """A body over the limit."""


class _Endpoint:
    def __init__(self, api: RestApi, workers: Workers, gateway: Gateway, options: RestOptions):
        self._api = api
        self._workers = workers
        self._gateway = gateway
        self._options = options

    async def answer(self, request: Request) -> Response:
        path = _raw_path(request)
        headers = _CORS if self._options.cors else {}
        if request.method == "OPTIONS":
            return Response(status_code=_preflight_status(request), headers=headers)
        document = self._options.documents.get(path) if request.method in ("GET", "HEAD") else None
        if document is not None:
            return Response(document.make(), media_type=document.media_type, headers={**headers, **document.headers})
        try:
            reply = await self._reply(request, path)
        except ClientDisconnect:
            return Response(status_code=_GONE)
        # A message may quote half of a surrogate pair, which UTF-8 cannot hold.
        content = reply.text.encode("utf-8", errors="replace")
        return Response(content, status_code=reply.status, media_type="application/json", headers=headers)

    async def _reply(self, request: Request, path: str) -> Reply:
        target = inference_target(request.method, path)
        if target is None:
            try:
                prepared = self._api.prepare(request.method, path, b"")
                return prepared if isinstance(prepared, Reply) else refusal(InvalidRequest("No inference"))
            except Exception as error:
                return refusal(error)
        call = self._gateway.begin("REST", target.method, target.model, _client(request))
        try:
            inference = await self._inference(request, path)
            reply = await self._unless_gone(request, self._gateway.run(call, inference))
        except ClientDisconnect as error:
            self._gateway.failed(call, DeadlineExceeded("The client has gone"))
            raise error
        except Exception as error:
            failure = self._gateway.failed(call, error)
            status = _TOO_LARGE if isinstance(error, _TooLargeError) else http_status(failure.code)
            return Reply(status, write_json({"error": quoted(failure.message)}) + "\n")
        self._gateway.succeeded(call, reply)
        return reply

    async def _inference(self, request: Request, path: str) -> Inference[Reply]:
        body = await self._body(request)
        zipped = request.headers.get("content-encoding", "").lower() == "gzip"
        most = self._gateway.limits.most_bytes

        def prepare() -> Any:
            return self._api.prepare(request.method, path, _unzipped(body, most) if zipped else body)

        small = len(body) <= _SMALL and not zipped
        return prepare() if small else await self._workers.run(prepare)

    async def _body(self, request: Request) -> bytes:
        announced = request.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit():
            _check_size(int(announced[:20]), self._gateway.limits.most_bytes)
        parts: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            _check_size(size, self._gateway.limits.most_bytes)
            parts.append(chunk)
        return b"".join(parts)

    async def _unless_gone(self, request: Request, work: Coroutine[Any, Any, Reply]) -> Reply:
        """The result of `work`, which is cancelled when the client has gone or the time is over."""
        running = asyncio.ensure_future(work)
        # After the body, the next message can only be the client's leave.
        leaving = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait({running, leaving}, timeout=self._options.timeout, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            if leaving.done():
                raise ClientDisconnect
            raise DeadlineExceeded(f"No answer within {self._options.timeout:g} s (rest_api_timeout_in_ms)")
        finally:
            running.cancel()
            leaving.cancel()


def _client(request: Request) -> str:
    return "" if request.client is None else f"{request.client.host}:{request.client.port}"


def _raw_path(request: Request) -> str:
    return request.scope["raw_path"].partition(b"?")[0].decode("ascii", errors="replace")


def _preflight_status(request: Request) -> int:
    origin = request.headers.get("origin", "")
    return 200 if origin.startswith(("http://", "https://")) else 400


def _unzipped(body: bytes, most: int) -> bytes:
    """The unpacked body; a few bytes can unpack to any amount, so that it stops at the limit."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(body, most + 1)
    except zlib.error:
        raise InvalidRequest("The body is not gzip data, as its Content-Encoding says") from None
    _check_size(len(plain), most)
    if not unpacker.eof:
        raise InvalidRequest("The body is not gzip data, as its Content-Encoding says")
    return plain


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise _TooLargeError(f"The body is larger than {most} bytes, the most that this server takes")
