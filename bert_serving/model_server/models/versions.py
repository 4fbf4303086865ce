"""The state of every version of every model, read without a lock."""

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tensorflow_serving.apis import get_model_status_pb2

from bert_serving.model_server.inference.servable import Servable

State = get_model_status_pb2.ModelVersionStatus.State
START, LOADING, AVAILABLE, UNLOADING, END = (
    State.START,
    State.LOADING,
    State.AVAILABLE,
    State.UNLOADING,
    State.END,
)


@dataclass(frozen=True)
class VersionRecord:
    """State of one version.

    Attributes:
        version: number of the version.
        folder: folder of its SavedModel.
        state: a ModelVersionStatus.State.
        error_code: name of the canonical code of its error, "OK" without one.
        error_message: text of its error.
        servable: the loaded model while AVAILABLE.
    """

    version: int
    folder: Path
    state: int = START
    error_code: str = "OK"
    error_message: str = ""
    servable: Servable | None = None


class VersionTable:
    """Records by model and version.

    Records and the tuples that hold them are replaced and never changed, so that readers need no
    lock: a request keeps its servable, whatever happens to the version meanwhile.
    """

    def __init__(self) -> None:
        """Makes an empty table."""
        self._records: dict[str, tuple[VersionRecord, ...]] = {}
        self._listeners: list[Callable[[], object]] = []
        self._writing = threading.RLock()  # a finalizer may run in the midst of a change

    def listen(self, listener: Callable[[], object]) -> None:
        """Calls `listener` after every change, on the thread that makes the change."""
        self._listeners.append(listener)

    def notify(self) -> None:
        """Calls all listeners."""
        for listener in self._listeners:
            listener()

    def records(self, name: str) -> tuple[VersionRecord, ...]:
        """All versions of a model, highest first; empty for an unknown model."""
        return self._records.get(name, ())

    def get(self, name: str, version: int) -> VersionRecord | None:
        """The record of one version."""
        return next((record for record in self.records(name) if record.version == version), None)

    def is_available(self, name: str, version: int) -> bool:
        """Whether a version is AVAILABLE."""
        record = self.get(name, version)
        return record is not None and record.state == AVAILABLE

    def put(self, name: str, record: VersionRecord) -> None:
        """Sets the record of a version."""
        with self._writing:
            others = [other for other in self.records(name) if other.version != record.version]
            self._records[name] = tuple(sorted([*others, record], key=lambda item: item.version, reverse=True))
        self.notify()

    def release(self, name: str, record: VersionRecord, freed: Callable[[], object]) -> None:
        """Unloads an AVAILABLE version: UNLOADING while requests still use it, then END.

        Args:
            name: the model.
            record: its present record.
            freed: called on any thread when the last request has released the servable.
        """
        unloading = replace(record, state=UNLOADING, servable=None)

        def end() -> None:
            with self._writing:
                if self.get(name, unloading.version) is unloading:  # not `record`, which would keep the servable
                    self.put(name, replace(unloading, state=END))
            freed()

        self.put(name, unloading)
        if record.servable is not None:
            weakref.finalize(record.servable, end).atexit = False
