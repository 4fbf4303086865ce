"""The REST API, the web page and the metrics as one ASGI application."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Router, request_response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tensorflow_serving.apis.model_pb2 import ModelSpec

from bert_serving.errors import Cancelled, DeadlineExceeded, InvalidRequest, ServerUnavailable, http_status
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.status_code import Status, status_of
from bert_serving.model_server.requests import RequestHandler
from bert_serving.model_server.rest_api import routes
from bert_serving.model_server.rest_api.body import (
    BodyEncodingError,
    BodyReader,
    BodyTooLargeError,
    BodyTooSlowError,
    is_zipped,
)
from bert_serving.model_server.rest_api.json_text import quoted, write_document
from bert_serving.model_server.rest_api.openapi import PATH as DESCRIPTION_PATH
from bert_serving.model_server.rest_api.operations import RestApi
from bert_serving.model_server.rest_api.routes import Endpoint, PathRoute
from bert_serving.model_server.thread_pool import Workers

# A body up to this size is read on the event loop, where it costs less than the way to a thread.
_SMALL = 1 << 14
# How long a request runs before its client's disconnection is watched for.
_WATCH_AFTER_SECONDS = 0.05
_CORS_HEADERS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"Content-Type, Content-Encoding"),
]
_CLIENT_CLOSED_REQUEST = 499  # nginx's code, which HTTPStatus lacks


def build_rest_app(
    api: RestApi,
    workers: Workers,
    handler: RequestHandler,
    *,
    timeout: float = 30.0,
    cors: bool = False,
    documents: Mapping[str, Callable[[], Response]] = MappingProxyType({}),
) -> ASGIApp:
    """The application that answers all requests of the REST port.

    Args:
        api: the operations.
        workers: read large requests.
        handler: runs inference.
        timeout: seconds for one inference.
        cors: allow cross-origin requests.
        documents: makes the response for a path besides the API.
    """
    inference = _InferenceEndpoint(api, workers, handler, timeout)
    router = Router(
        [
            PathRoute("POST", routes.INFERENCE, inference.answer),
            PathRoute("GET HEAD", routes.exactly(DESCRIPTION_PATH), _endpoint(lambda: _json(api.description()))),
            *(PathRoute("GET HEAD", routes.exactly(path), _endpoint(make)) for path, make in documents.items()),
            PathRoute("GET HEAD", routes.exactly("/healthz/live"), _endpoint(_live)),
            PathRoute("GET HEAD", routes.exactly("/healthz/ready"), _endpoint(lambda: _ready(api))),
            PathRoute("GET HEAD", routes.STATUS, _model_endpoint(api.status)),
            PathRoute("GET HEAD", routes.METADATA, _model_endpoint(api.metadata)),
            PathRoute("GET HEAD", routes.MODELS, _endpoint(lambda: _json(api.models()))),
            PathRoute("GET", routes.NAMELESS, _missing_name),
        ],
        redirect_slashes=False,
        default=request_response(_no_route),
    )
    handlers = {ClientDisconnect: _disconnected, HTTPException: _not_allowed, Exception: _refused}
    return _Cors(ExceptionMiddleware(router, handlers), cors)


def _endpoint(make: Callable[[], Response]) -> Endpoint:
    async def answer(_: Request) -> Response:
        return make()

    return answer


def _model_endpoint(operation: Callable[[ModelSpec], str]) -> Endpoint:
    async def answer(request: Request) -> Response:
        return _json(operation(routes.model_spec(request.path_params)))

    return answer


def _live() -> Response:
    return _json(write_document({"live": "true"}))


def _ready(api: RestApi) -> Response:
    is_ready, text = api.readiness()
    return _json(text, 200 if is_ready else 503)


async def _missing_name(_: Request) -> Response:
    raise InvalidRequest("Missing model name in request.")


async def _no_route(request: Request) -> Response:
    raise routes.no_route(request)


class _Cors:
    """Answers OPTIONS as TensorFlow Serving does, and allows cross-origin requests if switched on.

    starlette's CORSMiddleware does not do the same: it answers only OPTIONS with preflight headers,
    with a text, and adds no headers to requests without an Origin.
    """

    def __init__(self, app: ASGIApp, allowed: bool):
        self._app = app
        self._headers = _CORS_HEADERS if allowed else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*self._headers, *message["headers"]]
            await send(message)

        app = self._preflight if scope["method"] == "OPTIONS" else self._app
        await app(scope, receive, send_with_headers)

    async def _preflight(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Request(scope).headers.get("origin", "")
        # "OPTIONS *" asks whether the server is there (RFC 9110, section 9.3.7).
        accepted = origin.startswith(("http://", "https://")) or scope["raw_path"] == b"*"
        response = Response(status_code=200 if accepted else 400)
        await response(scope, receive, send)


class _InferenceEndpoint:
    def __init__(self, api: RestApi, workers: Workers, handler: RequestHandler, timeout: float):
        self._api = api
        self._workers = workers
        self._handler = handler
        self._timeout = timeout
        self._bodies = BodyReader(handler.limits.max_request_bytes)

    async def answer(self, request: Request) -> Response:
        spec = request.path_params
        event = self._handler.start("REST", spec["method"], unquote(spec["name"]), _client(request))
        try:
            inference = await self._inference(request)
            text = await self._unless_disconnected(request, self._handler.run(event, inference))
        except ClientDisconnect:
            self._handler.fail(event, Cancelled("The client has disconnected"))
            raise
        except asyncio.CancelledError:
            # Only the server's end cancels; what has no answer by then gets this one.
            error = ServerUnavailable("The server is stopping: retry later")
            return _error_response(self._handler.fail(event, error), error)
        except Exception as error:  # noqa: BLE001  whatever it is, the client gets a status
            return _error_response(self._handler.fail(event, error), error)
        self._handler.finish(event, text)
        return _json(text)

    async def _inference(self, request: Request) -> Inference[str]:
        zipped = is_zipped(request)
        body = await self._bodies.read(request)

        def prepare() -> Inference[str]:
            plain = self._bodies.unzipped(body) if zipped else body
            return self._api.prepare(request.path_params["method"], routes.model_spec(request.path_params), plain)

        small = len(body) <= _SMALL and not zipped
        return prepare() if small else await self._workers.run(prepare)

    async def _unless_disconnected(self, request: Request, work: Coroutine[Any, Any, str]) -> str:
        """The result of `work`; a client that disconnects or a timeout cancels it."""
        watch = _DisconnectWatch(request)
        try:
            async with asyncio.timeout(self._timeout) as limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlineExceeded(f"No answer within {self._timeout:g} s (rest_api_timeout_in_ms)") from None
        except asyncio.CancelledError:
            if watch.disconnected:
                raise ClientDisconnect from None
            raise
        finally:
            watch.stop()


class _DisconnectWatch:
    """Cancels the task in which it was made when the request's client disconnects."""

    def __init__(self, request: Request):
        self.disconnected = False
        self._request = request
        self._watched = asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        # Most answers are faster: a watching task for each request would cost more than it saves.
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_SECONDS, self._start)

    def stop(self) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def _start(self) -> None:
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        # After the body, the next message can only be the disconnection.
        await self._request.receive()
        self.disconnected = True
        if self._watched is not None:
            self._watched.cancel()


