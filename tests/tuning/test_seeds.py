"""Several seeds: the table, the best by validation, and going on after an interruption."""

import json
import statistics

import pytest
from support.runs import EndAt, Recorder, assert_same_weights, history_of

from bert_serving.config import DataConfig, load_run_file
from bert_serving.contract import Head
from bert_serving.data.splits import load_splits
from bert_serving.errors import InputError, RunFolderError, TrainingError
from bert_serving.training.loading import load_classifier
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder
from bert_serving.tuning import seeds
from bert_serving.tuning.seeds import _show_as_run, _table, train_seeds

# Only the head is trained, on features that are computed once.
QUICK = (
    "encoder.trainable=false",
    "encoder.cache_features=true",
    "training.epochs=2",
    "training.learning_rate=0.05",
    "training.seed=14",
)


@pytest.fixture(scope="module")
def config(run_file):
    return load_run_file(run_file, QUICK)


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """Three seeds."""
    return train_seeds(config, tmp_path_factory.mktemp("runs") / "seeds", seeds=3)


def test_the_folder_is_the_run_that_is_best_by_validation(whole):
    table = whole.table
    rows = {row["seed"]: row for row in table["seeds"]}
    assert list(rows) == [14, 15, 16]
    best = max(row["selection"] for row in rows.values())
    assert table["chosen"] == next(seed for seed, row in rows.items() if row["selection"] == best)
    assert (table["metric"], table["chosen_by"]) == ("accuracy", "validation")
    assert json.loads((whole.run.path / "seeds.json").read_text()) == table
    chosen = RunFolder(whole.run.path / rows[table["chosen"]]["folder"])
    assert_same_weights(whole.run, chosen)
    assert whole.run.config().training.seed == table["chosen"]
    assert load_classifier(whole.run).predict(["the good film"]).shape == (1, 2)


def test_the_table_has_mean_and_sample_deviation_of_each_score(whole):
    for split in ("validation", "test"):
        scores = [row[split]["accuracy"] for row in whole.table["seeds"]]
        summary = whole.table["summary"][split]["accuracy"]
        assert summary["mean"] == pytest.approx(statistics.mean(scores))
        assert summary["deviation"] == pytest.approx(statistics.stdev(scores))


@pytest.mark.slow
def test_each_seed_is_the_run_that_is_trained_alone(run_file, whole, tmp_path):
    alone = train(load_run_file(run_file, [*QUICK, "training.seed=15"]), tmp_path / "alone").run
    assert_same_weights(RunFolder(whole.run.path / "seeds" / "seed_15"), alone)


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 3, 4])
def test_interrupted_seeds_end_as_uninterrupted_ones(config, whole, epochs, tmp_path):
    out = tmp_path / "seeds"
    with pytest.raises(KeyboardInterrupt):
        train_seeds(config, out, seeds=3, observer=EndAt(epochs))
    assert not RunFolder(out).is_started
    recorder = Recorder()
    resumed = train_seeds(config, out, seeds=3, resume=True, observer=recorder)
    assert len(recorder.epochs) == 6 - epochs
    assert resumed.table == whole.table
    assert_same_weights(resumed.run, whole.run)
    for seed in (14, 15, 16):
        one, other = (RunFolder(runs.run.path / "seeds" / f"seed_{seed}") for runs in (resumed, whole))
        assert history_of(one) == history_of(other)


@pytest.mark.slow
def test_finished_seeds_are_not_trained_again_and_more_can_follow(config, tmp_path):
    out = tmp_path / "seeds"
    train_seeds(config, out, seeds=2)
    recorder = Recorder()
    more = train_seeds(config, out, seeds=3, resume=True, observer=recorder)
    assert [row["epoch"] for row in recorder.epochs] == [1, 2]
    assert len(more.table["seeds"]) == 3


@pytest.mark.slow
def test_all_seeds_have_the_same_validation_rows(run_file, tmp_path):
    config = load_run_file(run_file, QUICK)
    config = config.model_copy(update={"data": config.data.model_copy(update={"validation": ()})})
    found = train_seeds(config, tmp_path / "seeds", seeds=2)
    facts = [RunFolder(found.run.path / row["folder"]).facts() for row in found.table["seeds"]]
    assert facts[0]["data_sha256"] == facts[1]["data_sha256"]
    assert found.run.config().data.seed == 14


def test_the_rows_follow_their_own_seed_where_there_is_one(run_file):
    files = load_run_file(run_file).data.train
    drawn = {
        key: load_splits(DataConfig(train=files, seed=own), Head.SOFTMAX, seed).validation.texts
        for key, (own, seed) in {"both": (3, 5), "own": (3, 0), "other": (None, 3), "five": (None, 5)}.items()
    }
    assert drawn["both"] == drawn["own"] == drawn["other"] != drawn["five"]


# === What does not decide ===


