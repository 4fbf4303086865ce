"""The OpenAPI 3.1 description of the REST API, made from the models that are served right now."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from tensorflow.core.framework import types_pb2

from bert_serving import contract
from bert_serving.model_server.inference.examples import fitting_signatures
from bert_serving.model_server.inference.servable import Servable
from bert_serving.model_server.inference.tensors import type_name
from bert_serving.model_server.models.store import ModelStore, State
from bert_serving.model_server.rest_api.json_tensors import (
    BYTES_SUFFIX,
    JSON_TYPES,
    TensorInfos,
    number_limits,
)
from bert_serving.version import __version__

# A JSON document, and a schema in it.
Document = dict[str, Any]

PATH = "/openapi.json"

_INTRODUCTION = (
    "TensorFlow Serving's REST API for the models of this server, as they are now: a version that is loaded later "
    "appears here then. NaN, Infinity and -Infinity are numbers in requests and responses. Lists of one tensor have the "
    "same length at each depth."
)
_REFUSALS = {
    400: "The request does not fit the model, or is not JSON.",
    404: "No such model, or no such version of it is AVAILABLE.",
    408: "The body did not arrive in time.",
    413: "The body is larger than this server accepts.",
    415: "The body has another Content-Encoding than gzip.",
    429: "The model ran out of a resource.",
    500: "The model failed.",
    501: "The signature takes a data type that JSON cannot carry.",
    503: "Too many requests wait, or the server stops: retry later.",
    504: "No answer in time.",
}


def openapi_document(store: ModelStore) -> Document:
    """Describes the REST API of the models in `store`.

    Every model has its own paths, those of its versions and those of its labels. A version that is
    not AVAILABLE has its state alone, without the methods that it does not answer.
    """
    paths: Document = {
        "/v1/models": {"get": _get("All models", "Models")},
        "/healthz/live": {"get": _get("Whether the process answers", "Live")},
        "/healthz/ready": {
            "get": _get("Whether every model can answer", "Ready", {"503": _json("Not ready", _ref("Ready"))})
        },
    }
    for name in store.names():
        for path, servable, text in _choices(store, name):
            paths |= {path + end: item | {"summary": text} for end, item in _endpoints(name, servable).items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "bert-serving model server", "version": __version__, "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in store.names()],
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "responses": {str(code): _json(text, _ref("Error")) for code, text in _REFUSALS.items()},
        },
    }


def _choices(store: ModelStore, name: str) -> Iterator[tuple[str, Servable | None, str]]:
    """Path, servable and description for each way to choose a version of a model."""
    path = f"/v1/models/{quote(name, safe='')}"
    records = {record.version: record for record in store.versions(name)}
    loaded = {version: record.servable for version, record in records.items() if record.servable is not None}
    yield path, loaded[max(loaded)] if loaded else None, f"{name}: the highest version that is AVAILABLE"
    for version in records:
        yield f"{path}/versions/{version}", loaded.get(version), f"{name}: version {version}"
    for label, version in store.labels(name).items():
        # The status of a version that the store has never seen is 404, as the responses say.
        yield f"{path}/labels/{quote(label, safe='')}", loaded.get(version), f"{name}: {label}, now version {version}"


def _endpoints(name: str, servable: Servable | None) -> Document:
    """Path items by the end of their path."""
    items: Document = {"": {"get": _get_of(name, "States of the versions", "Status")}}
    if servable is None:
        return items
    items["/metadata"] = {"get": _get_of(name, "Signatures", "Metadata")}
    keys = sorted(servable.functions, key=lambda key: (key != contract.SERVING_DEFAULT, key))
    predictions = [pair for key in keys for pair in _predict_forms(key, servable)]
    for method, forms in {
        "predict": predictions,
        "classify": [_examples_form(key, _list(_SCORED_CLASS)) for key in fitting_signatures(servable, "classify")],
        "regress": [_examples_form(key, {"type": "number"}) for key in fitting_signatures(servable, "regress")],
    }.items():
        if forms:
            items[f":{method}"] = {"post": _post(method, name, forms)}
    return items


# === Operations ===


def _get(summary: str, schema: str, others: Document | None = None) -> Document:
    return {"summary": summary, "responses": {"200": _json(summary, _ref(schema)), **(others or {})}}


def _get_of(model: str, summary: str, schema: str) -> Document:
    return _get(summary, schema, _refusals(400, 404)) | {"tags": [model]}


def _post(method: str, model: str, forms: list[tuple[Document, Document]]) -> Document:
    requests, responses = ([*each] for each in zip(*forms, strict=True))
    body = {"required": True, "content": {"application/json": {"schema": {"anyOf": requests}}}}
    answers = {"200": _json(f"Result of {method}", {"anyOf": responses})}
    return {
        "summary": method.capitalize(),
        "tags": [model],
        "requestBody": body,
        "responses": answers | _refusals(*_REFUSALS),
    }


def _refusals(*codes: int) -> Document:
    return {str(code): {"$ref": f"#/components/responses/{code}"} for code in codes}


def _json(text: str, schema: Document) -> Document:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


# === Bodies ===


def _predict_forms(key: str, servable: Servable) -> Iterator[tuple[Document, Document]]:
    """The bodies of a signature's requests and of its responses: by rows, and by columns."""
    signature = servable.signatures[key]
    inputs, outputs = signature.inputs, signature.outputs
    if not inputs or not outputs or any(info.dtype not in JSON_TYPES for info in (*inputs.values(), *outputs.values())):
        return  # gRPC alone carries its data types
    columns, rows = _tensors(inputs), _tensors(inputs, row=True)
    yield (
        _body(key, {"inputs": columns}, f"{key}, by columns"),
        _object({"outputs": _tensors(outputs, answer=True)}),
    )
    if all(info.tensor_shape.unknown_rank or info.tensor_shape.dim for info in outputs.values()):
        yield (
            _body(key, {"instances": _list(rows) | {"minItems": 1}}, f"{key}, by rows"),
            _object({"predictions": _list(_tensors(outputs, row=True, answer=True))}),
        )


