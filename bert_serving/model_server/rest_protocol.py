"""HTTP connections that do not stay open for nothing."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# Enough for a slow link to send a request's headers; uvicorn alone would wait for ever.
HEADER_SECONDS = 60.0


class PatientProtocol(H11Protocol):
    """A connection that is closed when no request has come on it for a while."""

    header_seconds = HEADER_SECONDS

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._patience: asyncio.TimerHandle = self.loop.call_later(self.header_seconds, self._close_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.cancel()
        super().connection_lost(exc)

    def _close_silent(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()
