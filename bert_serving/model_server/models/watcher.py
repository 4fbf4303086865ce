"""A thread that polls base paths or the model config file."""

import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger("bert_serving.model_server")


class Watcher:
    """Calls functions at intervals, one after the other on one thread, until it is stopped.

    Intervals are measured on a monotonic clock, so that a change of the wall clock has no effect.
    """

    def __init__(self) -> None:
        """Starts without a function to call."""
        self._polls: list[tuple[float, Callable[[], object]]] = []
        self._stopping = threading.Event()

    def add(self, interval: float, poll: Callable[[], object]) -> None:
        """Calls `poll` every `interval` seconds; 0 means never."""
        if interval > 0:
            self._polls.append((interval, poll))

    def start(self) -> None:
        """Starts the thread if there is a function to call."""
        if self._polls:
            threading.Thread(target=self._run, name="model-watch", daemon=True).start()

    def stop(self) -> None:
        """Calls nothing any more; does not wait for a call that runs."""
        self._stopping.set()

    def _run(self) -> None:
        due = [time.monotonic() + interval for interval, _ in self._polls]
        while not self._stopping.wait(max(0.0, min(due) - time.monotonic())):
            for index, (interval, poll) in enumerate(self._polls):
                if time.monotonic() < due[index]:
                    continue
                try:
                    poll()
                except Exception as error:  # noqa: BLE001  one failed poll must not end the polling
                    _log.error("Unexpected %s while polling: %s", type(error).__name__, error, exc_info=error)
                due[index] = time.monotonic() + interval
