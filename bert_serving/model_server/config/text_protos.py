"""Configuration files in protobuf text form, and messages that tensorflow-serving-api lacks.

The fields are those of session_bundle_config.proto, ssl_config.proto and monitoring_config.proto at
tag 2.20.0. Text form has no field numbers, so that only the names matter.
"""

import functools
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

from bert_serving.errors import InputError
from bert_serving.io.dynamic_messages import Fields, message_classes

_MESSAGES: dict[str, Fields] = {
    "BatchingParameters": {
        "max_batch_size": (1, "google.protobuf.Int64Value"),
        "batch_timeout_micros": (2, "google.protobuf.Int64Value"),
        "max_enqueued_batches": (3, "google.protobuf.Int64Value"),
        "num_batch_threads": (4, "google.protobuf.Int64Value"),
        "thread_pool_name": (5, "google.protobuf.StringValue"),
        "allowed_batch_sizes": (6, "repeated int64"),
        "pad_variable_length_inputs": (7, "bool"),
        "enable_large_batch_splitting": (8, "bool"),
        "max_execution_batch_size": (9, "google.protobuf.Int64Value"),
    },
    "SSLConfig": {
        "server_key": (1, "string"),
        "server_cert": (2, "string"),
        "custom_ca": (3, "string"),
        "client_verify": (4, "bool"),
    },
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
}


def read_config_file(path: Path, message: str | Message, *, kind: str = "config file") -> Any:
    """A message from a file in protobuf text form.

    Args:
        path: the file.
        message: a name in `_MESSAGES`, or the message to fill.
        kind: the kind of file, for error messages.

    Raises:
        InputError: the file cannot be read or parsed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"Cannot read the {kind} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"The {kind} {path} is not UTF-8 text: encode it as UTF-8") from None
    return parse_config(text, message, source=str(path))


def parse_config(text: str, message: str | Message, *, source: str) -> Any:
    """A message from protobuf text form; `message` as in `read_config_file`.

    Raises:
        InputError: it cannot be parsed; the error message names `source`.
    """
    target = _classes()[message]() if isinstance(message, str) else message
    try:
        return text_format.Parse(text, target)
    except text_format.ParseError as error:
        reason = " ".join(str(error).split())
        name = target.DESCRIPTOR.full_name
        raise InputError(f"Error parsing text-format {name}: {source}:{reason}") from None


@functools.cache
def _classes() -> dict[str, Any]:
    return message_classes("tensorflow.serving", _MESSAGES)
