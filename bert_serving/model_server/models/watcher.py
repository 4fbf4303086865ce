"""A thread that looks at base paths, or at the model config file."""

import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger("bert_serving.model_server")


class Watcher:
    """Calls looks at their intervals, one after the other, until it is stopped.

    Intervals are measured on a clock that only grows, so that setting the wall clock neither stops nor speeds it.
    """

    def __init__(self) -> None:
        self._looks: list[tuple[float, Callable[[], object]]] = []
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, interval: float, look: Callable[[], object]) -> None:
        """Calls `look` every `interval` seconds; 0 means never."""
        if interval > 0:
            self._looks.append((interval, look))

    def start(self) -> None:
        """Starts the thread if there is something to look at."""
        if self._looks:
            self._thread = threading.Thread(target=self._run, name="model-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Starts no look any more; does not wait for one that takes its time."""
        self._stopping.set()

    def _run(self) -> None:
        due = [time.monotonic() + interval for interval, _ in self._looks]
        while not self._stopping.wait(max(0.0, min(due) - time.monotonic())):
            for place, (interval, look) in enumerate(self._looks):
                if time.monotonic() < due[place]:
                    continue
                try:
                    look()
                except Exception as error:  # one bad look must not end all further ones
                    _log.error(
                        "Unforeseen %s while looking for versions: %s", type(error).__name__, error, exc_info=error
                    )
                due[place] = time.monotonic() + interval
