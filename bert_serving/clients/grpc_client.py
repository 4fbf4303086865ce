"""Asks a model server over gRPC; needs no TensorFlow."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

from bert_serving.clients import grpc_wire as wire
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.request import PredictRequest
from bert_serving.clients.retry import RetryPolicy, ask, ask_async, gather
from bert_serving.clients.tls import ClientTls
from bert_serving.clients.version_status import VersionStatus


class _Settings:
    """What both clients are made with."""

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 30.0,
        retry: float = 2.0,
        batch_rows: int = 64,
        tls: ClientTls | None = None,
    ):
        """Connects on the first request.

        Args:
            address: host:port, for example localhost:8500.
            timeout: seconds for one request.
            retry: seconds during which a request is sent again while the server is unavailable; 0 asks once.
            batch_rows: texts of one request; a longer list is asked in several.
            tls: how to talk to a server with TLS; None talks in plain text.

        Raises:
            InvalidRequest: `address` is a URL.
            InputError: a file of `tls` cannot be read.
        """
        wire.check_address(address)
        self._address = address
        self._timeout = timeout
        self._retry = retry
        self._batch_rows = batch_rows
        self._credentials = None if tls is None else tls.channel_credentials()

    def _policy(self, deadline: float | None = None) -> RetryPolicy:
        end = None if deadline is None else time.monotonic() + deadline
        return RetryPolicy(timeout=self._timeout, retry=self._retry, end=end)


class GrpcClient(_Settings):
    """A client of PredictionService and ModelService; threads may share it."""

    def __init__(self, address: str, **settings: Any):
        super().__init__(address, **settings)
        import grpc

        self._channel = (
            grpc.insecure_channel(address, options=wire.OPTIONS)
            if self._credentials is None
            else grpc.secure_channel(address, self._credentials, options=wire.OPTIONS)
        )
        self._error = grpc.RpcError

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
            FailedPrecondition: the model has no such signature.
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
            data = ask(partial(self._send, wire.PREDICT, wire.predict_request(part)), policy)
            answers += wire.predictions(data, part)
        return answers

    def status(self, model: str) -> list[VersionStatus]:
        """State of each version of a model, highest first.

        Raises:
            ServableNotFound: no such model.
            ServerUnavailable: no answer.
        """
        return wire.statuses(ask(partial(self._send, wire.STATUS, wire.status_request(model)), self._policy()))

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
        policy = RetryPolicy(timeout=timeout or self._timeout, retry=self._retry, end=None)
        ask(partial(self._send, wire.RELOAD, wire.reload_request(config.SerializeToString())), policy)

    def metadata(self, model: str) -> dict[str, Any]:
        """Name, version and signatures of the latest version, in the JSON form of the REST API.

        Raises:
            ServableNotFound: no such model.
            ServerUnavailable: no answer.
        """
        return wire.metadata(ask(partial(self._send, wire.METADATA, wire.metadata_request(model)), self._policy()))

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, method: str, request: bytes, seconds: float) -> bytes:
        try:
            return self._channel.unary_unary(method)(request, timeout=seconds)
        except self._error as error:
            code, details = error.code().name, error.details() or ""
        raise wire.failure(code, details, address=self._address, seconds=seconds)


class AsyncGrpcClient(_Settings):
    """The same for programs on an event loop; make it there."""

    def __init__(self, address: str, *, at_once: int = 4, **settings: Any):
        super().__init__(address, **settings)
        import grpc.aio

        self._at_once = at_once
        self._channel = (
            grpc.aio.insecure_channel(address, options=wire.OPTIONS)
            if self._credentials is None
            else grpc.aio.secure_channel(address, self._credentials, options=wire.OPTIONS)
        )
        self._error = grpc.aio.AioRpcError

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
        """As `GrpcClient.predict`."""
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
        """As `GrpcClient.status`."""
        send = partial(self._send, wire.STATUS, wire.status_request(model))
        return wire.statuses(await ask_async(send, self._policy()))

    async def metadata(self, model: str) -> dict[str, Any]:
        """As `GrpcClient.metadata`."""
        send = partial(self._send, wire.METADATA, wire.metadata_request(model))
        return wire.metadata(await ask_async(send, self._policy()))

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _predict(self, part: PredictRequest, policy: RetryPolicy) -> list[Prediction]:
        data = await ask_async(partial(self._send, wire.PREDICT, wire.predict_request(part)), policy)
        return wire.predictions(data, part)

    async def _send(self, method: str, request: bytes, seconds: float) -> bytes:
        try:
            return await self._channel.unary_unary(method)(request, timeout=seconds)
        except self._error as error:
            code, details = error.code().name, error.details() or ""
        raise wire.failure(code, details, address=self._address, seconds=seconds)
