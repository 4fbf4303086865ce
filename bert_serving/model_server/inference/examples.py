"""Classify, Regress and MultiInference: tf.Examples in, classes with scores or numbers out.

Error texts are those of TensorFlow Serving (classifier.cc, regressor.cc, multi_inference.cc).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, model_pb2, regression_pb2

from bert_serving import contract
from bert_serving.errors import InvalidRequest, Unimplemented
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.servable import Servable, Signature
from bert_serving.model_server.inference.tensors import data_type, type_name

Arrays = Mapping[str, np.ndarray]

# Protos come without types.
Classification: TypeAlias = Any  # ClassificationResult
Regression: TypeAlias = Any  # RegressionResult

# kRegressOutputs of TensorFlow Serving.
_REGRESSION_OUTPUT = "outputs"


@dataclass(frozen=True)
class _Method:
    """Classify or Regress.

    Attributes:
        name: method name of its signatures.
        kind: name of what it does, in error texts and in the field of an InferenceResult.
        outputs: names of the outputs to compute; checks the signature.
        result: makes the result proto out of the outputs and the number of examples; checks the
            outputs.
    """

    name: str
    kind: str
    outputs: Callable[[Signature], tuple[str, ...]]
    result: Callable[[Arrays, int], Any]

    def signature_outputs(self, servable: Servable, name: str) -> tuple[str, ...]:
        """Names of the outputs to compute of a signature.

        Raises:
            InvalidRequest: no such signature, or one that does not fit the method.
        """
        if name not in servable.functions:
            raise InvalidRequest(f"No signature was found with the name: {name}")
        signature = servable.signatures[name]
        if servable.check_method_names and signature.method_name != self.name:
            raise InvalidRequest(
                f"Expected {self.kind} signature method_name to be {self.name}. Was: {signature.method_name}"
            )
        return self.outputs(signature)


def prepare_classify(
    servable: Servable, request: classification_pb2.ClassificationRequest
) -> Inference[classification_pb2.ClassificationResponse]:
    """Checks a ClassificationRequest.

    A signature fits that takes serialized tf.Examples as `inputs` (string [B]) and gives `classes`
    (string [B, K]), `scores` (float32 [B, K]) or both; its method name does not matter.

    Raises:
        InvalidRequest: no such signature, a signature that does not fit, or no example.
    """
    return _prepare(servable, request, _CLASSIFY, classification_pb2.ClassificationResponse)


def prepare_regress(
    servable: Servable, request: regression_pb2.RegressionRequest
) -> Inference[regression_pb2.RegressionResponse]:
    """Checks a RegressionRequest.

    A signature fits that takes serialized tf.Examples as `inputs` (string [B]) and gives `outputs`
    (float32 [B] or [B, 1]); its method name does not matter.

    Raises:
        InvalidRequest: no such signature, a signature that does not fit, or no example.
    """
    return _prepare(servable, request, _REGRESS, regression_pb2.RegressionResponse)


def fitting_signatures(servable: Servable, method: str) -> list[str]:
    """Names of the signatures that `classify` or `regress` accepts."""

    def fits(name: str) -> bool:
        try:
            return bool(_METHODS[f"tensorflow/serving/{method}"].signature_outputs(servable, name))
        except InvalidRequest:
            return False

    return [name for name in sorted(servable.functions) if fits(name)]


def multi_inference_spec(request: inference_pb2.MultiInferenceRequest) -> model_pb2.ModelSpec:
    """Model and version of a request: those of its first task; nameless without tasks."""
    return request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()


def prepare_multi_inference(
    servable: Servable, request: inference_pb2.MultiInferenceRequest
) -> list[Inference[inference_pb2.InferenceResult]]:
    """Checks a MultiInferenceRequest; gives an inference for each of its tasks, in order.

    Raises:
        InvalidRequest: tasks of several models, a signature twice, one that is missing or does not
            fit.
        Unimplemented: a task that neither classifies nor regresses.
    """
    examples: np.ndarray | None = None
    inferences: list[Inference[inference_pb2.InferenceResult]] = []
    for task in request.tasks:
        name = task.model_spec.signature_name or contract.SERVING_DEFAULT
        if not task.model_spec.name:
            raise InvalidRequest("Found ModelSpec with an empty model name.")
        if task.model_spec.name != request.tasks[0].model_spec.name:
            raise InvalidRequest("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        if name in [inference.signature for inference in inferences]:
            raise InvalidRequest(f"Duplicate evaluation of signature: {name}")
        examples = _serialized(request.input) if examples is None else examples
        inferences.append(_prepare_task(servable, name, task.method_name, examples))
    return inferences


def _prepare(servable: Servable, request: Any, method: _Method, response: Callable[..., Any]) -> Inference[Any]:
    name = request.model_spec.signature_name or contract.SERVING_DEFAULT
    try:
        outputs = method.signature_outputs(servable, name)
    except InvalidRequest as error:
        fitting = ", ".join(fitting_signatures(servable, method.name.rpartition("/")[2]))
        raise InvalidRequest(f"{error}; signature_name that fits: {fitting}" if fitting else str(error)) from None
    examples = _serialized(request.input)

    def answer(arrays: Arrays) -> Any:
        return response(result=method.result(arrays, len(examples)), model_spec=servable.spec(name))

    return Inference(servable, name, {contract.EXAMPLES: examples}, outputs, answer, request)


def _prepare_task(
    servable: Servable, name: str, method_name: str, examples: np.ndarray
) -> Inference[inference_pb2.InferenceResult]:
    if name not in servable.functions:
        raise InvalidRequest(f"Requested signature not found in model graph: {name}")
    method = _METHODS.get(method_name)
    if method is None:
        raise Unimplemented(f"Unsupported signature method_name: {method_name}")
    outputs = method.signature_outputs(servable, name)

    def answer(arrays: Arrays) -> inference_pb2.InferenceResult:
        result = method.result(arrays, len(examples))
        return inference_pb2.InferenceResult(model_spec=servable.spec(name), **{f"{method.kind}_result": result})

    return Inference(servable, name, {contract.EXAMPLES: examples}, outputs, answer)


def _serialized(source: input_pb2.Input) -> np.ndarray:
    """Serialized examples, string [B], with the context in each of them."""
    if source.WhichOneof("kind") == "example_list_with_context":
        # The concatenation of two serialized messages is their merger.
        context = source.example_list_with_context.context.SerializeToString()
        examples = [context + item.SerializeToString() for item in source.example_list_with_context.examples]
    else:
        examples = [item.SerializeToString() for item in source.example_list.examples]
    if not examples:
        raise InvalidRequest("Input is empty.")
    return np.array(examples, dtype=object)


def _check_example_input(signature: Signature, kind: str) -> None:
    if contract.EXAMPLES not in signature.inputs:
        raise InvalidRequest(f"No {kind} inputs found in SignatureDef: {_one_line(signature)}")
    dtype = signature.inputs[contract.EXAMPLES].dtype
    if dtype != types_pb2.DT_STRING:
        raise InvalidRequest(f"Expects arg[0] to be {type_name(dtype)} but string is provided")


# === Classify ===


def _classify_outputs(signature: Signature) -> tuple[str, ...]:
    if len(signature.inputs) != 1:
        raise InvalidRequest("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise InvalidRequest(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    _check_example_input(signature, "classification")
    outputs = tuple(name for name in (contract.CLASSES, contract.SCORES) if name in signature.outputs)
    if not outputs:
        raise InvalidRequest(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {_one_line(signature)}"
        )
    return outputs


def _classification(arrays: Arrays, batch_size: int) -> Classification:
    classes = _class_array(arrays, contract.CLASSES, batch_size)
    scores = _class_array(arrays, contract.SCORES, batch_size)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise InvalidRequest(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = classification_pb2.ClassificationResult()
    for row in range(batch_size):
        labels = None if classes is None else classes[row]
        values = None if scores is None else scores[row].tolist()
        classification = result.classifications.add()
        for column in range(len(labels if labels is not None else values or [])):
            classification.classes.add(
                label="" if labels is None else labels[column].decode("utf-8", errors="replace"),
                score=0.0 if values is None else values[column],
            )
    return result


def _class_array(arrays: Arrays, name: str, batch_size: int) -> np.ndarray | None:
    if name not in arrays:
        return None
    array = arrays[name]
    if array.ndim != 2:
        raise InvalidRequest(f"Expected Tensor shape: [batch_size num_classes] but got {_shape_text(array)}")
    if name == contract.CLASSES and array.dtype != object:
        raise InvalidRequest(f"Expected classes Tensor of DT_STRING. Got: {_type_text(array)}")
    if name == contract.SCORES and array.dtype != np.float32:
        raise InvalidRequest(f"Expected scores Tensor of DT_FLOAT. Got: {_type_text(array)}")
    if array.shape[0] != batch_size:
        raise InvalidRequest(f"Expected {name} output batch size of {batch_size}. Got: {array.shape[0]}")
    return array


# === Regress ===


def _regress_outputs(signature: Signature) -> tuple[str, ...]:
    if len(signature.inputs) != 1:
        raise InvalidRequest("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise InvalidRequest("Expected one output Tensor.")
    _check_example_input(signature, "regression")
    if _REGRESSION_OUTPUT not in signature.outputs:
        raise InvalidRequest(f"No regression outputs found in SignatureDef: {_one_line(signature)}")
    return (_REGRESSION_OUTPUT,)


def _regression(arrays: Arrays, batch_size: int) -> Regression:
    values = arrays[_REGRESSION_OUTPUT]
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1):
        raise InvalidRequest(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape_text(values)}"
        )
    if values.shape[0] != batch_size:
        raise InvalidRequest(f"Expected output batch size to be {batch_size}. Got: {values.shape[0]}")
    if values.dtype != np.float32:
        raise InvalidRequest(f"Expected output Tensor of DT_FLOAT. Got: {_type_text(values)}")
    result = regression_pb2.RegressionResult()
    for value in values.ravel().tolist():
        result.regressions.add(value=value)
    return result


_CLASSIFY = _Method("tensorflow/serving/classify", "classification", _classify_outputs, _classification)
_REGRESS = _Method("tensorflow/serving/regress", "regression", _regress_outputs, _regression)
_METHODS = {method.name: method for method in (_CLASSIFY, _REGRESS)}


def _shape_text(array: np.ndarray) -> str:
    """A shape as TensorFlow writes it: [2,3]."""
    return "[" + ",".join(map(str, array.shape)) + "]"


def _type_text(array: np.ndarray) -> str:
    """A data type as TensorFlow's protos name it: DT_FLOAT."""
    return str(types_pb2.DataType.Name(data_type(array)))


def _one_line(signature: Signature) -> str:
    return " ".join(str(signature).split())
