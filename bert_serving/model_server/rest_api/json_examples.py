"""tf.Examples from JSON: the bodies of REST classify and regress."""

from collections.abc import Mapping
from typing import Any

from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import input_pb2

from bert_serving.errors import InvalidRequest
from bert_serving.model_server.rest_api.json_tensors import decode_base64, encode_text, is_base64
from bert_serving.model_server.rest_api.json_text import excerpt, type_name


def read_examples(body: Mapping[str, Any], *, method: str) -> input_pb2.Input:
    """The `examples` of a body, with its `context` if there is one.

    Raises:
        InvalidRequest: no examples, or a feature that is not text, bytes or a number.
    """
    result = input_pb2.Input()
    examples = result.example_list.examples
    if "context" in body:
        result.example_list_with_context.context.CopyFrom(_example(body["context"]))
        examples = result.example_list_with_context.examples
    if "examples" not in body:
        raise InvalidRequest(
            f"JSON Value: {excerpt(body)} When method is {method}, key 'examples' is expected and was not found"
        )
    listed = body["examples"]
    if not isinstance(listed, list):
        raise InvalidRequest(f"JSON Value: {excerpt(body)} Expecting 'examples' value to be an list/array")
    if not listed:
        raise InvalidRequest(f"JSON Value: {excerpt(body)} 'examples' value is an empty array")
    examples.extend([_example(item) for item in listed])
    return result


def _example(value: Any) -> example_pb2.Example:
    if not isinstance(value, dict):
        raise InvalidRequest(f"Example must be JSON object but got JSON {type_name(value)}")
    example = example_pb2.Example()
    for name, content in value.items():
        key = encode_text(name).decode()
        feature = example.features.feature[key]
        for item in content if isinstance(content, list) else [content]:
            _add(feature, name, item)
    return example


def _add(feature: feature_pb2.Feature, name: str, value: Any) -> None:
    if isinstance(value, str):
        _of_kind(feature, name, "bytes_list").bytes_list.value.append(encode_text(value))
    elif is_base64(value):
        _of_kind(feature, name, "bytes_list").bytes_list.value.append(decode_base64(value))
    elif isinstance(value, int):  # true and false are integers, too
        if not -(2**63) <= value < 2**63:
            raise InvalidRequest(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
        _of_kind(feature, name, "int64_list").int64_list.value.append(int(value))
    elif isinstance(value, float):
        _of_kind(feature, name, "float_list").float_list.value.append(value)
    else:
        raise InvalidRequest(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")


def _of_kind(feature: feature_pb2.Feature, name: str, kind: str) -> feature_pb2.Feature:
    present = feature.WhichOneof("kind")
    if present not in (None, kind):
        raise InvalidRequest(
            f"Unexpected element type in feature: {name} expecting type: {present.removesuffix('_list')}"
        )
    return feature
