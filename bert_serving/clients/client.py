"""The base of all clients: arguments, parts of long lists, retries and deadlines."""

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, Self, TypeVar

from bert_serving.clients.messages import example
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.request import PredictRequest, check_model_name, check_version
from bert_serving.clients.retry import RetryPolicy, gather, send_with_retries, send_with_retries_async
from bert_serving.clients.served_model import (
    PROBES,
    Named,
    ServedModel,
    Signatures,
    VersionStatus,
    named_by_scores,
    named_by_signature,
)
from bert_serving.contract import (
    CLASSES,
    CLASSIFY,
    EXAMPLES,
    HEAD,
    LABELS,
    SCORES,
    TEXT,
    TEXT_PAIR,
)
from bert_serving.errors import FailedPrecondition, InvalidRequest, RequestError, ServableNotFound, ServerUnavailable

T = TypeVar("T")
_Ask = Callable[["Call[Any]"], Awaitable[Any]]
"""sends a call of any kind and returns its answer"""


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request in the form of one protocol.

    Attributes:
        message: what the transport sends.
        read: makes the answer out of the transport's reply.
    """

    message: Any
    read: Callable[[Any], T]


class Wire(Protocol):
    """Requests and answers in the form of gRPC or REST."""

    def predict(self, request: PredictRequest) -> Call[list[Prediction]]:
        """Classifies texts."""

    def status(self, model: str) -> Call[list[VersionStatus]]:
        """Asks for the state of a model's versions."""

    def metadata(self, model: str, **choice: Any) -> Call[dict[str, Any]]:
        """Asks for the signatures of a version of a model."""

    def run(
        self, model: str, signature: str, rows: Sequence[Mapping[str, bytes]], **choice: Any
    ) -> Call[list[dict[str, Any]]]:
        """Runs a signature of strings; the answer has the outputs of each row."""


class _Base:
    def __init__(self, wire: Wire, *, timeout: float, retry_timeout: float, batch_rows: int):
        self._wire = wire
        self._timeout = timeout
        self._retry_timeout = retry_timeout
        self._batch_rows = batch_rows

    def _policy(self, *, timeout: float | None = None, deadline: float | None = None) -> RetryPolicy:
        return RetryPolicy(
            timeout=timeout or self._timeout,
            retry_timeout=self._retry_timeout,
            deadline=None if deadline is None else time.monotonic() + deadline,
        )

    def _parts(self, model: str, texts: Sequence[str], **choice: Any) -> Iterator[PredictRequest]:
        return PredictRequest(model=model, texts=texts, **choice).parts(self._batch_rows)

    def _status_call(self, model: str) -> Call[list[VersionStatus]]:
        check_model_name(model)
        return self._wire.status(model)

    def _metadata_call(self, model: str, **choice: Any) -> Call[dict[str, Any]]:
        check_model_name(model)
        check_version(choice.get("version"))
        return self._wire.metadata(model, **choice)

    async def _describe(self, ask: "_Ask", model: str, **choice: Any) -> ServedModel:
        call = self._metadata_call(model, **choice)
        try:
            signatures = Signatures.of(await ask(call))
        except ServerUnavailable:
            raise
        except RequestError:
            # A server or a gateway that offers no metadata; what is wrong with the request itself, `predict` is told, too.
            signatures = None
        if signatures is None:
            return ServedModel()
        pairs = signatures.check_classifier(model)
        try:
            named = await self._named(ask, model, signatures, pairs=pairs)
        except ServableNotFound:
            latest = Signatures.of(await ask(call))
            if latest is None or latest.version == signatures.version:
                raise
            return await self._describe(ask, model, **choice)  # another version was loaded meanwhile
        except (InvalidRequest, FailedPrecondition):  # a signature with one of these names that takes something else
            named = None
        if named is None:
            return ServedModel(signatures.version, pairs)
        return ServedModel(signatures.version, pairs, named.head, named.labels, named.thresholds)

    async def _named(self, ask: "_Ask", model: str, signatures: Signatures, *, pairs: bool) -> Named | None:
        version = signatures.version
        if signatures.has(LABELS, {TEXT}, {LABELS, HEAD}):
            return named_by_signature(await ask(self._wire.run(model, LABELS, [{TEXT: b""}], version=version)))
        # Exports of earlier versions: `classify` names the classes, though in the order of the scores.
        texts = {TEXT, TEXT_PAIR} if pairs else {TEXT}
        if not signatures.has(CLASSIFY, {EXAMPLES}, {CLASSES, SCORES}):
            return None
        examples = [{EXAMPLES: example(dict.fromkeys(texts, text.encode()))} for text in PROBES]
        ranked = await ask(self._wire.run(model, CLASSIFY, examples, version=version))
        request = PredictRequest(model=model, texts=PROBES, text_pairs=PROBES if pairs else None, version=version)
        return named_by_scores(ranked, await ask(self._wire.predict(request)))


