"""What an exception becomes on the wire: a canonical status code and a text."""

import logging
from dataclasses import dataclass

import tensorflow as tf
from tensorflow.core.protobuf import error_codes_pb2

from bert_serving import errors

_log = logging.getLogger("bert_serving.model_server")


@dataclass(frozen=True)
class Status:
    """A refused request.

    Attributes:
        code: name of the canonical gRPC status code.
        message: text for the caller.
    """

    code: str
    message: str


def status_of(error: Exception) -> Status:
    """The status that `error` stands for; anything unforeseen is INTERNAL and goes to the log with its traceback."""
    if isinstance(error, errors.BertServingError):
        return Status(errors.grpc_code(error), str(error))
    if isinstance(error, tf.errors.OpError):
        return Status(error_codes_pb2.Code.Name(error.error_code), error.message)
    _log.error("Unforeseen %s while answering a request: %s", type(error).__name__, error, exc_info=error)
    return Status("INTERNAL", f"{type(error).__name__}: {error}")


def load_status(error: Exception) -> Status:
    """The status of a version that could not be loaded; never logs, and always one line."""
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
