"""The option `--offline`: nothing is fetched, no connection is opened."""

import os
from typing import Annotated

import typer


def _go_offline(chosen: bool) -> None:
    if chosen:
        os.environ["BERT_SERVING_OFFLINE"] = "1"


Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Fetch nothing: use only what is cached or local (as BERT_SERVING_OFFLINE=1).",
        callback=_go_offline,
        is_eager=True,
        expose_value=False,
    ),
]
"""type of a command's parameter `offline`; its value says nothing, the environment does"""
