"""JSON of the REST API, with TensorFlow Serving's extensions of the standard and its layout."""

import codecs
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from bert_serving.errors import InvalidRequest

_SPACE = re.compile(r"[ \t\n\r]*")
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_MAX_EXCERPT_BYTES = 256

# A node of a document to write: objects, lists, and leaves that are JSON text already.
Node = Mapping[str, Any] | list[Any] | str


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Reads the JSON object at the start of `body`.

    As in TensorFlow Serving, NaN, Infinity and -Infinity are numbers, and bytes after the object
    are ignored, valid UTF-8 or not. So is a byte-order mark before it.

    Raises:
        InvalidRequest: not JSON in UTF-8, not an object, or a key comes twice in an object.
    """
    if not (encoding := json.detect_encoding(body)).startswith("utf-8"):
        raise InvalidRequest(f"JSON Parse error: The document is {encoding.upper()}: encode it as UTF-8")
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        text, broken = body.decode("utf-8"), None
    except UnicodeDecodeError as error:
        text, broken = body[: error.start].decode("utf-8"), error.start
    start = _SPACE.match(text).end()  # type: ignore[union-attr]
    if start == len(text) and broken is None:
        raise InvalidRequest("JSON Parse error: The document is empty")
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        if broken is not None:  # the object, or its incomplete start, reaches up to the invalid UTF-8
            raise InvalidRequest(
                f"JSON Parse error: Invalid encoding in string. at offset: {broken}: encode it as UTF-8"
            ) from None
        reason = "Invalid value" if error.msg == "Expecting value" else error.msg
        raise InvalidRequest(f"JSON Parse error: {reason}. at offset: {len(text[: error.pos].encode())}") from None
    except RecursionError:
        raise InvalidRequest("JSON Parse error: The document is nested too deeply.") from None
    except ValueError:
        # An infinite decimal, or an integer of more digits than Python converts.
        raise InvalidRequest("JSON Parse error: Number too big to be stored in double.") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"JSON Value: {excerpt(value)} Is not object")
    return value


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(members)
    if len(values) < len(members):
        names = [name for name, _ in members]
        repeated = next(name for name in values if names.count(name) > 1)
        raise InvalidRequest(f"JSON Parse error: The key {quoted(repeated)} comes twice in an object: give it once")
    return values


def _decimal(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(text)
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_decimal)


def excerpt(value: Any) -> str:
    """`value` as JSON for an error message, cut at 256 bytes."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):
        text = f"<{type_name(value)}>"
    encoded = text.encode("utf-8", errors="replace")
    return encoded[:_MAX_EXCERPT_BYTES].decode("utf-8", errors="ignore") + (
        "..." if len(encoded) > _MAX_EXCERPT_BYTES else ""
    )


def type_name(value: Any) -> str:
    """The name of a JSON value's type in error messages."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, str):
        return "String"
    if isinstance(value, dict):
        return "Object"
    return "Array" if isinstance(value, list) else "Number"


def quoted(text: str) -> str:
    """`text` as a JSON string."""
    return _ENCODER.encode(text)


def write_document(node: Node) -> str:
    """A JSON document in TensorFlow Serving's layout.

    Objects take several lines, indented by four; lists take one line.
    """
    return _format(node, depth=0) + "\n"


def _format(node: Node, depth: int) -> str:
    if isinstance(node, str):
        return node
    if isinstance(node, list):
        return "[" + ", ".join([_format(item, depth + 1) for item in node]) + "]"
    if not node:
        return "{}"
    margin = "    " * (depth + 1)
    members = [f"{margin}{quoted(name)}: {_format(value, depth + 1)}" for name, value in node.items()]
    return "{\n" + ",\n".join(members) + "\n" + "    " * depth + "}"
