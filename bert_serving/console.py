"""Output of the commands: progress bars, tables, and one line for each finished step."""

import contextlib
import importlib.util
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from bert_serving.data.reading import Reading
from bert_serving.io.json_text import json_text
from bert_serving.observer import Observer
from bert_serving.wording import score_name

# Width of output to a pipe or a file, wide enough that tables are not truncated.
_FILE_WIDTH = 140
# Longer texts are truncated, since they would fill the terminal.
_TEXT_LENGTH = 300
_NUMBER = re.compile(r"-?\d[\d,.]*(e[-+]\d+)?( \(.*\))?")

# Without emoji=False, "host:abc:" or a label ":fire:" would be replaced by a picture.
console = Console(highlight=False, emoji=False)
error_console = Console(stderr=True, highlight=False, emoji=False)
if not console.is_terminal:
    console = Console(highlight=False, emoji=False, width=_FILE_WIDTH)


class ConsoleObserver(Observer):
    """Shows progress bars on a terminal, and prints a line for each step and each epoch."""

    def __init__(self) -> None:
        """Starts without a progress bar."""
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Shows a bar during a step, then prints its duration."""
        with self._step(name, TimeElapsedColumn()):
            yield

    @contextlib.contextmanager
    def transfer(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Shows the bytes of a transfer, then prints its duration."""
        with self._step(name, DownloadColumn()) as (progress, task):
            yield lambda done, total: progress.update(task, completed=done, total=total)

    @contextlib.contextmanager
    def scoring(self, total: int) -> Iterator[Callable[[int, int], None]]:
        """Shows the rows of a scoring job and the time that is left, then prints its duration."""
        columns = (
            MofNCompleteColumn(),
            TextColumn("rows, {task.fields[rate]} a second, {task.fields[failed]:,} failed, left"),
            TimeRemainingColumn(),
        )
        with self._step("Scoring", *columns, rate="...", failed=0) as (progress, task):
            first: list[tuple[float, int]] = []

            def show(done: int, failed: int) -> None:
                now = time.monotonic()
                if done and not first:
                    first.append((now, done))
                began, before = first[0] if first else (now, 0)
                rate = f"{(done - before) / (now - began):,.0f}" if done > before else "..."
                progress.update(task, completed=done, total=total, rate=rate, failed=failed)

            yield show

    def note(self, line: str) -> None:
        """Prints a line that the user should read."""
        console.print(f"  [yellow]{escape(line)}[/]", soft_wrap=True)

    def finished(self, line: str) -> None:
        """Prints a line about a part of the work."""
        self.close()
        console.print(f"  {escape(line)}", soft_wrap=True)

    def download(self, received: int, total: int | None) -> None:
        """Shows the progress of an encoder's download, then of its conversion."""
        if self._progress is not None and self._task is not None:
            if total is None or received < total:
                self._progress.columns = (TextColumn("  Downloading the encoder"), BarColumn(), DownloadColumn())
            else:
                self._progress.columns = (TextColumn("  Converting the encoder"), BarColumn(), TimeElapsedColumn())
                received, total = 0, None
            self._progress.update(self._task, completed=received, total=total)

    def data(self, audit: Any) -> None:
        """Prints the data audit."""
        show_table("The data", audit.columns(), audit.rows())
        console.print()
        for warning in audit.warnings:
            console.print(f"  [yellow]note:[/] {escape(warning)}", soft_wrap=True)

    def batch(self, *, epoch: int, epochs: int, done: int, total: int, rows_per_second: float, loss: float) -> None:
        """Shows the progress of an epoch."""
        if self._progress is None:
            self._open(
                TextColumn("  epoch {task.fields[epoch]}/{task.fields[epochs]}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("loss {task.fields[loss]:.4f}  {task.fields[rate]:.0f} texts/s"),
                TimeRemainingColumn(),
            )
        progress = self._progress
        if progress is None:
            return
        fields: dict[str, Any] = {"epoch": epoch, "epochs": epochs, "loss": loss, "rate": rows_per_second}
        if self._task is None:
            self._task = progress.add_task("training", total=total, **fields)
        progress.update(self._task, completed=done, total=total, **fields)

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Prints the scores of an epoch."""
        self.close()
        scores = "  ".join(f"{name} {value:.4f}" for name, value in row.items() if _is_score(name))
        console.print(
            f"  epoch {row['epoch']}: {scores}  [dim]({row['seconds']:.0f} s, {row['rows_per_second']:.0f} texts/s)[/]",
            soft_wrap=True,
        )

    def close(self) -> None:
        """Removes the progress bar, as after an interruption."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None

    @contextlib.contextmanager
    def _step(self, name: str, *columns: ProgressColumn, **fields: Any) -> Iterator[tuple[Progress, TaskID]]:
        started = time.monotonic()
        self.close()
        progress = self._open(TextColumn(f"  {name}", markup=False), BarColumn(), *columns)
        try:
            self._task = progress.add_task(name, total=None, **fields)
            yield progress, self._task
        finally:
            self.close()
        console.print(f"  {escape(name)} [dim]({time.monotonic() - started:.1f} s)[/]", soft_wrap=True)

    def _open(self, *columns: Any) -> Progress:
        self._progress = Progress(*columns, console=console, transient=True, disable=not _has_bars())
        self._progress.start()
        self._task = None
        return self._progress


def _has_bars() -> bool:
    """Whether bars can be drawn: on a terminal, and in a notebook with widgets."""
    return console.is_terminal or (console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None)


def command_observer(*, as_json: bool) -> Observer:
    """The observer of a command: silent if its output is JSON."""
    return Observer() if as_json else ConsoleObserver()


@contextlib.contextmanager
def resumable(
    observer: Observer, command: Sequence[str], *, condition: str = "", option: str | None = "--resume"
) -> Iterator[None]:
    """Surrounds training; after an interruption, prints the command that resumes it.

    Args:
        observer: of the training; a silent one prints nothing.
        command: words of that command, without the program's name.
        condition: from when on it can be resumed; empty for any time.
        option: of the command that resumes; None for one that always does.
    """
    try:
        yield
    except KeyboardInterrupt:
        if isinstance(observer, ConsoleObserver):
            observer.close()
            words = ["bert-serving", *command, *([option] if option else [])]
            show_lines(f"\n  stopped; {condition}resume with: {shlex.join(words)}")
        raise
    finally:
        observer.close()


def show_lines(text: str) -> None:
    """Prints text as it is: brackets are not markup, and long lines are not wrapped."""
    console.print(text, soft_wrap=True, markup=False)


def show_step(number: int, title: str) -> None:
    """Prints the headline of a step of the demo."""
    console.print(f"\n[bold]{number}. {title}[/]")


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table after an empty line; columns of numbers are aligned right."""
    table = Table(show_edge=False, pad_edge=False)
    for column, cells in zip(columns, zip(*rows, strict=True) if rows else [()] * len(columns), strict=True):
        are_numbers = all(not cell or _NUMBER.fullmatch(cell) for cell in cells)
        table.add_column(Text(column), justify="right" if are_numbers else "left", overflow="fold")
    for row in rows:
        # Text, since brackets in a string would be markup.
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print()
    console.print(Text(title, "bold"), soft_wrap=True)
    console.print(table)


def show_reading(reading: Reading) -> None:
    """Prints what was left out and repaired in reading data, on the error stream, so that JSON stays JSON."""
    for line in reading.lines():
        error_console.print(f"  [yellow]note:[/] {escape(printable(line))}", soft_wrap=True)


def show_metrics(title: str, scores: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints the main scores of several models or splits side by side."""
    names = dict.fromkeys(
        name for values in scores.values() for name, value in values.items() if isinstance(value, float)
    )
    rows = [[score_name(name), *(_number(values.get(name)) for values in scores.values())] for name in names]
    show_table(title, ("score", *scores), rows)


def show_classes(metrics: Mapping[str, Any]) -> None:
    """Prints precision, recall and F1 of each label."""
    classes = metrics.get("per_class", {})
    rows = [
        [label, *(_number(values[key]) for key in ("precision", "recall", "f1")), f"{values['support']:,.0f}"]
        for label, values in classes.items()
    ]
    if rows:
        show_table("Each label", ("label", "precision", "recall", "F1", "rows"), rows)


def show_predictions(texts: Sequence[str], labels: Sequence[str], probabilities: Sequence[Sequence[float]]) -> None:
    """Prints each text with its three most probable labels."""
    rows = []
    for text, scores in zip(texts, probabilities, strict=True):
        best = sorted(zip(scores, labels, strict=True), reverse=True)[:3]
        rows.append([_shortened(text), *(f"{label} {score:.3f}" for score, label in best)])
    columns = ("text", "label", *("next",) * (min(len(labels), 3) - 1))
    show_table("Predictions", columns, rows)


def print_json(value: Any) -> None:
    """Prints JSON without color and wrapping."""
    print(json_text(value, indent=2))


def _is_score(name: str) -> bool:
    return name not in ("epoch", "seconds", "rows_per_second")


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else ""


def printable(text: str) -> str:
    """The text with spaces for control characters, which could manipulate the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def _shortened(text: str) -> str:
    line = printable(text)
    return line if len(line) <= _TEXT_LENGTH else f"{line[:_TEXT_LENGTH]} ... ({len(text):,} characters)"
