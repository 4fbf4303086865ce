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
        size: size of its files in bytes.
        complete: whether servers can load it; False while it is being published or removed.
        metrics: scores in its manifest.
        published: time of publication, UTC; empty if `publish` did not publish it.
        forced: reason for publishing it although the gate failed; empty if it passed or was not
            checked.
    """

    number: int
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
    numbers = model.numbers()
    if not numbers:
        raise PublishError(
            f"{model.url}: holds no versions; give the model's own folder, such as s3://bucket/models/NAME"
        )
    return [_version(model.below(str(number)), number) for number in reversed(numbers)]


def published_numbers(model: Location) -> list[int]:
    """Ascending versions that servers see: in a folder all, in an object storage complete ones."""
    numbers = model.numbers()
    return numbers if model.folder is not None else [number for number in numbers if is_complete(model, number)]


def is_complete(model: Location, number: int) -> bool:
    """Whether a version has its saved_model.pb, the file that is written last and deleted first."""
    return GRAPH_FILE in model.below(str(number)).names()


def _version(folder: Location, number: int) -> PublishedVersion:
    sizes = folder.sizes()
    manifest, record = (_json(folder.read(name)) for name in (MANIFEST_FILE, PUBLICATION_FILE))
    gate = record.get("gate") or {}
    return PublishedVersion(
        number=number,
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