def test_test_scores_do_not_decide(config):
    rows = [
        {"seed": seed, "selection": selection, "failure": None, "test": {"accuracy": accuracy}}
        for seed, selection, accuracy in ((0, 0.5, 0.9), (1, 0.7, 0.1), (2, 0.7, 0.8))
    ]
    assert _table(config, rows, is_complete=True)["chosen"] == 1


def test_the_smallest_loss_is_the_best(run_file):
    config = load_run_file(run_file, ["training.best_metric=loss"])
    rows = [{"seed": seed, "selection": loss, "failure": None} for seed, loss in ((0, 0.5), (1, 0.2), (2, None))]
    assert _table(config, rows, is_complete=True)["chosen"] == 1


def test_a_run_chosen_later_replaces_what_was_made_of_the_first(tmp_path):
    out = tmp_path / "out"
    for name in ("one", "other"):
        (tmp_path / name / "weights").mkdir(parents=True)
        for file in ("run.toml", "metrics.json", "weights/model.safetensors"):
            (tmp_path / name / file).write_text(name)
    out.mkdir()
    (out / "seeds.json").write_text("{}")
    _show_as_run(tmp_path / "one", out)
    (out / "calibration.json").write_text("of one")
    _show_as_run(tmp_path / "one", out)
    assert (out / "calibration.json").read_text() == "of one"
    _show_as_run(tmp_path / "other", out)
    assert sorted(path.name for path in out.iterdir()) == ["metrics.json", "run.toml", "seeds.json", "weights"]
    assert (out / "weights" / "model.safetensors").read_text() == "other"


# === Failures ===


@pytest.mark.slow
def test_a_seed_that_stays_at_the_majority_is_told(run_file, tmp_path):
    still = load_run_file(run_file, [*QUICK, "training.learning_rate=1e-12", "training.epochs=1"])
    found = train_seeds(still, tmp_path / "seeds", seeds=2)
    failures = [row["failure"] for row in found.table["seeds"] if row["validation"]["accuracy"] <= 0.5]
    assert failures
    assert set(failures) == {"stayed at the majority's accuracy on validation (0.5000)"}


@pytest.mark.slow
def test_a_seed_whose_loss_is_not_finite_does_not_end_the_others(config, tmp_path, monkeypatch):
    def diverging(one, *rest, **options):
        if one.training.seed == 14:
            raise TrainingError("the loss is nan after epoch 1")
        return train(one, *rest, **options)

    monkeypatch.setattr(seeds, "train", diverging)
    found = train_seeds(config, tmp_path / "seeds", seeds=2)
    assert next(row["failure"] for row in found.table["seeds"]) == "the loss is nan after epoch 1"
    assert found.table["chosen"] == 15


REFUSED = {
    "one seed": ({"seeds": 1}, [], InputError, "seeds is 1; give at least 2"),
    "several machines": ({}, ["training.strategy=multi_worker"], InputError, "multi_worker"),
    "no room for seeds": ({}, ["training.seed=4294967295"], InputError, "leaves no room for 2 seeds"),
    "nothing to resume": ({"resume": True}, [], RunFolderError, "nothing to resume here"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_told_before_any_work(case, run_file, tmp_path):
    options, overrides, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        train_seeds(load_run_file(run_file, overrides), tmp_path / "new", **{"seeds": 2, **options})
    assert not (tmp_path / "new").exists()


def test_folders_of_one_and_of_several_seeds_are_not_mixed(config, whole, trained):
    with pytest.raises(RunFolderError, match="holds a run of one seed; give another --out"):
        train_seeds(config, trained.run.path, seeds=2)
    with pytest.raises(RunFolderError, match="holds a run of several seeds; give another --out, or --resume"):
        train_seeds(config, whole.run.path, seeds=2)
    with pytest.raises(
        RunFolderError, match="holds a run of several seeds; give another --out, or --seeds and --resume"
    ):
        train(config, whole.run.path, resume=True)


def test_seeds_of_another_run_file_are_not_resumed(run_file, whole):
    other = load_run_file(run_file, [*QUICK, "head.dropout=0.3"])
    with pytest.raises(RunFolderError, match=r"changed since this seed began \(dropout\); train it anew"):
        train_seeds(other, whole.run.path, seeds=3, resume=True)
    assert json.loads((whole.run.path / "seeds.json").read_text()) == whole.table


@pytest.mark.slow
def test_the_command_tells_the_scores_and_how_the_run_was_chosen(bert_serving, run_file, tmp_path):
    sets = [word for override in QUICK for word in ("--set", override)]
    ended = bert_serving("train", run_file, *sets, "--out", tmp_path / "run", "--seeds", "2")
    assert ended.status == 0, ended.err
    assert "chosen by accuracy on validation: seed" in ended.out
    assert "test scores did not decide" in ended.out
    for name in ("14", "15", "mean", "deviation"):
        assert any(line.split()[0] == name for line in ended.out.splitlines() if line.strip()), name
    ended = bert_serving("evaluate", tmp_path / "run", "--data", run_file.parent / "test.tsv")
    assert ended.status == 0, ended.err