def _client(request: Request) -> str:
    return "" if request.client is None else f"{request.client.host}:{request.client.port}"


def _json(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    # A message may quote half of a surrogate pair, which UTF-8 cannot hold.
    content = text.encode("utf-8", errors="replace")
    return Response(content, status_code=status, media_type="application/json", headers=headers)


async def _disconnected(request: Request, error: Exception) -> Response:  # noqa: ARG001  starlette passes both
    return Response(status_code=_CLIENT_CLOSED_REQUEST)


async def _not_allowed(request: Request, error: Exception) -> Response:  # noqa: ARG001  starlette passes both
    assert isinstance(error, HTTPException)
    return _json(write_document({"error": quoted(error.detail)}), error.status_code, error.headers)


async def _refused(request: Request, error: Exception) -> Response:  # noqa: ARG001  starlette passes both
    return _error_response(status_of(error), error)


def _error_response(status: Status, error: Exception) -> Response:
    text = write_document({"error": quoted(status.message)})
    if isinstance(error, BodyTooLargeError):
        return _json(text, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if isinstance(error, BodyEncodingError):
        return _json(text, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, {"Accept-Encoding": "gzip"})
    if isinstance(error, BodyTooSlowError):
        # Bytes that still come would be taken for the next request.
        return _json(text, HTTPStatus.REQUEST_TIMEOUT, {"Connection": "close"})
    return _json(text, http_status(status.code))
