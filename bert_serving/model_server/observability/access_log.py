"""The access log: one line of JSON for each request."""

import contextlib
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from bert_serving.errors import InputError
from bert_serving.model_server.observability.events import RequestEvent

_log = logging.getLogger("bert_serving.model_server")

_NAMED_BY_EVENT = ("entrypoint", "method", "model", "version", "signature", "status")


class AccessLog:
    """Writes request events to a file; a full disk loses lines, never answers."""

    def __init__(self, path: Path):
        """Opens the file for appending.

        Raises:
            InputError: it cannot be opened.
        """
        self._path = path
        try:
            self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise InputError(f"Cannot write the access log {path}: {error.strerror}") from None
        self._failing = False

    def write(self, event: RequestEvent) -> None:
        """Writes the line of a request."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **{name: getattr(event, name) for name in _NAMED_BY_EVENT},
            "milliseconds": round(event.seconds * 1e3, 3),
            "rows": event.rows,
            "client": event.client,
        }
        if event.message:
            line["message"] = event.message[:200]
        try:
            self._file.write(json.dumps(line, ensure_ascii=True) + "\n")
            self._failing = False
        except OSError as error:
            if not self._failing:
                _log.error("Cannot write the access log %s: %s", self._path, error.strerror)
            self._failing = True

    def close(self) -> None:
        """Closes the file."""
        with contextlib.suppress(OSError):
            self._file.close()
