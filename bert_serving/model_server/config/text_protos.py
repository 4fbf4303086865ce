"""Configuration files in protobuf text form, and messages that tensorflow-serving-api lacks.

The fields are those of session_bundle_config.proto, ssl_config.proto and monitoring_config.proto at
tag 2.20.0. Text form has no field numbers, so that only the names matter.
"""

import functools
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message

from bert_serving.errors import InputError

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


def read_config_file(path: Path, message: str | Message, *, kind: str = "config file") -> Any:
    """A message from a file in protobuf text form.

    Args:
        path: the file.
        message: one of the names above, or the message to fill.
        kind: the kind of file, for error messages.

    Raises:
        InputError: the file cannot be read or parsed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"Cannot read the {kind} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"The {kind} {path} is not UTF-8 text") from None
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
            repeated = isinstance(kind, tuple)
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _Field.TYPE_MESSAGE, kind
            else:
                added.type = kind[0] if repeated else kind
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.serving.{name}"))
        for name in _MESSAGES
    }
