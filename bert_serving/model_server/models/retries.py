"""When a version that failed to load is loaded again."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Fingerprint = frozenset[tuple[str, int, int]]


@dataclass(frozen=True)
class _Failure:
    attempts: int
    next_attempt: float
    contents: Fingerprint


class LoadAttempts:
    """Failed load attempts of every version.

    A version is loaded again after an interval, a limited number of times, and at once when the
    files in its folder have changed: it may have been half copied, or has been repaired.
    """

    def __init__(self, *, retries: int, interval: float, clock: Callable[[], float] = time.monotonic):
        """Sets the limits.

        Args:
            retries: attempts after the first one.
            interval: seconds between two attempts.
            clock: monotonic seconds, so that a change of the wall clock does no harm.
        """
        self._retries = retries
        self._interval = interval
        self._clock = clock
        self._failures: dict[tuple[str, int], _Failure] = {}

    def failed(self, name: str, version: int, contents: Fingerprint) -> None:
        """Records a failure; `contents` are the files in the folder when the attempt began."""
        before = self._failures.get((name, version))
        attempts = before.attempts + 1 if before is not None and before.contents == contents else 1
        self._failures[name, version] = _Failure(attempts, self._clock() + self._interval, contents)

    def forget(self, name: str, version: int) -> None:
        """Forgets the failures of a version that is loaded or not selected."""
        self._failures.pop((name, version), None)

    def due(self, name: str, version: int, folder: Path) -> bool:
        """Whether to load a version now."""
        failure = self._failures.get((name, version))
        if failure is None:
            return True
        if failure.attempts <= self._retries and self._clock() >= failure.next_attempt:
            return True
        return fingerprint(folder) != failure.contents


def fingerprint(folder: Path) -> Fingerprint:
    """Path, size and modification time of every readable file below a folder."""
    files = set()
    try:
        for path in folder.rglob("*"):
            status = path.stat()
            files.add((str(path), status.st_size, status.st_mtime_ns))
    except OSError:
        pass
    return frozenset(files)
