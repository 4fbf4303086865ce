"""Publication of an export: verification, gate, and the copy that servers load."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_serving import names
from bert_serving.errors import PublishError, VerificationError
from bert_serving.observer import Observer
from bert_serving.publishing.published_versions import published_numbers
from bert_serving.publishing.rollout.candidate import evaluate_candidate
from bert_serving.publishing.rollout.gate import GateReport, GateRules
from bert_serving.publishing.storage.address import check_names
from bert_serving.publishing.storage.file_sums import SUMS_FILE, FileSums
from bert_serving.publishing.storage.folder import publish_in_folder
from bert_serving.publishing.storage.location import Location
from bert_serving.publishing.storage.object_storage import publish_to_storage
from bert_serving.publishing.storage.package import Package, byte_counter, pack
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.versions import version_folders


@dataclass(frozen=True)
class PublicationTarget:
    """Where a version is published.

    Attributes:
        models: location of the folder of models.
        name: the model's name on the server.
        version: its version number there.
    """

    models: Location
    name: str
    version: int

    @property
    def model(self) -> Location:
        """Location of the model's versions."""
        return self.models.below(self.name)

    @property
    def url(self) -> str:
        """URL or path of the version, for messages."""
        return f"{self.model.url}/{self.version}"


def publication_target(
    export: Path, models: Location, *, name: str | None = None, version: int | None = None
) -> PublicationTarget:
    """The target of an export.

    Args:
        export: the version folder.
        models: location of the folder of models.
        name: name on the server; None for the manifest's.
        version: version number; None for the manifest's.

    Raises:
        PublishError: the folder is not an export, or the storage or servers do not accept a name or the version.
    """
    check_names(models.url)
    manifest = load_manifest(export)
    if manifest is None:
        raise PublishError(
            f"{export}: has no manifest (assets.extra/bert_serving.json); give a version folder that export wrote"
        )
    target = PublicationTarget(
        models, manifest.name if name is None else name, manifest.version if version is None else version
    )
    if problem := names.MODEL.problem(target.name):
        raise PublishError(f"{problem}; give it with --name")
    if not 1 <= target.version <= names.HIGHEST_VERSION:
        raise PublishError(
            f"version {target.version} is not a positive integer up to {names.HIGHEST_VERSION}; choose another --version"
        )
    return target


def check_free(target: PublicationTarget) -> None:
    """Checks, before the long work, that the storage answers and does not hold the version yet.

    Raises:
        PublishError: it does not answer, or it holds the version.
    """
    target.models.check()
    found = target.model.versions()
    # A folder of this very name that no server reads yet is what is left of an interrupted publication.
    others = [name for name in found.get(target.version, ()) if name != str(target.version)]
    if others or target.version in published_numbers(target.model):
        raise PublishError(
            f"{target.model.url}/{others[-1] if others else target.version}: version {target.version} exists "
            f"and is never overwritten; give --version {max(found) + 1} for the next one"
        )


def already_published(export: Path, target: PublicationTarget) -> bool:
    """Whether the target holds exactly this export: an earlier publication was completed.

    Raises:
        PublishError: the storage fails, or a file cannot be read.
    """
    if target.version not in published_numbers(target.model):
        return False
    sums = target.model.below(target.model.versions()[target.version][-1]).read(SUMS_FILE)
    if sums is None:
        return False
    return FileSums.parse(sums, target.url).same_model(pack(export, {}).sums)


def verify_again(export: Path, observer: Observer) -> None:
    """Verifies an export in a fresh process.

    Raises:
        VerificationError: a check fails.
    """
    from bert_serving.saved_model.verification import verify  # noqa: PLC0415  imports TensorFlow

    with observer.stage("Verifying again in a fresh process"):
        result = verify.verify_in_fresh_process(export)
    if not result.passed:
        raise VerificationError(f"{export} was not published", result.problems)


def published_baseline(target: PublicationTarget) -> str | None:
    """Folder of the highest published version, to compare with; None for object storages."""
    folder = target.model.folder
    found = version_folders(folder) if folder is not None and folder.is_dir() else {}
    return str(found[max(found)]) if found else None


def publish_checked(
    export: Path,
    target: PublicationTarget,
    *,
    rules: GateRules | None = None,
    baseline: str | None = None,
    forced: str = "",
    take_over: bool = False,
    observer: Observer,
    show_gate: Callable[[GateReport], None] = lambda _: None,
) -> GateReport | None:
    """Verifies an export, checks it against a gate, and publishes it completely or not at all.

    Args:
        export: the version folder.
        target: where to publish it.
        rules: the gate; None to publish without one.
        baseline: the serving version as `open_model` takes it; None for the highest version at the
            target, if that is a folder.
        forced: reason for publishing the export even if the gate fails; recorded.
        take_over: ignore the claim of another publisher on an object storage.
        observer: told of the progress.
        show_gate: called with the gate's report before a failed gate ends the publication.

    Returns:
        the gate's report; None without a gate.

    Raises:
        PublishError: the version exists, or the storage fails.
        VerificationError: a check fails.
        GateError: a rule of the gate fails and the publication is not forced.
    """
    check_free(target)
    verify_again(export, observer)
    report = None
    if rules is not None:
        report = evaluate_candidate(rules, export, baseline or published_baseline(target), forced, observer)
        show_gate(report)
        report.raise_if_failed(str(export))
    publish(
        export, target, {"gate": None if report is None else report.record()}, take_over=take_over, observer=observer
    )
    return report


def publish(
    export: Path,
    target: PublicationTarget,
    record: Mapping[str, Any],
    *,
    take_over: bool = False,
    observer: Observer,
) -> Package:
    """Copies a verified export to its target, completely or not at all.

    Args:
        export: the version folder.
        target: where to publish it.
        record: content of `assets.extra/publication.json` besides name, version, time and user.
        take_over: ignore the claim of another publisher on an object storage.
        observer: told of the progress.

    Raises:
        PublishError: the version exists, another process is publishing it, or the storage fails.
    """
    package = pack(export, {"name": target.name, "version": target.version, **record})
    # Every byte is written and read back.
    total = 2 * package.size
    with observer.transfer(f"Publishing {package.size / 1e6:,.1f} MB to {target.url}") as report:
        progress = byte_counter(total, report)
        folder = target.model.folder
        if folder is not None:
            publish_in_folder(package, folder, target.version, progress)
        else:
            publish_to_storage(package, target.model, target.version, progress, take_over=take_over)
    return package
