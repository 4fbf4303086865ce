"""`bert-serving label`: which version each label leads to, in models.config and on running servers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console
from bert_serving.cli.versions import CONFIG_HELP, SERVER_HELP, addresses

if TYPE_CHECKING:
    from bert_serving.publishing.rollout.models_config import ModelsConfig

MODEL_HELP = "Name of the model; needed when the file lists several."
TIMEOUT_HELP = "Seconds for a version to become AVAILABLE."


def label(
    labels: Annotated[
        list[str] | None,
        typer.Argument(
            help="label=version, such as stable=7; canary= takes a label away.", metavar="[LABEL=VERSION]..."
        ),
    ] = None,
    config: Annotated[Path, typer.Option(help=CONFIG_HELP)] = Path("models.config"),
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    server: Annotated[list[str] | None, typer.Option(help=SERVER_HELP)] = None,
    at: Annotated[
        str | None, typer.Option(help="Where the versions are published, folder or URL of the model.")
    ] = None,
    load: Annotated[list[int] | None, typer.Option(help="Load a version without a label. Repeatable.")] = None,
    timeout: Annotated[float, typer.Option(help=TIMEOUT_HELP)] = 300.0,
) -> None:
    """Load versions and move labels, in the order that no server refuses."""
    from bert_serving.errors import PublishError
    from bert_serving.publishing.rollout.models_config import ModelsConfig, parse_labels

    if not labels and not load:
        raise PublishError("nothing to do; give label=version such as stable=7, or --load 8")
    file = ModelsConfig.load(config)
    name = file.only_name(model)
    wanted = parse_labels(labels or (), file.served(name).labels)
    change_labels(config, file, name, wanted, servers=server, at=at, load=load or [], timeout=timeout)


def change_labels(
    config: Path,
    file: "ModelsConfig",
    name: str,
    wanted: dict[str, int],
    *,
    servers: list[str] | None,
    at: str | None,
    load: list[int],
    timeout: float,
    remember: bool = True,
) -> None:
    """Checks all that can be checked, then takes the steps.

    Raises:
        PublishError: a version is not published, or a step would be refused; nothing has changed.
        RolloutError: a server did not follow; everything is as before.
    """
    from bert_serving.errors import PublishError
    from bert_serving.publishing.rollout.models_config import plan
    from bert_serving.publishing.rollout.rollout import ServerGroup, follow, record_move

    now = file.served(name)
    _check_published(file, name, {*wanted.values(), *load}, at)
    group = ServerGroup(addresses(servers), timeout)
    try:
        available = group.available(name)
        loaded = now.versions
        if loaded is None:
            loaded = tuple(sorted({number for numbers in available.values() for number in numbers}))
        steps = plan(now, loaded, wanted, load=load)
        added = sorted({*wanted.values(), *load} - set(loaded))
        if not group.addresses and added and wanted != now.labels:
            raise PublishError(
                f"{config} does not load version {added[0]} yet, and a server refuses a label of a version that it has not "
                f"loaded; give --server, or first `bert-serving label --load {added[0]}`, and move the label when servers have it"
            )
        if not steps:
            console.print(f"  nothing to do: {now}", soft_wrap=True, markup=False)
            return
        end = follow(config, file, name, steps, group, ConsoleObserver())
    finally:
        group.close()
    if remember and wanted != now.labels:
        record_move(config, name, now, end.served(name))
    console.print(f"  {name}: {end.served(name)}", soft_wrap=True, markup=False)


def _check_published(file: "ModelsConfig", name: str, versions: set[int], at: str | None) -> None:
    """Where the versions can be seen from here."""
    from bert_serving.errors import PublishError
    from bert_serving.publishing.publication import published_numbers
    from bert_serving.publishing.storage.location import open_place

    base = at or file.base_path(name)
    if at is None and not Path(base).is_dir():
        return
    place = open_place(base)
    place.check()
    published = published_numbers(place)
    for version in sorted(versions):
        if version not in published:
            listed = ", ".join(map(str, published)) or "none"
            raise PublishError(f"{base}: there is no version {version}; published are {listed}")
