"""What long work tells whoever watches it. The library prints nothing; the command line draws bars from this."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any


class Observer:
    """Watches nothing; subclasses override what they want to see."""

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Surrounds a step that may take more than two seconds."""
        yield

    @contextlib.contextmanager
    def transfer(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Surrounds a copy; yields what is to be told of the bytes that are done and of their total."""
        with self.stage(name):
            yield lambda done, total: None

    def note(self, line: str) -> None:
        """One line that a person should read, such as a source that was passed over."""

    def download(self, received: int, total: int | None) -> None:
        """Bytes received so far, of `total` where it is known."""

    def data(self, audit: Any) -> None:
        """The data was read and audited (`bert_serving.data.audit.Audit`)."""

    def batch(self, *, epoch: int, epochs: int, done: int, total: int, rows_per_second: float, loss: float) -> None:
        """One training batch ended; `done` and `total` count the batches of the epoch."""

    def epoch(self, row: Mapping[str, Any]) -> None:
        """One epoch ended; `row` is its line of the history."""
