"""Folders in the layout of the library sentence-transformers: a Transformer, a pooling, and perhaps more layers.

modules.json                         the modules in their order, each with its type and folder
config.json, or 0_Transformer/       the Transformer, a Hugging Face folder
1_Pooling/config.json                how its outputs become one vector
"""

import json
from pathlib import Path
from typing import Any

from bert_serving.contract import Pooling
from bert_serving.errors import EncoderError

_MODULES = "modules.json"
_CONFIG = "config.json"
_POOLINGS = {
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_max_tokens": Pooling.MAX,
}
_PREFIX = "pooling_mode_"
# Normalization to length 1 leaves the direction, from which a head learns.
_HARMLESS = ("Transformer", "Pooling", "Normalize")


def transformer_folder(folder: Path) -> Path:
    """The Transformer's own folder: that below a folder of this layout where it has one, else the folder itself."""
    for kind, path in _modules(folder):
        if kind == "Transformer" and (path / _CONFIG).is_file():
            return path
    return folder


def pooling_of(folder: Path) -> Pooling | None:
    """The pooling with which a model of this layout was trained; None for another folder.

    Raises:
        EncoderError: it is another one than cls, mean or max, or the file is damaged.
    """
    path = next((path / _CONFIG for kind, path in _modules(folder) if kind == "Pooling"), None)
    if path is None or not path.is_file():
        return None
    modes = [key for key, value in _read(path).items() if key.startswith(_PREFIX) and value is True]
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        named = " and ".join(mode.removeprefix(_PREFIX) for mode in modes) or "no mode that is known"
        raise EncoderError(
            f"{path}: pools by {named}, only cls, mean or max can be trained on; set head.pooling to one of them"
        )
    return _POOLINGS[modes[0]]


def left_out(folder: Path) -> list[str]:
    """Types of the modules that are not part of an encoder."""
    return [kind for kind, _ in _modules(folder) if kind not in _HARMLESS]


def _modules(folder: Path) -> list[tuple[str, Path]]:
    """Types of the modules, such as "Pooling", and their folders; none where a folder has another layout."""
    if not (folder / _MODULES).is_file():
        return []
    modules = _read(folder / _MODULES)
    try:
        found = [(str(module["type"]).rpartition(".")[2], str(module.get("path", ""))) for module in modules]
    except (AttributeError, KeyError, TypeError):
        raise EncoderError(f"{folder / _MODULES}: must list modules with type and path; fetch it again") from None
    if bad := [path for _, path in found if Path(path).is_absolute() or ".." in Path(path).parts]:
        raise EncoderError(f"{folder / _MODULES}: names {bad[0]!r}, a folder outside its own; fetch it again")
    return [(kind, folder / path) for kind, path in found]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise EncoderError(f"{path}: cannot read it: {error}; fetch it again") from None
