"""One run file trained with several seeds: the spread of the scores, and the best run by validation.

The seed of the weights, of the order of rows and of dropout decides as much as a change of the method on small data sets; of
some seeds a run fails and stays at the accuracy of the most frequent label (Dodge et al. 2020, arXiv:2002.06305; Zhang et al.
2020, arXiv:2006.05987).

Layout of the folder:

    seeds/seed_0/ ...   a whole run folder for each seed
    seeds.json          scores of each seed, their mean and deviation, and which one was chosen
    all other files     those of the chosen run (hard links), so that every command takes the folder as a run folder
"""

import os
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_serving.config import RunConfig
from bert_serving.encoders.default_pooling import with_pooling
from bert_serving.errors import InputError, RunFolderError, TrainingError
from bert_serving.evaluation.chance import compare_with_chance
from bert_serving.observer import Observer
from bert_serving.run_file import dump_run_file
from bert_serving.training.loaded_data import LoadedData
from bert_serving.training.run import train
from bert_serving.training.run_folder import LOCK, METRICS, SEEDS, RunFolder
from bert_serving.tuning.memory import released_memory
from bert_serving.tuning.progress import PartObserver
from bert_serving.tuning.scores import validation_score
from bert_serving.tuning.selection import best_of, check_one_process

FOLDER = "seeds"
_RUN_FILE = "run.toml"
_SPLITS = ("validation", "test")
_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class SeedRuns:
    """Finished runs of several seeds.

    Attributes:
        run: the folder, which is a run folder with the chosen run.
        table: the content of seeds.json: `metric` and `chosen_by` (how the run was chosen), `chosen` (its seed), `seeds` (a row
            for each: `seed`, `folder`, `selection` (its validation metric), `validation` and `test` scores, `failure` or null),
            and for each split `summary` with `mean` and `deviation` (sample, n - 1) of each score.
    """

    run: RunFolder
    table: dict[str, Any]


def train_seeds(
    config: RunConfig, out: Path, *, seeds: int, resume: bool = False, observer: Observer | None = None
) -> SeedRuns:
    """Trains a run file with the seeds s, s + 1, ... (s is `training.seed`), all on the same rows, and keeps the best.

    The best is the run with the best `training.best_metric` on the validation rows, the first of several. Test scores do not
    decide.

    Args:
        config: the run file.
        out: the folder to write.
        seeds: how many.
        resume: go on with the unfinished folder `out`; finished seeds are not trained again, and there may be more than before.
        observer: told of the progress.

    Raises:
        InputError: the strategy is "multi_worker", fewer than two seeds, or as `bert_serving.training.run.train`.
        RunFolderError: `out` holds something else, or nothing to resume.
        TrainingError: the loss was not finite for any seed.
    """
    observer = observer or Observer()
    check_one_process(config, "training with several seeds")
    first = config.training.seed
    if seeds < 2:
        raise InputError(f"seeds is {seeds}; give at least 2, or leave it out for a single run")
    if first + seeds - 1 > _LARGEST_SEED:
        raise InputError(f"training.seed {first} leaves no room for {seeds} seeds below {_LARGEST_SEED + 1}; lower it")
    config = with_pooling(config)
    run = RunFolder(out)
    _check_folder(run, resume=resume)
    with run.locked():
        loaded = LoadedData()
        rows: list[dict[str, Any]] = []
        parts = {number: _with_seed(config, first + number) for number in range(seeds)}
        for number, one in parts.items():
            _check_same(_run_of(out, first + number), one)
        if not (out / SEEDS).is_file():
            run.write_json(SEEDS, _table(config, rows))
        for number, one in parts.items():
            observer.finished(f"seed {first + number} ({number + 1} of {seeds})")
            shown = PartObserver(observer, is_first=number == 0)
            rows.append(_trained(one, _run_of(out, first + number), resume, shown, loaded))
            run.write_json(SEEDS, _table(config, rows))
        table = _table(config, rows, is_complete=True)
        if table["chosen"] is None:
            raise TrainingError(f"none of {seeds} seeds could be trained; the last one: {rows[-1]['failure']}")
        with run.writable():
            _show_as_run(out / _row_of(table, table["chosen"])["folder"], out)
        run.write_json(SEEDS, table)
    return SeedRuns(run, table)


def _with_seed(config: RunConfig, seed: int) -> RunConfig:
    """The run file of one seed, with the rows of the first."""
    drawn = config.training.seed if config.data.seed is None else config.data.seed
    data = config.data.model_copy(update={"seed": drawn})
    return config.model_copy(
        update={"data": data, "training": config.training.model_copy(update={"seed": seed})},
    )


def _run_of(out: Path, seed: int) -> RunFolder:
    return RunFolder(out / FOLDER / f"seed_{seed}")


