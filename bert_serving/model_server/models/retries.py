"""When a version that failed to load is tried again."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Fingerprint = frozenset[tuple[str, int, int]]


@dataclass(frozen=True)
class _Failed:
    tries: int
    next_try: float
    contents: Fingerprint


class LoadAttempts:
    """Counts the failures of each version.

    A version is tried again after an interval, a limited number of times, and at once when the files in its folder
    have changed: it was half copied then, or has been mended.
    """

    def __init__(self, *, retries: int, interval: float, clock: Callable[[], float] = time.monotonic):
        """Sets the limits.

        Args:
            retries: tries after the first one.
            interval: seconds between two tries.
            clock: seconds that only grow, so that a change of the wall clock does no harm.
        """
        self._retries = retries
        self._interval = interval
        self._clock = clock
        self._failed: dict[tuple[str, int], _Failed] = {}

    def failed(self, name: str, version: int, contents: Fingerprint) -> None:
        """Notes a status; `contents` are the files that were there when the try began."""
        before = self._failed.get((name, version))
        tries = before.tries + 1 if before is not None and before.contents == contents else 1
        self._failed[name, version] = _Failed(tries, self._clock() + self._interval, contents)

    def forget(self, name: str, version: int) -> None:
        """Notes that the version is loaded, or gone."""
        self._failed.pop((name, version), None)

    def due(self, name: str, version: int, folder: Path) -> bool:
        """Whether to try a failed version again now."""
        failed = self._failed.get((name, version))
        if failed is None:
            return True
        if failed.tries <= self._retries and self._clock() >= failed.next_try:
            return True
        return fingerprint(folder) != failed.contents


def fingerprint(folder: Path) -> Fingerprint:
    """Name, size and time of every file below a folder; what cannot be read is left out."""
    files = set()
    try:
        for path in folder.rglob("*"):
            status = path.stat()
            files.add((str(path), status.st_size, status.st_mtime_ns))
    except OSError:
        pass
    return frozenset(files)
