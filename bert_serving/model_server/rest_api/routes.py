"""Routes by TensorFlow Serving's rules for paths, on starlette's router."""

import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, request_response
from starlette.types import Receive, Scope, Send
from tensorflow_serving.apis import model_pb2

from bert_serving.errors import InvalidRequest, RequestError, ServableNotFound
from bert_serving.names import version_number

# http_rest_api_handler.cc and http_rest_api_util.cc of TensorFlow Serving.
_VERSION = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_MODEL = rf"/v1/models/(?P<name>[^/:]+){_VERSION}"
_API = re.compile(r"/v1/.*", re.IGNORECASE)
# Some libraries encode the colon, which can mean nothing else here.
INFERENCE = re.compile(rf"{_MODEL}(?::|%3A)(?P<method>(?-i:classify|regress|predict))", re.IGNORECASE)
STATUS = re.compile(_MODEL, re.IGNORECASE)
METADATA = re.compile(rf"{_MODEL}/metadata", re.IGNORECASE)
MODELS = re.compile(r"/v1/models", re.IGNORECASE)
# A model may have the name "versions" or "metadata", so that the routes above must be tried first.
NAMELESS = re.compile(rf"/v1/models{_VERSION}(?:/metadata)?", re.IGNORECASE)

# A request line with a whole address (RFC 9112, section 3.2.2). Its host and scheme are not compared
# with this server's: there may be a proxy in between. Names and passwords in it are refused.
_ADDRESS = re.compile(r"https?://[^/?#@]+(?P<path>/.*)?", re.IGNORECASE)

Endpoint = Callable[[Request], Awaitable[Response]]


class PathRoute(BaseRoute):
    """A route by a regular expression over the path as it was sent.

    starlette's Route decodes the path first, minds the case and answers 405 to other methods, none
    of which TensorFlow Serving does. Outside its API, other methods get 405.
    """

    def __init__(self, methods: str, path: re.Pattern[str], endpoint: Endpoint):
        """Makes a route.

        Args:
            methods: HTTP methods, separated by spaces.
            path: must match the whole path; its groups become the path parameters.
            endpoint: answers the requests.
        """
        self._methods = methods.split()
        self._path = path
        self._app = request_response(endpoint)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request belongs to this route, and its path parameters."""
        path = _raw_path(scope)
        match = self._path.fullmatch(path)
        if match is None or (scope["method"] not in self._methods and _API.fullmatch(path)):
            return Match.NONE, {}
        kind = Match.FULL if scope["method"] in self._methods else Match.PARTIAL
        return kind, {"path_params": match.groupdict()}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request.

        Raises:
            HTTPException: the path has no such method.
        """
        if scope["method"] not in self._methods:
            text = f"{scope['method']} is not allowed at {_raw_path(scope)}: send {' or '.join(self._methods)}"
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, text, {"Allow": ", ".join(self._methods)})
        await self._app(scope, receive, send)


def exactly(path: str) -> re.Pattern[str]:
    """A pattern for a path without parameters."""
    return re.compile(re.escape(path))


def _raw_path(scope: Scope) -> str:
    """The path as it was sent: percent-encoded, without the query."""
    target: str = scope["raw_path"].decode("ascii")
    address = None if target.startswith("/") else _ADDRESS.fullmatch(target)
    return target if address is None else address["path"] or "/"


def no_route(request: Request) -> RequestError:
    """The error for a request that no route takes."""
    path = _raw_path(request.scope)
    if _API.fullmatch(path) or not path.startswith("/"):
        return InvalidRequest(f"Malformed request: {request.method} {path}")
    return ServableNotFound(f"Nothing at {path}: the API begins with /v1/models/")


def model_spec(parameters: Mapping[str, str | None]) -> model_pb2.ModelSpec:
    """The model, and its version or label, from path parameters.

    Raises:
        InvalidRequest: the version is beyond 64 bits.
    """
    spec = model_pb2.ModelSpec(name=unquote(parameters["name"] or ""))
    if version := parameters["version"]:
        number = version_number(version)
        if number is None:
            raise InvalidRequest(f"Failed to convert version: {version} to numeric.")
        spec.version.value = number
    elif label := parameters["label"]:
        spec.version_label = unquote(label)
    return spec
