"""The event loop that a server runs on: uvloop's where it is installed, else asyncio's."""

import asyncio
import contextlib
from collections.abc import Callable

new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with contextlib.suppress(ImportError):
    import uvloop

    new_event_loop = uvloop.new_event_loop
