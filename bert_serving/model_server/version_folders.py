"""The numbered version folders under a base path."""

import re
from pathlib import Path

from bert_serving.errors import InputError
from bert_serving.model_server.options import ModelConfig

_NUMBER = re.compile(r"[0-9]+")
_HIGHEST = 2**63 - 1


def version_folders(base_path: Path) -> dict[int, Path]:
    """Version number to folder; anything that is not a folder named by a plain number is left out.

    Raises:
        InputError: there is no such base path, or it cannot be read.
    """
    try:
        children = sorted(base_path.iterdir())
    except FileNotFoundError:
        raise InputError(f"The base path {base_path} does not exist: give the folder above its versions") from None
    except OSError as error:
        raise InputError(f"Cannot list the base path {base_path}: {error.strerror}") from None
    return {
        int(child.name): child
        for child in children
        if _NUMBER.fullmatch(child.name) and int(child.name) <= _HIGHEST and child.is_dir()
    }


def lacks_version(config: ModelConfig) -> str:
    """Why a model cannot be loaded yet although one may wait for it; empty when it can.

    Raises:
        InputError: waiting is in vain: there is no such base path, or it is a version itself.
    """
    if (config.base_path / "saved_model.pb").is_file():
        raise InputError(f"The base path {config.base_path} is itself a SavedModel: give the folder above its versions")
    version_folders(config.base_path)
    try:
        chosen_folders(config)
    except InputError as error:
        return str(error)
    return ""


def chosen_folders(config: ModelConfig) -> dict[int, Path]:
    """The versions that a model's policy chooses, highest first.

    Raises:
        InputError: there is no such base path, or the policy finds no version in it.
    """
    folders = version_folders(config.base_path)
    chosen = config.policy.choose(list(folders))
    if not chosen:
        reason = "none of the versions asked for" if folders else "none of its subfolders is a number"
        raise InputError(f"No versions of servable {config.name} found under base path {config.base_path}: {reason}")
    return {version: folders[version] for version in chosen}
