"""`bert-serving pretrain`: pretrains an encoder on unlabeled text."""

from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.options import Offline, Overrides
from bert_serving.console import command_observer, print_json, resumable, show_lines


def pretrain(
    run_file: Annotated[
        Path,
        typer.Argument(
            help="Pretraining run file (TOML); its keys are in docs/how_to/pretraining.md.", metavar="RUN.toml"
        ),
    ],
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="Encoder folder to write.", show_default="encoders/<name of the run file>")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the unfinished pretraining in --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the history as JSON, and nothing else.")] = False,
    offline: Offline = False,  # noqa: ARG001  its callback sets the environment
) -> None:
    """Pretrain an encoder on unlabeled text."""
    from bert_serving.pretraining.config import check_vocabulary, load_pretraining_file

    config = load_pretraining_file(run_file, tuple(overrides or ()))
    check_vocabulary(config.encoder)
    out = out or Path("encoders") / run_file.stem
    sets = [word for override in overrides or [] for word in ("--set", override)]
    observer = command_observer(as_json=as_json)
    with observer.stage("Starting TensorFlow"):
        from bert_serving.pretraining.pretrain import pretrain as run

    command = ["pretrain", str(run_file), *sets, "--out", str(out)]
    with resumable(observer, command, condition="after the first epoch, "):
        history = run(config, out, resume=resume, observer=observer)
    if as_json:
        print_json(history)
        return
    show_lines(f"\n  encoder: {out}")
