"""The canonical status code and the text that an exception becomes on the wire."""

import logging
from dataclasses import dataclass

import tensorflow as tf
from tensorflow.core.protobuf import error_codes_pb2

from bert_serving import errors

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
        return Status(error_codes_pb2.Code.Name(error.error_code), error.message)
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
