"""The threads on which requests are answered, so that the event loop stays free."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from bert_serving.errors import ServerUnavailable

_T = TypeVar("_T")


class Workers:
    """A thread pool that knows whether something still runs on it."""

    def __init__(self, threads: int, *, most_waiting: int):
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="model-server")
        self._most = threads + most_waiting
        self._running: set[Future] = set()

    async def run(self, work: Callable[..., _T], *arguments: object) -> _T:
        """Result of `work(*arguments)`, run on a thread.

        Raises:
            ServerUnavailable: too much waits for a thread already.
        """
        if len(self._running) >= self._most:
            raise ServerUnavailable(f"{len(self._running)} requests are waiting already; ask again later")
        future = self._pool.submit(work, *arguments)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    @property
    def busy(self) -> bool:
        """Whether something still runs; a TensorFlow operation cannot be interrupted."""
        return bool(self._running)

    def close(self) -> None:
        """Takes no more work and does not wait for what still runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)
