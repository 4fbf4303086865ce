"""Folders of text files: one text a file, with the label of the folder that it lies in.

Read as Keras' `text_dataset_from_directory` does: nested folders belong to the label folder, `.txt` in any case ends a
name, links to folders are not followed. Unlike there, hidden files and `__MACOSX` are no texts, and `unsup` has no label.
"""

import os
from pathlib import Path

from bert_serving.data.file_text import read_text
from bert_serving.data.reading import Reading
from bert_serving.errors import DataError
from bert_serving.wording import counted, listed

UNLABELED_FOLDER = "unsup"
"""texts without a label in the layout of aclImdb"""
_ARCHIVE_FOLDER = "__MACOSX"
"""macOS' companions of the files in a zip archive"""
_SPLIT_NAMES = {"train", "training", "test", "testing", "valid", "validation", "val", "dev", "eval"}


def text_files(folder: Path, reading: Reading) -> list[Path]:
    """The text files in a folder and the folders below it, by name; the others are counted as left out.

    Raises:
        DataError: the folder cannot be read.
    """
    texts = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        is_hidden = any(map(_is_hidden, Path(parent).relative_to(folder).parts))
        for name in files:
            if is_hidden or _is_hidden(name):
                reading.leave_out("hidden file")
            elif name.lower().endswith(".txt"):
                texts.append(Path(parent, name))
            else:
                reading.leave_out("non-.txt file")
        reading.leave_out("linked folder", sum(Path(parent, name).is_symlink() for name in folders))
    return sorted(texts)


def read_label_folders(path: Path, reading: Reading) -> list[tuple[str, str, str]]:
    """The position, text and label of each text file, by folder and name.

    Raises:
        DataError: there are no label folders, one has no text file, the folders are those of splits, or a file is not UTF-8.
    """
    folders = []
    for entry in sorted(path.iterdir()):
        if not entry.is_dir():
            reading.leave_out("hidden file" if _is_hidden(entry.name) else "unlabeled file")
        elif entry.name == UNLABELED_FOLDER:
            reading.leave_out(f"{UNLABELED_FOLDER}/ text", len(text_files(entry, reading)))
        elif _is_hidden(entry.name):
            reading.leave_out("hidden file", sum(map(len, (files for _, _, files in os.walk(entry)))))
        else:
            folders.append(entry)
    if not folders:
        raise DataError(f"{path}: has no label folders; make one sub-folder of .txt files for each label")
    files_of = {folder: text_files(folder, reading) for folder in folders}
    _check_layout(path, files_of)
    rows = []
    for folder, files in files_of.items():
        for file in files:
            # The line break at the end of a text file does not belong to the text.
            text = read_text(file, reading).removesuffix("\n").removesuffix("\r")
            rows.append((str(file.relative_to(path)), text, folder.name))
    nested = sum(file.parent != folder for folder, files in files_of.items() for file in files)
    if nested:
        reading.repair(
            f"{path.name}: {counted(nested, 'text')} in nested folders have the label of the folder at the top"
        )
    return rows


def _check_layout(path: Path, files_of: dict[Path, list[Path]]) -> None:
    for folder, files in files_of.items():
        if not files:
            raise DataError(f"{folder}: this label folder has no .txt files; add some or remove it")
    names = [folder.name for folder in files_of]
    are_nested = all(file.parent != folder for folder, files in files_of.items() for file in files)
    if are_nested and {name.lower() for name in names} <= _SPLIT_NAMES:
        raise DataError(
            f"{path}: its folders {listed(names)} are splits, not labels; name each as a split of its own, such as "
            f"data.train = {str(path / names[0])!r}"
        )


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == _ARCHIVE_FOLDER


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read: {error.strerror}; check the path") from None
