"""A server on loopback that gives away archives as TF Hub, Kaggle and their mirrors do: with ranges, redirects and bad days."""

import hashlib
import io
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = Callable[["Handler"], None]


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    path: str
    range: str | None
    if_range: str | None


class DownloadServer(ThreadingHTTPServer):
    """The server. `files` are its files by path with query; `answers` take the place of a file."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, Answer] = {}
        self.requests: list[Request] = []
        self.validator = "ETag"
        self.takes_ranges = True

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self) -> list[str]:
        """Paths of all requests."""
        return [request.path for request in self.requests]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the server's."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: DownloadServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = self.headers
        self.server.requests.append(Request(self.path, headers.get("Range"), headers.get("If-Range")))
        if (answer := self.server.answers.get(self.path)) is not None:
            answer(self)
        elif (content := self.server.files.get(self.path)) is not None:
            self.give(content)
        else:
            self.refuse(404)

    def give(self, content: bytes, *, break_off: int | None = None) -> None:
        """Sends a file or the rest of it; only its first bytes where the connection is to break off."""
        validator = self.validator(content)
        start = 0
        if self.server.takes_ranges and self.headers.get("Range") and self.headers.get("If-Range") == validator:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if validator:
            self.send_header(self.server.validator, validator)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:] if break_off is None else content[start : start + break_off])
        self.close_connection = break_off is not None

    def validator(self, content: bytes) -> str:
        match self.server.validator:
            case "ETag":
                return f'"{hashlib.sha256(content).hexdigest()}"'
            case "Last-Modified":
                return "Sat, 21 Nov 2026 10:00:00 GMT"
        return ""

    def refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def running_downloads() -> Iterator[DownloadServer]:
    """A server that answers until the block ends."""
    with DownloadServer() as server:
        # shutdown() waits for the next turn of this loop.
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


def refusal(status: int) -> Answer:
    return lambda handler: handler.refuse(status)


def redirect_to(location: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def broken_off_once(content: bytes, after: int) -> Answer:
    """Breaks the connection after so many bytes, the first time only."""
    first = iter([True])
    return lambda handler: handler.give(content, break_off=after if next(first, False) else None)


def slow(content: bytes, *, pieces: int, seconds: float) -> Answer:
    """Sends a file in pieces, with a pause before each."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        size = -(-len(content) // pieces)
        for start in range(0, len(content), size):
            time.sleep(seconds)
            handler.wfile.write(content[start : start + size])
            handler.wfile.flush()

    return answer


def tar_of(folder: Path) -> bytes:
    """A folder as TF Hub packs a SavedModel: tar with gzip, names that begin with a dot."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(folder, arcname=".")
    return packed.getvalue()
