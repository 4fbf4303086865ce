"""A search: trials, pruning, going on after an interruption, what is refused, and the best run file."""

import json
import os
import signal
import subprocess
import sys

import optuna
import pytest
from support.paths import ROOT
from support.runs import EndAt, Recorder, history_of

from bert_serving.config import RunConfig, load_run_file
from bert_serving.errors import InputError, RunFolderError, TrainingError
from bert_serving.search_space import Range
from bert_serving.training import run as training_run
from bert_serving.training.run import train
from bert_serving.tuning import study, trial
from bert_serving.tuning.result import Tuning
from bert_serving.tuning.space import default_space, distributions, own_values, space_of, space_text
from bert_serving.tuning.study import tune

# Only the head is trained, on features that are computed once.
QUICK = ("encoder.trainable=false", "encoder.cache_features=true", "training.epochs=2")
SPACE = (
    "tune.training.learning_rate={low = 1e-3, high = 0.1, log = true}",
    "tune.training.batch_size=[4, 8]",
)


@pytest.fixture(scope="module")
def config(run_file):
    return load_run_file(run_file, [*QUICK, *SPACE])


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """Three trials."""
    return tune(config, tmp_path_factory.mktemp("tuning") / "whole", trials=3)


def facts(tuning: Tuning) -> list[dict]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in tuning.trials]


def test_a_search_tells_its_trials_and_the_best_by_validation(whole):
    assert [(row["trial"], row["state"], row["epochs"]) for row in whole.trials] == [
        (number, "complete", 2) for number in range(3)
    ]
    assert whole.best["score"] == max(row["score"] for row in whole.trials)
    assert all(row["score"] == max(row["validation"]) for row in whole.trials)
    # The run file's own values come first.
    assert whole.trials[0]["values"] == {"training.learning_rate": 0.02, "training.batch_size": 4}
    lines = (whole.folder / "trials.tsv").read_text().splitlines()
    assert lines[0].split("\t")[:3] == ["trial", "state", "score"]
    assert [line.split("\t")[0] for line in lines[1:]] == ["0", "1", "2"]
    assert {path.name for path in (whole.folder / "pictures").iterdir()} == {"history.png", "slices.png"}


def test_finished_trials_keep_no_weights_and_never_saw_test_data(whole):
    for folder in (whole.folder / "trials").iterdir():
        assert {path.name for path in folder.iterdir()} == {"run.toml", "history.json"}
        assert "test =" not in (folder / "run.toml").read_text()


@pytest.mark.slow
def test_the_best_run_file_trains_to_the_score_that_is_told(whole, config, tmp_path):
    best = load_run_file(whole.run_file)
    assert best.data.test == config.data.test
    run = train(best, tmp_path / "run").run
    assert max(row["val_accuracy"] for row in history_of(run)) == whole.best["score"]
    assert [row["val_accuracy"] for row in history_of(run)] == whole.best["validation"]
    assert "test" in run.read_json("metrics.json")


