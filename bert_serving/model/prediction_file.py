"""Classifies the rows of a file on a server into a file of predictions; an interrupted call is resumed.

    answers.tsv.<digest>.part    header and answered rows; renamed to answers.tsv at the end

The digest is that of the input and of the model, so that one file never holds the answers of two models.
"""

import asyncio
import fcntl
import hashlib
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, Protocol

from bert_serving.clients.model_address import ModelAddress
from bert_serving.clients.prediction import Prediction
from bert_serving.data.unlabeled import TextRow, TextSource
from bert_serving.errors import DataError, InputError, InvalidRequest
from bert_serving.io.table_lines import TableFormat
from bert_serving.model.texts import PredictionLines, beginning, is_changed, numbered

REQUEST_ROWS = 64
_REQUEST_BYTES = 1 << 18
_AT_ONCE = 8
# The requests for a file are queued on a small server; the time limit of one request must allow for that.
_REQUEST_SECONDS = 300.0

Progress = Callable[[int, int], object]
"""called with the answered rows and with their share of the source's `size`"""

AskLabels = Callable[[], Awaitable[Sequence[str] | None]]


async def _no_labels() -> None:
    """The labels of a model that is not asked for them."""


class Predictor(Protocol):
    """Classifies texts on an event loop; the asynchronous clients do."""

    async def predict(self, model: str, texts: list[str], *, text_pairs: list[str] | None) -> list[Prediction]:
        """Classifies texts."""
        ...


def is_resumable(source: Path, target: Path) -> bool:
    """Whether the prediction of a file can be resumed: both are regular files."""
    return source.is_file() and (target.is_file() or not target.exists())


def predict_file(
    file: "PredictionFile",
    address: ModelAddress,
    *,
    retry_timeout: float,
    progress: Progress = lambda _rows, _size: None,
) -> None:
    """Classifies every row of a file on a server; after an interruption, the same call continues.

    Args:
        file: input and output.
        address: the model.
        retry_timeout: seconds to retry while the server is unavailable.
        progress: called with what is done.

    Raises:
        InputError, DataError, RequestError: as `PredictionFile.predict`.
    """

    async def run() -> None:
        async with address.async_client(retry_timeout=retry_timeout, timeout=_REQUEST_SECONDS) as client:
            choice: dict[str, Any] = dict(address.version)

            async def labels() -> Sequence[str] | None:
                told = await client.describe(address.name, **choice)
                if told.version is not None:
                    # One file holds answers of one version, also when another one is loaded meanwhile.
                    choice.clear()
                    choice["version"] = told.version
                names: Sequence[str] | None = told.labels
                return names

            async def predict(model: str, texts: list[str], *, text_pairs: list[str] | None) -> list[Prediction]:
                answers: list[Prediction] = await client.predict(model, texts, text_pairs=text_pairs, **choice)
                return answers

            one_version: Any = SimpleNamespace(predict=predict)
            await file.predict(one_version, address.name, labels=labels, progress=progress)

    asyncio.run(run())


