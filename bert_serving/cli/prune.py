"""`bert-serving prune`: removes old versions that nobody needs."""

from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console
from bert_serving.cli.versions import CONFIG_HELP, SERVER_HELP, addresses


def prune(
    model: Annotated[str, typer.Argument(help="The model's folder, or its URL: s3://bucket/models/NAME.")],
    keep: Annotated[int, typer.Option(help="So many of the highest versions stay.")] = 3,
    config: Annotated[Path | None, typer.Option(help=f"{CONFIG_HELP} What it lists and labels stays.")] = None,
    server: Annotated[list[str] | None, typer.Option(help=f"{SERVER_HELP} What is AVAILABLE there stays.")] = None,
    name: Annotated[str | None, typer.Option(help="The model's name there.", show_default="the folder's")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove all but the highest versions; what is labeled, listed or AVAILABLE stays."""
    from bert_serving.publishing.published_versions import (
        prunable,
        published_versions,
        remove_leftovers,
        remove_version,
    )
    from bert_serving.publishing.rollout.models_config import ModelsConfig
    from bert_serving.publishing.rollout.rollout import ServerGroup
    from bert_serving.publishing.storage.location import open_place

    place = open_place(model)
    name = name or place.name
    needed: set[int] = set()
    if config is not None:
        file = ModelsConfig.load(config)
        served = file.served(file.only_name(name))
        needed |= {*(served.versions or ()), *served.labels.values()}
    for numbers in ServerGroup(addresses(server)).available(name).values():
        needed |= set(numbers)
    found = published_versions(place)
    going = prunable(found, keep, needed)
    sizes = {each.number: each.size for each in found}
    freed = sum(sizes[number] for number in going) / 1e6
    listed = ", ".join(map(str, going)) or "none"
    if dry_run:
        console.print(f"  would remove: {listed} ({freed:,.1f} MB)", soft_wrap=True, markup=False)
        return
    observer = ConsoleObserver()
    for number in going:
        with observer.stage(f"Removing {place.url}/{number}"):
            remove_version(place, number)
    remove_leftovers(place)
    console.print(f"  removed: {listed} ({freed:,.1f} MB)", soft_wrap=True, markup=False)
