"""Asking again: when a server is unavailable, the same request may be answered a little later."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bert_serving.errors import RequestError, ServerUnavailable

T = TypeVar("T")

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 2.0


class TryAgainError(Exception):
    """A request that may succeed when it is sent again.

    Attributes:
        error: what to raise when nobody tries again.
    """

    def __init__(self, error: RequestError):
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long a client tries.

    Attributes:
        timeout: seconds for one request.
        retry: seconds during which a request is sent again while the server is unavailable; 0 asks once.
        end: point on the clock `time.monotonic` after which nothing is asked any more.
    """

    timeout: float
    retry: float
    end: float | None = None

    def seconds(self) -> float:
        """What the next request may take.

        Raises:
            ServerUnavailable: the time is over.
        """
        if self.end is None:
            return self.timeout
        left = self.end - time.monotonic()
        if left <= 0:
            raise ServerUnavailable(
                "The deadline is over before all texts were answered: give more time or fewer texts"
            )
        return min(self.timeout, left)

    def wait(self, failed: TryAgainError, *, tries: int, began: float) -> float:
        """Seconds to wait before the next try, random so that many clients do not come back all at once.

        Raises:
            RequestError: that was the last try.
        """
        wait = random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(tries, 16)))
        now = time.monotonic()
        if now + wait > began + self.retry or (self.end is not None and now + wait >= self.end):
            raise failed.error from None
        return wait


def ask(send: Callable[[float], T], policy: RetryPolicy) -> T:
    """The answer of `send`, which is given the seconds that it may take.

    Raises:
        RequestError: the request was refused, or there was no answer.
    """
    began, tries = time.monotonic(), 0
    while True:
        try:
            return send(policy.seconds())
        except TryAgainError as failed:
            wait = policy.wait(failed, tries=tries, began=began)
        tries += 1
        time.sleep(wait)


async def ask_async(send: Callable[[float], Awaitable[T]], policy: RetryPolicy) -> T:
    """The same on an event loop.

    Raises:
        RequestError: the request was refused, or there was no answer.
    """
    began, tries = time.monotonic(), 0
    while True:
        try:
            return await send(policy.seconds())
        except TryAgainError as failed:
            wait = policy.wait(failed, tries=tries, began=began)
        tries += 1
        await asyncio.sleep(wait)


async def gather(questions: Sequence[Callable[[], Awaitable[list[T]]]], *, at_once: int) -> list[T]:
    """All answers in order, at most so many asked at the same time; the first error ends them all."""
    turns = asyncio.Semaphore(at_once)

    async def one(question: Callable[[], Awaitable[list[T]]]) -> list[T]:
        async with turns:
            return await question()

    tasks = [asyncio.ensure_future(one(question)) for question in questions]
    try:
        return [answer for answers in await asyncio.gather(*tasks) for answer in answers]
    finally:
        for task in tasks:
            task.cancel()
