"""HTTP connections that do not stay open for nothing."""

import array
import asyncio
import contextlib
import fcntl
import logging
import termios
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# uvicorn's own logger has no handler, so that Python writes its lines to stderr as they are, one for each bad request of a
# stranger. What goes wrong in this server is logged where it happens.
_SILENT = logging.getLogger("bert_serving.model_server.http")
_SILENT.addHandler(logging.NullHandler())
_SILENT.setLevel(logging.CRITICAL)
_SILENT.propagate = False

# Enough for a slow link to send a request's headers; uvicorn alone would wait for ever.
HEADER_SECONDS = 60.0
# How long a connection waits for its next request: longer than clients keep one (httpx 5 s, browsers and proxies a minute), for a
# request on a connection that is just being closed is lost.
KEEP_ALIVE_SECONDS = 75
# How long an answer may stand still because its reader takes nothing.
READER_SECONDS = 60.0


class PatientProtocol(H11Protocol):
    """A connection that is closed when no request has come on it for a while, or when nobody reads the answer."""

    header_seconds = HEADER_SECONDS
    reader_seconds = READER_SECONDS

    def connection_made(self, transport: Any) -> None:
        self.logger = _SILENT
        self._waiting: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._wait_for_a_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting_for_a_request()
        self._stop_waiting_for_the_reader()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Reads what has come, and what had come while the request before it was answered."""
        super().handle_events()
        if not self._between_requests():
            self._stop_waiting_for_a_request()
        elif self.timeout_keep_alive_task is None:
            # The first bytes of a request are there and its headers are not. Further bytes do not set the clock back.
            self._wait_for_a_request()

    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_a_request(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.header_seconds, self._close_silent)

    def _stop_waiting_for_a_request(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _close_silent(self) -> None:
        if self._between_requests() and not self.transport.is_closing():
            self.transport.close()

    def pause_writing(self) -> None:
        """The buffers between here and the reader are full."""
        super().pause_writing()
        self._wait_for_the_reader()

    def resume_writing(self) -> None:
        """The reader has taken most of it."""
        self._stop_waiting_for_the_reader()
        super().resume_writing()

    def _wait_for_the_reader(self) -> None:
        left = self._unread()

        def look() -> None:
            # One who reads slowly is served all the same.
            if self._unread() >= left:
                self.transport.abort()
            else:
                self._wait_for_the_reader()

        self._reading = self.loop.call_later(self.reader_seconds, look)

    def _unread(self) -> int:
        """Bytes that the reader has not taken: those here and those that the kernel holds."""
        held = array.array("i", [0])
        with contextlib.suppress(OSError, ValueError):  # the connection is going, or its socket is closed
            fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, held)
        return self.transport.get_write_buffer_size() + held[0]

    def _stop_waiting_for_the_reader(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
