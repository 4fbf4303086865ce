"""`bert-serving label` and `rollback`: version labels in models.config and on running servers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.options import MODEL_NAME_HELP, LoadTimeout, ModelsConfigOption, PublishedAt, Servers
from bert_serving.console import ConsoleObserver, show_lines

if TYPE_CHECKING:
    from bert_serving.publishing.rollout.models_config import ServedVersions
    from bert_serving.publishing.rollout.rollout import Rollout

ModelName = Annotated[
    str | None, typer.Option("--model", help=MODEL_NAME_HELP, show_default="the only model that the file lists")
]


def label(
    labels: Annotated[
        list[str] | None,
        typer.Argument(help="label=version, such as stable=7; canary= removes a label.", metavar="[LABEL=VERSION]..."),
    ] = None,
    config: ModelsConfigOption = Path("models.config"),
    model: ModelName = None,
    server: Servers = None,
    at: PublishedAt = None,
    load: Annotated[
        list[int] | None, typer.Option(help="Number of a version to load without a label. Repeatable.")
    ] = None,
    timeout: LoadTimeout = 300.0,
) -> None:
    """Load versions and change version labels, in models.config and on running servers.

    Each step waits until all servers have followed; if one fails, every server and the file are
    reset.
    """
    _show(_rollout(config, model, server, at, timeout).change_labels(labels or [], load or []))


def rollback(
    config: ModelsConfigOption = Path("models.config"),
    model: ModelName = None,
    server: Servers = None,
    at: PublishedAt = None,
    timeout: LoadTimeout = 300.0,
) -> None:
    """Revert the last change of version labels; run it again to revert the one before."""
    _show(_rollout(config, model, server, at, timeout).roll_back())


def _rollout(config: Path, model: str | None, server: list[str] | None, at: str | None, timeout: float) -> "Rollout":
    from bert_serving.publishing.rollout.rollout import Rollout
    from bert_serving.publishing.rollout.server_group import ServerGroup

    return Rollout(config, ServerGroup(server or [], timeout), model, at, ConsoleObserver())


def _show(result: "tuple[str, ServedVersions, bool]") -> None:
    name, served, is_changed = result
    show_lines(f"  {name}: {served}" if is_changed else f"  nothing to do: {served}")
