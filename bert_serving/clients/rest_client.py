"""Asks a model server over REST; needs no TensorFlow."""

import struct
from collections.abc import Sequence
from typing import Any, Self
from urllib.parse import quote

import httpx

from bert_serving import contract
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.refusal import check_texts, one_line, refusal_by_http_status
from bert_serving.clients.version_status import VersionStatus
from bert_serving.errors import InvalidRequest, ServerUnavailable


class RestClient:
    """A client of the REST API of TensorFlow Serving; threads may share it."""

    def __init__(self, base_url: str, *, timeout: float = 30.0):
        """Connects on the first request.

        Args:
            base_url: for example http://localhost:8501.
            timeout: seconds for one request.

        Raises:
            InvalidRequest: `base_url` is no http or https URL.
        """
        if not base_url.startswith(("http://", "https://")):
            raise InvalidRequest(f"{base_url!r} is no address of a REST API: give a URL like http://localhost:8501")
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._http = httpx.Client(timeout=timeout)

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
            ServableNotFound: no such model or version.
            ServerUnavailable: no answer.
        """
        check_texts(texts, text_pairs)
        if not texts:
            return []
        body: dict[str, Any] = {"instances": _instances(texts, text_pairs)}
        if signature is not None:
            body["signature_name"] = signature
        rows = self._ask("POST", f"{_path(model, version, label)}:predict", body).get("predictions")
        try:
            return [Prediction(row[contract.LABEL], _as_float32(row[contract.PROBABILITIES])) for row in rows or [{}]]
        except (KeyError, TypeError, struct.error):
            raise InvalidRequest(
                f"Model {model} does not answer with {contract.LABEL} and {contract.PROBABILITIES}: it is no classifier"
            ) from None

    def status(self, model: str) -> list[VersionStatus]:
        """State of each version of a model, highest first.

        Raises:
            ServableNotFound: no such model.
            ServerUnavailable: no answer.
        """
        return [
            VersionStatus(
                version=int(item["version"]),
                state=item["state"],
                error_code=item["status"]["error_code"],
                error_message=item["status"]["error_message"],
            )
            for item in self._ask("GET", _path(model, None))["model_version_status"]
        ]

    def metadata(self, model: str) -> dict[str, Any]:
        """Name, version and signatures of the latest version, in the JSON form of the REST API.

        Raises:
            ServableNotFound: no such model.
            ServerUnavailable: no answer.
        """
        return self._ask("GET", f"{_path(model, None)}/metadata")

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            reply = self._http.request(method, self._base_url + path, json=body)
        except httpx.TimeoutException:
            raise ServerUnavailable(f"No answer from {self._base_url} within {self._timeout:g} s") from None
        except httpx.InvalidURL as error:
            raise InvalidRequest(f"{self._base_url!r} is no address of a REST API: {error}") from None
        except httpx.HTTPError as error:
            raise ServerUnavailable(
                f"Cannot reach {self._base_url}: {one_line(str(error))}; is the model server running?"
            ) from None
        try:
            answer = reply.json()
        except ValueError:
            answer = None
        if reply.status_code != 200:
            text = answer.get("error") if isinstance(answer, dict) else None
            raise refusal_by_http_status(
                reply.status_code, str(text or f"{self._base_url} answered with HTTP status {reply.status_code}")
            )
        if not isinstance(answer, dict):
            raise ServerUnavailable(f"{self._base_url} did not answer in JSON: is it the REST port of a model server?")
        return answer


def _path(model: str, version: int | None, label: str | None = None) -> str:
    if not model:
        raise InvalidRequest("The model's name is empty: give the name that the server was started with")
    if label is not None:
        return f"/v1/models/{quote(model, safe='')}/labels/{quote(label, safe='')}"
    return f"/v1/models/{quote(model, safe='')}" + ("" if version is None else f"/versions/{version}")


def _instances(texts: Sequence[str], text_pairs: Sequence[str] | None) -> list[dict[str, str]]:
    # Rows and not columns: only there does the server refuse an input that the signature does not have.
    if text_pairs is None:
        return [{contract.TEXT: text} for text in texts]
    return [{contract.TEXT: text, contract.TEXT_PAIR: pair} for text, pair in zip(texts, text_pairs, strict=True)]


def _as_float32(values: Sequence[float]) -> tuple[float, ...]:
    # The decimals on the wire are the shortest for float32: only as such are they the bits that the server had.
    layout = f"{len(values)}f"
    return struct.unpack(layout, struct.pack(layout, *values))
