"""The operations of the REST API, without HTTP: a model and a body in, a JSON text out."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from tensorflow_serving.apis import classification_pb2, model_pb2, regression_pb2

from bert_serving import contract
from bert_serving.errors import InvalidRequest
from bert_serving.model_server.inference.examples import prepare_classify, prepare_regress
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.metadata import metadata_json, model_metadata
from bert_serving.model_server.models.status import model_status, status_json
from bert_serving.model_server.models.store import ModelStore, State
from bert_serving.model_server.rest_api.json_examples import read_examples
from bert_serving.model_server.rest_api.json_tensors import float_texts, read_tensors, signature_name, write_tensors
from bert_serving.model_server.rest_api.json_text import Node, parse_json_object, quoted, write_document
from bert_serving.model_server.rest_api.openapi import openapi_document


class RestApi:
    """Answers requests from the models of a store; raises RequestError where it refuses one.

    Attributes:
        draining: no longer ready, because the server stops.
    """

    def __init__(self, store: ModelStore):
        """Answers from the models of `store`."""
        self._store = store
        self.draining = False

    def readiness(self) -> tuple[bool, str]:
        """Whether the server is ready, and a document that says so with the states of all versions.

        It is ready when every model can answer and it does not stop.
        """
        ready = self._store.ready and not self.draining
        models = {name: self._states(name) for name in self._store.names()}
        return ready, write_document({"ready": "true" if ready else "false", "models": models})

    def models(self) -> str:
        """All models with the states of their versions and their labels."""
        return write_document({"models": [self._model(name) for name in self._store.names()]})

    def description(self) -> str:
        """The OpenAPI description of this API."""
        return json.dumps(openapi_document(self._store), indent=1, ensure_ascii=False) + "\n"

    def status(self, spec: model_pb2.ModelSpec) -> str:
        """The states of a model's versions, in the form of GetModelStatus."""
        return status_json(model_status(self._store, spec))

    def metadata(self, spec: model_pb2.ModelSpec) -> str:
        """The signatures of a version, in the form of GetModelMetadata."""
        return metadata_json(model_metadata(self._store.resolve(spec)))

    def prepare(self, method: str, spec: model_pb2.ModelSpec, body: bytes) -> Inference[str]:
        """The inference that a request asks for.

        Args:
            method: predict, classify or regress.
            spec: the model, and its version or label.
            body: JSON, unpacked.
        """
        prepare = {"predict": self._predict, "classify": self._classify, "regress": self._regress}[method]
        return prepare(spec, parse_json_object(body))

    def _model(self, name: str) -> Node:
        labels = {label: str(version) for label, version in self._store.labels(name).items()}
        return {"name": quoted(name), "versions": self._states(name), "labels": labels}

    def _states(self, name: str) -> Node:
        return {str(record.version): quoted(State.Name(record.state)) for record in self._store.versions(name)}

    def _predict(self, spec: model_pb2.ModelSpec, body: Mapping[str, Any]) -> Inference[str]:
        name = signature_name(body) or contract.SERVING_DEFAULT
        servable = self._store.resolve(spec)
        if name not in servable.functions:
            raise InvalidRequest(f'Serving signature name: "{name}" not found in signature def')
        signature = servable.signatures[name]
        request = read_tensors(body, signature.inputs)

        def answer(outputs: Mapping[str, np.ndarray]) -> str:
            return write_document(write_tensors(outputs, request.layout))

        return Inference(servable, name, request.tensors, tuple(signature.outputs), answer)

    def _classify(self, spec: model_pb2.ModelSpec, body: Mapping[str, Any]) -> Inference[str]:
        request = classification_pb2.ClassificationRequest(model_spec=spec)
        request.model_spec.signature_name = signature_name(body)
        request.input.CopyFrom(read_examples(body, method="classify"))
        return _with_results(prepare_classify(self._store.resolve(spec), request), _class_rows)

    def _regress(self, spec: model_pb2.ModelSpec, body: Mapping[str, Any]) -> Inference[str]:
        request = regression_pb2.RegressionRequest(model_spec=spec)
        request.model_spec.signature_name = signature_name(body)
        request.input.CopyFrom(read_examples(body, method="regress"))
        return _with_results(prepare_regress(self._store.resolve(spec), request), _values)


def _with_results(inference: Inference[Any], rows: Callable[[Any], Node]) -> Inference[str]:
    """The inference of a gRPC request, answering with JSON."""
    return replace(inference, answer=lambda arrays: write_document({"results": rows(inference.answer(arrays).result)}))


def _values(result: regression_pb2.RegressionResult) -> Node:
    return list(float_texts(np.array([item.value for item in result.regressions], dtype=np.float32)))


def _class_rows(result: classification_pb2.ClassificationResult) -> Node:
    rows = []
    for classification in result.classifications:
        scores = float_texts(np.array([item.score for item in classification.classes], dtype=np.float32))
        labels = [quoted(item.label) for item in classification.classes]
        rows.append([list(pair) for pair in zip(labels, scores, strict=True)])
    return rows
