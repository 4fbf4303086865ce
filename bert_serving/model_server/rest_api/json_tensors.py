"""Tensors from JSON by a signature's inputs, and JSON from tensors: the bodies of REST predict."""

import base64
import binascii
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from bert_serving.errors import InvalidRequest, RequestError, Unimplemented
from bert_serving.model_server.inference.tensors import type_name as dtype_name
from bert_serving.model_server.rest_api.json_text import Node, excerpt, quoted, type_name

TensorInfos = Mapping[str, meta_graph_pb2.TensorInfo]

_BASE64 = "b64"
# String outputs whose name ends so are answered as base64.
BYTES_SUFFIX = "_bytes"

# numpy has at most 64 dimensions, one of which is the batch.
_HIGHEST_RANK = 63

# JSON's type for the elements of each data type that it can carry.
JSON_TYPES = {types_pb2.DT_FLOAT: "number", types_pb2.DT_DOUBLE: "number"}
JSON_TYPES |= {
    types_pb2.DataType.Value(f"DT_{sign}INT{bits}"): "integer" for sign in ("", "U") for bits in (8, 16, 32, 64)
}
JSON_TYPES |= {types_pb2.DT_STRING: "string", types_pb2.DT_BOOL: "boolean"}


class Layout(Enum):
    """How the tensors of a request are laid out."""

    ROW = auto()
    """a list of `instances`"""
    COLUMNAR = auto()
    """an object of `inputs`"""


@dataclass(frozen=True)
class JsonTensors:
    """Tensors of a request.

    Attributes:
        layout: the layout of the request, and so of its response.
        tensors: by input name; strings are object arrays of bytes.
    """

    layout: Layout
    tensors: Mapping[str, np.ndarray]


