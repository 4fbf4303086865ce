"""The numbered version folders under a base path."""

import logging
from pathlib import Path

from bert_serving import contract
from bert_serving.errors import InputError
from bert_serving.model_server.config.options import ModelConfig
from bert_serving.saved_model import versions

_log = logging.getLogger("bert_serving.model_server")


def version_folders(base_path: Path) -> dict[int, Path]:
    """Version folders of a model by number.

    Raises:
        InputError: the base path does not exist or cannot be read.
    """
    try:
        return versions.version_folders(base_path)
    except FileNotFoundError:
        raise InputError(f"The base path {base_path} does not exist: give the folder above its versions") from None
    except (OSError, ValueError) as error:
        raise _unreadable(base_path, error) from None


def warn_of_ignored(base_path: Path) -> None:
    """Logs the version folders that another one of the same number, such as 1 beside 001, keeps from being read."""
    names = versions.names_by_version(path.name for path in base_path.iterdir() if path.is_dir())
    for number, same_number in names.items():
        for name in same_number[:-1]:
            _log.warning(
                "version %d is read from %s; %s is ignored", number, base_path / same_number[-1], base_path / name
            )


def _unreadable(base_path: Path, error: OSError | ValueError) -> InputError:
    # Python raises ValueError for a path with a zero byte.
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InputError(f"Cannot read the base path {str(base_path)!r}: {reason}")


def lacks_version(config: ModelConfig) -> str:
    """Why a model has no version to load yet; empty when it has one.

    Raises:
        InputError: waiting would not help: the base path does not exist, or is a version itself.
    """
    try:
        is_version = (config.base_path / contract.GRAPH_FILE).is_file()
    except (OSError, ValueError) as error:
        raise _unreadable(config.base_path, error) from None
    if is_version:
        raise InputError(f"The base path {config.base_path} is itself a SavedModel: give the folder above its versions")
    version_folders(config.base_path)
    try:
        chosen_folders(config)
    except InputError as error:
        return str(error)
    return ""


def chosen_folders(config: ModelConfig) -> dict[int, Path]:
    """Folders of the versions that a model's policy selects, highest first.

    Raises:
        InputError: the base path does not exist, or holds no version that the policy selects.
    """
    folders = version_folders(config.base_path)
    chosen = config.policy.choose(list(folders))
    if not chosen:
        reason = "none of the versions asked for" if folders else "none of its subfolders is a number"
        raise InputError(f"No versions of servable {config.name} found under base path {config.base_path}: {reason}")
    return {version: folders[version] for version in chosen}
