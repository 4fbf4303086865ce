"""Classifies a file with one text a line into a TSV file; an interrupted call is resumed.

    answers.tsv.<digest>.part    header and answered rows; renamed to answers.tsv at the end

The digest is that of the input's path and of the server, so that one file never holds the answers
of two models.
"""

import asyncio
import fcntl
import hashlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from bert_serving.clients.prediction import Prediction
from bert_serving.errors import DataError, InputError, InvalidRequest

REQUEST_ROWS = 64
_REQUEST_BYTES = 1 << 18
_AT_ONCE = 8

Progress = Callable[[int, int], object]
"""called with the rows and the bytes of the input that are answered"""


class Predictor(Protocol):
    """Classifies texts on an event loop; the asynchronous clients do."""

    async def predict(self, model: str, texts: list[str]) -> list[Prediction]:
        """Classifies texts."""
        ...


class TextFile:
    """A file that is classified line by line.

    Attributes:
        part: file that holds the answers until the last one is written.
        rows: rows that are answered.
    """

    def __init__(self, source: Path, target: Path, *, server: str):
        """Opens nothing yet.

        Args:
            source: file with one text a line, UTF-8.
            target: TSV file to write.
            server: address of the model; a call with another address starts from the beginning.
        """
        self._source = source
        self._target = target
        digest = hashlib.sha256(f"{source.resolve()}\n{server}".encode()).hexdigest()[:12]
        self.part = target.resolve().with_name(f"{target.name}.{digest}.part")
        self.rows = 0

    async def predict(self, client: Predictor, model: str, *, progress: Progress = lambda _rows, _size: None) -> None:
        """Classifies all lines that are not answered yet, then renames the part file to the target.

        Raises:
            InputError: the input is empty.
            DataError: a file cannot be read or written, or the input is not UTF-8 or has changed
                since the first call.
            RequestError: the server refused a text, or was away for longer than the client retries;
                answers are kept.
        """
        try:
            with self._source.open("rb") as source, _locked(self.part) as part:
                try:
                    await self._work(client, model, source, part, progress)
                finally:
                    if not os.fstat(part.fileno()).st_size:
                        self.part.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(
                f"{error.filename or self._target}: {error.strerror}; {self.rows} rows are kept, and the same call continues"
            ) from None

    async def _work(
        self, client: Predictor, model: str, source: IO[bytes], part: IO[bytes], progress: Progress
    ) -> None:
        size = self._resume(source, part)
        progress(self.rows, size)
        await self._answer(client, model, source, part, size, progress)
        if not self.rows:
            raise InputError(f"{self._source}: nothing to classify; it is empty")
        part.flush()
        os.fsync(part.fileno())
        self.part.replace(self._target.resolve())

    def _resume(self, source: IO[bytes], part: IO[bytes]) -> int:
        """Skips answered lines and cuts off a half-written row; returns the bytes it read."""
        complete = size = 0
        part.seek(0)
        header = part.readline()
        if header.endswith(b"\n"):
            complete = len(header)
            for row in part:
                if not row.endswith(b"\n"):
                    break
                line = source.readline()
                if not line or row.partition(b"\t")[0] != _cell(_stripped(line.decode("utf-8", "replace"))).encode():
                    raise DataError(
                        f"{self._source}: line {self.rows + 1} is not the one that was answered in {self.part}; "
                        "remove that file to start from the beginning"
                    )
                self.rows += 1
                complete += len(row)
                size += len(line)
        source.seek(size)
        part.seek(complete)
        part.truncate()
        return size

    async def _answer(
        self, client: Predictor, model: str, source: IO[bytes], part: IO[bytes], size: int, progress: Progress
    ) -> None:
        waiting: deque[tuple[list[str], int, asyncio.Task[list[Prediction]]]] = deque()
        batches = _batches(source, self.rows)
        first = self.rows
        fault: DataError | None = None
        try:
            while True:
                while len(waiting) < _AT_ONCE and fault is None:
                    try:
                        batch = next(batches, None)
                    except DataError as error:
                        fault = error  # raised later: the lines before it are answered first
                        break
                    if batch is None:
                        break
                    texts, bytes_ = batch
                    asking = self._ask(client, model, texts, first)
                    first += len(texts)
                    waiting.append((texts, bytes_, asyncio.ensure_future(asking)))
                if not waiting:
                    if fault is not None:
                        raise DataError(f"{self._source}: {fault}")
                    return
                texts, bytes_, task = waiting[0]
                answers = await task
                waiting.popleft()
                if part.tell() == 0:
                    part.write(_header(answers[0]))
                part.write("".join(map(_row, texts, answers)).encode("utf-8"))
                part.flush()
                self.rows += len(texts)
                size += bytes_
                progress(self.rows, size)
        finally:
            for _, _, task in waiting:
                task.cancel()
            await asyncio.gather(*(task for _, _, task in waiting), return_exceptions=True)

    async def _ask(self, client: Predictor, model: str, texts: list[str], first: int) -> list[Prediction]:
        try:
            return await client.predict(model, texts)
        except InvalidRequest as error:
            if len(texts) == 1:
                raise InvalidRequest(f"{self._source}: line {first + 1}: {error}") from None
        # One text is invalid, or all together are too large: halves find the line, and the other
        # texts are answered.
        half = len(texts) // 2
        answers = await self._ask(client, model, texts[:half], first)
        return answers + await self._ask(client, model, texts[half:], first + half)


def _batches(source: IO[bytes], row: int) -> Iterator[tuple[list[str], int]]:
    """Texts of each request, with their bytes in the file; a bad line raises after them."""
    texts: list[str] = []
    size = 0
    for line in source:
        if texts and (len(texts) == REQUEST_ROWS or size + len(line) > _REQUEST_BYTES):
            yield texts, size
            texts, size = [], 0
        try:
            texts.append(_text(line, row))
        except DataError:
            if texts:
                yield texts, size
            raise
        size += len(line)
        row += 1
    if texts:
        yield texts, size


def _text(line: bytes, row: int) -> str:
    try:
        return _stripped(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"line {row + 1}: not UTF-8 at byte {error.start} of the line; convert the file") from None


def _stripped(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _cell(text: str) -> str:
    # The TSV has no quotes: a cell cannot hold a tab or a line break.
    return re.sub(r"[\t\r\n]", " ", text)


def _header(answer: Prediction) -> bytes:
    classes = [f"class {index}" for index in range(len(answer.probabilities))]
    return ("\t".join(["text", "label", *classes]) + "\n").encode()


def _row(text: str, answer: Prediction) -> str:
    values = (f"{value:.6g}" for value in answer.probabilities)
    return "\t".join([_cell(text), _cell(answer.label), *values]) + "\n"


def _locked(path: Path) -> IO[bytes]:
    """The file, opened for reading and writing and locked against other calls."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DataError(f"{path} is being written by another call: wait for it, or choose another --output") from None
    return file
