"""Messages `tf.Example` of TFRecord files, read without TensorFlow."""

from functools import cache
from typing import Any

_MESSAGES = {
    "Example": {"features": (1, "Features")},
    "Features": {"feature": (1, "map Feature")},
    "Feature": {
        "bytes_list": (1, "oneof BytesList"),
        "float_list": (2, "oneof FloatList"),
        "int64_list": (3, "oneof Int64List"),
    },
    "BytesList": {"value": (1, "repeated bytes")},
    "FloatList": {"value": (1, "repeated float")},
    "Int64List": {"value": (1, "repeated int64")},
}


def parsed_example(content: bytes) -> Any | None:
    """The message; None for content that is none."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415  a quarter of a second

    try:
        return _example_class().FromString(content)
    except DecodeError:
        return None


def feature_value(example: Any, name: str) -> Any:
    """The first value of a feature: bytes, a float or an int; None where there is none."""
    if name not in example.features.feature:
        return None
    feature = example.features.feature[name]
    kind = feature.WhichOneof("choice")
    values = getattr(feature, kind).value if kind else ()
    return values[0] if values else None


@cache
def _example_class() -> Any:
    from bert_serving.io.dynamic_messages import message_classes  # noqa: PLC0415  builds them with their first use

    return message_classes("bert_serving.examples", _MESSAGES)["Example"]
