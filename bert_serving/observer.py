"""Progress of long work. The library prints nothing; the command line draws progress bars from this."""

# ruff: noqa: ARG002, ARG005
# Subclasses use the arguments.

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any


class Observer:
    """Ignores all progress; subclasses override the calls that they need.

    ```python
    import bert_serving as bs


    class Epochs(bs.Observer):
        def epoch(self, row):
            print(row["epoch"], row["loss"])


    bs.train("tiny.toml", out="runs/observed", progress=Epochs())
    ```
    """

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Context of a step that may take more than two seconds."""
        yield

    @contextlib.contextmanager
    def transfer(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Context of a copy; yields a function that takes the bytes copied so far and their total."""
        with self.stage(name):
            yield lambda done, total: None

    @contextlib.contextmanager
    def scoring(self, total: int) -> Iterator[Callable[[int, int], None]]:
        """Context of a scoring job of `total` rows; yields a function that takes the rows done so far and how many failed."""
        with self.stage("Scoring"):
            yield lambda done, failed: None

    def note(self, line: str) -> None:
        """Reports one line for a person, such as a source that failed."""

    def finished(self, line: str) -> None:
        """Reports one line of the work's progress, such as the scores of a trial, or which seed comes next."""

    def download(self, received: int, total: int | None) -> None:
        """Reports the bytes received so far, of `total` where it is known."""

    def data(self, audit: Any) -> None:
        """Reports that the data was read and audited (`bert_serving.data.audit.Audit`)."""

    def batch(self, *, epoch: int, epochs: int, done: int, total: int, rows_per_second: float, loss: float) -> None:
        """Reports the end of a training batch; `done` and `total` count the batches of the epoch."""

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Reports the end of an epoch; `row` is its line of the history."""

    def close(self) -> None:
        """Ends the display of what is going on, also after an interruption."""