def _trained(config: RunConfig, run: RunFolder, resume: bool, observer: Observer, loaded: LoadedData) -> dict[str, Any]:
    row: dict[str, Any] = {"seed": config.training.seed, "folder": f"{FOLDER}/{run.path.name}"}
    if resume and run.is_complete and (run.path / METRICS).is_file():
        return row | _scores(run, config)
    try:
        with released_memory():
            train(config, run.path, resume=resume and run.is_started, observer=observer, loaded=loaded)
    except TrainingError as error:
        # A seed that diverges is a result, too.
        observer.note(f"seed {config.training.seed}: {error}")
        return row | {"selection": None, "failure": str(error)}
    return row | _scores(run, config)


def _scores(run: RunFolder, config: RunConfig) -> dict[str, Any]:
    metrics = run.read_json(METRICS)
    scores = {
        split: {name: value for name, value in metrics[split].items() if isinstance(value, float)}
        for split in _SPLITS
        if split in metrics
    }
    return {
        "selection": validation_score(run, config.best_metric),
        "failure": _failure(config, run, metrics["validation"]),
        **scores,
    }


def _failure(config: RunConfig, run: RunFolder, validation: Mapping[str, Any]) -> str | None:
    """What shows that the run has learned nothing; None for one that has."""
    chance = compare_with_chance(config.head.kind, run.labels(), validation)
    if chance.better or chance.one_answer or chance.interval.value > chance.constant:
        return None
    reached = "the majority's" if chance.score == "accuracy" else "that of a constant answer"
    return f"stayed at {reached} {chance.score} on validation ({chance.constant:.4f})"


def _table(config: RunConfig, rows: Sequence[Mapping[str, Any]], *, is_complete: bool = False) -> dict[str, Any]:
    selections = [(row["seed"], row["selection"]) for row in rows if row["selection"] is not None]
    return {
        "metric": config.best_metric,
        "chosen_by": "validation",
        "chosen": best_of(selections, config.best_metric) if is_complete and selections else None,
        "seeds": list(rows),
        "summary": {
            split: _summary([row[split] for row in rows if split in row])
            for split in _SPLITS
            if any(split in row for row in rows)
        },
    }


def _summary(scores: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    """Mean and sample standard deviation (n - 1) of each score."""
    columns = {name: [row[name] for row in scores] for name in scores[0]}
    return {
        name: {
            "mean": statistics.fmean(values),
            "deviation": statistics.stdev(values) if len(values) > 1 else None,
        }
        for name, values in columns.items()
    }


def _row_of(table: Mapping[str, Any], seed: int) -> Mapping[str, Any]:
    row: Mapping[str, Any] = next(row for row in table["seeds"] if row["seed"] == seed)
    return row


def _check_folder(run: RunFolder, *, resume: bool) -> None:
    has_seeds = (run.path / SEEDS).is_file()
    if run.is_started and not has_seeds:
        raise RunFolderError(f"{run.path}: holds a run of one seed; give another --out")
    if has_seeds and not resume:
        raise RunFolderError(f"{run.path}: holds a run of several seeds; give another --out, or --resume")
    if resume and not has_seeds:
        raise RunFolderError(f"{run.path}: nothing to resume here ({SEEDS} is missing); leave --resume out")


def _check_same(run: RunFolder, config: RunConfig) -> None:
    """Refuses a seed that began with another run file."""
    if not run.is_started:
        return
    before = dump_run_file(run.config().model_copy(update={"export": config.export}))
    lines = set(before.splitlines()) ^ set(dump_run_file(config).splitlines())
    if lines:
        differing = ", ".join(sorted({line.split(" = ")[0] for line in lines}))
        raise RunFolderError(f"{run.path}: the run file changed since this seed began ({differing}); train it anew")


def _show_as_run(chosen: Path, out: Path) -> None:
    """Puts the files of the chosen run into the folder itself; what was made of a run chosen before goes."""
    own = {FOLDER, SEEDS, LOCK}
    is_there = (out / METRICS).is_file() and (out / _RUN_FILE).is_file()
    if is_there and (out / _RUN_FILE).read_bytes() == (chosen / _RUN_FILE).read_bytes():
        return
    # A killed process leaves no folder that passes for a complete run: scores go first and come last.
    (out / METRICS).unlink(missing_ok=True)
    for path in out.iterdir():
        if path.name not in own:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in sorted(chosen.iterdir(), key=lambda path: path.name in (METRICS,)):
        if path.name == LOCK:
            continue
        if path.is_dir():
            shutil.copytree(path, out / path.name, copy_function=_link)
        else:
            _link(path, out / path.name)


def _link(source: str | Path, target: str | Path) -> None:
    """A second name for a file, which takes no space; a copy where the file system has none.

    Files of a run are replaced, never written into, so that what later changes in the folder leaves the seed's own run alone.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
