"""The errors that a server's refusal, silence or absence becomes in a client."""

from bert_serving import contract
from bert_serving.errors import (
    FailedPrecondition,
    InvalidRequest,
    RequestError,
    ServableNotFound,
    ServerUnavailable,
)
from bert_serving.io.proxies import Proxy, through

_BY_GRPC_CODE: dict[str, type[RequestError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "FAILED_PRECONDITION": FailedPrecondition,
    "NOT_FOUND": ServableNotFound,
    "UNAVAILABLE": ServerUnavailable,
    "RESOURCE_EXHAUSTED": ServerUnavailable,
}
_BY_HTTP_STATUS: dict[int, type[RequestError]] = {
    400: InvalidRequest,
    404: ServableNotFound,
    413: InvalidRequest,
    429: ServerUnavailable,
    502: ServerUnavailable,
    503: ServerUnavailable,
    504: ServerUnavailable,
}
# What a connection says that will fail again, and what is wrong with the address.
_WRONG_ADDRESS = {
    "http1.x server": "it answers in HTTP/1.1: is this the REST port? give the gRPC port, or an http:// address",
    "illegal request line": "it does not answer in HTTP/1.1: is this the gRPC port? give the REST port, or a grpc:// address",
    "WRONG_VERSION_NUMBER": "it does not use TLS: give a http:// or grpc:// address, without s",
}
# gRPC gives a message over a size limit of either side the same code as a busy server.
_TOO_LARGE = "message larger than max"


class RetryableError(Exception):
    """A request failed and may succeed when it is sent again.

    Attributes:
        error: what to raise when no retry follows.
    """

    def __init__(self, error: RequestError):
        """Wraps the error that the caller gets after the last attempt."""
        super().__init__(str(error))
        self.error = error


def refusal_by_grpc_code(code: str, message: str) -> Exception:
    """The error for the name of a gRPC status code; retryable where the server only lacks a free thread."""
    if code == "RESOURCE_EXHAUSTED" and contract.NO_FREE_THREAD in message:
        reason = f"{one_line(message)}: each request in flight holds one of the server's --grpc_max_threads"
        return RetryableError(ServerUnavailable(f"{reason}; raise it, or send fewer requests at once"))
    if code == "RESOURCE_EXHAUSTED" and _TOO_LARGE in message:
        return InvalidRequest(f"{one_line(message)}: send fewer or shorter texts")
    return _BY_GRPC_CODE.get(code, RequestError)(one_line(message))


def refusal_by_http_status(status: int, message: str) -> RequestError:
    """The error for an HTTP status; over HTTP a failed precondition is an invalid request."""
    return _BY_HTTP_STATUS.get(status, RequestError)(one_line(message))


def timed_out(address: str, seconds: float, proxy: Proxy | None = None) -> ServerUnavailable:
    """The error for a server that did not answer within `seconds`, asked through a proxy or directly."""
    return ServerUnavailable(f"No answer from {address} within {seconds:.3g} s{through(proxy)}")


def unreachable(address: str, reason: str, proxy: Proxy | None = None) -> Exception:
    """The error for a connection that failed, to a proxy or directly; not retryable where the address is wrong."""
    for sign, problem in _WRONG_ADDRESS.items():
        if sign in reason and proxy is None:
            return InvalidRequest(f"{address} is not the right address: {problem}")
    remedy = through(proxy) or "; is the model server running?"
    return RetryableError(ServerUnavailable(f"Cannot reach {address}: {one_line(reason)}{remedy}"))


def not_a_classifier(model: str) -> InvalidRequest:
    """The error for a model that answers without labels and probabilities."""
    return InvalidRequest(
        f"Model {model} does not answer with {contract.LABEL} and {contract.PROBABILITIES}: it is not a text classifier"
    )


def one_line(message: str) -> str:
    """`message` with every run of white space as one space."""
    return " ".join(message.split())
