"""The event loop that a server runs on: uvloop's where it is installed, else asyncio's."""

import asyncio

try:
    from uvloop import new_event_loop
except ImportError:
    new_event_loop = asyncio.new_event_loop  # type: ignore[assignment]  a loop of another class

__all__ = ["new_event_loop"]
