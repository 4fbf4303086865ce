"""Classify: tf.Examples in, classes with scores out."""

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2

from bert_serving import contract
from bert_serving.errors import InvalidRequest
from bert_serving.model_server.servable import Servable, Signature


def classify(
    servable: Servable, request: classification_pb2.ClassificationRequest
) -> classification_pb2.ClassificationResponse:
    """Answers a ClassificationRequest.

    Any signature will do that takes serialized tf.Examples as `inputs` (string [B]) and gives `classes`
    (string [B, K]), `scores` (float32 [B, K]) or both; its method name does not matter.

    Raises:
        InvalidRequest: no such signature, a signature of another shape, or no example.
        tf.errors.OpError: an operation refused its input.
    """
    name = request.model_spec.signature_name or contract.SERVING_DEFAULT
    if name not in servable.functions:
        raise InvalidRequest(f"No signature was found with the name: {name}")
    outputs = _check_signature(servable.signatures[name])
    examples = _serialized_examples(request.input)
    arrays = servable.run(name, {contract.EXAMPLES: np.array(examples, dtype=object)}, outputs)
    response = classification_pb2.ClassificationResponse()
    response.model_spec.name = servable.name
    response.model_spec.signature_name = name
    response.model_spec.version.value = servable.version
    _fill(
        response.result,
        len(examples),
        classes=_checked(arrays, contract.CLASSES, len(examples)),
        scores=_checked(arrays, contract.SCORES, len(examples)),
    )
    return response


def _check_signature(signature: Signature) -> list[str]:
    """Names of the outputs to ask for."""
    if len(signature.inputs) != 1:
        raise InvalidRequest("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise InvalidRequest(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    shown = " ".join(str(signature).split())
    if contract.EXAMPLES not in signature.inputs:
        raise InvalidRequest(f"No classification inputs found in SignatureDef: {shown}")
    taken = signature.inputs[contract.EXAMPLES].dtype
    if taken != types_pb2.DT_STRING:
        raise InvalidRequest(
            f"Expects arg[0] to be {types_pb2.DataType.Name(taken)[3:].lower()} but string is provided"
        )
    outputs = [name for name in (contract.CLASSES, contract.SCORES) if name in signature.outputs]
    if not outputs:
        raise InvalidRequest(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {shown}"
        )
    return outputs


def _serialized_examples(given: input_pb2.Input) -> list[bytes]:
    if given.WhichOneof("kind") == "example_list_with_context":
        listed = given.example_list_with_context
        # Two serialized messages after one another are their merger.
        context = listed.context.SerializeToString()
        examples = [context + example.SerializeToString() for example in listed.examples]
    else:
        examples = [example.SerializeToString() for example in given.example_list.examples]
    if not examples:
        raise InvalidRequest("Input is empty.")
    return examples


def _checked(arrays: dict[str, np.ndarray], name: str, batch_size: int) -> np.ndarray | None:
    if name not in arrays:
        return None
    array = arrays[name]
    if array.ndim != 2:
        raise InvalidRequest(f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}")
    if name == contract.CLASSES and array.dtype != object:
        raise InvalidRequest(f"Expected classes Tensor of DT_STRING. Got: {array.dtype}")
    if name == contract.SCORES and array.dtype != np.float32:
        raise InvalidRequest(f"Expected scores Tensor of DT_FLOAT. Got: {array.dtype}")
    if array.shape[0] != batch_size:
        raise InvalidRequest(f"Expected {name} output batch size of {batch_size}. Got: {array.shape[0]}")
    return array


def _fill(
    result: classification_pb2.ClassificationResult,
    batch_size: int,
    *,
    classes: np.ndarray | None,
    scores: np.ndarray | None,
) -> None:
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise InvalidRequest(
            f"Tensors class and score should match in num_classes. Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    for row in range(batch_size):
        labels = None if classes is None else classes[row]
        values = None if scores is None else scores[row].tolist()
        into = result.classifications.add()
        for column in range(len(labels if labels is not None else values or [])):
            into.classes.add(
                label="" if labels is None else labels[column].decode("utf-8", errors="replace"),
                score=0.0 if values is None else values[column],
            )
