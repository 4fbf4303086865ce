"""TensorProto to tensor and back."""

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

# The typed field of TensorProto for each data type (tensor.proto); half and bfloat16 travel as bit patterns,
# complex numbers as pairs of their parts.
_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_STRING: "string_val",
}
_BIT_PATTERNS = (types_pb2.DT_HALF, types_pb2.DT_BFLOAT16)
_COMPLEX = {types_pb2.DT_COMPLEX64: ("scomplex_val", np.float32), types_pb2.DT_COMPLEX128: ("dcomplex_val", np.float64)}


def tensor_from_proto(proto: tensor_pb2.TensorProto) -> tf.Tensor:
    """The tensor in `proto`, which may hold content, typed values or the short form (last value repeated).

    Raises:
        tf.errors.InvalidArgumentError: shape and values do not fit.
    """
    return tf.io.parse_tensor(proto.SerializeToString(), tf.as_dtype(proto.dtype))


def tensor_to_proto(array: np.ndarray, *, tensor_content: bool = False) -> tensor_pb2.TensorProto:
    """`array` in the typed field of its data type, or as raw `tensor_content` (never for strings)."""
    dtype = _data_type(array)
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if tensor_content and dtype != types_pb2.DT_STRING:
        proto.tensor_content = np.ascontiguousarray(array).tobytes()
    elif dtype in _BIT_PATTERNS:
        proto.half_val.extend(np.ascontiguousarray(array).view(np.uint16).ravel().tolist())
    elif dtype in _COMPLEX:
        field, part = _COMPLEX[dtype]
        getattr(proto, field).extend(np.ascontiguousarray(array).reshape(-1).view(part).tolist())
    elif dtype in _FIELDS:
        getattr(proto, _FIELDS[dtype]).extend(array.ravel().tolist())
    else:
        return tf.make_tensor_proto(array)
    return proto


def _data_type(array: np.ndarray) -> int:
    return types_pb2.DT_STRING if array.dtype == object else tf.as_dtype(array.dtype).as_datatype_enum


def type_name(dtype: int) -> str:
    """TensorFlow's own name of a data type: `float` and `double`, where numpy says float32 and float64."""
    return types_pb2.DataType.Name(dtype).removeprefix("DT_").lower()
