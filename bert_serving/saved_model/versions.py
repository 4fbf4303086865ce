"""Version folders: subfolders of a model's folder, named by a positive integer."""

from pathlib import Path

from bert_serving import contract
from bert_serving.errors import ExportError

_HIGHEST_VERSION = 2**63 - 1


def latest_version(folder: Path) -> Path:
    """The version folder: `folder` itself when it holds a SavedModel, else its highest version.

    Raises:
        ExportError: it holds neither.
    """
    if (folder / contract.GRAPH_FILE).is_file():
        return folder
    versions = [(number, path) for path, number in version_paths(folder) if path.is_dir()] if folder.is_dir() else []
    if not versions:
        raise ExportError(f"{folder}: neither a SavedModel nor a folder of versions; give what export wrote")
    return max(versions)[1]


def version_paths(folder: Path) -> list[tuple[Path, int]]:
    """Files and folders in `folder` that are named by a version number, with that number."""
    numbers = ((path, version_number(path.name)) for path in folder.iterdir())
    return [(path, number) for path, number in numbers if number is not None]


def version_number(name: str) -> int | None:
    """The version that a name of decimal digits stands for; None unless it fits into an int64."""
    # isdigit alone accepts characters such as "²".
    if not (name.isascii() and name.isdigit()) or int(name) > _HIGHEST_VERSION:
        return None
    return int(name)
