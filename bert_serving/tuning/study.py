"""A search for better values of a run file's keys, on Optuna: tree-structured Parzen estimators and median pruning.

Layout of the folder:

    study.db       the study, unless another storage is given
    trials/000/    run file and history of each trial; its checkpoints while it is trained
    trials.tsv     a row for each finished trial
    best.toml      the run file with the best values
    pictures/      scores of the trials, importance of the keys, scores over the values of each key

Trials are trained in one process and one after the other. Every trial has the same rows, the same seed, and no test data.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy.exc
import tensorflow as tf
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from bert_serving.config import RunConfig
from bert_serving.data.splits import resolve_labels
from bert_serving.data.table import table_sha256
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError, InputError, RunFileError, RunFolderError, TrainingError
from bert_serving.observer import Observer
from bert_serving.run_file import dump_run_file
from bert_serving.training.loaded_data import LoadedData
from bert_serving.training.run_folder import SEEDS, RunFolder
from bert_serving.tuning.memory import released_memory
from bert_serving.tuning.result import Tuning
from bert_serving.tuning.selection import check_one_process, lower_is_better, with_values
from bert_serving.tuning.space import (
    Space,
    default_space,
    own_values,
    peak_learning_rate,
    space_of,
    space_text,
)
from bert_serving.tuning.space import suggest as suggest_values
from bert_serving.tuning.trial import drop_weights, run_trial
from bert_serving.wording import score_name

STORAGE = "study.db"
_TRIALS = "trials"
# No trial is pruned before so many are complete: Optuna's own default.
_UNPRUNED_TRIALS = 5
# Fewer tell nothing about the importance of a key.
_LEAST_TRIALS = 10
_LARGEST_SEED = 2**32
_FINISHED = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
# These belong to a trial's values: a loss that is not finite, values that do not go together, too large a batch.
_TRIAL_ERRORS = (TrainingError, RunFileError, EncoderError, tf.errors.ResourceExhaustedError)
# Attributes of the study and of its trials.
_RUN_FILE, _DECLARED, _SPACE, _DATA = "run_file", "declared_space", "space", "data_sha256"
_FOLDER, _SECONDS, _ERROR = "folder", "seconds", "error"


def tune(
    config: RunConfig, out: Path, *, trials: int = 20, storage: str | None = None, observer: Observer | None = None
) -> Tuning:
    """Searches the space of a run file's `[tune]`, or the default space, for the best `training.best_metric` on validation.

    The first trial has the run file's own values, if they lie in the space. The same call continues a study that was
    interrupted: the trial that was being trained goes on after its last checkpoint, and the trials have the values that they
    would have had without the interruption.

    Args:
        config: the run file.
        out: the folder to write.
        trials: how many trials there shall be in all: complete, pruned and failed ones, those of earlier calls included.
        storage: Optuna's storage, as an address of SQLAlchemy; None for study.db in the folder.
        observer: told of the progress.

    Raises:
        InputError: the strategy is "multi_worker", no trials, or a storage that cannot be opened.
        RunFolderError: the folder holds something else, or a study of another run file.
        DataError, EncoderError, SourceError: data or encoder of the run file are wrong.
        TrainingError: all trials failed.
    """
    observer = observer or Observer()
    check_one_process(config, "a search")
    if trials < 1:
        raise InputError(f"trials is {trials}; give at least 1")
    folder = RunFolder(out)
    if folder.is_started or (out / SEEDS).is_file():
        raise RunFolderError(f"{out}: holds a run; give another --out")
    with folder.locked(), _quiet_optuna():
        loaded = LoadedData()
        without_test = config.model_copy(update={"data": config.data.model_copy(update={"test": ()})})
        with observer.stage("Reading the data"):
            splits = loaded.splits_of(without_test)
            resolve_labels(splits, config.data, config.head.kind)
            digests = {name: table_sha256(table) for name, table in splits.named().items()}
        with observer.stage("Preparing the encoder"):
            find_encoder_folder(config.encoder, passed_over=observer.note, progress=observer.download)
        study = _opened(config, out, storage)
        space = _begun(study, config, out, digests)
        search = _Search(config, without_test, study, space, folder, loaded, observer, is_own=storage is None)
        search.run(trials)
        tuning = dataclasses.replace(search.result(), importances=_importances(study, space))
        if tuning.best is None:
            errors = [row["error"] for row in tuning.trials if row["error"]]
            raise TrainingError(
                f"none of {len(tuning.trials)} trials is complete; the last error: {(errors or ['none'])[-1]}"
            )
        with observer.stage("Drawing pictures"), folder.writable():
            tuning.draw()
    return tuning


@dataclass(frozen=True)
class _Search:
    """A study that is going on.

    Attributes:
        config: the run file.
        base: the same without test data.
        study: of Optuna.
        space: the values of each key.
        folder: of the search.
        loaded: rows of all trials.
        observer: told of the progress.
        is_own: whether no other process adds trials to the storage.
    """

    config: RunConfig
    base: RunConfig
    study: optuna.Study
    space: Space
    folder: RunFolder
    loaded: LoadedData
    observer: Observer
    is_own: bool

    def run(self, trials: int) -> None:
        """Trains until there are so many finished trials."""
        for each in self._finished():
            drop_weights(self._run_of(each.number))
        is_first = True
        while len(self._finished()) < trials:
            trial = self._next()
            self.observer.finished(f"trial {trial.number} ({len(self._finished()) + 1} of {trials})")
            self._try(trial, is_first=is_first)
            is_first = False
        self._write(self.result())

    def result(self) -> Tuning:
        """What there is so far."""
        rows = [_row_of(each, self.space) for each in self._finished()]
        return Tuning(self.folder.path, self.config.best_metric, self.space, rows)

    def _next(self) -> optuna.Trial:
        """The trial that an interruption left, or a new one."""
        left = next((each for each in self.study.get_trials(deepcopy=False) if self._is_left(each)), None)
        trial = self.study.ask() if left is None else _reopened(self.study, left)
        trial.set_user_attr(_FOLDER, self._owner)
        # By the trial's number: a continued study goes on with the values that it would have had.
        self.study.sampler = TPESampler(seed=(self.config.training.seed + trial.number) % _LARGEST_SEED)
        return trial

    def _is_left(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get(_FOLDER)
        return trial.state is TrialState.RUNNING and (owner == self._owner or (owner is None and self.is_own))

    @property
    def _owner(self) -> str:
        return str(self.folder.path.resolve())

    def _try(self, trial: optuna.Trial, *, is_first: bool) -> None:
        values = suggest_values(trial, self.space)
        run, started, state, score = self._run_of(trial.number), time.monotonic(), TrialState.FAIL, None
        try:
            config = with_values(self.base, values)
            with released_memory():
                score = run_trial(trial, config, run, loaded=self.loaded, observer=self.observer, is_first=is_first)
            state = TrialState.COMPLETE
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except _TRIAL_ERRORS as error:
            trial.set_user_attr(_ERROR, " ".join(str(error).split()))
        trial.set_user_attr(_SECONDS, round(time.monotonic() - started, 1))
        self.study.tell(trial, score, state)
        drop_weights(run)
        result = self.result()
        self._write(result)
        self.observer.finished(_line_of(result, trial.number))

    def _write(self, result: Tuning) -> None:
        with self.folder.writable():
            result.write(self.config)

    def _run_of(self, number: int) -> RunFolder:
        return RunFolder(self.folder.path / _TRIALS / f"{number:03}")

    def _finished(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=tuple(_FINISHED))


def _reopened(study: optuna.Study, trial: FrozenTrial) -> optuna.Trial:
    """A trial that is still running, to go on with."""
    return optuna.trial.Trial(study, trial._trial_id)  # noqa: SLF001  Optuna has no public name for it


def _opened(config: RunConfig, out: Path, storage: str | None) -> optuna.Study:
    address = storage or f"sqlite:///{out.resolve() / STORAGE}"
    try:
        return optuna.create_study(
            storage=address,
            study_name=config.export.name,
            direction="minimize" if lower_is_better(config.best_metric) else "maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED_TRIALS),
            load_if_exists=True,
        )
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, ImportError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"--storage {address}: cannot be opened: {reason}; give an address of SQLAlchemy such as sqlite:///study.db"
        ) from None


def _begun(study: optuna.Study, config: RunConfig, out: Path, digests: dict[str, str]) -> Space:
    """The study's space; that of a new study is written down, with what all its trials have in common.

    Raises:
        RunFolderError: the study is one of another run file, space or data.
    """
    run_file = dump_run_file(config.model_copy(update={"export": type(config.export)(name=config.export.name)}))
    facts = {_RUN_FILE: run_file, _DECLARED: space_text(config.tune.space), _DATA: digests}
    before = study.user_attrs
    if _SPACE in before:
        differing = sorted(_differing(before, facts))
        if differing:
            raise RunFolderError(
                f"{out}: {', '.join(differing)} changed since this study began; give another --out (and --storage)"
            )
        return space_of(before[_SPACE])
    space = config.tune.space or default_space(config, peak_learning_rate(config))
    own = own_values(config, space)
    if own is not None:
        study.enqueue_trial(own, skip_if_exists=True)
    for name, value in {**facts, _SPACE: space_text(space)}.items():
        study.set_user_attr(name, value)
    return space


def _differing(before: dict[str, Any], now: dict[str, Any]) -> set[str]:
    lines = set(before[_RUN_FILE].splitlines()) ^ set(now[_RUN_FILE].splitlines())
    spaces, data = (before[_DECLARED], now[_DECLARED]), (before[_DATA], now[_DATA])
    return {
        *(line.split(" = ")[0] for line in lines),
        *(f"tune.{key}" for key in {**spaces[0], **spaces[1]} if spaces[0].get(key) != spaces[1].get(key)),
        *(f"the {name} data" for name in {**data[0], **data[1]} if data[0].get(name) != data[1].get(name)),
    }


def _row_of(trial: FrozenTrial, space: Space) -> dict[str, Any]:
    validation = [value for _, value in sorted(trial.intermediate_values.items())]
    return {
        "trial": trial.number,
        "state": _FINISHED[trial.state],
        "score": trial.value if trial.state is TrialState.COMPLETE else None,
        "epochs": len(validation),
        "seconds": trial.user_attrs.get(_SECONDS),
        "values": {key: trial.params[key] for key in space if key in trial.params},
        "validation": validation,
        "error": trial.user_attrs.get(_ERROR),
    }


def _importances(study: optuna.Study, space: Space) -> dict[str, float]:
    """Share of each key in the spread of the scores (fANOVA, Hutter et al. 2014); empty where there is none."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(space) < 2 or len(complete) < _LEAST_TRIALS or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _line_of(result: Tuning, number: int) -> str:
    row = next(row for row in result.trials if row["trial"] == number)
    values = ", ".join(f"{key.partition('.')[2]} {_shown(value)}" for key, value in row["values"].items())
    outcome = {
        "complete": f"{score_name(result.metric)} {row['score'] or 0:.4f}",
        "pruned": f"pruned after epoch {row['epochs']}",
        "failed": f"failed: {row['error']}",
    }[row["state"]]
    best = "" if result.best is None else f"; best {result.best['score']:.4f} (trial {result.best['trial']})"
    return f"trial {number}: {outcome} with {values} ({row['seconds']:.0f} s){best}"


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without Optuna's own lines of progress on the error stream."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