def test_the_same_call_continues_a_finished_search_without_work(whole, config):
    recorder = Recorder()
    again = tune(config, whole.folder, trials=3, observer=recorder)
    assert facts(again) == facts(whole)
    assert recorder.epochs == []


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_an_interrupted_search_ends_as_an_uninterrupted_one(config, whole, epochs, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        tune(config, tmp_path / "tuning", trials=3, observer=EndAt(epochs))
    recorder = Recorder()
    resumed = tune(config, tmp_path / "tuning", trials=3, observer=recorder)
    assert len(recorder.epochs) == 6 - epochs
    assert facts(resumed) == facts(whole)


KILLED = """
import os, signal, sys
from pathlib import Path
from bert_serving.config import load_run_file
from bert_serving.observer import Observer
from bert_serving.tuning.study import tune
class Killer(Observer):
    left = 3
    def epoch(self, row):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
tune(load_run_file(Path(sys.argv[1]), sys.argv[3:]), Path(sys.argv[2]), trials=3, observer=Killer())
"""


@pytest.mark.slow
def test_a_killed_search_ends_as_an_uninterrupted_one(config, run_file, whole, tmp_path):
    command = [sys.executable, "-c", KILLED, str(run_file), str(tmp_path / "tuning"), *QUICK, *SPACE]
    killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert facts(tune(config, tmp_path / "tuning", trials=3)) == facts(whole)


@pytest.mark.slow
def test_a_trial_worse_than_the_median_is_pruned(run_file, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "_UNPRUNED_TRIALS", 1)
    overrides = [*QUICK, "training.epochs=4", "training.best_metric=loss", "tune.training.learning_rate=[0.05, 1e-12]"]
    found = tune(load_run_file(run_file, overrides), tmp_path / "tuning", trials=6)
    states = {row["values"]["training.learning_rate"]: row["state"] for row in found.trials[1:]}
    pruned = [row for row in found.trials if row["state"] == "pruned"]
    assert pruned, states
    assert all(row["score"] is None and row["epochs"] < 4 for row in pruned)
    assert found.best["values"] == {"training.learning_rate": 0.05}
    assert (found.folder / "pictures" / "history.png").is_file()


@pytest.mark.slow
def test_trials_that_fail_do_not_end_the_search(config, tmp_path, monkeypatch):
    def diverging(one, *rest, **options):
        if one.training.batch_size == 4:
            raise TrainingError("the loss is nan after epoch 1")
        return train(one, *rest, **options)

    monkeypatch.setattr(trial, "train", diverging)
    found = tune(config, tmp_path / "tuning", trials=4)
    states = {row["values"]["training.batch_size"]: (row["state"], row["error"]) for row in found.trials}
    assert states == {4: ("failed", "the loss is nan after epoch 1"), 8: ("complete", None)}


def test_a_search_without_a_complete_trial_says_the_last_error(config, tmp_path, monkeypatch):
    def diverging(*_, **__):
        raise TrainingError("the loss is nan after epoch 1")

    monkeypatch.setattr(trial, "train", diverging)
    with pytest.raises(
        TrainingError, match="none of 2 trials is complete; the last error: the loss is nan after epoch 1"
    ):
        tune(config, tmp_path / "tuning", trials=2)


def test_values_that_do_not_go_together_fail_their_trial(run_file, tmp_path):
    overrides = [*QUICK, "tune.head.blocks=[1]", "tune.head.pooling=['pooler']"]
    with pytest.raises(TrainingError, match=r"none of 1 trials is complete; .*head\.blocks is 1, and the pooler sees"):
        tune(load_run_file(run_file, overrides), tmp_path / "tuning", trials=1)


# === Refused before any work ===


def test_a_search_of_another_run_file_space_or_data_is_refused(whole, run_file):
    cases = {
        "dropout": [*QUICK, *SPACE, "head.dropout=0.2"],
        "tune.training.batch_size": [*QUICK, SPACE[0], "tune.training.batch_size=[4, 16]"],
        "tune.training.epochs": [*QUICK, *SPACE, "tune.training.epochs=[1, 2]"],
    }
    for key, overrides in cases.items():
        with pytest.raises(RunFolderError, match=f"{key} changed since this study began; give another --out"):
            tune(load_run_file(run_file, overrides), whole.folder, trials=4)


@pytest.mark.parametrize(
    ("options", "overrides", "message"),
    [
        ({"trials": 0}, [], "trials is 0; give at least 1"),
        ({}, ["training.strategy=multi_worker"], "multi_worker"),
        ({"storage": "nothing"}, [], "--storage nothing: cannot be opened: .*; give an address of SQLAlchemy"),
    ],
)
def test_what_cannot_be_done_is_told(options, overrides, message, run_file, tmp_path):
    config = load_run_file(run_file, [*SPACE, *overrides])
    with pytest.raises(InputError, match=message) as raised:
        tune(config, tmp_path / "new", **options)
    assert "\n" not in str(raised.value)


def test_a_run_folder_is_no_place_for_a_search(config, trained):
    with pytest.raises(RunFolderError, match="holds a run; give another --out"):
        tune(config, trained.run.path)


# === The space ===


def test_the_default_space_holds_the_values_of_the_run_file(run_file):
    config = load_run_file(run_file)
    space = default_space(config, 0.02)
    assert set(space) == {
        *("training.learning_rate", "training.epochs", "training.batch_size", "training.warmup_ratio", "head.dropout")
    }
    assert own_values(config, space)["training.batch_size"] == 4
    assert space_of(space_text(space)) == space
    RunConfig.model_validate(config.model_dump() | {"tune": dict(space.items())})


def test_an_absent_learning_rate_is_that_of_the_encoder(encoder_folder, run_file):
    config = load_run_file(run_file)
    config = config.model_copy(update={"training": config.training.model_copy(update={"learning_rate": None})})
    own = own_values(config, {"training.learning_rate": Range(low=1e-5, high=1e-2, log=True)})
    assert own == {"training.learning_rate": 3e-4}


def test_own_values_outside_the_space_are_no_trial(run_file):
    config = load_run_file(run_file)
    assert own_values(config, {"training.epochs": (1, 2)}) is None
    assert own_values(config, {"training.early_stopping": (1, 2)}) is None


def test_optuna_draws_what_the_space_says():
    found = distributions(
        {
            "training.epochs": Range(low=2, high=5),
            "training.batch_size": Range(low=8, high=31, step=8),
            "training.learning_rate": Range(low=1e-5, high=1e-3, log=True),
            "head.dropout": Range(low=0, high=0.3, step=0.1),
            "head.pooling": ("mean", "max"),
        }
    )
    assert found == {
        "training.epochs": optuna.distributions.IntDistribution(2, 5),
        "training.batch_size": optuna.distributions.IntDistribution(8, 24, step=8),
        "training.learning_rate": optuna.distributions.FloatDistribution(1e-5, 1e-3, log=True),
        "head.dropout": optuna.distributions.FloatDistribution(0.0, found["head.dropout"].high, step=0.1),
        "head.pooling": optuna.distributions.CategoricalDistribution(("mean", "max")),
    }
    assert found["head.dropout"].high == pytest.approx(0.3)


@pytest.mark.slow
def test_rows_are_read_and_tokenized_once(config, tmp_path, monkeypatch):
    counts = {"tokenize": 0}
    tokenize = training_run.Classifier.tokenize

    def counted(self, *arguments, **options):
        counts["tokenize"] += 1
        return tokenize(self, *arguments, **options)

    monkeypatch.setattr(training_run.Classifier, "tokenize", counted)
    tune(config, tmp_path / "tuning", trials=3)
    assert counts == {"tokenize": 2}  # training and validation rows


@pytest.mark.slow
def test_the_command_says_what_to_do_next(bert_serving, run_file, tmp_path):
    sets = [word for override in (*QUICK, *SPACE) for word in ("--set", override)]
    ended = bert_serving("tune", run_file, *sets, "--trials", "2", "--out", tmp_path / "tuning")
    assert ended.status == 0, ended.err
    assert f"bert-serving train {tmp_path}/tuning/best.toml --seeds 5" in ended.out
    ended = bert_serving("tune", run_file, *sets, "--trials", "2", "--out", tmp_path / "tuning", "--json")
    assert [row["trial"] for row in json.loads(ended.out)["trials"]] == [0, 1]
    ended = bert_serving("tune", run_file, *sets, "--set", "training.batch_size=8", "--out", tmp_path / "new")
    assert ended.status == 2
    assert "training.batch_size is searched by [tune] and set by --set; leave out one of them" in ended.err
