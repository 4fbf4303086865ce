"""Version folders: subfolders of a model's folder, named by a positive integer."""

from pathlib import Path

from bert_serving import contract
from bert_serving.errors import ExportError


def latest_version(folder: Path) -> Path:
    """The version folder that `folder` stands for: itself when it holds a SavedModel, else its highest version.

    Raises:
        ExportError: it holds neither.
    """
    if (folder / contract.GRAPH_FILE).is_file():
        return folder
    versions = [path for path in numbered(folder) if path.is_dir()]
    if not versions:
        raise ExportError(f"{folder}: neither a SavedModel nor a folder of versions; give what export wrote")
    return max(versions, key=lambda path: int(path.name))


def numbered(folder: Path) -> list[Path]:
    """Files and folders in a folder that are named by a number."""
    paths = folder.iterdir() if folder.is_dir() else ()
    # isdigit alone would accept characters such as "²".
    return [path for path in paths if path.name.isascii() and path.name.isdigit()]
