"""The REST API as an ASGI application."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bert_serving.errors import Cancelled, DeadlineExceeded, InvalidRequest, ServerUnavailable, http_status
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.status_code import Status
from bert_serving.model_server.requests import RequestHandler
from bert_serving.model_server.rest_api.body import BodyReader, BodyTooLargeError, BodyTooSlowError
from bert_serving.model_server.rest_api.json_text import quoted, write_json
from bert_serving.model_server.rest_api.routes import InferenceTarget, Reply, RestApi, inference_target, refusal
from bert_serving.model_server.thread_pool import Workers

# A body up to this size is read on the event loop, where it costs less than the way to a thread.
_SMALL = 1 << 14
# How long a request runs before somebody looks whether its client is still there.
_LOOK_SECONDS = 0.05
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Content-Encoding",
}
_GONE = 499
_TOO_SLOW = 408
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


def build_rest_app(api: RestApi, workers: Workers, handler: RequestHandler, options: RestOptions) -> ASGIApp:
    """One endpoint for everything, so that `api` alone decides what a path means."""
    endpoint = _Endpoint(api, workers, handler, options)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint.answer(Request(scope, receive))
        await response(scope, receive, send)

    return app


class _Endpoint:
    def __init__(self, api: RestApi, workers: Workers, handler: RequestHandler, options: RestOptions):
        self._api = api
        self._workers = workers
        self._handler = handler
        self._options = options
        self._bodies = BodyReader(handler.limits.most_bytes)

    async def answer(self, request: Request) -> Response:
        path = _raw_path(request)
        headers = _CORS if self._options.cors else {}
        if request.method == "OPTIONS":
            return Response(status_code=_preflight_status(request), headers=headers)
        document = self._options.documents.get(path) if request.method in ("GET", "HEAD") else None
        try:
            if document is not None:
                return Response(
                    document.make(), media_type=document.media_type, headers={**headers, **document.headers}
                )
            target = inference_target(request.method, path)
            reply = self._information(request, path) if target is None else await self._infer(request, path, target)
        except ClientDisconnect:
            return Response(status_code=_GONE)
        except Exception as error:
            reply = refusal(error)
        if reply.status == _TOO_SLOW:  # what still comes would be taken for the next request
            headers = {**headers, "Connection": "close"}
        # A message may quote half of a surrogate pair, which UTF-8 cannot hold.
        content = reply.text.encode("utf-8", errors="replace")
        return Response(content, status_code=reply.status, media_type="application/json", headers=headers)

    def _information(self, request: Request, path: str) -> Reply:
        prepared = self._api.prepare(request.method, path, b"")
        return prepared if isinstance(prepared, Reply) else refusal(InvalidRequest("No inference"))

    async def _infer(self, request: Request, path: str, target: InferenceTarget) -> Reply:
        call = self._handler.begin("REST", target.method, target.model, _client(request))
        try:
            inference = await self._inference(request, path)
            reply = await self._unless_gone(request, self._handler.run(call, inference))
        except ClientDisconnect:
            self._handler.failed(call, Cancelled("The client has gone"))
            raise
        except asyncio.CancelledError:
            # Only the server's end cancels; what has no answer by then gets this one.
            return _failed_reply(self._handler.failed(call, ServerUnavailable("The server stops: ask again later")))
        except Exception as error:
            return _failed_reply(self._handler.failed(call, error), error)
        self._handler.succeeded(call, reply)
        return reply

    async def _inference(self, request: Request, path: str) -> Inference[Reply]:
        body = await self._bodies.read(request)
        zipped = request.headers.get("content-encoding", "").lower() == "gzip"

        def prepare() -> Any:
            return self._api.prepare(request.method, path, self._bodies.unzipped(body) if zipped else body)

        small = len(body) <= _SMALL and not zipped
        return prepare() if small else await self._workers.run(prepare)

    async def _unless_gone(self, request: Request, work: Coroutine[Any, Any, Reply]) -> Reply:
        """The result of `work`, which is cancelled when the client has gone or the time is over."""
        departure = _Departure(request)
        try:
            async with asyncio.timeout(self._options.timeout) as limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlineExceeded(f"No answer within {self._options.timeout:g} s (rest_api_timeout_in_ms)") from None
        except asyncio.CancelledError:
            if departure.seen:
                raise ClientDisconnect from None
            raise
        finally:
            departure.stop()


class _Departure:
    """Cancels the task in which it was made when the request's client leaves."""

    def __init__(self, request: Request):
        self.seen = False
        self._request = request
        self._task = asyncio.current_task()
        self._watch: asyncio.Task[None] | None = None
        # Most answers are there before: a task that looks for each client would cost them more than it is good for.
        self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._start)

    def stop(self) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def _start(self) -> None:
        self._watch = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        # After the body, the next message can only be the client's leave.
        await self._request.receive()
        self.seen = True
        if self._task is not None:
            self._task.cancel()


def _client(request: Request) -> str:
    return "" if request.client is None else f"{request.client.host}:{request.client.port}"


def _raw_path(request: Request) -> str:
    return request.scope["raw_path"].partition(b"?")[0].decode("ascii", errors="replace")


def _preflight_status(request: Request) -> int:
    origin = request.headers.get("origin", "")
    return 200 if origin.startswith(("http://", "https://")) else 400


def _failed_reply(status: Status, error: Exception | None = None) -> Reply:
    match error:
        case BodyTooLargeError():
            http = _TOO_LARGE
        case BodyTooSlowError():
            http = _TOO_SLOW
        case _:
            http = http_status(status.code)
    return Reply(http, write_json({"error": quoted(status.message)}) + "\n")
