"""The model config file: a ModelServerConfig of TensorFlow Serving in protobuf text form."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig, ModelType

from bert_serving.errors import InputError
from bert_serving.model_server.config.options import ModelConfig, VersionPolicy, check_is_folder
from bert_serving.model_server.config.request_logging import model_logging
from bert_serving.model_server.config.text_protos import parse_config, read_config_file

_PLATFORM = "tensorflow"


def read_model_config_file(path: Path) -> list[ModelConfig]:
    """Models listed in a model config file.

    Raises:
        InputError: the file cannot be read or parsed, or an entry is not allowed.
    """
    config = read_config_file(path, ModelServerConfig(), kind="model config file")
    return _listed_models(config, str(path))


def parse_model_config(text: str, *, source: str) -> list[ModelConfig]:
    """Models listed in the text of a model config file; an empty list where it holds none.

    Raises:
        InputError: it cannot be parsed, or an entry is not allowed; the message names `source`.
    """
    return _listed_models(parse_config(text, ModelServerConfig(), source=source), source)


def _listed_models(config: Any, source: str) -> list[ModelConfig]:
    if config.WhichOneof("config") == "custom_model_config":
        raise InputError(f"{source}: custom_model_config is not supported; use model_config_list")
    return model_configs(config.model_config_list.config)


def model_configs(entries: Iterable[Any]) -> list[ModelConfig]:
    """Models for the entries of a ModelConfigList.

    Raises:
        InputError: an entry is not allowed, or a name comes twice.
    """
    configs: dict[str, ModelConfig] = {}
    for entry in entries:
        if entry.name in configs:
            raise InputError(f"Illegal to list model {entry.name} multiple times in config list")
        configs[entry.name] = _model_config(entry)
    return list(configs.values())


def _model_config(entry: Any) -> ModelConfig:
    if not entry.name:
        raise InputError("A model in the config list has no name: give each config a name")
    if not entry.model_platform and entry.model_type != ModelType.TENSORFLOW:
        raise InputError(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            f'model name is {entry.name}; set model_platform: "{_PLATFORM}"'
        )
    if entry.model_platform and entry.model_type:
        raise InputError(
            f"Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform for {entry.name}; "
            "leave model_type out"
        )
    if entry.model_platform not in ("", _PLATFORM):
        raise InputError(f"Model {entry.name} requests unsupported platform {entry.model_platform}")
    check_is_folder(entry.name, entry.base_path)
    if not Path(entry.base_path).is_absolute() or "\0" in entry.base_path:
        raise InputError(
            f"Expected model {entry.name} to have an absolute path or URI; got base_path()={entry.base_path}"
        )
    if "" in entry.version_labels:
        raise InputError(f"Model {entry.name} has a version label without a name: give each label a key")
    return ModelConfig(
        name=entry.name,
        base_path=Path(entry.base_path),
        policy=_policy(entry),
        labels=dict(entry.version_labels),
        logging=model_logging(entry),
    )


def _policy(entry: Any) -> VersionPolicy:
    policy = entry.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(latest=None)
        case "specific":
            if not policy.specific.versions:
                raise InputError(f"Model {entry.name} asks for specific versions, but lists none")
            return VersionPolicy(specific=tuple(policy.specific.versions))
        case "latest":
            # An unset num_versions reads as 0 and means the default, one.
            return VersionPolicy(latest=policy.latest.num_versions or 1)
    return VersionPolicy()
