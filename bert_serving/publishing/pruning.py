"""Removal of old published versions that no server needs."""

import contextlib
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from bert_serving.errors import PublishError
from bert_serving.publishing.published_versions import PublishedVersion, is_complete
from bert_serving.publishing.rollout.models_config import ModelsConfig
from bert_serving.publishing.rollout.server_group import ServerGroup
from bert_serving.publishing.storage.file_sums import GRAPH_FILE
from bert_serving.publishing.storage.location import Location
from bert_serving.publishing.storage.publication_claim import CLAIM_FOLDER

_REMOVED = ".removed-"


def needed_versions(model: str, config: ModelsConfig | None, servers: ServerGroup) -> set[int]:
    """Versions that must stay: listed or labeled in models.config, or AVAILABLE on a server.

    Raises:
        PublishError: models.config does not list the model.
        ServerUnavailable: a server does not answer.
    """
    needed: set[int] = set()
    if config is not None:
        served = config.served(config.only_name(model))
        needed |= {*(served.versions or ()), *served.labels.values()}
    return needed.union(*servers.available(model).values())


def prunable(versions: Sequence[PublishedVersion], keep: int, needed: Collection[int]) -> list[int]:
    """Ascending versions to remove: complete, not among the `keep` highest, and not needed.

    Raises:
        PublishError: `keep` is less than 1.
    """
    if keep < 1:
        raise PublishError(f"--keep {keep}: keep at least 1 version")
    highest_first = sorted((version.number for version in versions if version.complete), reverse=True)
    return sorted(number for number in highest_first[keep:] if number not in needed)


def remove_version(model: Location, number: int) -> None:
    """Removes a version so that no server ever sees it incomplete: it first ceases to be a version.

    Raises:
        PublishError: it cannot be removed.
    """
    # The folder that servers read goes last; otherwise they would load another of the same number.
    for name in model.versions().get(number, ()):
        if model.folder is None:
            _remove_objects(model.below(name))
        else:
            _remove_folder(model.folder, name)


def _remove_folder(model: Path, name: str) -> None:
    removed = model / f"{_REMOVED}{name}"
    try:
        _delete(removed)
        (model / name).rename(removed)
        _delete(removed)
    except OSError as error:
        raise PublishError(
            f"{model / name}: cannot remove it: {error.strerror}; check the folder's permissions"
        ) from None


def _delete(folder: Path) -> None:
    """Deletes a folder, if it exists; of a symbolic link only the link."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


def remove_leftovers(model: Location) -> None:
    """Removes the files of interrupted publications and removals, unless one may be in progress.

    Raises:
        PublishError: the storage fails.
    """
    names = model.names()
    if model.folder is not None:
        for name in names:
            if name.startswith(_REMOVED):
                with contextlib.suppress(OSError):
                    _delete(model.folder / name)
        return
    folders = {number: model.below(same_number[-1]) for number, same_number in model.versions().items()}
    complete = [number for number, folder in folders.items() if is_complete(folder)]
    for number, folder in folders.items():
        claims = f"{CLAIM_FOLDER}{number}"
        if number in complete and claims in names:
            _remove_objects(model.below(claims))
        elif number not in complete and claims not in names and number < max(complete, default=0):
            _remove_objects(folder)


def _remove_objects(folder: Location) -> None:
    for name in sorted(folder.sizes(), key=lambda name: name != GRAPH_FILE):
        folder.remove(name)
