"""`bert-serving prune`: removes old published versions that no server needs."""

from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.options import MODEL_NAME_HELP, PublishedArgument
from bert_serving.console import ConsoleObserver, show_lines


def prune(
    model: PublishedArgument,
    keep: Annotated[int, typer.Option(help="Number of the highest versions to keep.")] = 3,
    config: Annotated[
        Path | None, typer.Option(help="Path of the servers' models.config; versions that it lists or labels stay.")
    ] = None,
    server: Annotated[
        list[str] | None,
        typer.Option(help="Address of a server's gRPC port, host:port; versions AVAILABLE there stay. Repeatable."),
    ] = None,
    name: Annotated[str | None, typer.Option(help=MODEL_NAME_HELP, show_default="the folder's")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print which versions would be removed.")] = False,
) -> None:
    """Remove old published versions; versions that are labeled, listed or AVAILABLE stay."""
    from bert_serving.publishing.pruning import needed_versions, prunable, remove_leftovers, remove_version
    from bert_serving.publishing.published_versions import published_versions
    from bert_serving.publishing.rollout.models_config import ModelsConfig
    from bert_serving.publishing.rollout.server_group import ServerGroup
    from bert_serving.publishing.storage.location import open_location

    location = open_location(model)
    file = None if config is None else ModelsConfig.load(config)
    needed = needed_versions(name or location.name, file, ServerGroup(server or []))
    versions = published_versions(location)
    numbers = prunable(versions, keep, needed)
    freed = sum(version.size for version in versions if version.number in numbers) / 1e6
    listed = ", ".join(map(str, numbers)) or "none"
    if dry_run:
        show_lines(f"  would remove: {listed} ({freed:,.1f} MB)")
        return
    observer = ConsoleObserver()
    for number in numbers:
        with observer.stage(f"Removing {location.url}/{number}"):
            remove_version(location, number)
    remove_leftovers(location)
    show_lines(f"  removed: {listed} ({freed:,.1f} MB)")
