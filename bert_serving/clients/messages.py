"""The messages that the gRPC client sends and reads, without TensorFlow, which the published protos would bring along.

Only what the client needs, with the names and numbers of tensorflow/serving and tensorflow at 2.20; a test compares them with the
published protos. They live in a pool of their own, so that a program may import those as well.
"""

import functools
from typing import Any

_SCALARS = ("bool", "bytes", "double", "float", "int32", "int64", "string", "uint32", "uint64")
_PACKAGE = "bert_serving.wire"

_TYPES = (
    "INVALID FLOAT DOUBLE INT32 UINT8 INT16 INT8 STRING COMPLEX64 INT64 BOOL QINT8 QUINT8 QINT32 BFLOAT16 QINT16 QUINT16 UINT16 "
    "COMPLEX128 HALF RESOURCE VARIANT UINT32 UINT64 FLOAT8_E5M2 FLOAT8_E4M3FN FLOAT8_E4M3FNUZ FLOAT8_E4M3B11FNUZ FLOAT8_E5M2FNUZ "
    "INT4 UINT4 INT2 UINT2"
).split()
DATA_TYPES = {f"DT_{name}": number for number, name in enumerate(_TYPES)}
CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED "
    "FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
).split()
"""names of the canonical codes, by number"""
STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
"""names of the states of a version, by number"""

# Message to field to (number, type); "repeated", "map" (keys are strings) and "oneof" go before the type. An enum whose names no
# JSON form needs is an int32, which is the same on the wire.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Int64Value": {"value": (1, "int64")},
    "Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "Dim": {"size": (1, "int64"), "name": (2, "string")},
    "TensorShapeProto": {"dim": (2, "repeated Dim"), "unknown_rank": (3, "bool")},
    "TensorProto": {
        "dtype": (1, "DataType"),
        "tensor_shape": (2, "TensorShapeProto"),
        "version_number": (3, "int32"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "repeated float"),
        "double_val": (6, "repeated double"),
        "int_val": (7, "repeated int32"),
        "string_val": (8, "repeated bytes"),
        "scomplex_val": (9, "repeated float"),
        "int64_val": (10, "repeated int64"),
        "bool_val": (11, "repeated bool"),
        "dcomplex_val": (12, "repeated double"),
        "half_val": (13, "repeated int32"),
        "uint32_val": (16, "repeated uint32"),
        "uint64_val": (17, "repeated uint64"),
        "float8_val": (18, "bytes"),
    },
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "oneof Int64Value"),
        "signature_name": (3, "string"),
        "version_label": (4, "oneof string"),
    },
    "PredictRequest": {
        "model_spec": (1, "ModelSpec"),
        "inputs": (2, "map TensorProto"),
        "output_filter": (3, "repeated string"),
    },
    "PredictResponse": {"outputs": (1, "map TensorProto"), "model_spec": (2, "ModelSpec")},
    "StatusProto": {"error_code": (1, "int32"), "error_message": (2, "string")},
    "ModelVersionStatus": {"version": (1, "int64"), "state": (2, "int32"), "status": (3, "StatusProto")},
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
    "GetModelStatusResponse": {"model_version_status": (1, "repeated ModelVersionStatus")},
    "GetModelMetadataRequest": {"model_spec": (1, "ModelSpec"), "metadata_field": (2, "repeated string")},
    "GetModelMetadataResponse": {"model_spec": (1, "ModelSpec"), "metadata": (2, "map Any")},
    "TensorInfo": {"name": (1, "oneof string"), "dtype": (2, "DataType"), "tensor_shape": (3, "TensorShapeProto")},
    "SignatureDef": {
        "inputs": (1, "map TensorInfo"),
        "outputs": (2, "map TensorInfo"),
        "method_name": (3, "string"),
        "defaults": (4, "map TensorProto"),
    },
    "SignatureDefMap": {"signature_def": (1, "map SignatureDef")},
}


def new(message: str, **fields: Any) -> Any:
    """An empty message of one of the names above, or one with these fields."""
    return _classes()[message](**fields)


def parse(message: str, data: bytes) -> Any:
    """A message of one of the names above from its bytes."""
    return _classes()[message].FromString(data)


@functools.cache
def _classes() -> dict[str, Any]:
    # With the first message and not with this module: the library takes a quarter of a second where the machine is slow.
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="bert_serving/wire.proto", package=_PACKAGE, syntax="proto3")
    types = file.enum_type.add(name="DataType")
    for value, number in DATA_TYPES.items():
        types.value.add(name=value, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message, field, number, kind.split())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in MESSAGES
    }


def _add_field(message: Any, name: str, number: int, kind: list[str]) -> None:
    *how, type_name = kind
    repeated = how in (["repeated"], ["map"])
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    if how == ["oneof"]:
        if not message.oneof_decl:
            message.oneof_decl.add(name="choice")
        field.oneof_index = 0
    if how == ["map"]:
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, ["string"])
        _add_field(entry, "value", 2, [type_name])
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{message.name}.{entry.name}"
    elif type_name in _SCALARS:
        field.type = getattr(field, f"TYPE_{type_name.upper()}")
    else:
        field.type = field.TYPE_ENUM if type_name == "DataType" else field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{type_name}"
