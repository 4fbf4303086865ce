"""One trial of a search: a training run whose epochs may end it early."""

import shutil
from collections.abc import Mapping
from typing import Any

import optuna

from bert_serving.config import RunConfig
from bert_serving.contract import RUN_FILE
from bert_serving.observer import Observer
from bert_serving.training.loaded_data import LoadedData
from bert_serving.training.run import train
from bert_serving.training.run_folder import AVERAGE, HISTORY, RunFolder
from bert_serving.tuning.progress import PartObserver
from bert_serving.tuning.scores import validation_score

_KEPT = {RUN_FILE, HISTORY, AVERAGE}


class _Pruning(PartObserver):
    """Reports each epoch to the trial, and ends the run where the trial is worse than others at the same epoch."""

    def __init__(self, whole: Observer, trial: optuna.Trial, config: RunConfig, *, is_first: bool):
        super().__init__(whole, is_first=is_first)
        self._trial, self._config = trial, config
        self._reported = set(trial.study.trials[trial.number].intermediate_values)

    def epoch(self, row: Mapping[str, Any]) -> None:
        super().epoch(row)
        self.report(row)
        # A run that has no epoch left costs nothing more.
        if row["epoch"] < self._config.training.epochs and self._trial.should_prune():
            raise optuna.TrialPruned(f"worse than the median of the trials after epoch {row['epoch']}")

    def report(self, row: Mapping[str, Any]) -> None:
        """Tells the trial of an epoch, once."""
        if row["epoch"] not in self._reported:
            self._trial.report(float(row[f"val_{self._config.best_metric}"]), int(row["epoch"]))
            self._reported.add(row["epoch"])


def run_trial(
    trial: optuna.Trial, config: RunConfig, run: RunFolder, *, loaded: LoadedData, observer: Observer, is_first: bool
) -> float:
    """Trains the run file of a trial, or goes on with its unfinished run.

    Args:
        trial: told of each epoch.
        config: with the trial's values, and without test data.
        run: the trial's folder.
        loaded: rows of all trials.
        observer: told of the progress.
        is_first: whether this is the first run of this process.

    Returns:
        The validation metric of the weights that the run keeps.

    Raises:
        optuna.TrialPruned: the trial is not worth going on with.
        BertServingError: as `bert_serving.training.run.train`.
    """
    pruning = _Pruning(observer, trial, config, is_first=is_first)
    train(config, run.path, resume=run.is_started, observer=pruning, loaded=loaded, is_evaluated=False)
    # An epoch before an interruption may not have been told.
    for row in run.read_json(HISTORY):
        pruning.report(row)
    return validation_score(run, config.best_metric)


def drop_weights(run: RunFolder) -> None:
    """Removes what is large in a finished trial's folder: the best values are trained again, with test data."""
    if not run.path.is_dir():
        return
    for path in run.path.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in _KEPT:
            path.unlink(missing_ok=True)
