"""Configuration files in protobuf text form, and messages that tensorflow-serving-api lacks.

The fields are those of session_bundle_config.proto, ssl_config.proto and monitoring_config.proto at
tag 2.20.0. Text form has no field numbers, so that only the names matter.
"""

import functools
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message

from bert_serving.errors import InputError

T = TypeVar("T", bound=Message)

_Field = descriptor_pb2.FieldDescriptorProto
_INT, _BOOL, _STRING = _Field.TYPE_INT64, _Field.TYPE_BOOL, _Field.TYPE_STRING
_INT_VALUE, _STRING_VALUE = ".google.protobuf.Int64Value", ".google.protobuf.StringValue"

# Message to field to type; a text is the name of a message type, a tuple means repeated.
_MESSAGES: dict[str, dict[str, Any]] = {
    "BatchingParameters": {
        "max_batch_size": _INT_VALUE,
        "batch_timeout_micros": _INT_VALUE,
        "max_enqueued_batches": _INT_VALUE,
        "num_batch_threads": _INT_VALUE,
        "thread_pool_name": _STRING_VALUE,
        "allowed_batch_sizes": (_INT,),
        "pad_variable_length_inputs": _BOOL,
        "enable_large_batch_splitting": _BOOL,
        "max_execution_batch_size": _INT_VALUE,
    },
    "SSLConfig": {"server_key": _STRING, "server_cert": _STRING, "custom_ca": _STRING, "client_verify": _BOOL},
    "PrometheusConfig": {"enable": _BOOL, "path": _STRING},
    "MonitoringConfig": {"prometheus_config": ".tensorflow.serving.PrometheusConfig"},
}


def read_config_file(path: Path, message: str) -> Any:
    """A message of one of the names above from a file in protobuf text form.

    Raises:
        InputError: the file cannot be read or parsed.
    """
    return parse_config(read_text(path, "config file"), message, source=str(path))


def parse_config(text: str, message: str, *, source: str) -> Any:
    """A message of one of the names above from its protobuf text form.

    Raises:
        InputError: it cannot be parsed; the message names `source`.
    """
    return parse_text(text, _classes()[message](), source=source)


def read_text(path: Path, kind: str) -> str:
    """The text of a configuration file.

    Args:
        path: the file.
        kind: what it is, for the error message.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"Cannot read the {kind} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"The {kind} {path} is not UTF-8 text") from None


def parse_text(text: str, message: T, *, source: str) -> T:
    """Fills a message from its protobuf text form, and returns it.

    Raises:
        InputError: it cannot be parsed; the error message names `source`.
    """
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        reason = " ".join(str(error).split())
        name = message.DESCRIPTOR.full_name
        raise InputError(f"Error parsing text-format {name}: {source}:{reason}") from None
    return message


@functools.cache
def _classes() -> dict[str, Any]:
    # A pool of its own: another package may know the same names.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="bert_serving/config_messages.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            _add_field(message, field, number, kind)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.serving.{name}"))
        for name in _MESSAGES
    }


def _add_field(message: Any, name: str, number: int, kind: Any) -> None:
    repeated = isinstance(kind, tuple)
    added = message.field.add(
        name=name, number=number, label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    )
    kind = kind[0] if repeated else kind
    if isinstance(kind, str):
        added.type, added.type_name = _Field.TYPE_MESSAGE, kind
    else:
        added.type = kind
