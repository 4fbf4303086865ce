"""Several workers as processes of this machine: what they learn together, and what happens when one is killed."""

import json
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.paths import ROOT
from support.runs import assert_same_weights, history_of
from support.tiny import write_hugging_face_folder, write_run_file

from bert_serving.config import load_run_file
from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.errors import InputError
from bert_serving.training import run as run_module
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder

sys.path.insert(0, str(ROOT / "scripts"))
from rehearse_lost_workers import Job


@pytest.fixture(autouse=True, scope="module")
def _paths():
    """Workers import the package from here, and run on processors alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        patch.setattr(run_module, "_draw", lambda *arguments: None)
        yield


@pytest.fixture(scope="module")
def calm_file(rows, tmp_path_factory) -> Path:
    """A run file without dropout, whose masks differ from worker to worker: 40 rows in batches of 7, the last one of 5."""
    base = tmp_path_factory.mktemp("encoders")
    write_hugging_face_folder(base / "hugging_face", positions=20, seed=1)
    convert_hugging_face(base / "hugging_face", base / "calm")
    described = json.loads((base / "calm/encoder.json").read_text()) | {"dropout": 0.0, "attention_dropout": 0.0}
    (base / "calm/encoder.json").write_text(json.dumps(described))
    clear = [(" ".join([{"praise": "good", "blame": "bad"}[label]] * 3 + [text]), label) for text, label in rows]
    path = write_run_file(tmp_path_factory.mktemp("calm"), base / "calm", clear, epochs=3, batch_size=7)
    path.write_text(path.read_text() + "[head]\ndropout = 0.0\n")
    return path


@pytest.fixture(scope="module")
def undisturbed(calm_file, tmp_path_factory) -> RunFolder:
    """A run of two workers that nothing disturbed."""
    with Job(calm_file, tmp_path_factory.mktemp("runs") / "undisturbed", 2) as job:
        job.start()
        assert job.wait() == [0, 0], job.printed(0)[-3000:] + job.printed(1)[-3000:]
    return RunFolder(job.out)


def assert_equal_but_for_rounding(run: RunFolder, single: RunFolder, tolerance: float = 5e-6) -> None:
    for mine, other in zip(history_of(run), history_of(single), strict=True):
        assert mine.keys() == other.keys()
        np.testing.assert_allclose(list(mine.values()), list(other.values()), atol=tolerance)
    mine, other = read_safetensors(run.weights), read_safetensors(single.weights)
    assert mine.keys() == other.keys()
    for name in mine:
        np.testing.assert_allclose(mine[name], other[name], atol=10 * tolerance, err_msg=name)


def until(condition, job: Job, seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, job.printed(0)[-3000:]
        assert None in [worker.poll() for worker in job.workers.values()], job.printed(0)[-3000:]
        time.sleep(0.02)


# === What is refused at once ===


@pytest.mark.parametrize(
    ("cluster", "sets", "expected"),
    [
        (None, [], "training.strategy 'multi_worker' needs TF_CONFIG, which is not set; set it to"),
        ("{", [], "TF_CONFIG is no JSON"),
        (8, [], "training.batch_size is 4, fewer rows than the 8 workers of TF_CONFIG; raise it"),
        (2, ["training.xla=true"], "training.xla cannot compile the sums over workers of multi_worker"),
        (
            2,
            ["training.adversarial_epsilon=1.0"],
            "training.adversarial_epsilon needs a trainable encoder on one device",
        ),
        (
            2,
            ["encoder.trainable=false", "encoder.cache_features=true"],
            "encoder.cache_features needs training.strategy",
        ),
    ],
)
def test_what_cannot_be_trained_together_is_refused_before_anything_is_written(
    run_file, tmp_path, monkeypatch, cluster, sets, expected
):
    if isinstance(cluster, int):
        addresses = [f"127.0.0.1:{1 + number}" for number in range(cluster)]
        cluster = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}})
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if cluster is not None:
        monkeypatch.setenv("TF_CONFIG", cluster)
    with pytest.raises(InputError) as raised:
        train(load_run_file(run_file, ["training.strategy=multi_worker", *sets]), tmp_path / "run")
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_worker_with_another_run_file_is_named_by_both(calm_file, tmp_path):
    with Job(calm_file, tmp_path / "run", 2) as job:
        job.start(0)
        job.start(1, sets=("training.epochs=2",))
        assert job.wait() == [2, 2]
    expected = "worker 1 differs from worker 0 in: training.epochs; start all workers with the same run file"
    assert f"error: {expected}" in job.printed(0)
    assert f"error: worker 0: {expected}" in job.printed(1)
    assert not (job.out / "run.toml").exists()


@pytest.mark.slow
def test_a_worker_that_never_comes_is_named_and_the_status_says_try_again(calm_file, tmp_path):
    with Job(calm_file, tmp_path / "run", 2, timeout=5) as job:
        job.start(0)
        assert job.wait() == [75]
    assert "error: waited 5 s for worker 1 of 2; start all workers with the same --out" in job.printed(0)


# === What they learn ===


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 4])
def test_workers_learn_together_what_one_process_learns(calm_file, undisturbed, tmp_path, size):
    single = train(load_run_file(calm_file), tmp_path / "single").run
    if size == 2:
        run = undisturbed
    else:
        with Job(calm_file, tmp_path / "run", size) as job:
            job.start()
            assert job.wait() == [0] * size, job.printed(0)[-3000:]
        run = RunFolder(job.out)
    assert history_of(single)[-1]["val_loss"] < history_of(single)[0]["val_loss"] - 0.05, "something is learned"
    assert_equal_but_for_rounding(run, single)
    assert not (run.path / "workers").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "sets",
    [
        ["encoder.frozen_layers=1"],
        ["training.gradual_unfreezing=1", "training.epochs=4"],
        ["head.kind=binary", "training.class_weights=true", "training.average_last_epochs=2"],
        ["head.blocks=1", "head.pooling=mean", "training.padding=fixed"],
        [
            "training.label_smoothing=0.2",
            "training.layerwise_learning_rate_decay=0.7",
            "encoder.reinitialized_layers=1",
            "training.class_weights=effective_number",
        ],
    ],
    ids=lambda sets: sets[0],
)
def test_other_settings_give_the_same_together_as_alone(calm_file, tmp_path, sets):
    single = train(load_run_file(calm_file, sets), tmp_path / "single").run
    with Job(calm_file, tmp_path / "run", 2, *sets) as job:
        job.start()
        assert job.wait() == [0, 0], job.printed(0)[-3000:]
    assert_equal_but_for_rounding(RunFolder(job.out), single)


# === Lost workers ===


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1], ids=["chief", "worker"])
def test_a_killed_worker_that_is_started_again_goes_on_as_if_nothing_had_happened(
    calm_file, undisturbed, tmp_path, victim
):
    with Job(calm_file, tmp_path / "run", 2) as job:
        job.start()
        until(lambda: list(job.out.glob("checkpoints/epoch_002")), job)
        job.send(victim)
        job.start(victim)
        assert job.wait() == [0, 0], job.printed(0)[-3000:] + job.printed(1)[-3000:]
    run = RunFolder(job.out)
    assert history_of(run) == history_of(undisturbed)
    assert_same_weights(run, undisturbed)
    assert "starting again: " in job.printed(1 - victim)
    assert "Traceback" not in job.printed(0) + job.printed(1)
    # The survivor has trained the first two epochs once, and no epoch twice.
    assert job.printed(1 - victim).count("epoch 1: ") == 1
    # A complete run has nothing left to do for anybody.
    with Job(calm_file, job.out, 2) as again:
        again.start()
        assert again.wait(120) == [0, 0]
    assert_same_weights(run, undisturbed)


@pytest.mark.slow
def test_a_worker_that_hangs_is_left_behind(calm_file, tmp_path):
    with Job(calm_file, tmp_path / "run", 2, "training.epochs=40", timeout=10) as job:
        job.start()
        until(lambda: list(job.out.glob("checkpoints/epoch_001")), job)
        job.send(1, signal.SIGSTOP)
        job.workers[0].wait(90)
        assert job.workers[0].returncode == 75
        assert "starting again: " in job.printed(0)
        assert "error: waited 10 s for worker 1 of 2" in job.printed(0)


@pytest.mark.slow
def test_a_worker_that_cannot_go_on_ends_the_others(calm_file, tmp_path):
    """A rate so high that the loss is no number: the error is one of all workers, and nobody waits for anybody."""
    with Job(calm_file, tmp_path / "run", 2, "training.learning_rate=1e38", "training.warmup_ratio=0") as job:
        job.start()
        assert job.wait() == [1, 1]
    assert "the loss is nan after epoch 1" in job.printed(0)
    assert "the loss is nan after epoch 1" in job.printed(1)


@pytest.mark.slow
def test_a_second_chief_is_refused(calm_file, tmp_path):
    with Job(calm_file, tmp_path / "run", 2) as job:
        job.start(0)
        until(lambda: (job.out / "workers" / "worker_0.json").exists(), job)
        with Job(calm_file, tmp_path / "run", 2) as other:
            other.start(0)
            assert other.wait(120) == [2]
            assert "another process is training into this folder" in other.printed(0)
