"""The web page at the root of the REST port: select a model, enter texts, see its predictions."""

import base64
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse, Response

from bert_serving.model_server.inference.tensors import type_name
from bert_serving.model_server.models.store import ModelStore, State
from bert_serving.model_server.models.versions import VersionRecord
from bert_serving.version import __version__

MODELS_PATH = "/page/models"


def page_documents(store: ModelStore) -> dict[str, Callable[[], Response]]:
    """The page and the data that it fetches, by path."""
    return {
        "/": lambda: HTMLResponse(_page(), headers=_headers()),
        MODELS_PATH: lambda: Response(
            _models(store), media_type="application/json", headers={"Cache-Control": "no-store"}
        ),
    }


@functools.cache
def _page() -> str:
    """The HTML document, with style and script inside."""
    text = _template("page.html")
    for name, part in {"version": __version__, "css": _template("page.css"), "js": _template("page.js")}.items():
        text = text.replace("{" + name + "}", part)
    return text


def _models(store: ModelStore) -> str:
    models = [
        {
            "name": name,
            # Version numbers are texts: they may be larger than JavaScript's integers.
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
    # Only this style and this script may run, whatever a name or a text contains.
    policy = (
        f"default-src 'none'; style-src {_hash('page.css')}; script-src {_hash('page.js')}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


def _hash(template: str) -> str:
    digest = hashlib.sha256(_template(template).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@functools.cache
def _template(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text("utf-8")
