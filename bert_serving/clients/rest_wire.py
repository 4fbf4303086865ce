"""Questions and answers in the form of the REST API."""

import json
import struct
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from bert_serving import contract
from bert_serving.clients.errors import no_classifier, refusal_by_http_status
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.request import PredictRequest
from bert_serving.clients.retry import TryAgainError
from bert_serving.clients.version_status import VersionStatus
from bert_serving.errors import InvalidRequest, ServerUnavailable

# A server or a proxy before it that cannot answer now.
_AGAIN = (429, 502, 503)


def predict_path(question: PredictRequest) -> str:
    """Path of a predict request."""
    choice = ""
    if question.version is not None:
        choice = f"/versions/{question.version}"
    if question.version_label is not None:
        choice = f"/labels/{quote(question.version_label, safe='')}"
    return f"{model_path(question.model)}{choice}:predict"


def predict_body(question: PredictRequest) -> bytes:
    """Body of a predict request."""
    body: dict[str, Any] = {"instances": _instances(question.texts, question.text_pairs)}
    if question.signature is not None:
        body["signature_name"] = question.signature
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def predictions(answer: dict[str, Any], question: PredictRequest) -> list[Prediction]:
    """The answers in the JSON object of a predict reply.

    Raises:
        InvalidRequest: the model does not answer like a classifier.
    """
    rows = answer.get("predictions")
    try:
        found = [Prediction(row[contract.LABEL], _as_float32(row[contract.PROBABILITIES])) for row in rows or ()]
    except (KeyError, TypeError, OverflowError, struct.error):
        raise no_classifier(question.model) from None
    if len(found) != len(question.texts):
        raise no_classifier(question.model)
    return found


def statuses(answer: dict[str, Any], base_url: str) -> list[VersionStatus]:
    """The versions in the JSON object of a status reply.

    Raises:
        ServerUnavailable: it is no status reply.
    """
    try:
        return [
            VersionStatus(
                version=int(item["version"]),
                state=item["state"],
                error_code=item["status"]["error_code"],
                error_message=item["status"]["error_message"],
            )
            for item in answer["model_version_status"]
        ]
    except (KeyError, TypeError, ValueError):
        raise ServerUnavailable(
            f"{base_url} did not answer with the state of a model: is it the REST port of a model server?"
        ) from None


def model_path(model: str) -> str:
    """Path of a model.

    Raises:
        InvalidRequest: the name is empty.
    """
    if not model:
        raise InvalidRequest("The model's name is empty: give the name that the server was started with")
    return f"/v1/models/{quote(model, safe='')}"


def read_reply(status: int, text: bytes, base_url: str) -> dict[str, Any]:
    """The JSON object of a reply.

    Raises:
        RequestError: the server refused.
        ServerUnavailable: it did not answer in JSON.
        TryAgainError: it cannot answer now.
    """
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if status != 200:
        said = answer.get("error") if isinstance(answer, dict) else None
        error = refusal_by_http_status(status, str(said or f"{base_url} answered with HTTP status {status}"))
        raise TryAgainError(error) if status in _AGAIN else error
    if not isinstance(answer, dict):
        raise ServerUnavailable(f"{base_url} did not answer in JSON: is it the REST port of a model server?")
    return answer


def check_base_url(base_url: str) -> str:
    """A base URL without a slash at its end.

    Raises:
        InvalidRequest: it is no http or https URL.
    """
    if not base_url.startswith(("http://", "https://")):
        raise InvalidRequest(f"{base_url!r} is no address of a REST API: give a URL like http://localhost:8501")
    return base_url.rstrip("/")


def _instances(texts: Sequence[str], text_pairs: Sequence[str] | None) -> list[dict[str, str]]:
    # Rows and not columns: only there does the server refuse an input that the signature does not have.
    if text_pairs is None:
        return [{contract.TEXT: text} for text in texts]
    return [{contract.TEXT: text, contract.TEXT_PAIR: pair} for text, pair in zip(texts, text_pairs, strict=True)]


def _as_float32(values: Sequence[float]) -> tuple[float, ...]:
    # The decimals on the wire are the shortest for float32: only as such are they the bits that the server had.
    layout = f"<{len(values)}f"  # standard sizes: the native ones would make an infinity of what float32 cannot hold
    return struct.unpack(layout, struct.pack(layout, *values))
