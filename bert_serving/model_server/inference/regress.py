"""Regress: tf.Examples in, one number for each out."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from tensorflow_serving.apis import regression_pb2

from bert_serving import contract
from bert_serving.errors import InvalidRequest
from bert_serving.model_server.inference.examples import (
    REGRESS_METHOD,
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
Result: TypeAlias = Any  # RegressionResult
Response: TypeAlias = Any  # RegressionResponse

# kRegressOutputs of TensorFlow Serving.
OUTPUT = "outputs"


def prepare_regress(servable: Servable, request: regression_pb2.RegressionRequest) -> Inference[Response]:
    """Checks a RegressionRequest.

    Any signature will do that takes serialized tf.Examples as `inputs` (string [B]) and gives `outputs`
    (float32 [B] or [B, 1]); its method name does not matter.

    Raises:
        InvalidRequest: no such signature, a signature of another shape, or no example.
    """
    name = request.model_spec.signature_name or contract.SERVING_DEFAULT
    outputs = check_regress_signature(example_signature(servable, name, REGRESS_METHOD))
    examples = serialized_examples(request.input)

    def answer(arrays: Mapping[str, np.ndarray]) -> Response:
        response = regression_pb2.RegressionResponse(result=regression_result(arrays, len(examples)))
        response.model_spec.name = servable.name
        response.model_spec.signature_name = name
        response.model_spec.version.value = servable.version
        return response

    return Inference(servable, name, {contract.EXAMPLES: examples}, outputs, answer, request)


def regress(servable: Servable, request: regression_pb2.RegressionRequest) -> Response:
    """Answers a RegressionRequest at once.

    Raises:
        InvalidRequest: see `prepare_regress`; or the output has another shape.
        tf.errors.OpError: an operation refused its input.
    """
    return prepare_regress(servable, request).run()


def check_regress_signature(signature: Signature) -> tuple[str, ...]:
    """Names of the outputs to ask for.

    Raises:
        InvalidRequest: the signature does not regress.
    """
    if len(signature.inputs) != 1:
        raise InvalidRequest("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise InvalidRequest("Expected one output Tensor.")
    check_example_input(signature, "regression")
    if OUTPUT not in signature.outputs:
        raise InvalidRequest(f"No regression outputs found in SignatureDef: {shown(signature)}")
    return (OUTPUT,)


def regression_result(arrays: Mapping[str, np.ndarray], batch_size: int) -> Result:
    """A number for each example.

    Raises:
        InvalidRequest: the output has another shape or data type.
    """
    values = arrays[OUTPUT]
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1):
        raise InvalidRequest(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {shown_shape(values)}"
        )
    if values.shape[0] != batch_size:
        raise InvalidRequest(f"Expected output batch size to be {batch_size}. Got: {values.shape[0]}")
    if values.dtype != np.float32:
        raise InvalidRequest(f"Expected output Tensor of DT_FLOAT. Got: {shown_type(values)}")
    result = regression_pb2.RegressionResult()
    for value in values.ravel().tolist():
        result.regressions.add(value=value)
    return result
