"""`bert-serving tune`: searches better values of a run file's keys."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bert_serving.cli.options import Offline, Overrides
from bert_serving.console import command_observer, print_json, resumable, show_lines, show_table
from bert_serving.wording import counted, score_name

if TYPE_CHECKING:
    from bert_serving.tuning.result import Tuning

_SHOWN_TRIALS = 10


def tune(
    run_file: Annotated[
        Path, typer.Argument(help="Run file (TOML); its table [tune] says what to search.", metavar="RUN.toml")
    ],
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write.", show_default="tuning/<name of the run file>")
    ] = None,
    trials: Annotated[int, typer.Option(help="Trials in all, those of an interrupted call included.")] = 20,
    storage: Annotated[
        str | None, typer.Option(help="Optuna's storage, an address of SQLAlchemy.", show_default="study.db in --out")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the trials as JSON at the end, and nothing else.")
    ] = False,
    offline: Offline = False,  # noqa: ARG001  its callback sets the environment
) -> None:
    """Search learning rate, epochs and other keys for the best score on validation; the same command continues."""
    from bert_serving.config import load_run_file
    from bert_serving.search_space import check_overrides

    config = load_run_file(run_file, overrides or [])
    check_overrides(config.tune.space, overrides or [])
    out = out or Path("tuning") / run_file.stem
    words = ["tune", str(run_file), *(word for override in overrides or [] for word in ("--set", override))]
    words += ["--out", str(out), "--trials", str(trials), *(["--storage", storage] if storage else [])]
    observer = command_observer(as_json=as_json)
    with observer.stage("Starting TensorFlow"):
        from bert_serving.tuning.study import tune

    with resumable(observer, words, option=None):
        result = tune(config, out, trials=trials, storage=storage, observer=observer)
    if as_json:
        print_json(result.to_json())
        return
    _show(result, out, run_file)


def _show(result: "Tuning", out: Path, run_file: Path) -> None:
    ranked, keys = result.ranked(), list(result.space)
    rows = [
        [str(row["trial"]), _score(row), str(row["epochs"]), _seconds(row), *_values(row, keys)]
        for row in ranked[:_SHOWN_TRIALS]
    ]
    names = [key.partition(".")[2] for key in keys]
    # Two tables may have a key of the same name.
    columns = [name if names.count(name) == 1 else key for name, key in zip(names, keys, strict=True)]
    metric = f"{score_name(result.metric)} (validation)"
    show_table(
        f"The best of {counted(len(ranked), 'trial')}", ("trial", metric, "epochs done", "seconds", *columns), rows
    )
    states = [row["state"] for row in result.trials]
    spent = sum(row["seconds"] or 0 for row in result.trials)
    best = result.best
    lines = [
        "",
        f"  {', '.join(f'{states.count(state)} {state}' for state in ('complete', 'pruned', 'failed') if state in states)}; "
        f"{spent / 60:.1f} minutes in all, {spent / len(states):.0f} s a trial",
    ]
    if result.importances:
        first = max(result.importances, key=lambda key: result.importances[key])
        lines.append(f"  most important key: {first} ({result.importances[first]:.0%} of the spread)")
    if best is not None:
        lines.append(f"  best: trial {best['trial']}, {score_name(result.metric)} {best['score']:.4f} on validation")
    lines += [
        f"  files: {out / 'trials.tsv'}, {out / 'pictures'}",
        "",
        "  The score of the best trial is too good, since it was chosen by these rows. Train it anew for test scores:",
        f"  {shlex.join(['bert-serving', 'train', str(result.run_file), '--seeds', '5', '--out', f'runs/{run_file.stem}'])}",
    ]
    show_lines("\n".join(lines))


def _score(row: Any) -> str:
    return row["state"] if row["score"] is None else f"{row['score']:.4f}"


def _seconds(row: Any) -> str:
    return "" if row["seconds"] is None else f"{row['seconds']:.0f}"


def _values(row: Any, keys: Sequence[str]) -> list[str]:
    values = [row["values"].get(key, "") for key in keys]
    return [f"{value:.3g}" if isinstance(value, float) else str(value) for value in values]
