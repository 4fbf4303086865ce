"""Retries with exponential backoff, for a server that is unavailable, and deadlines."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bert_serving.clients.errors import RetryableError
from bert_serving.errors import ServerUnavailable

T = TypeVar("T")

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 2.0


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long a client waits for an answer, and how long it retries.

    Attributes:
        timeout: seconds for one attempt.
        retry_timeout: seconds during which a request is sent again while the server is unavailable;
            0 sends it once.
        deadline: point on the clock of `time.monotonic` after which nothing is sent any more.
    """

    timeout: float
    retry_timeout: float
    deadline: float | None = None

    def seconds(self) -> float:
        """Seconds that the next attempt may take.

        Raises:
            ServerUnavailable: the deadline is over.
        """
        if self.deadline is None:
            return self.timeout
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise ServerUnavailable(
                "The deadline is over before all texts were answered: give more time or fewer texts"
            )
        return min(self.timeout, remaining)

    def wait(self, failed: RetryableError, *, attempts: int, began: float) -> float:
        """Seconds before the next attempt; random, so that many clients do not return at once.

        Args:
            failed: why the last attempt failed.
            attempts: attempts before that one.
            began: when the first attempt began, on the clock of `time.monotonic`.

        Raises:
            RequestError: that was the last attempt.
        """
        wait = random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempts, 16)))
        now = time.monotonic()
        if now + wait > began + self.retry_timeout or (self.deadline is not None and now + wait >= self.deadline):
            raise failed.error from None
        return wait


def send_with_retries(send: Callable[[float], T], policy: RetryPolicy) -> T:
    """Calls `send` with the seconds that it may take, until it succeeds or the policy ends.

    Raises:
        RequestError: the request was refused, or there was no answer.
    """
    began, attempts = time.monotonic(), 0
    while True:
        try:
            return send(policy.seconds())
        except RetryableError as failed:
            wait = policy.wait(failed, attempts=attempts, began=began)
        attempts += 1
        time.sleep(wait)


async def send_with_retries_async(send: Callable[[float], Awaitable[T]], policy: RetryPolicy) -> T:
    """As `send_with_retries`, on an event loop.

    Raises:
        RequestError: the request was refused, or there was no answer.
    """
    began, attempts = time.monotonic(), 0
    while True:
        try:
            return await send(policy.seconds())
        except RetryableError as failed:
            wait = policy.wait(failed, attempts=attempts, began=began)
        attempts += 1
        await asyncio.sleep(wait)


async def gather(requests: Sequence[Callable[[], Awaitable[list[T]]]], *, at_once: int) -> list[T]:
    """Results of all requests in order, `at_once` in flight; an error cancels the others."""
    slots = asyncio.Semaphore(at_once)

    async def run(request: Callable[[], Awaitable[list[T]]]) -> list[T]:
        async with slots:
            return await request()

    tasks = [asyncio.ensure_future(run(request)) for request in requests]
    try:
        return [item for items in await asyncio.gather(*tasks) for item in items]
    finally:
        for task in tasks:
            task.cancel()
