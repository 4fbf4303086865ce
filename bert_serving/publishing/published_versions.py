"""The versions that lie at a place: what is there, what of it may go, and its removal."""

import json
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bert_serving.contract import MANIFEST_FILE
from bert_serving.errors import PublishError
from bert_serving.publishing.storage.file_sums import GRAPH_FILE, PUBLICATION_FILE
from bert_serving.publishing.storage.location import Place

_REMOVED = ".removed-"
_PUBLISHING = ".publishing-"


@dataclass(frozen=True)
class PublishedVersion:
    """A version at its place.

    Attributes:
        number: its number.
        size: bytes of its files.
        complete: whether servers can load it; one that is being published, or removed, is not.
        metrics: scores of its manifest.
        published: when, UTC; empty when it was not published by `publish`.
        forced: the reason for publishing it although the gate said no.
    """

    number: int
    size: int
    complete: bool
    metrics: dict[str, float]
    published: str
    forced: str


def published_versions(model: Place) -> list[PublishedVersion]:
    """All versions of a model, highest first.

    Raises:
        PublishError: the storage does not answer, or there is no such model.
    """
    model.check()
    numbers = [int(name) for name in model.names() if name.isascii() and name.isdigit()]
    if not numbers:
        raise PublishError(
            f"{model.url}: holds no versions; give the model's own folder, such as s3://bucket/models/NAME"
        )
    return [_version(model.below(str(number)), number) for number in sorted(numbers, reverse=True)]


def prunable(versions: Sequence[PublishedVersion], keep: int, needed: Collection[int]) -> list[int]:
    """Which versions may go, ascending: all complete ones but the `keep` highest and those that are needed.

    Raises:
        PublishError: `keep` is less than 1.
    """
    if keep < 1:
        raise PublishError(f"--keep {keep}: keep at least 1 version")
    highest_first = sorted((version.number for version in versions if version.complete), reverse=True)
    return sorted(number for number in highest_first[keep:] if number not in needed)


def remove_version(model: Place, number: int) -> None:
    """Removes a version: first what makes it one, so that no server finds half of it.

    Raises:
        PublishError: it cannot be removed.
    """
    if model.folder is None:
        _remove_objects(model.below(str(number)))
        return
    try:
        removed = model.folder / f"{_REMOVED}{number}"
        if removed.exists():
            shutil.rmtree(removed)
        (model.folder / str(number)).rename(removed)
        shutil.rmtree(removed)
    except OSError as error:
        raise PublishError(f"{model.url}/{number}: cannot remove it: {error.strerror}") from None


def remove_leftovers(model: Place) -> None:
    """Removes what publishers and removers that died left behind; what may still be published stays."""
    names = model.names()
    if model.folder is not None:
        for name in names:
            if name.startswith(_REMOVED):
                shutil.rmtree(model.folder / name, ignore_errors=True)
        return
    numbers = sorted(int(name) for name in names if name.isascii() and name.isdigit())
    complete = [number for number in numbers if GRAPH_FILE in model.below(str(number)).names()]
    claimed = {name.removeprefix(_PUBLISHING) for name in names if name.startswith(_PUBLISHING)}
    for number in numbers:
        if number in complete and str(number) in claimed:
            _remove_objects(model.below(f"{_PUBLISHING}{number}"))
        elif number not in complete and str(number) not in claimed and number < max(complete, default=0):
            _remove_objects(model.below(str(number)))


def _remove_objects(folder: Place) -> None:
    names = sorted(folder.sizes(), key=lambda name: name != GRAPH_FILE)
    for name in names:
        folder.remove(name)


def _version(folder: Place, number: int) -> PublishedVersion:
    sizes = folder.sizes()
    manifest, record = (_json(folder.read(name)) for name in (MANIFEST_FILE, PUBLICATION_FILE))
    scores = manifest.get("metrics")
    gate = record.get("gate") or {}
    return PublishedVersion(
        number=number,
        size=sum(sizes.values()),
        complete=GRAPH_FILE in sizes,
        metrics={name: value for name, value in (scores or {}).items() if isinstance(value, float)},
        published=str(record.get("published", "")),
        forced="" if gate.get("passed") else str(gate.get("forced", "")),
    )


def _json(content: bytes | None) -> dict:
    try:
        value = json.loads(content or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
