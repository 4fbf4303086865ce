"""Asks a model server over gRPC; the published protos bring TensorFlow with them."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Self

import grpc
import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from bert_serving import contract
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.refusal import check_texts, one_line, refusal_by_grpc_code
from bert_serving.clients.version_status import VersionStatus
from bert_serving.errors import InvalidRequest, ServerUnavailable
from bert_serving.model_server.metadata import SIGNATURE_DEF, metadata_json

_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class GrpcClient:
    """A client of PredictionService and ModelService; threads may share it."""

    def __init__(self, address: str, *, timeout: float = 30.0):
        """Connects on the first request.

        Args:
            address: host:port, for example localhost:8500.
            timeout: seconds for one request.

        Raises:
            InvalidRequest: `address` is a URL.
        """
        if "://" in address:
            raise InvalidRequest(f"{address!r} is a URL: give the gRPC address as host:port, like localhost:8500")
        self._address = address
        self._timeout = timeout
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(
        self,
        model: str,
        texts: Sequence[str],
        *,
        text_pairs: Sequence[str] | None = None,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
    ) -> list[Prediction]:
        """Classifies texts.

        Args:
            model: name of the model.
            texts: what to classify; an empty list needs no server.
            text_pairs: second texts, for a classifier of pairs.
            version: version to ask, else the latest.
            label: label of the version to ask, instead of its number.
            signature: signature to run, else the default one.

        Raises:
            InvalidRequest: the server or the client found fault with the request.
            FailedPrecondition: the model has no such signature.
            ServableNotFound: no such model or version.
            ServerUnavailable: no answer.
        """
        check_texts(texts, text_pairs)
        if not texts:
            return []
        request = predict_pb2.PredictRequest(model_spec=_spec(model, version, label))
        request.model_spec.signature_name = signature or ""
        request.inputs[contract.TEXT].CopyFrom(_string_tensor(texts))
        if text_pairs is not None:
            request.inputs[contract.TEXT_PAIR].CopyFrom(_string_tensor(text_pairs))
        request.output_filter.extend([contract.LABEL, contract.PROBABILITIES])
        response = self._ask(self._prediction.Predict, request)
        labels = response.outputs[contract.LABEL].string_val
        probabilities = _float_rows(response.outputs[contract.PROBABILITIES], len(labels))
        return [
            Prediction(label=label.decode("utf-8", errors="replace"), probabilities=row)
            for label, row in zip(labels, probabilities, strict=True)
        ]

    def status(self, model: str) -> list[VersionStatus]:
        """State of each version of a model, highest first.

        Raises:
            ServableNotFound: no such model.
            ServerUnavailable: no answer.
        """
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=_spec(model, None))
        return [
            VersionStatus(
                version=item.version,
                state=get_model_status_pb2.ModelVersionStatus.State.Name(item.state),
                error_code=error_codes_pb2.Code.Name(item.status.error_code),
                error_message=item.status.error_message,
            )
            for item in self._ask(self._models.GetModelStatus, request).model_version_status
        ]

    def reload(self, config: Any, *, timeout: float | None = None) -> None:
        """Replaces the models, versions and labels that the server serves.

        Args:
            config: a ModelServerConfig that lists every model: one that it does not list is unloaded.
            timeout: seconds for the answer, which waits for models that are new; absent: that of the client.

        Raises:
            InvalidRequest: an entry is not allowed.
            FailedPrecondition: a label names a version that is not AVAILABLE.
            ServerUnavailable: no answer.
        """
        request = model_management_pb2.ReloadConfigRequest(config=config)
        self._ask(self._models.HandleReloadConfigRequest, request, timeout)

    def metadata(self, model: str) -> dict[str, Any]:
        """Name, version and signatures of the latest version, in the JSON form of the REST API.

        Raises:
            ServableNotFound: no such model.
            ServerUnavailable: no answer.
        """
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=_spec(model, None), metadata_field=[SIGNATURE_DEF]
        )
        return json.loads(metadata_json(self._ask(self._prediction.GetModelMetadata, request)))

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: Callable[..., Any], request: Any, timeout: float | None = None) -> Any:
        timeout = self._timeout if timeout is None else timeout
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise ServerUnavailable(f"No answer from {self._address} within {timeout:g} s")
        if code is grpc.StatusCode.UNAVAILABLE:
            raise ServerUnavailable(f"Cannot reach {self._address}: {one_line(details)}; is the model server running?")
        raise refusal_by_grpc_code(code.name, details)


def _spec(model: str, version: int | None, label: str | None = None) -> model_pb2.ModelSpec:
    if not model:
        raise InvalidRequest("The model's name is empty: give the name that the server was started with")
    spec = model_pb2.ModelSpec(name=model)
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def _string_tensor(texts: Sequence[str]) -> tensor_pb2.TensorProto:
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING)
    tensor.tensor_shape.dim.add(size=len(texts))
    tensor.string_val.extend([text.encode("utf-8") for text in texts])
    return tensor


def _float_rows(tensor: tensor_pb2.TensorProto, rows: int) -> list[tuple[float, ...]]:
    # The server may be set to answer with raw content.
    values = np.frombuffer(tensor.tensor_content, np.float32).tolist() if tensor.tensor_content else tensor.float_val
    width = len(values) // rows
    return [tuple(values[row * width : (row + 1) * width]) for row in range(rows)]
