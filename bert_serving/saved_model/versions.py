"""Version folders: subfolders of a model's folder whose names are version numbers."""

from collections.abc import Iterable
from pathlib import Path

from bert_serving import contract
from bert_serving.errors import ExportError
from bert_serving.names import version_number


def latest_version(folder: Path) -> Path:
    """The version folder: `folder` itself when it holds a SavedModel, else its highest version.

    Raises:
        ExportError: it holds neither.
    """
    if (folder / contract.GRAPH_FILE).is_file():
        return folder
    folders = version_folders(folder) if folder.is_dir() else {}
    if not folders:
        raise ExportError(f"{folder}: neither a SavedModel nor a folder of versions; give what export wrote")
    return folders[max(folders)]


def version_folders(folder: Path) -> dict[int, Path]:
    """The version folders in `folder` by ascending number; symbolic links to folders are folders.

    Raises:
        OSError: `folder` cannot be read.
    """
    names = names_by_version(path.name for path in folder.iterdir() if path.is_dir())
    return {number: folder / same_number[-1] for number, same_number in names.items()}


def names_by_version(names: Iterable[str]) -> dict[int, list[str]]:
    """Names that are version numbers, by ascending number.

    Of several names of one number, such as "1" and "001", TensorFlow Serving reads the last in their order and ignores
    the others; here, too, the last counts.
    """
    found: dict[int, list[str]] = {}
    for name in sorted(names):
        if (number := version_number(name)) is not None:
            found.setdefault(number, []).append(name)
    return dict(sorted(found.items()))
