"""The one way from a decoded request to its answer: limits, execution, and telling those who count."""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from bert_serving.model_server.exchange import Exchange, Exchanges, now
from bert_serving.model_server.executor import Executor
from bert_serving.model_server.failure import Failure, failure_of
from bert_serving.model_server.inference import Inference
from bert_serving.model_server.request_limits import Limits

T = TypeVar("T")


@dataclass
class Call:
    """A request on its way.

    Attributes:
        entrypoint: GRPC or REST.
        method: Predict and so on.
        model: name of the model that was asked for.
        client: address of the client, for turns and logs.
        started: when it arrived.
        inference: what it came to; None while it is not known, or was refused.
    """

    entrypoint: str
    method: str
    model: str
    client: str
    started: float
    inference: Inference[Any] | None = None


class Gateway:
    """Runs requests of both protocols."""

    def __init__(self, executor: Executor, limits: Limits, exchanges: Exchanges):
        self.limits = limits
        self._executor = executor
        self._exchanges = exchanges

    def begin(self, entrypoint: str, method: str, model: str, client: str) -> Call:
        """A request has arrived."""
        return Call(entrypoint, method, model, client, now())

    async def run(self, call: Call, inference: Inference[T]) -> T:
        """Runs what a request came to.

        Raises:
            InvalidRequest: it is over a limit.
            Exception: see `Executor.run`.
        """
        call.inference = inference
        self.limits.check(inference)
        return await self._executor.run(inference, call.client)

    def succeeded(self, call: Call) -> None:
        """The request has its answer."""
        self._note(call, "OK", "")

    def failed(self, call: Call, error: Exception) -> Failure:
        """The request gets an error; gives what it is on the wire."""
        failure = failure_of(error)
        self._note(call, failure.code, failure.message)
        return failure

    def _note(self, call: Call, status: str, message: str) -> None:
        inference = call.inference
        self._exchanges.note(
            Exchange(
                entrypoint=call.entrypoint,
                method=call.method,
                model=call.model,
                version=None if inference is None else inference.servable.version,
                signature="" if inference is None else inference.signature,
                status=status,
                seconds=now() - call.started,
                rows=0 if inference is None else _rows(inference),
                client=call.client,
                message=message,
            )
        )


def _rows(inference: Inference[Any]) -> int:
    first: np.ndarray | None = next(iter(inference.inputs.values()), None)
    return 1 if first is None or first.ndim == 0 else len(first)
