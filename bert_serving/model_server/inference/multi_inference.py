"""MultiInference: the same tf.Examples for several signatures of one model."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from tensorflow_serving.apis import inference_pb2, model_pb2

from bert_serving import contract
from bert_serving.errors import InvalidRequest, Unimplemented
from bert_serving.model_server.inference.classify import check_classify_signature, classification_result
from bert_serving.model_server.inference.examples import (
    CLASSIFY_METHOD,
    REGRESS_METHOD,
    example_signature,
    serialized_examples,
)
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.regress import check_regress_signature, regression_result
from bert_serving.model_server.inference.servable import Servable

Result: TypeAlias = Any  # InferenceResult; protos come without types


def multi_inference_spec(request: inference_pb2.MultiInferenceRequest) -> model_pb2.ModelSpec:
    """The model that a request asks for: that of its first task, and with it the version for all of them; nameless where it says none."""
    return request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()


def prepare_multi_inference(
    servable: Servable, request: inference_pb2.MultiInferenceRequest
) -> list[Inference[Result]]:
    """Checks a MultiInferenceRequest; gives one inference for each of its tasks, in order.

    Raises:
        InvalidRequest: tasks of several models, a signature twice, one that is missing or of another shape.
        Unimplemented: a task that neither classifies nor regresses.
    """
    examples: np.ndarray | None = None
    inferences: list[Inference[Result]] = []
    for task in request.tasks:
        _check_task(task, request.tasks[0].model_spec.name, [each.signature for each in inferences])
        examples = serialized_examples(request.input) if examples is None else examples
        inferences.append(_prepare_task(servable, task, examples))
    return inferences


def run_multi_inference(servable: Servable, request: inference_pb2.MultiInferenceRequest) -> list[Result]:
    """Answers a MultiInferenceRequest at once, its tasks one after the other."""
    return [inference.run() for inference in prepare_multi_inference(servable, request)]


def _check_task(task: inference_pb2.InferenceTask, model: str, signatures: Sequence[str]) -> None:
    if not task.model_spec.name:
        raise InvalidRequest("Found ModelSpec with an empty model name.")
    if task.model_spec.name != model:
        raise InvalidRequest("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
    if _signature_name(task) in signatures:
        raise InvalidRequest(f"Duplicate evaluation of signature: {_signature_name(task)}")


def _prepare_task(servable: Servable, task: inference_pb2.InferenceTask, examples: np.ndarray) -> Inference[Result]:
    name = _signature_name(task)
    if name not in servable.functions:
        raise InvalidRequest(f"Requested signature not found in model graph: {name}")
    if task.method_name == CLASSIFY_METHOD:
        outputs = check_classify_signature(example_signature(servable, name, CLASSIFY_METHOD))
    elif task.method_name == REGRESS_METHOD:
        outputs = check_regress_signature(example_signature(servable, name, REGRESS_METHOD))
    else:
        raise Unimplemented(f"Unsupported signature method_name: {task.method_name}")

    def answer(arrays: Mapping[str, np.ndarray]) -> Result:
        result = inference_pb2.InferenceResult()
        result.model_spec.name = servable.name
        result.model_spec.signature_name = name
        result.model_spec.version.value = servable.version
        if task.method_name == CLASSIFY_METHOD:
            result.classification_result.CopyFrom(classification_result(arrays, len(examples)))
        else:
            result.regression_result.CopyFrom(regression_result(arrays, len(examples)))
        return result

    return Inference(servable, name, {contract.EXAMPLES: examples}, outputs, answer)


def _signature_name(task: inference_pb2.InferenceTask) -> str:
    return task.model_spec.signature_name or contract.SERVING_DEFAULT
