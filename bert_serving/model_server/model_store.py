"""The models of a server, the state of each of their versions, and which version answers a request."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from bert_serving.errors import InvalidRequest, ServableNotFound
from bert_serving.model_server.failure import load_failure_of
from bert_serving.model_server.options import ModelConfig, ServerOptions
from bert_serving.model_server.servable import Servable
from bert_serving.model_server.version_folders import chosen_folders
from bert_serving.model_server.warmup import replay_warmup

_log = logging.getLogger("bert_serving.model_server")

State = get_model_status_pb2.ModelVersionStatus.State
START, LOADING, AVAILABLE, END = State.START, State.LOADING, State.AVAILABLE, State.END


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


class ModelStore:
    """Loads versions and finds the one that answers.

    Records are replaced and never changed, so that readers need no lock: a request keeps the servable that it was
    given, whatever happens to the version meanwhile.
    """

    def __init__(self, options: ServerOptions):
        self._options = options
        self._labels = {config.name: dict(config.labels) for config in options.models}
        self._records: dict[str, Mapping[int, VersionRecord]] = {config.name: {} for config in options.models}
        self._writing = threading.Lock()

    def load(self) -> None:
        """Loads the versions that the policies choose; a version that fails ends in state END with its error.

        Raises:
            InputError: a model has no base path or no version in it; nothing is loaded then.
        """
        chosen = [(config, record) for config in self._options.models for record in _chosen_versions(config)]
        for config, record in chosen:
            self._put(config.name, record)
        for config, record in chosen:
            self._load_version(config.name, record)

    @property
    def ready(self) -> bool:
        """Whether every model has a version that answers."""
        return all(any(record.state == AVAILABLE for record in records.values()) for records in self._records.values())

    def names(self) -> list[str]:
        """Names of the models."""
        return list(self._records)

    def versions(self, name: str) -> list[VersionRecord]:
        """All versions of a model, highest first; none for a model that is not known."""
        return sorted(self._records.get(name, {}).values(), key=lambda record: record.version, reverse=True)

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
        match spec.WhichOneof("version_choice"):
            case "version":
                return self._exactly(spec.name, spec.version.value)
            case "version_label":
                version = self._labels.get(spec.name, {}).get(spec.version_label)
                if version is None:
                    raise InvalidRequest(f"Unrecognized servable version label: {spec.version_label}")
                return self._exactly(spec.name, version)
        for record in self.versions(spec.name):
            if record.servable is not None:
                return record.servable
        raise ServableNotFound(f"Servable not found for request: Latest({spec.name})")

    def _exactly(self, name: str, version: int) -> Servable:
        record = self._records.get(name, {}).get(version)
        if record is None or record.servable is None:
            raise ServableNotFound(f"Servable not found for request: Specific({name}, {version})")
        return record.servable

    def _put(self, name: str, record: VersionRecord) -> None:
        with self._writing:
            self._records[name] = MappingProxyType({**self._records[name], record.version: record})

    def _load_version(self, name: str, record: VersionRecord) -> None:
        self._put(name, replace(record, state=LOADING))
        try:
            servable = Servable.load(
                record.folder, name=name, version=record.version, tags=self._options.saved_model_tags
            )
            if self._options.enable_model_warmup:
                replay_warmup(servable, record.folder, iterations=self._options.warmup_iterations)
        except Exception as error:  # whatever a SavedModel holds, it must not take the other models down
            failure = load_failure_of(error)
            self._put(name, replace(record, state=END, error_code=failure.code, error_message=failure.message))
            _log.error("%s version %d failed to load: %s", name, record.version, failure.message)
            return
        self._put(name, replace(record, state=AVAILABLE, servable=servable))
        _log.info("%s version %d is AVAILABLE", name, record.version)


def _chosen_versions(config: ModelConfig) -> list[VersionRecord]:
    folders = chosen_folders(config)
    for version in sorted(set(config.policy.specific) - set(folders)):
        _log.warning("%s version %d is asked for, but is not under %s", config.name, version, config.base_path)
    return [VersionRecord(version=version, folder=folder) for version, folder in folders.items()]
