"""The published versions of a model at a storage location."""

import json
from dataclasses import dataclass
from typing import Any

from bert_serving.contract import MANIFEST_FILE
from bert_serving.errors import PublishError
from bert_serving.publishing.storage.file_sums import GRAPH_FILE, PUBLICATION_FILE
from bert_serving.publishing.storage.location import Location


@dataclass(frozen=True)
class PublishedVersion:
    """A version at a storage location.

    Attributes:
        number: its version number.
        folder: name of its folder: the number, maybe with leading zeros.
        ignored: names of other folders of the same number, which servers ignore.
        size: size of its files in bytes.
        complete: whether servers can load it; False while it is being published or removed.
        metrics: scores in its manifest.
        published: time of publication, UTC; empty if `publish` did not publish it.
        forced: reason for publishing it although the gate failed; empty if it passed or was not
            checked.
    """

    number: int
    folder: str
    ignored: tuple[str, ...]
    size: int
    complete: bool
    metrics: dict[str, float]
    published: str
    forced: str


def published_versions(model: Location) -> list[PublishedVersion]:
    """All versions of a model, highest number first.

    Raises:
        PublishError: the storage does not answer, or the folder has no versions.
    """
    model.check()
    found = model.versions()
    if not found:
        raise PublishError(
            f"{model.url}: holds no versions; give the model's own folder, such as s3://bucket/models/NAME"
        )
    return [_version(model, number, names) for number, names in reversed(found.items())]


def published_numbers(model: Location) -> list[int]:
    """Ascending versions that servers see: in a folder all, in an object storage complete ones."""
    found = model.versions()
    if model.folder is not None:
        return list(found)
    return [number for number, names in found.items() if is_complete(model.below(names[-1]))]


def is_complete(version: Location) -> bool:
    """Whether a version folder has its saved_model.pb, the file that is written last and deleted first."""
    return GRAPH_FILE in version.names()


def _version(model: Location, number: int, names: list[str]) -> PublishedVersion:
    folder = model.below(names[-1])
    sizes = folder.sizes()
    manifest, record = (_json(folder.read(name)) for name in (MANIFEST_FILE, PUBLICATION_FILE))
    gate = record.get("gate") or {}
    return PublishedVersion(
        number=number,
        folder=names[-1],
        ignored=tuple(names[:-1]),
        size=sum(sizes.values()),
        complete=GRAPH_FILE in sizes,
        metrics={name: value for name, value in (manifest.get("metrics") or {}).items() if isinstance(value, float)},
        published=str(record.get("published", "")),
        forced="" if gate.get("passed") else str(gate.get("forced", "")),
    )


def _json(content: bytes | None) -> dict[str, Any]:
    try:
        value = json.loads(content or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
