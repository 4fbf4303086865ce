"""Classify: tf.Examples in, classes with scores out."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from tensorflow_serving.apis import classification_pb2

from bert_serving import contract
from bert_serving.errors import InvalidRequest
from bert_serving.model_server.inference.examples import (
    CLASSIFY_METHOD,
    check_example_input,
    example_signature,
    serialized_examples,
    shown,
    shown_shape,
    shown_type,
)
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.servable import Servable, Signature

# Protos come without types.
Result: TypeAlias = Any  # ClassificationResult
Response: TypeAlias = Any  # ClassificationResponse


def prepare_classify(servable: Servable, request: classification_pb2.ClassificationRequest) -> Inference[Response]:
    """Checks a ClassificationRequest.

    Any signature will do that takes serialized tf.Examples as `inputs` (string [B]) and gives `classes`
    (string [B, K]), `scores` (float32 [B, K]) or both; its method name does not matter.

    Raises:
        InvalidRequest: no such signature, a signature of another shape, or no example.
    """
    name = request.model_spec.signature_name or contract.SERVING_DEFAULT
    signature = example_signature(servable, name, CLASSIFY_METHOD)
    outputs = check_classify_signature(signature)
    examples = serialized_examples(request.input)

    def answer(arrays: Mapping[str, np.ndarray]) -> Response:
        response = classification_pb2.ClassificationResponse(result=classification_result(arrays, len(examples)))
        response.model_spec.name = servable.name
        response.model_spec.signature_name = name
        response.model_spec.version.value = servable.version
        return response

    return Inference(servable, name, {contract.EXAMPLES: examples}, outputs, answer, request)


def classify(servable: Servable, request: classification_pb2.ClassificationRequest) -> Response:
    """Answers a ClassificationRequest at once.

    Raises:
        InvalidRequest: see `prepare_classify`; or the outputs have another shape.
        tf.errors.OpError: an operation refused its input.
    """
    return prepare_classify(servable, request).run()


def check_classify_signature(signature: Signature) -> tuple[str, ...]:
    """Names of the outputs to ask for.

    Raises:
        InvalidRequest: the signature does not classify.
    """
    if len(signature.inputs) != 1:
        raise InvalidRequest("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise InvalidRequest(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    check_example_input(signature, "classification")
    outputs = tuple(name for name in (contract.CLASSES, contract.SCORES) if name in signature.outputs)
    if not outputs:
        raise InvalidRequest(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {shown(signature)}"
        )
    return outputs


def classification_result(arrays: Mapping[str, np.ndarray], batch_size: int) -> Result:
    """Classes with scores for each example.

    Raises:
        InvalidRequest: an output has another shape or data type.
    """
    classes = _checked(arrays, contract.CLASSES, batch_size)
    scores = _checked(arrays, contract.SCORES, batch_size)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise InvalidRequest(
            f"Tensors class and score should match in num_classes. Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = classification_pb2.ClassificationResult()
    for row in range(batch_size):
        labels = None if classes is None else classes[row]
        values = None if scores is None else scores[row].tolist()
        into = result.classifications.add()
        for column in range(len(labels if labels is not None else values or [])):
            into.classes.add(
                label="" if labels is None else labels[column].decode("utf-8", errors="replace"),
                score=0.0 if values is None else values[column],
            )
    return result


def _checked(arrays: Mapping[str, np.ndarray], name: str, batch_size: int) -> np.ndarray | None:
    if name not in arrays:
        return None
    array = arrays[name]
    if array.ndim != 2:
        raise InvalidRequest(f"Expected Tensor shape: [batch_size num_classes] but got {shown_shape(array)}")
    if name == contract.CLASSES and array.dtype != object:
        raise InvalidRequest(f"Expected classes Tensor of DT_STRING. Got: {shown_type(array)}")
    if name == contract.SCORES and array.dtype != np.float32:
        raise InvalidRequest(f"Expected scores Tensor of DT_FLOAT. Got: {shown_type(array)}")
    if array.shape[0] != batch_size:
        raise InvalidRequest(f"Expected {name} output batch size of {batch_size}. Got: {array.shape[0]}")
    return array