class Client(_Base, ABC):
    """A client that waits for its answers; a subclass sends. Threads may share it."""

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
            texts: texts to classify; an empty list is answered without the server.
            text_pairs: second texts, for a classifier of pairs.
            version: version to ask, else the latest.
            version_label: label of the version to ask.
            signature: signature to run, else the default one.
            deadline: seconds for the whole list.

        Returns:
            a prediction for each text, in order.

        Raises:
            InvalidRequest: the client or the server refused the request.
            FailedPrecondition: the model has no such signature; over REST this is an
                InvalidRequest.
            ServableNotFound: no such model or version.
            ServerUnavailable: no answer.
        """
        policy = self._policy(deadline=deadline)
        parts = self._parts(
            model, texts, text_pairs=text_pairs, version=version, version_label=version_label, signature=signature
        )
        return [prediction for part in parts for prediction in self._run(self._wire.predict(part), policy)]

    def status(self, model: str) -> list[VersionStatus]:
        """State of each version of a model, highest first.

        Raises:
            ServableNotFound: no such model.
            ServerUnavailable: no answer.
        """
        return self._run(self._status_call(model), self._policy())

    def metadata(self, model: str, *, version: int | None = None, version_label: str | None = None) -> dict[str, Any]:
        """Name, version and signatures of a version, else the latest, in the JSON form of the REST API.

        Raises:
            ServableNotFound: no such model or version.
            ServerUnavailable: no answer.
        """
        return self._run(self._metadata_call(model, version=version, version_label=version_label), self._policy())

    def describe(self, model: str, *, version: int | None = None, version_label: str | None = None) -> ServedModel:
        """Head and labels of a version, else the latest; the labels name the probabilities, in order.

        ```python
        labels = client.describe("emotion").labels
        ```

        Raises:
            InvalidRequest: the model is not a text classifier.
            ServerUnavailable: no answer.
        """
        policy = self._policy()

        async def ask(call: Call[T]) -> T:
            return self._run(call, policy)

        return _finished(self._describe(ask, model, version=version, version_label=version_label))

    @abstractmethod
    def close(self) -> None:
        """Closes the connections."""

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""
        self.close()

    def _run(self, call: Call[T], policy: RetryPolicy) -> T:
        return call.read(send_with_retries(partial(self._send, call.message), policy))

    @abstractmethod
    def _send(self, message: Any, seconds: float) -> Any:
        """The transport's reply to the message of a call, within so many seconds."""


class AsyncClient(_Base, ABC):
    """A client for programs on an event loop; a subclass sends."""

    def __init__(self, wire: Wire, *, timeout: float, retry_timeout: float, batch_rows: int, at_once: int):
        """Connects on the first request."""
        super().__init__(wire, timeout=timeout, retry_timeout=retry_timeout, batch_rows=batch_rows)
        self._at_once = at_once

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
        """Classifies texts; arguments and errors are those of `Client.predict`."""
        policy = self._policy(deadline=deadline)
        parts = self._parts(
            model, texts, text_pairs=text_pairs, version=version, version_label=version_label, signature=signature
        )
        return await gather([partial(self._predict, part, policy) for part in parts], at_once=self._at_once)

    async def status(self, model: str) -> list[VersionStatus]:
        """State of each version of a model, highest first; errors are those of `Client.status`."""
        return await self._run(self._status_call(model), self._policy())

    async def metadata(
        self, model: str, *, version: int | None = None, version_label: str | None = None
    ) -> dict[str, Any]:
        """Name, version and signatures of a version, else the latest, as `Client.metadata`."""
        return await self._run(self._metadata_call(model, version=version, version_label=version_label), self._policy())

    async def describe(
        self, model: str, *, version: int | None = None, version_label: str | None = None
    ) -> ServedModel:
        """Head and labels of a version, else the latest, as `Client.describe`."""
        policy = self._policy()

        async def ask(call: Call[T]) -> T:
            return await self._run(call, policy)

        return await self._describe(ask, model, version=version, version_label=version_label)

    @abstractmethod
    async def close(self) -> None:
        """Closes the connections."""

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the connections."""
        await self.close()

    async def _predict(self, part: PredictRequest, policy: RetryPolicy) -> list[Prediction]:
        return await self._run(self._wire.predict(part), policy)

    async def _run(self, call: Call[T], policy: RetryPolicy) -> T:
        return call.read(await send_with_retries_async(partial(self._send, call.message), policy))

    @abstractmethod
    async def _send(self, message: Any, seconds: float) -> Any:
        """The transport's reply to the message of a call, within so many seconds."""


def _finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits, because what it asks is answered at once."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer: T = end.value
        return answer
    raise RuntimeError("the coroutine waits for an event loop")
