"""The REST API as an ASGI application."""

import gzip
import zlib

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bert_serving.errors import InvalidRequest
from bert_serving.model_server.executor import Executor
from bert_serving.model_server.inference import Inference
from bert_serving.model_server.rest_api import Reply, RestApi, refusal
from bert_serving.model_server.workers import Workers

_SMALL = 1 << 14
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def build_rest_app(api: RestApi, workers: Workers, executor: Executor) -> Starlette:
    """One endpoint for everything, so that `api` alone decides what a path means."""

    async def endpoint(request: Request) -> Response:
        method, path = request.method, _raw_path(request)
        if method == "OPTIONS":
            return Response(status_code=_preflight_status(request))
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=499)
        zipped = request.headers.get("content-encoding", "").lower() == "gzip"

        def prepare() -> Reply | Inference[Reply]:
            return api.prepare(method, path, lambda: _unzipped(body) if zipped else body)

        # Small bodies are read on the event loop, where it costs less than the way to a thread.
        small = len(body) <= _SMALL and not zipped
        reply = prepare() if small else await workers.run(prepare)
        if isinstance(reply, Inference):
            try:
                reply = await executor.run(reply, _client(request))
            except Exception as error:
                reply = refusal(error)
        # A message may quote half of a surrogate pair, which UTF-8 cannot hold.
        content = reply.text.encode("utf-8", errors="replace")
        return Response(content, status_code=reply.status, media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", endpoint, methods=_METHODS)])


def _client(request: Request) -> str:
    return "" if request.client is None else f"{request.client.host}:{request.client.port}"


def _raw_path(request: Request) -> str:
    return request.scope["raw_path"].partition(b"?")[0].decode("ascii", errors="replace")


def _preflight_status(request: Request) -> int:
    origin = request.headers.get("origin", "")
    return 200 if origin.startswith(("http://", "https://")) else 400


def _unzipped(body: bytes) -> bytes:
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        raise InvalidRequest("The body is not gzip data, as its Content-Encoding says") from None
