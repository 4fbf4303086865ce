"""The error that stands for a server's refusal, and the checks that need no server."""

from collections.abc import Sequence

from bert_serving import contract
from bert_serving.errors import (
    FailedPrecondition,
    InvalidRequest,
    RequestError,
    ServableNotFound,
    ServerUnavailable,
)

_BY_GRPC_CODE: dict[str, type[RequestError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "FAILED_PRECONDITION": FailedPrecondition,
    "NOT_FOUND": ServableNotFound,
    "UNAVAILABLE": ServerUnavailable,
    "DEADLINE_EXCEEDED": ServerUnavailable,
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


# What gRPC says of a message over a limit of either side, with the same code as that of a server that is busy.
_TOO_LARGE = "message larger than max"


def refusal_by_grpc_code(code: str, message: str) -> RequestError:
    """The error for the name of a gRPC status code."""
    if code == "RESOURCE_EXHAUSTED" and _TOO_LARGE in message:
        return InvalidRequest(f"{one_line(message)}: send fewer or shorter texts")
    return _BY_GRPC_CODE.get(code, RequestError)(one_line(message))


def refusal_by_http_status(status: int, message: str) -> RequestError:
    """The error for an HTTP status; over HTTP a failed precondition is an invalid request."""
    return _BY_HTTP_STATUS.get(status, RequestError)(one_line(message))


def no_classifier(model: str) -> InvalidRequest:
    """The error for a model that answers, but not like a classifier of texts."""
    return InvalidRequest(
        f"Model {model} does not answer with {contract.LABEL} and {contract.PROBABILITIES}: it is no classifier"
    )


def one_line(message: str) -> str:
    """`message` with every run of white space as one space."""
    return " ".join(message.split())


def check_texts(texts: Sequence[str], text_pairs: Sequence[str] | None) -> None:
    """Checks what a caller wants classified.

    Raises:
        InvalidRequest: a single string instead of a list, something that is no text, or another number of pairs.
    """
    for name, values in (("texts", texts), ("text_pairs", text_pairs)):
        if isinstance(values, str):
            raise InvalidRequest(f"{name} is one string, {values[:40]!r}: give a list of strings")
        for value in values or ():
            if not isinstance(value, str):
                raise InvalidRequest(f"{name} holds {value!r}: give strings only")
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise InvalidRequest(
                    f"{name} holds {value[:40]!r}, which UTF-8 cannot hold: remove the half character"
                ) from None
    if text_pairs is not None and len(text_pairs) != len(texts):
        raise InvalidRequest(f"{len(texts)} texts, but {len(text_pairs)} text_pairs: give one pair for each text")
