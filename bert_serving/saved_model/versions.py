"""Version folders: named by a positive integer, beside each other in the folder of their model."""

from pathlib import Path

from bert_serving import contract
from bert_serving.errors import ExportError


def latest_version(folder: Path) -> Path:
    """The version folder meant by `folder`: itself when it holds a SavedModel, else its highest version.

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
    """What lies in a folder under a number."""
    # isdigit alone would let pass characters such as "²", which are no numbers.
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if path.name.isascii() and path.name.isdigit()]