def signature_name(body: Mapping[str, Any]) -> str:
    """The signature that a body asks for, empty when it names none.

    Raises:
        InvalidRequest: the name is not a string.
    """
    name = body.get("signature_name", "")
    if not isinstance(name, str):
        raise InvalidRequest(
            f"JSON Value: {excerpt(body)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return encode_text(name).decode("utf-8")


def read_tensors(body: Mapping[str, Any], inputs: TensorInfos) -> JsonTensors:
    """Tensors from the `instances` or the `inputs` of a body.

    Raises:
        InvalidRequest: the body does not fit the inputs.
        Unimplemented: an input has a data type that JSON cannot carry.
    """
    if not inputs:
        raise InvalidRequest(f"Failed to get input map for signature: {signature_name(body) or 'DEFAULT'}")
    if "instances" in body and "inputs" in body:
        raise InvalidRequest(
            f"JSON Value: {excerpt(body)} Not formatted correctly expecting only one of 'inputs' or 'instances' "
            "keys to exist "
        )
    if "instances" in body:
        instances = body["instances"]
        if not isinstance(instances, list):
            raise InvalidRequest(f"JSON Value: {excerpt(body)} Expecting 'instances' to be an list/array")
        if not instances:
            raise InvalidRequest(f"JSON Value: {excerpt(body)} No values in 'instances' array")
        return JsonTensors(Layout.ROW, _from_instances(instances, inputs))
    if "inputs" in body:
        return JsonTensors(Layout.COLUMNAR, _from_inputs(body["inputs"], inputs))
    raise InvalidRequest("Missing 'inputs' or 'instances' key")


def write_tensors(outputs: Mapping[str, np.ndarray], layout: Layout) -> Node:
    """The response to a predict request; a single output has no name.

    Floats are the shortest decimals that parse to the same bits.

    Raises:
        InvalidRequest: an output has no JSON form, or outputs differ in their number of rows.
    """
    if layout is Layout.COLUMNAR:
        nodes = {name: _node(name, array) for name, array in outputs.items()}
        return {"outputs": next(iter(nodes.values())) if len(nodes) == 1 else nodes}
    size = _common_batch_size(outputs)
    columns = {name: _node(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    return {"predictions": [{name: column[row] for name, column in columns.items()} for row in range(size)]}  # type: ignore[index]


# === From JSON ===


def _from_instances(instances: list[Any], inputs: TensorInfos) -> dict[str, np.ndarray]:
    named = _is_named(instances[0])
    if not named and len(inputs) > 1:
        raise InvalidRequest(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    columns: dict[str, _Column] = {}
    only = next(iter(inputs))
    for position, instance in enumerate(instances):
        if _is_named(instance) != named:
            expected, received = ("object", "list") if named else ("value/list", "object")
            raise InvalidRequest(f"Expecting {expected} but got {received} at item {position} of input list")
        for name, value in instance.items() if named else ((only, instance),):
            where = f"{position} key: {name}" if named else str(position)
            try:
                if name not in inputs:
                    raise InvalidRequest(
                        f"JSON object: does not have named input: {name}; the inputs are {', '.join(sorted(inputs))}"
                    )
                if name not in columns:
                    columns[name] = _Column(inputs[name].dtype)
                columns[name].append(value)
            except RequestError as error:
                raise InvalidRequest(
                    f"Failed to process element: {where} of 'instances' list. Error: {error.grpc_code}: {error}"
                ) from None
        if named and instance.keys() != set(inputs):
            raise InvalidRequest(
                f"Failed to process element: {position} of 'instances' list. JSON object: {excerpt(instance)} "
                f"keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {name: column.array() for name, column in columns.items()}


def _from_inputs(value: Any, inputs: TensorInfos) -> dict[str, np.ndarray]:
    if not _is_named(value):
        if len(inputs) > 1:
            raise InvalidRequest(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {next(iter(inputs)): value}
    arrays = {}
    for name, info in inputs.items():
        if name not in value:
            raise InvalidRequest(f"Missing named input: {name} in 'inputs' object.")
        column = _Column(info.dtype)
        column.append(value[name])
        array = column.array()
        arrays[name] = array.reshape(array.shape[1:])  # array[0] of a vector would be a scalar
    return arrays


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


class _Column:
    """The values of one input over all instances, which must all have the shape of the first."""

    def __init__(self, dtype: int):
        self._dtype = dtype
        self._convert = _converter(dtype)
        self._shape: tuple[int, ...] | None = None
        self._count = 0
        self._leaves: list[Any] = []

    def append(self, value: Any) -> None:
        shape = _shape_of(value)
        if len(shape) > _HIGHEST_RANK:
            raise InvalidRequest(f"Lists are nested {len(shape)} deep; a tensor has at most {_HIGHEST_RANK} dimensions")
        leaves: list[Any] = []
        _collect(value, 0, shape, leaves, self._convert)
        if self._shape is None:
            self._shape = shape
        elif math.prod(shape) != math.prod(self._shape):
            raise InvalidRequest(f"Expecting tensor size: {math.prod(self._shape)} but got: {math.prod(shape)}")
        elif shape != self._shape:
            raise InvalidRequest(f"Expecting shape {_listed(self._shape)} but got: {_listed(shape)}")
        self._leaves += leaves
        self._count += 1

    def array(self) -> np.ndarray:
        shape = (self._count, *(self._shape or ()))
        with np.errstate(over="ignore"):  # a number beyond the largest float is infinite
            return np.array(self._leaves, dtype=_numpy_type(self._dtype)).reshape(shape)


def _shape_of(value: Any) -> tuple[int, ...]:
    """Shape of nested lists, by the first element at each level."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _collect(value: Any, level: int, shape: tuple[int, ...], leaves: list[Any], convert: Callable[[Any], Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise InvalidRequest(
                f"JSON Value: {excerpt(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        leaves.append(convert(value))
        return
    if level >= len(shape):
        raise InvalidRequest(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise InvalidRequest(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        _collect(item, level + 1, shape, leaves, convert)


def _converter(dtype: int) -> Callable[[Any], Any]:
    """The conversion of a JSON value to an element of a tensor."""
    match JSON_TYPES.get(dtype):
        case "number":
            return lambda value: _to_float(value, dtype)
        case "integer":
            return lambda value: _to_integer(value, dtype, *number_limits(dtype))
        case "string":
            return _to_bytes
        case "boolean":
            return _to_boolean
    return lambda value: _no_conversion(value, dtype)


def number_limits(dtype: int) -> tuple[float, float]:
    """The least and the greatest finite value of a data type of numbers, as they are written."""
    kind, read = _numpy_type(dtype), int if JSON_TYPES[dtype] == "integer" else float
    limits: Any = np.iinfo(kind) if read is int else np.finfo(kind)
    return read(str(limits.min)), read(str(limits.max))


def _numpy_type(dtype: int) -> Any:
    return tf.as_dtype(dtype).as_numpy_dtype


def _to_float(value: Any, dtype: int) -> float:
    if type(value) is float:
        return value
    if type(value) is not int:
        raise _wrong_type(value, dtype)
    try:
        return float(value)
    except OverflowError:
        raise InvalidRequest("JSON Parse error: Number too big to be stored in double.") from None


def _to_integer(value: Any, dtype: int, lowest: float, highest: float) -> int:
    if type(value) is not int or not lowest <= value <= highest:
        raise _wrong_type(value, dtype)
    return value


def _to_boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _wrong_type(value, types_pb2.DT_BOOL)
    return value


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, dict):
        return decode_base64(value)
    if not isinstance(value, str):
        raise _wrong_type(value, types_pb2.DT_STRING)
    return encode_text(value)


def _no_conversion(value: Any, dtype: int) -> Any:
    raise Unimplemented(f"Conversion of JSON Value: {excerpt(value)} to type: {dtype_name(dtype)}")


def _wrong_type(value: Any, dtype: int) -> InvalidRequest:
    return InvalidRequest(
        f"JSON Value: {excerpt(value)} Type: {type_name(value)} is not of expected type: {dtype_name(dtype)}"
    )


def _listed(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"


# === Bytes ===


def is_base64(value: Any) -> bool:
    """Whether a JSON value is an object of base64 bytes: its only key is `b64`, with a string."""
    return isinstance(value, dict) and value.keys() == {_BASE64} and isinstance(value[_BASE64], str)


def decode_base64(value: Any) -> bytes:
    """Bytes of a `{"b64": ...}` object; padding is optional, and white space is ignored.

    Raises:
        InvalidRequest: another kind of object, or not base64.
    """
    if not is_base64(value):
        raise InvalidRequest(f"JSON Value: {excerpt(value)} not formatted correctly for base64 data")
    text = "".join(value[_BASE64].split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("Unable to base64 decode") from None


def encode_text(text: str) -> bytes:
    r"""UTF-8 of a JSON string.

    Raises:
        InvalidRequest: half of a surrogate pair, which JSON can write as \ud800 and UTF-8 cannot.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRequest("JSON Parse error: The surrogate pair in string is invalid.") from None


# === To JSON ===


def _common_batch_size(outputs: Mapping[str, np.ndarray]) -> int:
    expected: int | None = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise InvalidRequest(f"Tensor name: {name} has no shape information")
        if expected is not None and array.shape[0] != expected:
            raise InvalidRequest(
                f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} expecting: {expected}"
            )
        expected = array.shape[0]
    return expected or 0


def _node(name: str, array: np.ndarray) -> Node:
    if array.dtype == object:
        write = _base64_text if name.endswith(BYTES_SUFFIX) else _string_text
        return _nested([write(value) for value in array.ravel()], array.shape)
    if array.dtype in (np.float32, np.float64):
        return _nested(float_texts(array.ravel()), array.shape)
    if array.dtype.kind in "iu":
        return _nested(list(map(str, array.ravel().tolist())), array.shape)
    if array.dtype.kind == "b":
        return _nested(["true" if value else "false" for value in array.ravel().tolist()], array.shape)
    shown_type = "half" if array.dtype == np.float16 else array.dtype.name
    raise InvalidRequest(f"Failed to write JSON value for tensor type: {shown_type}")


def float_texts(values: np.ndarray) -> list[str]:
    """JSON text of each number in a vector: the shortest decimal that parses to the same bits."""
    texts: list[str] = values.astype("U").tolist()
    if np.isfinite(values).all():
        return texts
    other = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return [other.get(text, text) for text in texts]


def _nested(leaves: Sequence[Node], shape: tuple[int, ...]) -> Node:
    """A vector of leaves as nested lists of the given shape."""
    node: Node = np.array(leaves, dtype=object).reshape(shape).tolist()
    return node


def _string_text(value: bytes) -> str:
    return quoted(value.decode("utf-8", errors="replace"))


def _base64_text(value: bytes) -> Node:
    return {_BASE64: quoted(base64.b64encode(value).decode("ascii"))}
