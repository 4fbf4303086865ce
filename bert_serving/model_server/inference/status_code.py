"""The canonical status code and the text that an exception becomes on the wire."""

import logging
import re
from dataclasses import dataclass

import tensorflow as tf
from tensorflow.core.protobuf import error_codes_pb2

from bert_serving import errors

# Where in the graph an operation failed, which TensorFlow adds to the operation's own message.
_LOCATIONS = re.compile(
    r"Graph execution error:\s*"
    r"|Detected at node .*\n(?:<stack traces unavailable>\n|(?:(?: .*)?\n)*)"
    r"|\n\t \[\[.*\]\]"
    r"|\{\{function_node .*?\}\}\s*"
    r"|\s*\[Op:[\w>.]+\]"
)
_SEVERAL = re.compile(r"\d+ root error\(s\) found\.\s+\(0\) \w+:\s*(.*?)\s+\(1\) ", re.DOTALL)
_ASSERTION = "assertion failed: ["

_log = logging.getLogger("bert_serving.model_server")


@dataclass(frozen=True)
class Status:
    """Status of a refused request.

    Attributes:
        code: name of the canonical gRPC status code.
        message: text for the caller.
    """

    code: str
    message: str


def status_of(error: Exception) -> Status:
    """The status of `error`; an unexpected one is INTERNAL and is logged with its traceback."""
    if isinstance(error, errors.BertServingError):
        return Status(errors.grpc_code(error), str(error))
    if isinstance(error, tf.errors.OpError):
        return Status(error_codes_pb2.Code.Name(error.error_code), _plain(error.message))
    _log.error("Unexpected %s while answering a request: %s", type(error).__name__, error, exc_info=error)
    return Status("INTERNAL", f"{type(error).__name__}: {error}")


def load_status(error: Exception) -> Status:
    """The status of a version that failed to load, in one line; never logs."""
    if isinstance(error, errors.BertServingError | tf.errors.OpError):
        status = status_of(error)
    elif isinstance(error, OSError):
        status = Status("NOT_FOUND", str(error))
    elif isinstance(error, RuntimeError | ValueError | TypeError):
        # TensorFlow's loader raises these for a SavedModel that is damaged or lacks the tags.
        status = Status("INVALID_ARGUMENT", str(error))
    else:
        status = Status("INTERNAL", f"{type(error).__name__}: {error}")
    return Status(status.code, " ".join(status.message.split()))


def _plain(message: str) -> str:
    """The message of the operation that failed, in one line; the first one where several did."""
    text = _LOCATIONS.sub("", message)
    if several := _SEVERAL.match(text):
        text = several[1]
    text = " ".join(text.split())
    if text.startswith(_ASSERTION) and text.endswith("]"):
        return text[len(_ASSERTION) : -1].replace("] [", " ")
    return text
