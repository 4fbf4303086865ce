"""`bert-serving rollback`: takes the last move of labels back."""

from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.label import MODEL_HELP, TIMEOUT_HELP, change_labels
from bert_serving.cli.versions import CONFIG_HELP, SERVER_HELP


def rollback(
    config: Annotated[Path, typer.Option(help=CONFIG_HELP)] = Path("models.config"),
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    server: Annotated[list[str] | None, typer.Option(help=SERVER_HELP)] = None,
    at: Annotated[
        str | None, typer.Option(help="Where the versions are published, folder or URL of the model.")
    ] = None,
    timeout: Annotated[float, typer.Option(help=TIMEOUT_HELP)] = 300.0,
) -> None:
    """Move labels back to where they were before the last move; once more goes one further."""
    from bert_serving.publishing.rollout.models_config import ModelsConfig
    from bert_serving.publishing.rollout.rollout import forget_move, last_move

    file = ModelsConfig.load(config)
    name = file.only_name(model)
    move = last_move(config, name, file.served(name))
    change_labels(config, file, name, move.before, servers=server, at=at, load=[], timeout=timeout, remember=False)
    forget_move(config, move)