class PredictionFile:
    """A file of predictions, written row by row.

    Attributes:
        part: file that holds the answers until the last one is written.
        rows: number of answered rows.
        empty: how many of them have no text.
        cleaned: how many of them have texts that the format cannot hold as they are.
    """

    def __init__(self, source: TextSource, target: Path, *, server: str):
        """Opens nothing yet.

        Args:
            source: texts, or pairs of texts.
            target: file to write, in the format that its suffix names.
            server: address of the model; a call with another address starts from the beginning.

        Raises:
            InputError: the suffix names another format.
        """
        self._source = source
        self._target = target
        self._format = TableFormat.of(target)
        digest = hashlib.sha256(f"{source.identity}\n{server}".encode()).hexdigest()[:12]
        self.part = target.resolve().with_name(f"{target.name}.{digest}.part")
        self.rows = self.empty = self.cleaned = 0
        self._done = 0
        self._ask_labels: AskLabels = _no_labels
        self._header = b""

    async def predict(
        self,
        client: Predictor,
        model: str,
        *,
        labels: AskLabels = _no_labels,
        progress: Progress = lambda _rows, _size: None,
    ) -> None:
        """Classifies all rows that are not answered yet, then renames the part file to the target.

        Args:
            client: sends the texts.
            model: name of the model.
            labels: asks for the names of its probabilities, in order, before the first rows are sent, so that a fault of
                the input needs no server; they are numbered where it returns None.
            progress: called with what is done.

        Raises:
            InputError: the input has no rows.
            DataError: a file cannot be read or written, or the input has changed since the first call.
            RequestError: the server refused a text, or was away for longer than the client retries; answers are kept.
        """
        self._ask_labels = labels
        try:
            with _locked(self.part) as part:
                try:
                    await self._work(client, model, part, progress)
                finally:
                    if not os.fstat(part.fileno()).st_size:
                        self.part.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(
                f"{error.filename or self._target}: {error.strerror}; {self.rows} rows are kept, and the same call continues"
            ) from None

    async def _work(self, client: Predictor, model: str, part: IO[bytes], progress: Progress) -> None:
        rows = self._resume(iter(self._source), part)
        progress(self.rows, self._done)
        await self._answer(client, model, rows, part, progress)
        if not self.rows:
            raise InputError(f"{self._source.path}: nothing to classify; it is empty")
        part.flush()
        os.fsync(part.fileno())
        self.part.replace(self._target.resolve())

    def _resume(self, rows: Iterator[TextRow], part: IO[bytes]) -> Iterator[TextRow]:
        """Cuts off a half-written line; returns the rows that are not answered yet."""
        part.seek(0)
        complete = 0
        if self._format is not TableFormat.JSON_LINES:
            self._header = part.readline()
        if self._format is TableFormat.JSON_LINES or self._header.endswith(b"\n"):
            complete = part.tell()
            end = os.fstat(part.fileno()).st_size
            while complete < end:
                row = next(rows, None)
                expected = b"" if row is None else beginning(self._format, row.text, row.pair).encode()
                found = part.read(len(expected))
                line = found + part.readline()
                if row is None or found != expected or not line.endswith(b"\n"):
                    if line.endswith(b"\n") and not (row and expected.startswith(line)):
                        raise DataError(self._changed(row))
                    rows = rows if row is None else chain([row], rows)
                    break
                self._count([row])
                complete = part.tell()
        part.seek(complete)
        part.truncate()
        return rows

    def _changed(self, row: TextRow | None) -> str:
        place = f"row {self.rows + 1}" if row is None else row.position
        return (
            f"{self._source.path}: {place} is not the one that was answered in {self.part}; "
            "remove that file to start from the beginning"
        )

    def _count(self, rows: Sequence[TextRow]) -> None:
        self.rows += len(rows)
        self.empty += sum(not row.text.strip() for row in rows)
        self.cleaned += sum(is_changed(self._format, row.text, row.pair) for row in rows)
        self._done += sum(row.size for row in rows)

    async def _answer(
        self, client: Predictor, model: str, rows: Iterator[TextRow], part: IO[bytes], progress: Progress
    ) -> None:
        waiting: deque[tuple[list[TextRow], asyncio.Task[list[Prediction]]]] = deque()
        batches = _batches(rows)
        fault: DataError | None = None
        lines: PredictionLines | None = None
        names: Sequence[str] | None = None
        try:
            while True:
                while len(waiting) < _AT_ONCE and fault is None:
                    try:
                        batch = next(batches, None)
                    except DataError as error:
                        fault = error  # raised later: the rows before it are answered first
                        break
                    if batch is None:
                        break
                    if lines is None and not waiting:
                        names = await self._ask_labels()
                    waiting.append((batch, asyncio.ensure_future(self._ask(client, model, batch))))
                if not waiting:
                    if fault is not None:
                        raise fault
                    return
                batch, task = waiting[0]
                answers = await task
                waiting.popleft()
                if lines is None:
                    labels = names or numbered(len(answers[0].probabilities))
                    lines = PredictionLines(self._format, labels, pairs=batch[0].pair is not None)
                    if part.tell() == 0:
                        part.write(lines.header().encode())
                    elif self._header != lines.header().encode():
                        raise DataError(
                            f"{self.part} holds answers of a model with other labels; remove that file to start from the beginning"
                        )
                written = (
                    lines.line(row.text, row.pair, answer.label, answer.probabilities)
                    for row, answer in zip(batch, answers, strict=True)
                )
                part.write("".join(written).encode())
                part.flush()
                self._count(batch)
                progress(self.rows, self._done)
        finally:
            for _, task in waiting:
                task.cancel()
            await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)

    async def _ask(self, client: Predictor, model: str, rows: Sequence[TextRow]) -> list[Prediction]:
        pairs = [row.pair for row in rows if row.pair is not None]
        try:
            return await client.predict(model, [row.text for row in rows], text_pairs=pairs or None)
        except InvalidRequest as error:
            if len(rows) == 1:
                raise InvalidRequest(f"{self._source.path}: {rows[0].position}: {error}") from None
        # One text is invalid, or all together are too large: halves find the row, and the other texts are answered.
        half = len(rows) // 2
        return await self._ask(client, model, rows[:half]) + await self._ask(client, model, rows[half:])


def _batches(rows: Iterator[TextRow]) -> Iterator[list[TextRow]]:
    """The rows of each request; a row that cannot be read raises after those before it."""
    batch: list[TextRow] = []
    size = 0
    try:
        for row in rows:
            length = len(f"{row.text}{row.pair or ''}".encode())
            if batch and (len(batch) == REQUEST_ROWS or size + length > _REQUEST_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(row)
            size += length
    except DataError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _locked(path: Path) -> IO[bytes]:
    """The file, opened for reading and writing and locked against other calls."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DataError(f"{path} is being written by another call: wait for it, or choose another --output") from None
    return file
