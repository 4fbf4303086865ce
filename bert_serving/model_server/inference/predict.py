"""Predict: named tensors in, named tensors out."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from bert_serving import contract
from bert_serving.errors import FailedPrecondition, InvalidRequest, RequestError
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.servable import Servable, Signature
from bert_serving.model_server.inference.tensors import array_from_proto, fill_tensor_proto, type_name

_DATA_TYPES = frozenset(types_pb2.DataType.values())
# Method names of the signatures that Predict runs.
_METHODS = ("tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress")


def prepare_predict(
    servable: Servable, request: predict_pb2.PredictRequest, *, tensor_content: bool = False
) -> Inference[predict_pb2.PredictResponse]:
    """Checks a PredictRequest.

    Raises:
        FailedPrecondition: no such signature.
        InvalidRequest: inputs or output filter do not fit the signature.
    """
    name = request.model_spec.signature_name or contract.SERVING_DEFAULT
    signature = _signature(servable, name)
    inputs = _inputs(signature, request.inputs)
    outputs = _outputs(signature, request.output_filter)

    def answer(arrays: Mapping[str, np.ndarray]) -> predict_pb2.PredictResponse:
        response = predict_pb2.PredictResponse(model_spec=servable.spec(name))
        for output, array in arrays.items():
            fill_tensor_proto(response.outputs[output], array, tensor_content=tensor_content)
        return response

    return Inference(servable, name, inputs, outputs, answer, request)


def _signature(servable: Servable, name: str) -> Signature:
    if name not in servable.functions:
        raise FailedPrecondition(f'Serving signature key "{name}" not found.')
    signature = servable.signatures[name]
    if servable.check_method_names and signature.method_name not in _METHODS:
        # RequestError is INTERNAL, as in TensorFlow Serving.
        raise RequestError(
            f"Expected prediction signature method_name to be one of {_braced(_METHODS)}. Was: {signature.method_name}"
        )
    return signature


def _inputs(signature: Signature, sent: Mapping[str, tensor_pb2.TensorProto]) -> dict[str, np.ndarray]:
    _check_names(signature, sent)
    protos = {name: sent[name] if name in sent else signature.defaults[name] for name in signature.inputs}
    return {
        name: _tensor(name, position, protos[name], signature.inputs[name].dtype)
        for position, name in enumerate(sorted(protos))
    }


def _check_names(signature: Signature, names: Iterable[str]) -> None:
    expected, sent = set(signature.inputs), set(names)
    missing, extra = expected - sent - set(signature.defaults), sent - expected
    if not missing and not extra:
        return
    if len(sent) == len(expected) or (signature.defaults and len(sent) < len(expected)):
        if missing:
            alias = min(missing)
            raise InvalidRequest(
                f"Signature input alias: {alias}(feed name: {signature.inputs[alias].name}) not found in request and "
                f"no default value provided. Inputs expected to be in the request {_braced(sent)}, or default input "
                f"alias set: {_joined(signature.defaults)}"
            )
        raise InvalidRequest(
            f"Inputs contains invalid name. Used request inputs: {_joined(expected & sent)}, "
            f"request input: {_joined(sent)}"
        )
    raise InvalidRequest(
        f"input size does not match signature: {len(sent)}!={len(expected)} "
        f"len({_braced(sent)}) != len({_braced(expected)}). "
        f"Sent extra: {_braced(extra)}. Missing but required: {_braced(missing)}."
    )


def _tensor(name: str, position: int, proto: tensor_pb2.TensorProto, expected: int) -> np.ndarray:
    if proto.dtype not in _DATA_TYPES or proto.dtype == types_pb2.DT_INVALID:
        raise InvalidRequest(f"tensor parsing error: {name}")
    if proto.dtype != expected:
        raise InvalidRequest(
            f"Expects arg[{position}] to be {type_name(expected)} but {type_name(proto.dtype)} is provided"
        )
    try:
        return array_from_proto(proto)
    except (ValueError, TypeError):  # TypeError: a data type without an array, such as resource
        raise InvalidRequest(f"tensor parsing error: {name}") from None


def _outputs(signature: Signature, output_filter: Sequence[str]) -> tuple[str, ...]:
    for position, name in enumerate(output_filter):
        if name not in signature.outputs:
            raise InvalidRequest(
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {_braced(signature.outputs)}."
            )
        if name in output_filter[:position]:
            raise InvalidRequest(f"duplicate output tensor alias: {name}")
    return tuple(output_filter) or tuple(signature.outputs)


def _braced(names: Iterable[str]) -> str:
    return "{" + _joined(names) + "}"


def _joined(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
