"""A new model configuration for a running server: by request or from a polled file."""

import logging
from collections.abc import Sequence
from pathlib import Path

from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import model_management_pb2

from bert_serving.errors import BertServingError, InputError, InvalidRequest, LoadError
from bert_serving.model_server.config.model_config import model_configs, parse_model_config
from bert_serving.model_server.config.options import ModelConfig
from bert_serving.model_server.models.store import ModelStore

_log = logging.getLogger("bert_serving.model_server")


def reload_config(
    store: ModelStore, request: model_management_pb2.ReloadConfigRequest, *, timeout: float | None = None
) -> model_management_pb2.ReloadConfigResponse:
    """Answers a ReloadConfigRequest: the server serves the models that it lists, and no others.

    An empty or a refused configuration changes nothing.

    Raises:
        InvalidRequest: an entry is not allowed, or a new model has no base path or version.
        FailedPrecondition: a label names a version that is not AVAILABLE.
        LoadError: a new model failed to load, or not within `timeout` seconds.
    """
    response = model_management_pb2.ReloadConfigResponse()
    response.status.error_code = error_codes_pb2.OK
    match request.config.WhichOneof("config"):
        case None:
            return response
        case "custom_model_config":
            raise InvalidRequest(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
    try:
        store.reload(model_configs(request.config.model_config_list.config), timeout=timeout)
    except InputError as error:
        raise InvalidRequest(str(error)) from None
    return response


class ConfigFile:
    """A model config file that is polled."""

    def __init__(self, path: Path, models: Sequence[ModelConfig]):
        """Remembers the models that the server started with.

        Args:
            path: the file.
            models: models that were read from it at start-up; it may have changed since.
        """
        self._path = path
        self._applied: str | None = None
        self._models = list(models)
        self._error = ""

    def poll(self, store: ModelStore) -> bool:
        """Reloads the file when its text has changed.

        An invalid file changes nothing. Its error is logged once, and it is applied again at the
        next poll, because a label may name a version that is still loading.

        Returns:
            whether a change of the file was applied.
        """
        text = self._read()
        if text is None:
            self._log_once(f"Cannot read the model config file {self._path}")
            return False
        if text == self._applied:
            return False
        try:
            models = parse_model_config(text, source=str(self._path))
            if not models:
                # Mostly a half-written file; TensorFlow Serving treats an empty configuration as no
                # change.
                self._log_once(f"The model config file {self._path} lists no model")
                return False
            if self._applied is None and models == self._models:
                self._applied = text
                return False
            store.reload(models)
        except LoadError as error:
            _log.error("%s", error)  # the configuration is in force nevertheless
        except BertServingError as error:
            self._log_once(str(error))
            return False
        self._applied, self._error = text, ""
        _log.info("Reloaded the model config file %s", self._path)
        return True

    def _log_once(self, text: str) -> None:
        if text != self._error:
            self._error = text
            _log.error("%s; the models stay as they are", text)

    def _read(self) -> str | None:
        try:
            return self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
