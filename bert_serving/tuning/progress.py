"""Progress of one of several runs on the same rows."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from bert_serving.observer import Observer


class PartObserver(Observer):
    """Tells another observer of the epochs; of the data and the steps around training only for the first run."""

    def __init__(self, whole: Observer, *, is_first: bool):
        """Passes on to `whole`."""
        self._whole, self._is_first = whole, is_first

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Shows the step of the first run."""
        with self._whole.stage(name) if self._is_first else contextlib.nullcontext():
            yield

    def note(self, line: str) -> None:
        """Passes the line on."""
        self._whole.note(line)

    def download(self, received: int, total: int | None) -> None:
        """Passes the progress of a download on; only the first run has a bar for it."""
        if self._is_first:
            self._whole.download(received, total)

    def data(self, audit: Any) -> None:
        """Shows the data audit of the first run; the others have the same rows."""
        if self._is_first:
            self._whole.data(audit)

    def batch(self, *, epoch: int, epochs: int, done: int, total: int, rows_per_second: float, loss: float) -> None:
        """Passes the progress of an epoch on."""
        self._whole.batch(
            epoch=epoch, epochs=epochs, done=done, total=total, rows_per_second=rows_per_second, loss=loss
        )

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Passes the end of an epoch on."""
        self._whole.epoch(row)

    def close(self) -> None:
        """Ends the display."""
        self._whole.close()
