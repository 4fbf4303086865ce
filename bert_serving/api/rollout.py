"""The steps of a rollout: publish an export, load it under a label, make it stable, roll back, remove old versions."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bert_serving.api.export import Export
from bert_serving.api.progress import observer_of
from bert_serving.errors import InputError
from bert_serving.observer import Observer
from bert_serving.publishing import pruning, publication
from bert_serving.publishing.published_versions import PublishedVersion, published_versions
from bert_serving.publishing.rollout.gate import GateReport, load_gate
from bert_serving.publishing.rollout.models_config import ModelsConfig, ServedVersions
from bert_serving.publishing.rollout.rollout import Rollout
from bert_serving.publishing.rollout.server_group import ServerGroup
from bert_serving.publishing.storage.location import open_location
from bert_serving.saved_model.versions import latest_version


@dataclass(frozen=True)
class Publication:
    """A published version.

    Attributes:
        url: where servers load it from.
        gate: the report of the gate; None without a gate, and for a version that was there already.
        is_new: whether it was copied; False where the target held this export already.

    ```python
    import bert_serving as bs

    publication = bs.publish("models/tiny", to="published")
    print(publication.url, publication.is_new)
    ```
    """

    url: str
    gate: GateReport | None = None
    is_new: bool = True


def publish(
    export: Export | str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    name: str | None = None,
    version: int | None = None,
    gate: str | os.PathLike[str] | None = None,
    against: str | None = None,
    force: str | None = None,
    take_over: bool = False,
    progress: bool | Observer | None = None,
) -> Publication:
    """Verifies an export again, checks it against a gate, and copies it to where servers load it, completely or not at all.

    Args:
        export: an `Export`, its version folder, or a folder of versions, of which the highest is published.
        to: folder of models, or its URL: s3://bucket/models, gs://bucket/models.
        name: name of the model; None for the manifest's.
        version: version number; None for the manifest's.
        gate: gate file (TOML) with the rules that the export must meet.
        against: the serving version for the gate to compare with, as `load` takes it; None for the highest version at `to`, if that
            is a folder.
        force: reason for publishing it even if the gate fails, which is recorded.
        take_over: continue an upload that another machine has interrupted.
        progress: whether to print the progress, or an observer; None prints it in a notebook and on a terminal.

    Raises:
        PublishError: the version exists with other content, or the storage fails.
        GateError: a rule of the gate fails.
        VerificationError: the export fails a check.

    ```python
    import bert_serving as bs

    print(bs.publish("models/tiny", to="published").url)
    ```
    """
    if gate is None and (force is not None or against is not None):
        raise InputError("force and against need a gate; give the gate file, or leave them out")
    if force is not None and not force.strip():
        raise InputError("force needs a reason, which is recorded; got an empty one")
    rules = None if gate is None else load_gate(Path(gate))
    folder = export.path if isinstance(export, Export) else latest_version(Path(export))
    target = publication.publication_target(folder, open_location(os.fspath(to)), name=name, version=version)
    target.models.check()
    if publication.already_published(folder, target):
        return Publication(target.url, is_new=False)
    report = publication.publish_checked(
        folder,
        target,
        rules=rules,
        baseline=against,
        forced=force or "",
        take_over=take_over,
        observer=observer_of(progress),
    )
    return Publication(target.url, report)


def versions(model: str | os.PathLike[str]) -> list[PublishedVersion]:
    """The published versions of a model, highest first.

    Args:
        model: the model's folder, or its URL such as s3://bucket/models/emotion.

    Raises:
        PublishError: the storage does not answer, or the folder has no versions.

    ```python
    import bert_serving as bs

    print([version.number for version in bs.versions("models/tiny")])
    ```
    """
    return published_versions(open_location(os.fspath(model)))


def label(
    labels: Mapping[str, int | None],
    config: str | os.PathLike[str] = "models.config",
    *,
    model: str | None = None,
    servers: Sequence[str] = (),
    at: str | None = None,
    load: Sequence[int] = (),
    timeout: float = 300.0,
    progress: bool | Observer | None = None,
) -> ServedVersions:
    """Loads versions and changes version labels in models.config and on running servers; if one fails, all are reset.

    Args:
        labels: version by label, such as {"stable": 7, "canary": 8}; None removes a label.
        config: models.config.
        model: name of the model; None for the only one that the file lists.
        servers: host:port of the gRPC ports.
        at: folder or URL of the published versions; None for the model's base_path.
        load: versions to load without a label.
        timeout: seconds for a version to become AVAILABLE.
        progress: whether to print the progress, or an observer; None prints it in a notebook and on a terminal.

    Returns:
        the model's versions and labels now.

    Raises:
        PublishError: a version is not published, or a server would refuse a step; nothing has changed.
        RolloutError: a server failed; everything is as before.

    ```python
    import bert_serving as bs

    print(bs.label({"stable": 1}, "models.config", at="models/tiny").labels)
    ```
    """
    changes = [f"{name}={'' if version is None else version}" for name, version in labels.items()]
    rollout = Rollout(Path(config), ServerGroup(servers, timeout), model, at, observer_of(progress))
    return rollout.change_labels(changes, load)[1]


def rollback(
    config: str | os.PathLike[str] = "models.config",
    *,
    model: str | None = None,
    servers: Sequence[str] = (),
    at: str | None = None,
    timeout: float = 300.0,
    progress: bool | Observer | None = None,
) -> ServedVersions:
    """Reverts the last change of version labels; the next call reverts the one before it.

    Arguments, result and errors are those of `label`.

    ```python
    import bert_serving as bs

    bs.label({"stable": 1}, "models.config", at="models/tiny")
    print(bs.rollback("models.config", at="models/tiny").labels)
    ```
    """
    rollout = Rollout(Path(config), ServerGroup(servers, timeout), model, at, observer_of(progress))
    return rollout.roll_back()[1]


def prune(
    model: str | os.PathLike[str],
    *,
    keep: int,
    config: str | os.PathLike[str] | None = None,
    servers: Sequence[str] = (),
    dry_run: bool = False,
) -> list[int]:
    """Removes old published versions that no models.config and no server needs.

    Args:
        model: the model's folder, or its URL such as s3://bucket/models/emotion.
        keep: number of the highest versions to keep.
        config: models.config, whose versions and labels are kept.
        servers: host:port of the gRPC ports, whose AVAILABLE versions are kept.
        dry_run: remove nothing.

    Returns:
        the versions that were removed, or would be, ascending.

    Raises:
        PublishError: `keep` is less than 1, or the storage fails.
        ServerUnavailable: a server does not answer.

    ```python
    import bert_serving as bs

    print(bs.prune("models/tiny", keep=3, dry_run=True))
    ```
    """
    location = open_location(os.fspath(model))
    published = published_versions(location)
    listed = None if config is None else ModelsConfig.load(Path(config))
    group = ServerGroup(servers)
    try:
        needed = pruning.needed_versions(location.name, listed, group)
    finally:
        group.close()
    numbers = pruning.prunable(published, keep, needed)
    if not dry_run:
        for number in numbers:
            pruning.remove_version(location, number)
        pruning.remove_leftovers(location)
    return numbers
