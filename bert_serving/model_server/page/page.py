"""The page for people at the root of the REST port: pick a model, type texts, see its answers."""

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bert_serving import __version__
from bert_serving.model_server.inference.tensors import type_name
from bert_serving.model_server.models.store import ModelStore, State
from bert_serving.model_server.models.versions import VersionRecord
from bert_serving.model_server.rest_api.app import Document

PAGE_PATH = "/"
MODELS_PATH = "/page/models"


def page_documents(store: ModelStore) -> dict[str, Document]:
    """The page and what it asks for, by path."""
    return {
        PAGE_PATH: Document("text/html", page, headers=_headers()),
        MODELS_PATH: Document("application/json", lambda: models_json(store), headers={"Cache-Control": "no-store"}),
    }


@functools.cache
def page() -> str:
    """The HTML document; style and script are inside, and nothing else is fetched but the models and their answers."""
    parts = {"version": __version__, "css": _style(), "js": _script()}
    text = _file("page.html")
    for name, part in parts.items():
        text = text.replace("{" + name + "}", part)
    return text


def models_json(store: ModelStore) -> str:
    """What the page must know of every model: versions, their state, their signatures, the names of their classes."""
    models = [
        {
            "name": name,
            # Numbers of versions are texts: they may be larger than what JavaScript can count.
            "labels": {label: str(version) for label, version in store.labels(name).items()},
            "versions": [_version(record) for record in store.versions(name)],
        }
        for name in store.names()
    ]
    return json.dumps({"models": models})


def _version(record: VersionRecord) -> dict[str, Any]:
    servable = record.servable
    return {
        "version": str(record.version),
        "state": State.Name(record.state),
        "error": record.error_message,
        "classes": [] if servable is None else list(servable.classes),
        "signatures": {}
        if servable is None
        else {
            name: {"inputs": _tensors(signature.inputs), "outputs": _tensors(signature.outputs)}
            for name, signature in sorted(servable.signatures.items())
            if name in servable.functions
        },
    }


def _tensors(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"type": type_name(info.dtype), "shape": _shape(info)} for name, info in sorted(tensors.items())}


def _shape(info: Any) -> list[int] | None:
    shape = info.tensor_shape
    return None if shape.unknown_rank else [dim.size for dim in shape.dim]


@functools.cache
def _headers() -> dict[str, str]:
    # Only this very style and script may run, whatever a name or a text brings with it.
    policy = (
        f"default-src 'none'; style-src {_hash(_style())}; script-src {_hash(_script())}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _style() -> str:
    return _file("page.css")


def _script() -> str:
    return _file("page.js")


@functools.cache
def _file(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text("utf-8")
