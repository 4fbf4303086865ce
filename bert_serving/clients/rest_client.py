"""Asks a model server over REST; needs no TensorFlow."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

from bert_serving.clients import rest_wire as wire
from bert_serving.clients.errors import one_line
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.request import PredictRequest
from bert_serving.clients.retry import RetryPolicy, TryAgainError, ask, ask_async, gather
from bert_serving.clients.tls import ClientTls
from bert_serving.clients.version_status import VersionStatus
from bert_serving.errors import InvalidRequest, ServerUnavailable


class _Settings:
    """What both clients are made with."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 30.0,
        retry: float = 2.0,
        batch_rows: int = 64,
        tls: ClientTls | None = None,
    ):
        """Connects on the first request.

        Args:
            base_url: for example http://localhost:8501.
            timeout: seconds for one request.
            retry: seconds during which a request is sent again while the server is unavailable; 0 asks once.
            batch_rows: texts of one request; a longer list is asked in several.
            tls: whom to trust behind an https URL, other than the roots of this machine.

        Raises:
            InvalidRequest: `base_url` is no http or https URL.
            InputError: a file of `tls` cannot be read.
        """
        self._base_url = wire.check_base_url(base_url)
        self._timeout = timeout
        self._retry = retry
        self._batch_rows = batch_rows
        self._verify = True if tls is None else tls.context()

    def _policy(self, deadline: float | None = None) -> RetryPolicy:
        end = None if deadline is None else time.monotonic() + deadline
        return RetryPolicy(timeout=self._timeout, retry=self._retry, end=end)

    def _failure(self, error: Exception, seconds: float) -> Exception:
        import httpx

        if isinstance(error, httpx.TimeoutException):
            return ServerUnavailable(f"No answer from {self._base_url} within {seconds:.3g} s")
        if isinstance(error, httpx.InvalidURL):
            return InvalidRequest(f"{self._base_url!r} is no address of a REST API: {error}")
        return TryAgainError(
            ServerUnavailable(
                f"Cannot reach {self._base_url}: {one_line(str(error)) or type(error).__name__}; is the model server running?"
            )
        )


class RestClient(_Settings):
    """A client of the REST API of TensorFlow Serving; threads may share it."""

    def __init__(self, base_url: str, **settings: Any):
        super().__init__(base_url, **settings)
        # Here, for it takes longer to import than everything else together.
        import httpx

        self._http = httpx.Client(verify=self._verify)
        self._errors = (httpx.HTTPError, httpx.InvalidURL)

    __init__.__doc__ = _Settings.__init__.__doc__

    def predict(
        self,
        model: str,
        texts: Sequence[str],
        *,
        text_pairs: Sequence[str] | None = None,
        version: int | None = None,
        version_label: str | None = None,
        signature: str | None = None,
        deadline: float | None = None,
    ) -> list[Prediction]:
        """Classifies texts.

        Args:
            model: name of the model.
            texts: what to classify; an empty list needs no server.
            text_pairs: second texts, for a classifier of pairs.
            version: version to ask, else the latest.
            version_label: label of the version to ask.
            signature: signature to run, else the default one.
            deadline: seconds for the whole list.

        Raises:
            InvalidRequest: the server or the client found fault with the request.
            ServableNotFound: no such model or version.
            ServerUnavailable: no answer.
        """
        question = PredictRequest(
            model=model,
            texts=texts,
            text_pairs=text_pairs,
            version=version,
            version_label=version_label,
            signature=signature,
        )
        policy = self._policy(deadline)
        answers: list[Prediction] = []
        for part in question.parts(self._batch_rows):
            send = partial(self._send, "POST", wire.predict_path(part), wire.predict_body(part))
            answers += wire.predictions(ask(send, policy), part)
        return answers

    def status(self, model: str) -> list[VersionStatus]:
        """State of each version of a model, highest first.

        Raises:
            ServableNotFound: no such model.
            ServerUnavailable: no answer.
        """
        send = partial(self._send, "GET", wire.model_path(model), None)
        return wire.statuses(ask(send, self._policy()), self._base_url)

    def metadata(self, model: str) -> dict[str, Any]:
        """Name, version and signatures of the latest version, in the JSON form of the REST API.

        Raises:
            ServableNotFound: no such model.
            ServerUnavailable: no answer.
        """
        return ask(partial(self._send, "GET", f"{wire.model_path(model)}/metadata", None), self._policy())

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, method: str, path: str, body: bytes | None, seconds: float) -> dict[str, Any]:
        try:
            reply = self._http.request(method, self._base_url + path, content=body, timeout=seconds)
        except self._errors as error:
            raise self._failure(error, seconds) from None
        return wire.read_reply(reply.status_code, reply.content, self._base_url)


class AsyncRestClient(_Settings):
    """The same for programs on an event loop."""

    def __init__(self, base_url: str, *, at_once: int = 4, **settings: Any):
        super().__init__(base_url, **settings)
        import httpx

        self._at_once = at_once
        self._http = httpx.AsyncClient(verify=self._verify)
        self._errors = (httpx.HTTPError, httpx.InvalidURL)

    __init__.__doc__ = (_Settings.__init__.__doc__ or "").replace(
        "            tls:",
        "            at_once: requests of a long list that are asked at the same time.\n            tls:",
    )

    async def predict(
        self,
        model: str,
        texts: Sequence[str],
        *,
        text_pairs: Sequence[str] | None = None,
        version: int | None = None,
        version_label: str | None = None,
        signature: str | None = None,
        deadline: float | None = None,
    ) -> list[Prediction]:
        """As `RestClient.predict`."""
        question = PredictRequest(
            model=model,
            texts=texts,
            text_pairs=text_pairs,
            version=version,
            version_label=version_label,
            signature=signature,
        )
        policy = self._policy(deadline)
        parts = [partial(self._predict, part, policy) for part in question.parts(self._batch_rows)]
        return await gather(parts, at_once=self._at_once)

    async def status(self, model: str) -> list[VersionStatus]:
        """As `RestClient.status`."""
        send = partial(self._send, "GET", wire.model_path(model), None)
        return wire.statuses(await ask_async(send, self._policy()), self._base_url)

    async def metadata(self, model: str) -> dict[str, Any]:
        """As `RestClient.metadata`."""
        return await ask_async(partial(self._send, "GET", f"{wire.model_path(model)}/metadata", None), self._policy())

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _predict(self, part: PredictRequest, policy: RetryPolicy) -> list[Prediction]:
        send = partial(self._send, "POST", wire.predict_path(part), wire.predict_body(part))
        return wire.predictions(await ask_async(send, policy), part)

    async def _send(self, method: str, path: str, body: bytes | None, seconds: float) -> dict[str, Any]:
        try:
            reply = await self._http.request(method, self._base_url + path, content=body, timeout=seconds)
        except self._errors as error:
            raise self._failure(error, seconds) from None
        return wire.read_reply(reply.status_code, reply.content, self._base_url)
