"""Worker threads for what would block the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from bert_serving.errors import ServerUnavailable

_T = TypeVar("_T")


class Workers:
    """A thread pool with a bounded queue, which knows whether it is busy."""

    def __init__(self, threads: int, *, most_waiting: int):
        """Makes a pool.

        Args:
            threads: most calls that run at the same time.
            most_waiting: most calls that wait for a thread.
        """
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="model-server")
        self._most_calls = threads + most_waiting
        self._running: set[Future[Any]] = set()

    async def run(self, work: Callable[..., _T], *arguments: object) -> _T:
        """Runs `work(*arguments)` on a thread and returns its result.

        Raises:
            ServerUnavailable: too many calls wait for a thread already.
        """
        if len(self._running) >= self._most_calls:
            raise ServerUnavailable(f"{len(self._running)} requests are waiting already; ask again later")
        future = self._pool.submit(work, *arguments)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    @property
    def busy(self) -> bool:
        """Whether a call still runs; a TensorFlow operation cannot be interrupted."""
        return bool(self._running)

    def close(self) -> None:
        """Cancels the calls that wait, and does not wait for those that run."""
        self._pool.shutdown(wait=False, cancel_futures=True)
