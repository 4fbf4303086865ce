"""A file with one text a line, classified by a server into a TSV file; of any size, and continued where it was left.

    answers.tsv.<digest>.part    header and the rows answered so far, in order; becomes answers.tsv at the end

The digest is that of the input's path and of the server, so that answers of two models never stand in one file.
"""

import asyncio
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
"""called with rows and bytes of the input that have their answer"""


class Client(Protocol):
    """What asks; the asynchronous clients do."""

    async def predict(self, model: str, texts: list[str]) -> list[Prediction]:
        """Classifies texts."""
        ...


class TextFile:
    """A file on its way to a server.

    Attributes:
        part: where the answers stand until the last one is there.
        rows: rows that have their answer.
    """

    def __init__(self, source: Path, target: Path, *, server: str):
        """Describes the work.

        Args:
            source: file with one text a line, UTF-8.
            target: TSV file to write.
            server: the model's address; another one starts from the beginning.
        """
        self._source = source
        self._target = target
        digest = hashlib.sha256(f"{source.resolve()}\n{server}".encode()).hexdigest()[:12]
        self.part = target.resolve().with_name(f"{target.name}.{digest}.part")
        self.rows = 0

    async def predict(self, client: Client, model: str, *, progress: Progress = lambda rows, size: None) -> None:
        """Asks for everything that has no answer yet, then gives the file its name.

        Raises:
            InputError: the input is empty.
            DataError: a file cannot be read or written, the input is no UTF-8, or has changed since the work was begun.
            RequestError: the server refused a text, or is gone for longer than the client tries; what is answered is kept.
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

    async def _work(self, client: Client, model: str, source: IO[bytes], part: IO[bytes], progress: Progress) -> None:
        size = self._resume(source, part)
        progress(self.rows, size)
        await self._answer(client, model, source, part, size, progress)
        if not self.rows:
            raise InputError(f"{self._source}: nothing to classify; it is empty")
        part.flush()
        os.fsync(part.fileno())
        self.part.replace(self._target.resolve())

    def _resume(self, source: IO[bytes], part: IO[bytes]) -> int:
        """Reads past the lines that have their answer, cuts off what is half written; gives the bytes read of the input."""
        good = size = 0
        part.seek(0)
        header = part.readline()
        if header.endswith(b"\n"):
            good = len(header)
            for row in part:
                line = source.readline() if row.endswith(b"\n") else b""
                if not row.endswith(b"\n"):
                    break
                if not line or row.partition(b"\t")[0] != _cell(_stripped(line.decode("utf-8", "replace"))).encode():
                    raise DataError(
                        f"{self._source}: line {self.rows + 1} is not the one that was answered in {self.part}; "
                        "remove that file to start from the beginning"
                    )
                self.rows += 1
                good += len(row)
                size += len(line)
        source.seek(size)
        part.seek(good)
        part.truncate()
        return size

    async def _answer(
        self, client: Client, model: str, source: IO[bytes], part: IO[bytes], size: int, progress: Progress
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
                        fault = error  # for later: what stands before it is answered first
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

    async def _ask(self, client: Client, model: str, texts: list[str], first: int) -> list[Prediction]:
        try:
            return await client.predict(model, texts)
        except InvalidRequest as error:
            if len(texts) == 1:
                raise InvalidRequest(f"{self._source}: line {first + 1}: {error}") from None
        # One text of them is at fault, or all together are too much: the others get their answers, and the message its line.
        half = len(texts) // 2
        answers = await self._ask(client, model, texts[:half], first)
        return answers + await self._ask(client, model, texts[half:], first + half)


def _batches(source: IO[bytes], row: int) -> Iterator[tuple[list[str], int]]:
    """Texts for one request, with the bytes that they take in the file."""
    texts: list[str] = []
    size = 0
    fault: DataError | None = None
    for line in source:
        if texts and (len(texts) == REQUEST_ROWS or size + len(line) > _REQUEST_BYTES):
            yield texts, size
            texts, size = [], 0
        try:
            texts.append(_text(line, row))
        except DataError as error:
            fault = error
            break
        size += len(line)
        row += 1
    if texts:
        yield texts, size
    if fault is not None:
        raise fault


def _text(line: bytes, row: int) -> str:
    try:
        return _stripped(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"line {row + 1}: not UTF-8 at byte {error.start} of the line; convert the file") from None


def _stripped(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _cell(text: str) -> str:
    # The project's TSV has no quotes: a tab or a line break cannot stand in a cell.
    return re.sub(r"[\t\r\n]", " ", text)


def _header(answer: Prediction) -> bytes:
    classes = [f"class {place}" for place in range(len(answer.probabilities))]
    return ("\t".join(["text", "label", *classes]) + "\n").encode()


def _row(text: str, answer: Prediction) -> str:
    values = (f"{value:.6g}" for value in answer.probabilities)
    return "\t".join([_cell(text), _cell(answer.label), *values]) + "\n"


def _locked(path: Path) -> IO[bytes]:
    """The file for reading and writing, while nobody else writes it."""
    import fcntl

    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DataError(f"{path} is being written by another call: wait for it, or choose another --output") from None
    return file
