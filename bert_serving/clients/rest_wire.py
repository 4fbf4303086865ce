"""Requests and answers in the form of the REST API."""

import base64
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from bert_serving import contract
from bert_serving.clients.client import Call
from bert_serving.clients.errors import (
    RetryableError,
    not_a_classifier,
    refusal_by_http_status,
    timed_out,
    unreachable,
)
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.request import PredictRequest
from bert_serving.clients.served_model import VersionStatus
from bert_serving.clients.tls import ClientTls
from bert_serving.errors import InputError, InvalidRequest, ServerUnavailable
from bert_serving.io.proxies import http_proxy, through, unusable, without_password

T = TypeVar("T")

# Statuses of a server, or of a proxy before it, that cannot answer now.
_RETRYABLE = (429, 502, 503)


class RestWire:
    """Requests for a base URL; a message is a verb, a URL and a body."""

    def __init__(self, base_url: str):
        """Checks the base URL, which may end with a slash.

        Raises:
            InvalidRequest: it is not an http or https URL.
        """
        if not base_url.startswith(("http://", "https://")):
            raise InvalidRequest(
                f"{base_url!r} is not the address of a REST API: give a URL like http://localhost:8501"
            )
        self._base_url = base_url.rstrip("/")
        self._shown = without_password(self._base_url)
        self._proxy = http_proxy(base_url)

    def transport(self, transport_class: Callable[..., T], tls: ClientTls | None) -> T:
        """Httpx's transport to the server: through the proxy that the environment names, but never to this machine.

        Raises:
            InputError: the proxy cannot be used, or a file of `tls` cannot be read.
        """
        import httpx  # noqa: PLC0415  keeps the import of a client short

        verify = True if tls is None else tls.context()
        try:
            return transport_class(verify=verify, proxy=None if self._proxy is None else self._proxy.url)
        # A proxy without a usable address is one of the first two, SOCKS without its package the last.
        except (ValueError, httpx.InvalidURL, ImportError) as error:
            if self._proxy is None:
                raise
            raise InputError(unusable(self._proxy, error)) from None

    def predict(self, request: PredictRequest) -> Call[list[Prediction]]:
        """Classifies texts."""
        url = self._model_url(request.model, request.version, request.version_label)
        return Call(("POST", f"{url}:predict", _predict_body(request)), partial(_predictions, request))

    def status(self, model: str) -> Call[list[VersionStatus]]:
        """Asks for the state of a model's versions."""
        return Call(("GET", self._model_url(model), None), self._statuses)

    def metadata(self, model: str, **choice: Any) -> Call[dict[str, Any]]:
        """Asks for the signatures of a version of a model."""
        return Call(("GET", f"{self._model_url(model, **choice)}/metadata", None), dict)

    def run(
        self, model: str, signature: str, rows: Sequence[Mapping[str, bytes]], **choice: Any
    ) -> Call[list[dict[str, Any]]]:
        """Runs a signature of strings; the answer has the outputs of each row."""
        instances = [{name: {"b64": base64.b64encode(value).decode()} for name, value in row.items()} for row in rows]
        body = json.dumps({"signature_name": signature, "instances": instances}).encode()
        return Call(
            ("POST", f"{self._model_url(model, **choice)}:predict", body),
            lambda answer: answer.get("predictions") or [],
        )

    def read_reply(self, status: int, body: bytes) -> dict[str, Any]:
        """The JSON object of a reply.

        Raises:
            RequestError: the server refused the request.
            ServerUnavailable: the reply is not a JSON object.
            RetryableError: the server cannot answer now.
        """
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if status != 200:
            reason = answer.get("error") if isinstance(answer, dict) else None
            error = refusal_by_http_status(
                status, str(reason or f"{self._shown} answered with HTTP status {status}{through(self._proxy)}")
            )
            raise RetryableError(error) if status in _RETRYABLE else error
        if not isinstance(answer, dict):
            raise ServerUnavailable(
                f"{self._shown} did not answer in JSON{through(self._proxy)}: is it the REST port of a model server?"
            )
        return answer

    def failure(self, error: Exception, seconds: float) -> Exception:
        """What to raise for httpx's error of a request that was allowed to take `seconds`."""
        import httpx  # noqa: PLC0415  keeps the import of a client short

        if isinstance(error, httpx.TimeoutException):
            return timed_out(self._shown, seconds, self._proxy)
        if isinstance(error, httpx.InvalidURL):
            return InvalidRequest(f"{self._shown!r} is not the address of a REST API: {error}")
        return unreachable(self._shown, str(error).strip() or type(error).__name__, self._proxy)

    def _statuses(self, answer: dict[str, Any]) -> list[VersionStatus]:
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
                f"{self._shown} did not answer with the state of a model: is it the REST port of a model server?"
            ) from None

    def _model_url(self, model: str, version: int | None = None, version_label: str | None = None) -> str:
        url = f"{self._base_url}/v1/models/{quote(model, safe='')}"
        if version is not None:
            url += f"/versions/{version}"
        return url if version_label is None else f"{url}/labels/{quote(version_label, safe='')}"


def _predict_body(request: PredictRequest) -> bytes:
    body: dict[str, Any] = {"instances": _instances(request)}
    if request.signature is not None:
        body["signature_name"] = request.signature
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _instances(request: PredictRequest) -> list[dict[str, str]]:
    # Rows, not columns: only there does the server refuse an input that the signature lacks.
    if request.text_pairs is None:
        return [{contract.TEXT: text} for text in request.texts]
    pairs = zip(request.texts, request.text_pairs, strict=True)
    return [{contract.TEXT: text, contract.TEXT_PAIR: pair} for text, pair in pairs]


def _predictions(request: PredictRequest, answer: dict[str, Any]) -> list[Prediction]:
    rows = answer.get("predictions") or ()
    try:
        predictions = [Prediction(row[contract.LABEL], _as_float32(row[contract.PROBABILITIES])) for row in rows]
    except (KeyError, TypeError, OverflowError, struct.error):
        raise not_a_classifier(request.model) from None
    if len(predictions) != len(request.texts):
        raise not_a_classifier(request.model)
    return predictions


def _as_float32(values: Sequence[float]) -> tuple[float, ...]:
    # The decimals on the wire are the shortest for float32: only as such are they the bits that the
    # server had.
    layout = f"<{len(values)}f"  # standard sizes: the native ones would make an infinity of what float32 cannot hold
    return struct.unpack(layout, struct.pack(layout, *values))
