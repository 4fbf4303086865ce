"""`bert-serving pretrain`: unlabeled text to an encoder folder."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console, print_json
from bert_serving.cli.offline import Offline


def pretrain(
    run_file: Annotated[
        Path,
        typer.Argument(help="Run file of pretraining (TOML); docs/pretraining.md lists its keys.", metavar="RUN.toml"),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a key, such as training.epochs=5. Repeatable.", metavar="KEY=VALUE"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Encoder folder to write.", show_default="encoders/<name of the run file>")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished pretraining of --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the history as JSON, nothing else.")] = False,
    offline: Offline = False,
) -> None:
    """Pretrain an encoder on unlabeled text."""
    from bert_serving.observer import Observer
    from bert_serving.pretraining.config import check_vocabulary, load_pretraining_file

    config = load_pretraining_file(run_file, tuple(overrides or ()))
    check_vocabulary(config.encoder)
    out = out or Path("encoders") / run_file.stem
    observer = Observer() if as_json else ConsoleObserver()
    with observer.stage("Starting TensorFlow"):
        from bert_serving.pretraining.pretrain import pretrain as run

    try:
        history = run(config, out, resume=resume, observer=observer)
    except KeyboardInterrupt:
        if isinstance(observer, ConsoleObserver):
            observer.close()
            sets = [part for each in overrides or () for part in ("--set", each)]
            again = shlex.join(["bert-serving", "pretrain", str(run_file), *sets, "--out", str(out), "--resume"])
            console.print(f"\n  stopped; after the first epoch go on with: {again}", soft_wrap=True, markup=False)
        raise
    finally:
        if isinstance(observer, ConsoleObserver):
            observer.close()
    if as_json:
        print_json(history)
        return
    console.print(f"\n  encoder: {out}", soft_wrap=True, markup=False)
