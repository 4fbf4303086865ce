"""The HTTP server below the REST API: uvicorn, with timeouts for clients that send or read nothing.

The only module that touches uvicorn. Beyond its documented options it relies on the attributes and
methods that tests/model_server/rest_api/test_http_server.py checks.
"""

import array
import asyncio
import contextlib
import fcntl
import logging
import socket
import ssl
import sys
import termios
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from bert_serving.model_server.rest_api.json_text import quoted, write_document

# uvicorn's own logger has no handler, so that Python would write a line to stderr for each
# malformed request. What goes wrong in this server is logged where it happens.
_SILENT = logging.getLogger("bert_serving.model_server.http")
_SILENT.addHandler(logging.NullHandler())
_SILENT.setLevel(logging.CRITICAL)
_SILENT.propagate = False

# What to do about an error of h11 that does not say it.
_REMEDIES = {
    "illegal request line": ": percent-encode blanks and letters outside ASCII in the address",
    "Receive buffer too long": ": send a shorter address and shorter headers",
}

# How long a connection waits for its next request: longer than clients keep one (httpx 5 s,
# browsers and proxies a minute), for a request on a connection that is just being closed is lost.
_KEEP_ALIVE_SECONDS = 75
_STARTUP_POLL_SECONDS = 0.005
# For the last answers to leave, once the time for requests is over or a connection is given up.
_LAST_SECONDS = 1.0


class HttpServer(uvicorn.Server):
    """An HTTP server on the running event loop; signals are left to whoever runs the loop."""

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext | None = None):
        """Makes a server that `start` starts.

        Args:
            app: answers the requests.
            tls: key and certificates; None is plain HTTP.
        """
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            http=TimeoutProtocol,
        )
        config.load()
        config.ssl = tls
        super().__init__(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Returns when requests on `listener` are answered."""
        self._serving = asyncio.create_task(self.serve(sockets=[listener]))
        while not self.started and not self._serving.done():
            await asyncio.sleep(_STARTUP_POLL_SECONDS)
        if self._serving.done():
            await self._serving

    async def stop(self, seconds: float) -> None:
        """Takes no more requests, and cancels those that are not answered in time.

        The application answers a request that is cancelled.

        Args:
            seconds: time for the requests.
        """
        if self._serving is None:
            return
        self.should_exit = True
        await asyncio.wait({self._serving}, timeout=seconds)
        for request in self.server_state.tasks:
            request.cancel()
        await asyncio.wait_for(self._serving, _LAST_SECONDS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


class TimeoutProtocol(H11Protocol):
    """A connection with timeouts for the headers of requests and for sending answers.

    Attributes:
        header_timeout: seconds for the headers of a request; uvicorn has no timeout for them.
        send_timeout: seconds in which the client must read something of an answer.
    """

    header_timeout = 60.0
    send_timeout = 60.0

    def connection_made(self, transport: Any) -> None:
        """Starts to wait for the first request."""
        self.logger = _SILENT
        self._timers: dict[str, asyncio.TimerHandle] = {}
        super().connection_made(transport)
        self._start_header_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the timers."""
        self._stop_timer("header")
        self._stop_timer("send")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads requests; drops what follows one that is malformed."""
        if self.conn.their_state is not h11.ERROR:
            super().data_received(data)

    def handle_events(self) -> None:
        """Reads what has arrived, also while the request before was answered."""
        super().handle_events()
        if not self._is_idle():
            self._stop_timer("header")
        elif self.timeout_keep_alive_task is None:
            # The headers are incomplete. Further bytes do not restart the timer.
            self._start_header_timer()

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP/1.1, in JSON as all errors; called while h11's error is handled."""
        error = sys.exception()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # else the answer has begun
            reason = str(error or msg).partition(": bytearray")[0]
            text = f"Malformed HTTP request: {reason}{_REMEDIES.get(reason, '')}"
            content = write_document({"error": quoted(text)}).encode("utf-8", errors="replace")
            status = HTTPStatus(getattr(error, "error_status_hint", HTTPStatus.BAD_REQUEST))
            headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), "Connection": "close"}
            head = h11.Response(status_code=status, reason=status.phrase.encode(), headers=list(headers.items()))
            for event in (head, h11.Data(data=content), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # To close at once while bytes arrive would reset the connection, and the answer with it.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LAST_SECONDS, self.transport.close)

    def pause_writing(self) -> None:
        """The buffers between here and the client are full."""
        super().pause_writing()
        self._start_send_timer()

    def resume_writing(self) -> None:
        """The client has read most of it."""
        self._stop_timer("send")
        super().resume_writing()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_header_timer(self) -> None:
        if "header" not in self._timers:
            self._timers["header"] = self.loop.call_later(self.header_timeout, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()

    def _start_send_timer(self) -> None:
        unread = self._unread_bytes()
        self._timers["send"] = self.loop.call_later(self.send_timeout, self._abort_unless_read, unread)

    def _stop_timer(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()

    def _abort_unless_read(self, unread_before: int) -> None:
        if self._unread_bytes() >= unread_before:
            self.transport.abort()
        else:  # a client that reads slowly gets its answer
            self._start_send_timer()

    def _unread_bytes(self) -> int:
        """Bytes that the client has not read, in the buffers of the transport and the kernel."""
        kernel = array.array("i", [0])
        with contextlib.suppress(OSError, ValueError):  # the connection is going, or its socket is closed
            fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, kernel)
        return self.transport.get_write_buffer_size() + kernel[0]
