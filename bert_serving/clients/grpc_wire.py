"""Requests and answers in the form of gRPC messages."""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bert_serving import contract
from bert_serving.clients import messages
from bert_serving.clients.client import Call
from bert_serving.clients.errors import not_a_classifier, refusal_by_grpc_code, timed_out, unreachable
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.request import PredictRequest
from bert_serving.clients.served_model import VersionStatus
from bert_serving.errors import InvalidRequest
from bert_serving.io.proxies import grpc_proxy, without_password

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # By default gRPC waits up to two minutes before it connects again.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]

_SIGNATURE_DEF = "signature_def"
# Codes of a connection to a server that stops; neither says anything against the request.
_RETRYABLE = ("UNAVAILABLE", "CANCELLED")


class GrpcWire:
    """Requests for a gRPC address; a message is a method with the serialized request."""

    def __init__(self, address: str):
        """Checks the address.

        Raises:
            InvalidRequest: it is a URL, or has a user.
        """
        if "@" in address:
            raise InvalidRequest(
                f"{without_password(address)!r} is given with a user, which gRPC does not take: leave it out"
            )
        if "://" in address:
            raise InvalidRequest(f"{address!r} is a URL: give the gRPC address as host:port, like localhost:8500")
        # gRPC's own default is that of TLS.
        self._shown = address if re.search(r":[0-9]+$", address) else f"{address} at port 443, as none is given"
        self._proxy = grpc_proxy(address)

    @property
    def options(self) -> list[tuple[str, int]]:
        """Options of the channel."""
        # gRPC itself takes a proxy for this machine, too, and reads no_proxy in its own way.
        return [*OPTIONS, ("grpc.enable_http_proxy", int(self._proxy is not None))]

    def predict(self, request: PredictRequest) -> Call[list[Prediction]]:
        """Classifies texts."""
        return Call((PREDICT, predict_request(request)), partial(_predictions, request))

    def status(self, model: str) -> Call[list[VersionStatus]]:
        """Asks for the state of a model's versions."""
        return Call((STATUS, _serialized("GetModelStatusRequest", model_spec=_spec(model))), _statuses)

    def metadata(self, model: str, **choice: Any) -> Call[dict[str, Any]]:
        """Asks for the signatures of a version of a model."""
        spec = _spec(model, **choice)
        request = _serialized("GetModelMetadataRequest", model_spec=spec, metadata_field=[_SIGNATURE_DEF])
        return Call((METADATA, request), _metadata)

    def run(
        self, model: str, signature: str, rows: Sequence[Mapping[str, bytes]], **choice: Any
    ) -> Call[list[dict[str, Any]]]:
        """Runs a signature of strings; the answer has the outputs of each row."""
        spec = _spec(model, **choice)
        spec.signature_name = signature
        inputs = {name: _strings([row[name] for row in rows]) for name in rows[0]}
        return Call((PREDICT, _serialized("PredictRequest", model_spec=spec, inputs=inputs)), _output_rows)

    def failure(self, error: Any, seconds: float) -> Exception:
        """What to raise for gRPC's error of a call that was allowed to take `seconds`."""
        code, details = error.code().name, error.details() or ""
        if code == "DEADLINE_EXCEEDED":
            return timed_out(self._shown, seconds, self._proxy)
        if code in _RETRYABLE:
            return unreachable(self._shown, details, self._proxy)
        return refusal_by_grpc_code(code, details)


def predict_request(request: PredictRequest) -> bytes:
    """A serialized tensorflow.serving.PredictRequest for labels and probabilities."""
    spec = _spec(request.model, request.version, request.version_label)
    spec.signature_name = request.signature or ""
    inputs = {contract.TEXT: _strings([text.encode("utf-8") for text in request.texts])}
    if request.text_pairs is not None:
        inputs[contract.TEXT_PAIR] = _strings([text.encode("utf-8") for text in request.text_pairs])
    return _serialized(
        "PredictRequest",
        model_spec=spec,
        inputs=inputs,
        output_filter=[contract.LABEL, contract.PROBABILITIES],
    )


def reload_request(config: bytes) -> bytes:
    """A serialized ReloadConfigRequest for a serialized ModelServerConfig."""
    return _serialized("ReloadConfigRequest", config=config)


def _predictions(request: PredictRequest, data: bytes) -> list[Prediction]:
    outputs = messages.parse("PredictResponse", data).outputs
    labels = outputs[contract.LABEL].string_val
    values = _floats(outputs[contract.PROBABILITIES])
    if len(labels) != len(request.texts) or len(values) % len(labels):
        raise not_a_classifier(request.model)
    width = len(values) // len(labels)
    return [
        Prediction(label.decode("utf-8", errors="replace"), tuple(values[row * width : (row + 1) * width]))
        for row, label in enumerate(labels)
    ]


def _output_rows(data: bytes) -> list[dict[str, Any]]:
    columns = {}
    for name, tensor in messages.parse("PredictResponse", data).outputs.items():
        values = [value.decode("utf-8", "replace") for value in tensor.string_val] or _floats(tensor)
        rows, *rest = [dim.size for dim in tensor.tensor_shape.dim] or [0]
        width = len(values) // max(rows, 1)
        columns[name] = [values[row * width : (row + 1) * width] for row in range(rows)] if rest else values
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=False)]


def _statuses(data: bytes) -> list[VersionStatus]:
    return [
        VersionStatus(
            version=item.version,
            state=messages.STATES.get(item.state, str(item.state)),
            error_code=messages.CODES[item.status.error_code],
            error_message=item.status.error_message,
        )
        for item in messages.parse("GetModelStatusResponse", data).model_version_status
    ]


def _metadata(data: bytes) -> dict[str, Any]:
    from google.protobuf import json_format  # noqa: PLC0415  keeps the import of a client short

    response = messages.parse("GetModelMetadataResponse", data)
    signatures = messages.parse("SignatureDefMap", response.metadata[_SIGNATURE_DEF].value)
    shown = json_format.MessageToJson(
        signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    spec = {"name": response.model_spec.name, "signature_name": "", "version": str(response.model_spec.version.value)}
    return {"model_spec": spec, "metadata": {_SIGNATURE_DEF: json.loads(shown)}}


def _serialized(message: str, **fields: Any) -> bytes:
    data: bytes = messages.new(message, **fields).SerializeToString()
    return data


def _spec(model: str, version: int | None = None, version_label: str | None = None) -> Any:
    spec = messages.new("ModelSpec", name=model)
    if version is not None:
        spec.version.value = version
    if version_label is not None:
        spec.version_label = version_label
    return spec


def _strings(texts: Sequence[bytes]) -> Any:
    return messages.new(
        "TensorProto",
        dtype=messages.DATA_TYPES["DT_STRING"],
        tensor_shape={"dim": [{"size": len(texts)}]},
        string_val=texts,
    )


def _floats(tensor: Any) -> list[float]:
    # A server with --tensor_content answers with raw bytes.
    if not tensor.tensor_content:
        return list(tensor.float_val)
    return list(struct.unpack(f"<{len(tensor.tensor_content) // 4}f", tensor.tensor_content))
