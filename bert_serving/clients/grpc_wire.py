"""Questions and answers in the form of gRPC messages."""

import json
import struct
from typing import Any

from bert_serving import contract
from bert_serving.clients import messages
from bert_serving.clients.errors import no_classifier, one_line, refusal_by_grpc_code
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.request import PredictRequest
from bert_serving.clients.retry import TryAgainError
from bert_serving.clients.version_status import VersionStatus
from bert_serving.errors import InvalidRequest, ServerUnavailable

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # By itself gRPC waits up to two minutes before it looks whether a server is back.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]

_SIGNATURE_DEF = "signature_def"
# What a server that goes away leaves behind; neither says anything against the request.
_AGAIN = ("UNAVAILABLE", "CANCELLED")


def predict_request(question: PredictRequest) -> bytes:
    """A PredictRequest for labels and probabilities."""
    request = messages.new("PredictRequest", model_spec=_spec(question.model, question.version))
    if question.version_label is not None:
        request.model_spec.version_label = question.version_label
    request.model_spec.signature_name = question.signature or ""
    _fill_strings(request.inputs[contract.TEXT], question.texts)
    if question.text_pairs is not None:
        _fill_strings(request.inputs[contract.TEXT_PAIR], question.text_pairs)
    request.output_filter.extend([contract.LABEL, contract.PROBABILITIES])
    return request.SerializeToString()


def reload_request(config: bytes) -> bytes:
    """A ReloadConfigRequest for a ModelServerConfig in its serialized form, which is the request's first field."""
    length, size = bytearray(), len(config)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return b"\x0a" + bytes(length) + bytes([size]) + config


def predictions(data: bytes, question: PredictRequest) -> list[Prediction]:
    """The answers in a PredictResponse.

    Raises:
        InvalidRequest: the model does not answer like a classifier.
    """
    outputs = messages.parse("PredictResponse", data).outputs
    labels = outputs[contract.LABEL].string_val
    values = _floats(outputs[contract.PROBABILITIES])
    if len(labels) != len(question.texts) or len(values) % len(labels):
        raise no_classifier(question.model)
    width = len(values) // len(labels)
    return [
        Prediction(label.decode("utf-8", errors="replace"), tuple(values[row * width : (row + 1) * width]))
        for row, label in enumerate(labels)
    ]


def status_request(model: str) -> bytes:
    """A GetModelStatusRequest."""
    return messages.new("GetModelStatusRequest", model_spec=_spec(model)).SerializeToString()


def statuses(data: bytes) -> list[VersionStatus]:
    """The versions in a GetModelStatusResponse."""
    return [
        VersionStatus(
            version=item.version,
            state=messages.STATES.get(item.state, str(item.state)),
            error_code=messages.CODES[item.status.error_code],
            error_message=item.status.error_message,
        )
        for item in messages.parse("GetModelStatusResponse", data).model_version_status
    ]


def metadata_request(model: str) -> bytes:
    """A GetModelMetadataRequest."""
    request = messages.new("GetModelMetadataRequest", model_spec=_spec(model), metadata_field=[_SIGNATURE_DEF])
    return request.SerializeToString()


def metadata(data: bytes) -> dict[str, Any]:
    """What a GetModelMetadataResponse holds, in the JSON form of the REST API."""
    from google.protobuf import json_format

    response = messages.parse("GetModelMetadataResponse", data)
    signatures = messages.parse("SignatureDefMap", response.metadata[_SIGNATURE_DEF].value)
    shown = json_format.MessageToJson(
        signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    spec = {"name": response.model_spec.name, "signature_name": "", "version": str(response.model_spec.version.value)}
    return {"model_spec": spec, "metadata": {_SIGNATURE_DEF: json.loads(shown)}}


def failure(code: str, details: str, *, address: str, seconds: float) -> Exception:
    """What to raise for a call that failed.

    Args:
        code: name of the gRPC status code.
        details: what the server or gRPC itself said.
        address: whom the call was for.
        seconds: what it was allowed to take.
    """
    if code == "DEADLINE_EXCEEDED":
        return ServerUnavailable(f"No answer from {address} within {seconds:.3g} s")
    if code in _AGAIN:
        return TryAgainError(
            ServerUnavailable(f"Cannot reach {address}: {one_line(details)}; is the model server running?")
        )
    return refusal_by_grpc_code(code, details)


def check_address(address: str) -> None:
    """Checks a gRPC address.

    Raises:
        InvalidRequest: it is a URL.
    """
    if "://" in address:
        raise InvalidRequest(f"{address!r} is a URL: give the gRPC address as host:port, like localhost:8500")


def _spec(model: str, version: int | None = None) -> Any:
    if not model:
        raise InvalidRequest("The model's name is empty: give the name that the server was started with")
    spec = messages.new("ModelSpec", name=model)
    if version is not None:
        spec.version.value = version
    return spec


def _fill_strings(tensor: Any, texts: Any) -> None:
    tensor.dtype = messages.DATA_TYPES["DT_STRING"]
    tensor.tensor_shape.dim.add(size=len(texts))
    tensor.string_val.extend([text.encode("utf-8") for text in texts])


def _floats(tensor: Any) -> list[float]:
    # The server may be set to answer with raw content.
    if not tensor.tensor_content:
        return list(tensor.float_val)
    return list(struct.unpack(f"<{len(tensor.tensor_content) // 4}f", tensor.tensor_content))
