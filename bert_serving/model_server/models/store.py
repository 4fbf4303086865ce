"""The models of a server: their versions come and go with the folders, and one of them answers each request."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tensorflow_serving.apis import model_pb2

from bert_serving.errors import InputError, InvalidRequest, LoadError, ServableNotFound
from bert_serving.model_server.models import memory
from bert_serving.model_server.inference.status_code import Status, load_status
from bert_serving.model_server.models.retries import LoadAttempts, fingerprint
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.inference.servable import Servable
from bert_serving.model_server.models.folders import chosen_folders, version_folders
from bert_serving.model_server.models.labels import check_labels, labels_of
from bert_serving.model_server.models.loader import load_version
from bert_serving.model_server.models.versions import (
    AVAILABLE,
    END,
    LOADING,
    START,
    State,
    VersionRecord,
    VersionTable,
)

__all__ = ["AVAILABLE", "END", "LOADING", "START", "ModelStore", "State", "VersionRecord"]

_log = logging.getLogger("bert_serving.model_server")


class ModelStore:
    """Loads versions, drops them, and finds the one that answers.

    A version that is wanted is loaded and warmed up before one that is no longer wanted is dropped, and the last one
    that answers is only dropped when its folder and all others are gone: a broken version never replaces a working one.
    """

    def __init__(self, options: ServerOptions):
        self._options = options
        self._listeners: list[Callable[[], object]] = []
        self._table = VersionTable(self._tell)
        self._configs = {config.name: config for config in options.models}
        self._labels = labels_of(options.models)
        self._wanted: dict[str, dict[int, Path]] = {}
        self._attempts = LoadAttempts(retries=options.max_num_load_retries, interval=options.load_retry_interval)
        self._changing = threading.Condition(threading.RLock())
        self._reloading = threading.Lock()
        self._loader = ThreadPoolExecutor(options.load_threads, thread_name_prefix="model-load")
        self._loading: set[tuple[str, int]] = set()
        self._complaints: dict[str, str] = {}
        self._garbage = threading.Event()

    # === What there is ===

    @property
    def ready(self) -> bool:
        """Whether every model has a version that answers."""
        return all(self.answers(name) for name in self.names())

    @property
    def busy(self) -> bool:
        """Whether a version is being loaded; that cannot be interrupted."""
        return bool(self._loading)

    def answers(self, name: str) -> bool:
        """Whether a model is configured and has a version that answers."""
        return name in self._configs and any(record.state == AVAILABLE for record in self._table.records(name))

    def names(self) -> list[str]:
        """Names of the models that are configured."""
        return list(self._configs)

    def listen(self, listener: Callable[[], object]) -> None:
        """Calls `listener` after each change of a version's state, on whatever thread that happens."""
        self._listeners.append(listener)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def labels(self, name: str) -> Mapping[str, int]:
        """Version by label of a model."""
        return self._labels.get(name, {})

    def config(self, name: str) -> ModelConfig | None:
        """How a model is configured."""
        return self._configs.get(name)

    def versions(self, name: str) -> list[VersionRecord]:
        """All versions of a model, highest first, also those that ended; none for a model that is not known."""
        return list(self._table.records(name))

    def resolve(self, spec: model_pb2.ModelSpec | None) -> Servable:
        """The servable that a request asks for: the given version or label, else the highest that is AVAILABLE.

        Raises:
            InvalidRequest: no spec, no name in it, or an unknown label.
            ServableNotFound: no such model, or no such version of it is AVAILABLE.
        """
        if spec is None:
            raise InvalidRequest("Missing ModelSpec")
        if not spec.name:
            raise InvalidRequest("ModelSpec has no name specified.")
        version = self.chosen_version(spec)
        if version is not None:
            return self._exactly(spec.name, version)
        for record in self._table.records(spec.name):
            if record.servable is not None:
                return record.servable
        raise ServableNotFound(f"Servable not found for request: Latest({spec.name})")

    def chosen_version(self, spec: model_pb2.ModelSpec) -> int | None:
        """The version that a spec names by its number or by a label, whether it is there or not; None where it names none.

        Raises:
            InvalidRequest: an unknown label.
        """
        match spec.WhichOneof("version_choice"):
            case "version":
                return int(spec.version.value)
            case "version_label":
                version = self.labels(spec.name).get(spec.version_label)
                if version is None:
                    raise InvalidRequest(f"Unrecognized servable version label: {spec.version_label}")
                return version
        return None

    def _exactly(self, name: str, version: int) -> Servable:
        record = self._table.get(name, version)
        if record is None or record.servable is None:
            raise ServableNotFound(f"Servable not found for request: Specific({name}, {version})")
        return record.servable

    # === What there shall be ===

    def load(self) -> None:
        """Loads the versions that the policies choose; a version that fails ends in state END with its error.

        Raises:
            InputError: a model has no base path or no version in it; nothing is loaded then.
        """
        chosen = {name: chosen_folders(config) for name, config in self._configs.items()}
        for name, folders in chosen.items():
            self._report_missing(self._configs[name], folders)
            self._want(name, folders)
        self._wait_until_settled(list(chosen))
        self._report_labels()

    def poll(self) -> None:
        """Looks at the base paths once; one that cannot be read leaves its model as it is and the others unharmed."""
        for config in list(self._configs.values()):
            try:
                folders = version_folders(config.base_path)
            except InputError as error:
                self._complain(config.name, f"{error}; {config.name} stays as it is")
                continue
            chosen = {version: folders[version] for version in config.policy.choose(list(folders))}
            missing = (
                "" if chosen else f"No versions of servable {config.name} found under base path {config.base_path}"
            )
            self._complain(config.name, missing)
            self._want(config.name, chosen)
        if self._garbage.is_set():
            self._garbage.clear()
            memory.give_back()

    def retry(self) -> None:
        """Starts to load what failed and is due again, without a look at the base paths."""
        with self._changing:
            for name, folders in list(self._wanted.items()):
                self._want(name, folders)

    def reload(self, configs: Sequence[ModelConfig], *, timeout: float | None = None) -> None:
        """Serves exactly these models from now on, and waits until those that are new have loaded.

        Nothing changes when the new configuration is refused.

        Raises:
            InputError: a new model has no base path or no version in it.
            FailedPrecondition: a label names a version that is not AVAILABLE.
            LoadError: a new model could not be loaded, or not within `timeout` seconds; the others are served.
        """
        with self._reloading:
            labels = labels_of(configs)
            allow = self._options.allow_version_labels_for_unavailable_models
            check_labels(self._table, self._labels, labels, allow_unavailable=allow)
            new = [config for config in configs if config.name not in self._configs]
            chosen = {config.name: chosen_folders(config) for config in new}
            with self._changing:
                gone = self._configs.keys() - {config.name for config in configs}
                self._configs = {config.name: config for config in configs}
                self._labels = labels
                for name in gone:
                    self._want(name, {})
                for name, folders in chosen.items():
                    self._want(name, folders)
            self._tell()
            self.poll()
            self._wait_until_settled(list(chosen), timeout)
            self._check_loaded(list(chosen))

    def close(self) -> None:
        """Loads nothing more and does not wait for what is being loaded."""
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _want(self, name: str, folders: dict[int, Path]) -> None:
        """Starts to load what is missing of the wanted versions, and drops what is no longer wanted."""
        with self._changing:
            self._wanted[name] = folders
            for version, folder in folders.items():
                if self._must_load(name, version, folder):
                    self._start_load(name, VersionRecord(version=version, folder=folder))
            self._drop_unwanted(name)

    def _must_load(self, name: str, version: int, folder: Path) -> bool:
        if (name, version) in self._loading:
            return False
        record = self._table.get(name, version)
        if record is not None and record.state == AVAILABLE and record.folder == folder:
            return False
        return self._attempts.due(name, version, folder)

    def _start_load(self, name: str, record: VersionRecord) -> None:
        self._loading.add((name, record.version))
        self._put_unless_serving(name, record)
        self._loader.submit(self._load_version, name, record)

    def _load_version(self, name: str, record: VersionRecord) -> None:
        if self._overtaken(name, record):
            return
        contents = fingerprint(record.folder)
        self._put_unless_serving(name, replace(record, state=LOADING))
        try:
            servable = load_version(name, record, self._options)
        except Exception as error:  # whatever a SavedModel holds, it must not take the other models down
            with self._changing:
                self._attempts.failed(name, record.version, contents)
                self._note_failure(name, record, load_status(error))
                self._settle(name, record.version)
            return
        with self._changing:
            self._attempts.forget(name, record.version)
            self._table.put(name, replace(record, state=AVAILABLE, servable=servable))
            _log.info("%s version %d is AVAILABLE", name, record.version)
            self._settle(name, record.version)

    def _overtaken(self, name: str, record: VersionRecord) -> bool:
        """Whether nobody wants a version any more by the time that its turn to be loaded has come; it ends then."""
        with self._changing:
            if self._wanted.get(name, {}).get(record.version) == record.folder:
                return False
            self._put_unless_serving(name, replace(record, state=END))
            self._settle(name, record.version)
            return True

    def _put_unless_serving(self, name: str, record: VersionRecord) -> None:
        # A version number may move to another folder; what answers goes on to answer meanwhile.
        before = self._table.get(name, record.version)
        if before is None or before.servable is None:
            self._table.put(name, record)

    def _note_failure(self, name: str, record: VersionRecord, status: Status) -> None:
        _log.error("%s version %d failed to load: %s", name, record.version, status.message)
        before = self._table.get(name, record.version)
        stays = before is not None and before.servable is not None
        ended = before if before is not None and stays else replace(record, state=END)
        self._table.put(name, replace(ended, error_code=status.code, error_message=status.message))

    def _settle(self, name: str, version: int) -> None:
        self._loading.discard((name, version))
        self._drop_unwanted(name)
        self._changing.notify_all()

    def _drop_unwanted(self, name: str) -> None:
        wanted = self._wanted.get(name, {})
        records = self._table.records(name)
        unwanted = [record for record in records if record.version not in wanted]
        for record in unwanted:
            self._attempts.forget(name, record.version)
        leaving = [record for record in unwanted if record.state == AVAILABLE]
        if wanted and not any(record.state == AVAILABLE for record in records if record.version in wanted):
            # Those that should replace it are being loaded, or broken. One is enough to answer: where versions are
            # published faster than they load, waiting for the wanted one would keep all those that came before.
            leaving = leaving[1:]
        for record in leaving:
            self._table.release(name, record, self._garbage.set)
            _log.info("%s version %d is no longer served", name, record.version)

    def _wait_until_settled(self, names: Sequence[str], timeout: float | None = None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changing:
            while any(name in names for name, _ in self._loading):
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    raise LoadError(f"{', '.join(names)}: still loading after {timeout:g} s; ask GetModelStatus later")
                self._changing.wait(remaining)

    def _check_loaded(self, names: Sequence[str]) -> None:
        failed = [
            f"{{name: {name} version: {record.version}}} due to error: {record.error_code}: {record.error_message}"
            for name in names
            if not self.answers(name)
            for record in self._table.records(name)
            if record.state == END and record.error_code != "OK"
        ]
        if failed:
            raise LoadError(f"{len(failed)} servable(s) did not become available: {{{', '.join(failed)}}}")

    def _report_missing(self, config: ModelConfig, folders: Mapping[int, Path]) -> None:
        for version in sorted(set(config.policy.specific) - set(folders)):
            _log.warning("%s version %d is asked for, but is not under %s", config.name, version, config.base_path)

    def _report_labels(self) -> None:
        for name, labels in self._labels.items():
            for label, version in labels.items():
                record = self._table.get(name, version)
                if record is None or record.state != AVAILABLE:
                    _log.warning("Label %s of %s leads to version %d, which is not AVAILABLE", label, name, version)

    def _complain(self, name: str, text: str) -> None:
        """Logs a standing problem of a model once, and again when it has changed."""
        if text and self._complaints.get(name) != text:
            _log.warning("%s", text)
        self._complaints[name] = text
