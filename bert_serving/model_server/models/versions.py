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
    """What is known of one version.

    Attributes:
        version: its number.
        folder: where its SavedModel is.
        state: a ModelVersionStatus.State.
        error_code: name of the canonical code of what went wrong, "OK" when nothing did.
        error_message: what went wrong.
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

    Records and the tuples that hold them are replaced and never changed, so that readers need no lock: a request keeps
    the servable that it was given, whatever happens to the version meanwhile.
    """

    def __init__(self, changed: Callable[[], object] = lambda: None):
        """Makes an empty table.

        Args:
            changed: called after each change.
        """
        self._changed = changed
        self._records: dict[str, tuple[VersionRecord, ...]] = {}
        self._writing = threading.RLock()  # a finalizer may run in the midst of a change

    def names(self) -> list[str]:
        """Models of which a version is or was known."""
        return list(self._records)

    def records(self, name: str) -> tuple[VersionRecord, ...]:
        """All versions of a model, highest first; none for a model that is not known."""
        return self._records.get(name, ())

    def get(self, name: str, version: int) -> VersionRecord | None:
        """The record of one version."""
        return next((record for record in self.records(name) if record.version == version), None)

    def put(self, name: str, record: VersionRecord) -> None:
        """Sets the record of a version."""
        with self._writing:
            others = [each for each in self.records(name) if each.version != record.version]
            self._records[name] = tuple(sorted([*others, record], key=lambda each: each.version, reverse=True))
        self._changed()

    def release(self, name: str, record: VersionRecord, freed: Callable[[], object]) -> None:
        """Takes an AVAILABLE version out of service: UNLOADING while requests still use it, then END.

        Args:
            name: the model.
            record: its present record.
            freed: called when the last request has let go of it, on whatever thread that happens.
        """
        leaving = replace(record, state=UNLOADING, servable=None)

        def end() -> None:
            with self._writing:
                if self.get(name, leaving.version) is leaving:  # not `record`: it would keep the servable
                    self.put(name, replace(leaving, state=END))
            freed()

        self.put(name, leaving)
        if record.servable is not None:
            weakref.finalize(record.servable, end).atexit = False
