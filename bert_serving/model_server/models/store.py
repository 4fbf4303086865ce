"""The models of a server: which versions are loaded, and which one answers a request."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tensorflow_serving.apis import model_pb2

from bert_serving.errors import InputError, InvalidRequest, LoadError, ServableNotFound
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.inference.servable import Servable
from bert_serving.model_server.inference.status_code import Status, load_status
from bert_serving.model_server.models import memory
from bert_serving.model_server.models.folders import chosen_folders, version_folders, warn_of_ignored
from bert_serving.model_server.models.labels import check_labels
from bert_serving.model_server.models.loader import load_version
from bert_serving.model_server.models.retries import LoadAttempts, fingerprint
from bert_serving.model_server.models.versions import AVAILABLE, END, LOADING, State, VersionRecord, VersionTable

__all__ = ["ModelStore", "State", "VersionRecord", "check_spec"]

_log = logging.getLogger("bert_serving.model_server")
_MOST_LISTED = 20


class ModelStore:
    """Loads the versions that the configuration selects, unloads others, and resolves requests.

    A selected version is loaded and warmed up before an old one is unloaded. As long as no selected
    version is AVAILABLE, the highest old one stays loaded, and only that: a broken version never
    replaces a working one. A version that is superseded before its load begins is skipped.
    """

    def __init__(self, options: ServerOptions):
        """Takes over the configuration; `load` loads the models."""
        self._options = options
        self._table = VersionTable()
        self._configs = {config.name: config for config in options.models}
        self._selected: dict[str, dict[int, Path]] = {}
        self._attempts = LoadAttempts(retries=options.max_num_load_retries, interval=options.load_retry_interval)
        self._changing = threading.Condition(threading.RLock())
        self._reloading = threading.Lock()
        self._loader = ThreadPoolExecutor(options.load_threads, thread_name_prefix="model-load")
        self._loading: set[tuple[str, int]] = set()
        self._warnings: dict[str, str] = {}
        self._version_freed = threading.Event()

    # === Present state ===

    @property
    def ready(self) -> bool:
        """Whether every model has a version that answers."""
        return all(self.answers(name) for name in self.names())

    @property
    def busy(self) -> bool:
        """Whether a version is being loaded, which cannot be interrupted."""
        return bool(self._loading)

    def answers(self, name: str) -> bool:
        """Whether a model is configured and has a version that is AVAILABLE."""
        return name in self._configs and any(record.state == AVAILABLE for record in self._table.records(name))

    def names(self) -> list[str]:
        """Names of the configured models."""
        return list(self._configs)

    def listen(self, listener: Callable[[], object]) -> None:
        """Calls `listener` after every change of a version, on the thread that makes it."""
        self._table.listen(listener)

    def labels(self, name: str) -> Mapping[str, int]:
        """Version by label of a model."""
        config = self._configs.get(name)
        return {} if config is None else config.labels

    def config(self, name: str) -> ModelConfig | None:
        """Configuration of a model; None for an unknown model."""
        return self._configs.get(name)

    def versions(self, name: str) -> list[VersionRecord]:
        """All versions of a model, ended ones too, highest first; empty for an unknown model."""
        return list(self._table.records(name))

    def resolve(self, spec: model_pb2.ModelSpec | None) -> Servable:
        """The servable of the version or label in a spec, else of the highest AVAILABLE version.

        Raises:
            InvalidRequest: no spec, no name in it, or an unknown label.
            ServableNotFound: no such model, or no such version of it is AVAILABLE.
        """
        spec = check_spec(spec)
        version = self.chosen_version(spec)
        for record in self._table.records(spec.name):
            if record.servable is not None and version in (None, record.version):
                return record.servable
        choice = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
        raise ServableNotFound(f"Servable not found for request: {choice}{self._there_are(spec.name)}")

    def chosen_version(self, spec: model_pb2.ModelSpec) -> int | None:
        """The version that a spec names by number or label, loaded or not; None if it names none.

        Raises:
            InvalidRequest: an unknown label.
        """
        match spec.WhichOneof("version_choice"):
            case "version":
                return int(spec.version.value)
            case "version_label":
                version = self.labels(spec.name).get(spec.version_label)
                if version is None:
                    labels = ", ".join(self.labels(spec.name)) or "none"
                    raise InvalidRequest(
                        f"Unrecognized servable version label: {spec.version_label}; labels of {spec.name}: {labels}"
                    )
                return version
        return None

    def _there_are(self, name: str) -> str:
        """What could be meant instead of what was not found: the end of a message that begins as TensorFlow Serving's."""
        if records := self._table.records(name):
            return f"; versions of {name}: {_listed(f'{each.version} ({State.Name(each.state)})' for each in records)}"
        return f"; models of this server: {_listed(sorted(self._configs)) or 'none'}"

    # === Changes ===

    def load(self) -> None:
        """Loads the selected versions; a version that fails gets state END and its error.

        Raises:
            InputError: a model has no base path or no version in it; nothing is loaded then.
        """
        chosen = {name: chosen_folders(config) for name, config in self._configs.items()}
        for name, folders in chosen.items():
            config = self._configs[name]
            warn_of_ignored(config.base_path)
            for version in sorted(set(config.policy.specific) - set(folders)):
                _log.warning("%s version %d is selected, but is not under %s", name, version, config.base_path)
            self._select(name, folders)
        self._wait_until_loaded(list(chosen))
        self._warn_of_labels()

    def poll(self) -> None:
        """Reads the base paths once; a model whose base path cannot be read keeps its versions."""
        for config in list(self._configs.values()):
            try:
                folders = version_folders(config.base_path)
            except InputError as error:
                self._warn_once(config.name, f"{error}; {config.name} stays as it is")
                continue
            chosen = {version: folders[version] for version in config.policy.choose(list(folders))}
            missing = (
                "" if chosen else f"No versions of servable {config.name} found under base path {config.base_path}"
            )
            self._warn_once(config.name, missing)
            self._select(config.name, chosen)
        if self._version_freed.is_set():
            self._version_freed.clear()
            memory.release_unused()

    def retry(self) -> None:
        """Loads failed versions that are due for a retry, without reading the base paths."""
        with self._changing:
            for name, folders in list(self._selected.items()):
                self._select(name, folders)

    def reload(self, configs: Sequence[ModelConfig], *, timeout: float | None = None) -> None:
        """Replaces the configuration and waits until new models have loaded.

        Nothing changes when the new configuration is refused.

        Raises:
            InputError: a new model has no base path or no version in it.
            FailedPrecondition: a label names a version that is not AVAILABLE.
            LoadError: a new model could not be loaded, or not within `timeout` seconds; the others
                are served.
        """
        with self._reloading:
            allow = self._options.allow_version_labels_for_unavailable_models
            check_labels(self._table, self.labels, configs, allow_unavailable=allow)
            new = {config.name: chosen_folders(config) for config in configs if config.name not in self._configs}
            with self._changing:
                removed = self._configs.keys() - {config.name for config in configs}
                self._configs = {config.name: config for config in configs}
                for name in removed:
                    self._select(name, {})
                for name, folders in new.items():
                    self._select(name, folders)
            self._table.notify()
            self.poll()
            self._wait_until_loaded(list(new), timeout)
            self._check_loaded(list(new))

    def close(self) -> None:
        """Starts no further load and does not wait for one that runs."""
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _select(self, name: str, folders: dict[int, Path]) -> None:
        """Starts to load the selected versions that are not loaded, and unloads the others."""
        with self._changing:
            self._selected[name] = folders
            for version, folder in folders.items():
                if self._must_load(name, version, folder):
                    record = VersionRecord(version=version, folder=folder)
                    self._loading.add((name, version))
                    self._put_unless_serving(name, record)
                    self._loader.submit(self._load_version, name, record)
            self._unload_old(name)

    def _must_load(self, name: str, version: int, folder: Path) -> bool:
        if (name, version) in self._loading:
            return False
        record = self._table.get(name, version)
        if record is not None and record.state == AVAILABLE and record.folder == folder:
            return False
        return self._attempts.due(name, version, folder)

    def _load_version(self, name: str, record: VersionRecord) -> None:
        if self._skip_superseded(name, record):
            return
        contents = fingerprint(record.folder)
        self._put_unless_serving(name, replace(record, state=LOADING))
        try:
            servable = load_version(name, record, self._options)
        except Exception as error:  # noqa: BLE001  a damaged SavedModel may raise anything and must not end the loader
            with self._changing:
                self._attempts.failed(name, record.version, contents)
                self._record_failure(name, record, load_status(error))
                self._end_load(name, record.version)
            return
        with self._changing:
            self._attempts.forget(name, record.version)
            self._table.put(name, replace(record, state=AVAILABLE, servable=servable))
            _log.info("%s version %d is AVAILABLE", name, record.version)
            self._end_load(name, record.version)

    def _skip_superseded(self, name: str, record: VersionRecord) -> bool:
        """Ends a version that was selected when its load was queued and is not any more."""
        with self._changing:
            if self._selected.get(name, {}).get(record.version) == record.folder:
                return False
            self._put_unless_serving(name, replace(record, state=END))
            self._end_load(name, record.version)
            return True

    def _put_unless_serving(self, name: str, record: VersionRecord) -> None:
        # A version number may move to another folder; the loaded version answers meanwhile.
        before = self._table.get(name, record.version)
        if before is None or before.servable is None:
            self._table.put(name, record)

    def _record_failure(self, name: str, record: VersionRecord, status: Status) -> None:
        _log.error("%s version %d failed to load: %s", name, record.version, status.message)
        before = self._table.get(name, record.version)
        serving = before is not None and before.servable is not None
        present = before if before is not None and serving else replace(record, state=END)
        self._table.put(name, replace(present, error_code=status.code, error_message=status.message))

    def _end_load(self, name: str, version: int) -> None:
        self._loading.discard((name, version))
        self._unload_old(name)
        self._changing.notify_all()

    def _unload_old(self, name: str) -> None:
        """Unloads old versions, except the highest while no selected one is AVAILABLE."""
        selected = self._selected.get(name, {})
        available = [record for record in self._table.records(name) if record.state == AVAILABLE]
        old = [record for record in available if record.version not in selected]
        for record in self._table.records(name):
            if record.version not in selected:
                self._attempts.forget(name, record.version)
        if selected and len(old) == len(available):
            old = old[1:]
        for record in old:
            self._table.release(name, record, self._version_freed.set)
            _log.info("%s version %d is no longer served", name, record.version)

    def _wait_until_loaded(self, names: Sequence[str], timeout: float | None = None) -> None:
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

    def _warn_of_labels(self) -> None:
        for config in self._configs.values():
            for label, version in config.labels.items():
                if not self._table.is_available(config.name, version):
                    _log.warning("Label %s of %s names version %d, which is not AVAILABLE", label, config.name, version)

    def _warn_once(self, name: str, text: str) -> None:
        """Logs a lasting problem of a model once, and again when its text changes."""
        if text and self._warnings.get(name) != text:
            _log.warning("%s", text)
        self._warnings[name] = text


def check_spec(spec: model_pb2.ModelSpec | None) -> model_pb2.ModelSpec:
    """The spec of a request.

    Raises:
        InvalidRequest: no spec, or no name in it.
    """
    if spec is None:
        raise InvalidRequest("Missing ModelSpec")
    if not spec.name:
        raise InvalidRequest("ModelSpec has no name specified.")
    return spec


def _listed(names: Iterable[str]) -> str:
    """Names for a message; many are cut."""
    first = list(itertools.islice(names, _MOST_LISTED + 1))
    return ", ".join(first[:_MOST_LISTED] + ["..."] * (len(first) > _MOST_LISTED))
