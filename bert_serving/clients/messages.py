"""Protobuf messages of the gRPC client; the published ones would import TensorFlow.

Only what the client needs, with the names and numbers of tensorflow/serving and tensorflow at 2.20.
A test compares them with the published messages.
"""

import functools
from collections.abc import Mapping
from typing import Any

from bert_serving.io.dynamic_messages import Fields, message_classes

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
"""names of the canonical status codes, by number"""
STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
"""names of the states of a version (ModelVersionStatus.State), by number"""

# An enum whose names no JSON form needs is an int32, which is the same on the wire.
MESSAGES: dict[str, Fields] = {
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
        "version": (2, "oneof google.protobuf.Int64Value"),
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
    "GetModelMetadataResponse": {"model_spec": (1, "ModelSpec"), "metadata": (2, "map google.protobuf.Any")},
    # The published field is a ModelServerConfig, which is the same on the wire as its serialized
    # form.
    "ReloadConfigRequest": {"config": (1, "oneof bytes")},
    "TensorInfo": {"name": (1, "oneof string"), "dtype": (2, "DataType"), "tensor_shape": (3, "TensorShapeProto")},
    "SignatureDef": {
        "inputs": (1, "map TensorInfo"),
        "outputs": (2, "map TensorInfo"),
        "method_name": (3, "string"),
        "defaults": (4, "map TensorProto"),
    },
    "SignatureDefMap": {"signature_def": (1, "map SignatureDef")},
    "BytesList": {"value": (1, "repeated bytes")},
    "Feature": {"bytes_list": (1, "oneof BytesList")},
    "Features": {"feature": (1, "map Feature")},
    "Example": {"features": (1, "Features")},
}


def new(message: str, **fields: Any) -> Any:
    """A message with these fields.

    Args:
        message: its name in `MESSAGES`.
        **fields: values of fields; the others are unset.
    """
    return _classes()[message](**fields)


def parse(message: str, data: bytes) -> Any:
    """A message from its serialized form; `message` is its name in `MESSAGES`."""
    return _classes()[message].FromString(data)


def example(features: Mapping[str, bytes]) -> bytes:
    """A serialized tf.Example with a string for each feature."""
    feature = {name: {"bytes_list": {"value": [value]}} for name, value in features.items()}
    data: bytes = new("Example", features={"feature": feature}).SerializeToString()
    return data


@functools.cache
def _classes() -> dict[str, Any]:
    return message_classes("bert_serving.wire", MESSAGES, {"DataType": DATA_TYPES})
