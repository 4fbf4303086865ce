"""The REST API: a method, a path and a body in; a status and a JSON text out. No HTTP library is involved."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

import numpy as np
from tensorflow_serving.apis import classification_pb2, model_pb2, regression_pb2

from bert_serving import contract
from bert_serving.errors import InvalidRequest, ServableNotFound, http_status
from bert_serving.model_server.inference.classify import prepare_classify
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.metadata import metadata_json, model_metadata
from bert_serving.model_server.inference.regress import prepare_regress
from bert_serving.model_server.inference.status_code import status_of
from bert_serving.model_server.models.status import model_status, status_json
from bert_serving.model_server.models.store import ModelStore, State
from bert_serving.model_server.rest_api.json_examples import read_examples
from bert_serving.model_server.rest_api.json_tensors import float_texts, read_tensors, signature_name, write_tensors
from bert_serving.model_server.rest_api.json_text import Node, parse_json_object, quoted, write_json

_CHOICE = r"(?:(?:/versions/(?P<version>[0-9]+))|(?:/labels/(?P<label>[^/:]+)))?"
_API = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)
_INFERENCE = re.compile(rf"/v1/models/(?P<name>[^/:]+){_CHOICE}:(?P<method>classify|regress|predict)", re.IGNORECASE)
_INFORMATION = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_CHOICE}(?:/(?P<metadata>metadata))?", re.IGNORECASE)

_HIGHEST_VERSION = 2**63 - 1


@dataclass(frozen=True)
class Reply:
    """Answer to a request.

    Attributes:
        status: HTTP status.
        text: JSON; empty for a bare status.
    """

    status: int
    text: str = ""


@dataclass(frozen=True)
class InferenceTarget:
    """What a request wants to run.

    Attributes:
        method: predict, classify or regress.
        model: name of the model.
    """

    method: str
    model: str


def inference_target(method: str, path: str) -> InferenceTarget | None:
    """What a request wants to run; None when it is no inference, and needs no body."""
    match = _INFERENCE.fullmatch(path) if method == "POST" else None
    return None if match is None else InferenceTarget(match["method"].lower(), unquote(match["name"]))


class RestApi:
    """Answers requests from the models of a store.

    Attributes:
        draining: no longer ready, because the server stops.
    """

    def __init__(self, store: ModelStore):
        self._store = store
        self.draining = False

    def prepare(self, method: str, path: str, body: bytes) -> Reply | Inference[Reply]:
        """The answer to a request, or what must be run for it.

        Args:
            method: HTTP verb in capitals.
            path: path as it stands in the request, still percent-encoded, without the query.
            body: unpacked body; only inference reads it.

        Raises:
            RequestError: the request is refused.
        """
        if not _API.fullmatch(path):
            return self._health(method, path)
        if method == "POST" and (match := _INFERENCE.fullmatch(path)):
            asked = {"predict": self._predict, "classify": self._classify, "regress": self._regress}
            return asked[match["method"].lower()](_model_spec(match), body)
        if method == "GET" and (match := _INFORMATION.fullmatch(path)):
            if not match["name"]:
                return self._models(match)
            spec = _model_spec(match)
            if match["metadata"]:
                return Reply(200, metadata_json(model_metadata(self._store.resolve(spec))))
            return Reply(200, status_json(model_status(self._store, spec)))
        raise InvalidRequest(f"Malformed request: {method} {path}")

    def _models(self, match: re.Match[str]) -> Reply:
        if match["version"] or match["label"] or match["metadata"]:
            raise InvalidRequest("Missing model name in request.")
        return _ok({"models": [self._listed(name) for name in self._store.names()]})

    def _listed(self, name: str) -> Node:
        labels = {label: str(version) for label, version in self._store.labels(name).items()}
        return {"name": quoted(name), "versions": self._states(name), "labels": labels}

    def _health(self, method: str, path: str) -> Reply:
        if method in ("GET", "HEAD") and path == "/healthz/live":
            return Reply(200, write_json({"live": "true"}) + "\n")
        if method in ("GET", "HEAD") and path == "/healthz/ready":
            ready = self._store.ready and not self.draining
            models = {name: self._states(name) for name in self._store.names()}
            node = {"ready": "true" if ready else "false", "models": models}
            return Reply(200 if ready else 503, write_json(node) + "\n")
        raise ServableNotFound(f"Nothing at {path}: the API begins with /v1/models/")

    def _states(self, name: str) -> Node:
        return {str(record.version): quoted(State.Name(record.state)) for record in self._store.versions(name)}

    def _predict(self, spec: model_pb2.ModelSpec, raw: bytes) -> Inference[Reply]:
        body = parse_json_object(raw)
        name = signature_name(body) or contract.SERVING_DEFAULT
        servable = self._store.resolve(spec)
        if name not in servable.functions:
            raise InvalidRequest(f'Serving signature name: "{name}" not found in signature def')
        signature = servable.signatures[name]
        request = read_tensors(body, signature.inputs)

        def answer(outputs: Mapping[str, np.ndarray]) -> Reply:
            return _ok(write_tensors(outputs, request.layout))

        return Inference(servable, name, request.tensors, tuple(signature.outputs), answer)

    def _classify(self, spec: model_pb2.ModelSpec, raw: bytes) -> Inference[Reply]:
        body = parse_json_object(raw)
        request = classification_pb2.ClassificationRequest(model_spec=spec)
        request.model_spec.signature_name = signature_name(body)
        request.input.CopyFrom(read_examples(body, method="classify"))
        inference = prepare_classify(self._store.resolve(spec), request)
        return replace(inference, answer=lambda arrays: _ok({"results": _class_rows(inference.answer(arrays).result)}))

    def _regress(self, spec: model_pb2.ModelSpec, raw: bytes) -> Inference[Reply]:
        body = parse_json_object(raw)
        request = regression_pb2.RegressionRequest(model_spec=spec)
        request.model_spec.signature_name = signature_name(body)
        request.input.CopyFrom(read_examples(body, method="regress"))
        inference = prepare_regress(self._store.resolve(spec), request)
        return replace(inference, answer=lambda arrays: _ok({"results": _values(inference.answer(arrays).result)}))


def refusal(error: Exception) -> Reply:
    """The reply that an error becomes."""
    status = status_of(error)
    return Reply(http_status(status.code), write_json({"error": quoted(status.message)}) + "\n")


def _ok(node: Node) -> Reply:
    return Reply(200, write_json(node) + "\n")


def _values(result: regression_pb2.RegressionResult) -> Node:
    return list(float_texts(np.array([item.value for item in result.regressions], dtype=np.float32)))


def _class_rows(result: classification_pb2.ClassificationResult) -> Node:
    rows = []
    for classification in result.classifications:
        scores = float_texts(np.array([item.score for item in classification.classes], dtype=np.float32))
        labels = [quoted(item.label) for item in classification.classes]
        rows.append([list(pair) for pair in zip(labels, scores, strict=True)])
    return rows


def _model_spec(match: re.Match[str]) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=unquote(match["name"]))
    if match["version"]:
        digits = match["version"].lstrip("0") or "0"
        if len(digits) > 19 or int(digits) > _HIGHEST_VERSION:
            raise InvalidRequest(f"Failed to convert version: {match['version']} to numeric.")
        spec.version.value = int(digits)
    elif match["label"]:
        spec.version_label = unquote(match["label"])
    return spec