def _examples_form(key: str, result: Document) -> tuple[Document, Document]:
    examples = _list(_ref("Example")) | {"minItems": 1}
    return (
        _body(key, {"examples": examples}, key, optional={"context": _ref("Example")}),
        _object({"results": _list(result)}),
    )


def _body(key: str, members: Document, title: str, optional: Document | None = None) -> Document:
    body = _object(members) | {"title": title}
    body["properties"] |= {"signature_name": {"const": key}} | (optional or {})
    if key != contract.SERVING_DEFAULT:
        body["required"].append("signature_name")
    return body


def _tensors(infos: TensorInfos, *, row: bool = False, answer: bool = False) -> Document:
    """Named tensors; a single one may stand alone, and does so in an answer."""
    tensors = {name: _tensor(name, info, row=row, answer=answer) for name, info in sorted(infos.items())}
    if len(tensors) > 1:
        return _object(tensors)
    (only,) = tensors.values()
    return only if answer else {"anyOf": [only, _object(tensors)]}


def _tensor(name: str, info: Any, *, row: bool, answer: bool) -> Document:
    """A tensor, or one row of it."""
    kind = type_name(info.dtype)
    if info.tensor_shape.unknown_rank:
        return _ref(f"{kind}.any")
    schema = _ref(kind)
    if answer and info.dtype == types_pb2.DT_STRING:
        schema = _ref("Bytes") if name.endswith(BYTES_SUFFIX) else _TEXT
    sizes = [dim.size for dim in info.tensor_shape.dim][int(row) :]
    for size in reversed(sizes):
        schema = _list(schema) | ({"minItems": size, "maxItems": size} if size >= 0 else {})
    return schema | {"description": f"{kind} {sizes}"}


# === Schemas ===


def _object(members: Document) -> Document:
    members = dict(members)
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def _ref(schema: str) -> Document:
    return {"$ref": f"#/components/schemas/{schema}"}


def _list(items: Document) -> Document:
    return {"type": "array", "items": items}


def _map(values: Document) -> Document:
    return {"type": "object", "additionalProperties": values}


def _element(dtype: int, json_type: str) -> Document:
    if json_type == "string":
        return {"anyOf": [_TEXT, _ref("Bytes")]}
    if json_type == "boolean":
        return {"type": json_type}
    lowest, highest = number_limits(dtype)
    return {"type": json_type, "minimum": lowest, "maximum": highest}


_TEXT = {"type": "string"}
_BASE64 = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}(==)?|[A-Za-z0-9+/]{3}=?)?$"
_STATE = {"enum": State.keys()}
_SCORED_CLASS = _list({}) | {"prefixItems": [_TEXT, {"type": "number"}], "minItems": 2, "maxItems": 2}
_FEATURE = {"anyOf": [_ref("string"), _ref("int64"), {"type": "number"}]}
_VERSION = _object(
    {"version": _TEXT, "state": _STATE, "status": _object({"error_code": _TEXT, "error_message": _TEXT})}
)
_MODEL = _object({"name": _TEXT, "versions": _map(_STATE), "labels": _map({"type": "integer"})})
_SCHEMAS = {
    "Error": _object({"error": _TEXT}),
    "Models": _object({"models": _list(_MODEL)}),
    "Live": _object({"live": {"type": "boolean"}}),
    "Ready": _object({"ready": {"type": "boolean"}, "models": _map(_map(_STATE))}),
    "Status": _object({"model_version_status": _list(_VERSION)}),
    "Metadata": _object(
        {
            "model_spec": _object({"name": _TEXT, "signature_name": _TEXT, "version": _TEXT}),
            "metadata": _object({"signature_def": {"type": "object"}}),
        }
    ),
    "Bytes": _object({"b64": _TEXT | {"contentEncoding": "base64", "pattern": _BASE64}}),
    "Example": _map({"anyOf": [_FEATURE, _list(_FEATURE)]})
    | {"description": "Features by name: one value, or a list of values of one kind"},
    # Elements of tensors, and tensors of any rank.
    **{type_name(dtype): _element(dtype, json_type) for dtype, json_type in JSON_TYPES.items()},
    **{f"{name}.any": {"anyOf": [_ref(name), _list(_ref(f"{name}.any"))]} for name in map(type_name, JSON_TYPES)},
}
