"""Publishing an export: verified again, then copied to where servers find it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_serving.errors import PublishError, VerificationError
from bert_serving.observer import Observer
from bert_serving.publishing.storage.file_sums import GRAPH_FILE, SUMS_FILE, FileSums
from bert_serving.publishing.storage.folder import publish_in_folder
from bert_serving.publishing.storage.location import Place
from bert_serving.publishing.storage.object_storage import publish_to_storage
from bert_serving.publishing.storage.package import Package, meter, pack
from bert_serving.saved_model.manifest import load_manifest


@dataclass(frozen=True)
class Destination:
    """Where a version goes.

    Attributes:
        models: the folder of models.
        name: the model's name on the server.
        version: its number there.
    """

    models: Place
    name: str
    version: int

    @property
    def model(self) -> Place:
        """The folder of the model's versions."""
        return self.models.below(self.name)

    @property
    def url(self) -> str:
        """The version's own folder, for people."""
        return f"{self.model.url}/{self.version}"


def destination_of(export: Path, models: Place, *, name: str | None = None, version: int | None = None) -> Destination:
    """Where an export goes: under the name and number of its manifest, unless others are given.

    Raises:
        PublishError: the folder is no export, or the number is none.
    """
    manifest = load_manifest(export)
    if manifest is None:
        raise PublishError(f"{export}: has no manifest (assets.extra/bert_serving.json); publish what export wrote")
    if version is not None and version < 1:
        raise PublishError(f"version {version} is not a positive integer; TensorFlow Serving wants one")
    return Destination(models, name or manifest.name, version or manifest.version)


def check_free(destination: Destination) -> None:
    """Makes sure before the long work that the storage answers and has no such version.

    Raises:
        PublishError: it does not, or it has.
    """
    destination.models.check()
    numbers = published_numbers(destination.model)
    if destination.version in numbers:
        raise PublishError(
            f"{destination.url}: version {destination.version} exists and is never overwritten; "
            f"give --version {max(numbers) + 1} for the next one"
        )


def published_numbers(model: Place) -> list[int]:
    """Versions of a model that are complete, ascending; in a folder all that have a number, as servers see it."""
    numbers = sorted(int(name) for name in model.names() if name.isascii() and name.isdigit())
    if model.folder is not None:
        return numbers
    return [number for number in numbers if GRAPH_FILE in model.below(str(number)).names()]


def already_published(export: Path, destination: Destination) -> bool:
    """Whether this very export is there under that number: an earlier publication came to its end."""
    there = destination.model.below(str(destination.version)).read(SUMS_FILE)
    if there is None or destination.version not in published_numbers(destination.model):
        return False
    return FileSums.parse(there, destination.url).same_model(pack(export, {}, lambda _: None).sums)


def verify_again(export: Path, observer: Observer) -> None:
    """Verifies an export in a fresh process.

    Raises:
        VerificationError: a check fails.
    """
    from bert_serving.saved_model.verification import verify

    with observer.stage("Verifying again in a fresh process"):
        result = verify.verify_in_fresh_process(export)
    if not result.passed:
        raise VerificationError(f"{export} was not published", result.problems)


def publish(
    export: Path, destination: Destination, record: Mapping[str, Any], *, take_over: bool = False, observer: Observer
) -> Package:
    """Copies a verified export to its destination: as a whole or not at all.

    Args:
        export: the version folder.
        destination: where it goes.
        record: what `assets.extra/publication.json` says besides name, version, time and person.
        take_over: do not mind the claim of another publisher on the storage.
        observer: told of the progress.

    Raises:
        PublishError: the version is there, another process publishes it, or the storage fails.
    """
    record = {"name": destination.name, "version": destination.version, **record}
    package = pack(export, record, lambda _: None)
    # Every byte goes there and is read back.
    total = 2 * package.size
    with observer.transfer(f"Publishing {package.size / 1e6:,.1f} MB to {destination.url}") as tell:
        progress = meter(total, tell)
        folder = destination.model.folder
        if folder is not None:
            publish_in_folder(package, folder, destination.version, progress)
        else:
            publish_to_storage(package, destination.model, destination.version, progress, take_over=take_over)
    return package
