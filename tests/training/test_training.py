"""Training runs: the same to the last digit, whatever interrupts them; and what is said when they fail."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.other_encoders import write_bag_of_words
from support.paths import ROOT
from support.runs import Recorder, assert_same_weights, history_of, interrupt, no_pictures  # noqa: F401  no_pictures is a fixture
from support.tiny import write_hugging_face_folder, write_run_file, write_tsv_file

from bert_serving.classifier import ClassifierOptions, build_classifier, loss_of, targets_of
from bert_serving.config import EncoderConfig, RunConfig, load_run_file
from bert_serving.contract import Head
from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.errors import RunFolderError, TrainingError
from bert_serving.observer import Observer
from bert_serving.saved_model.export import export_run
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training.loading import load_classifier
from bert_serving.training.loop import Examples, best_epoch, class_weights, validation_scores
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def make(encoder_folder, rows, tmp_path_factory):
    """Makes run files: 40 training rows in batches of 4, three epochs."""

    def make(*overrides: str, encoder: Path = encoder_folder, data=rows, **training: object) -> RunConfig:
        folder = tmp_path_factory.mktemp("run_file")
        settings = {"epochs": 3, "learning_rate": 0.02} | training
        return load_run_file(write_run_file(folder, encoder, data, **settings), overrides)

    return make


@pytest.fixture(scope="module")
def config(make) -> RunConfig:
    return make()


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory) -> RunFolder:
    """A run that nothing interrupted."""
    return train(config, tmp_path_factory.mktemp("runs") / "whole").run


@pytest.fixture(scope="module")
def unfinished(config, tmp_path_factory) -> Path:
    """A run stopped in the middle of its second epoch; tests work on copies."""
    out = tmp_path_factory.mktemp("runs") / "unfinished"
    with pytest.raises(KeyboardInterrupt):
        train(config, out, observer=_At(2, 5, interrupt))
    return out


class _At(Observer):
    """Does something after a batch."""

    def __init__(self, epoch: int, batch: int, action):
        self._when, self._action = (epoch, batch), action

    def batch(self, *, epoch: int, done: int, **_: object) -> None:
        if (epoch, done) == self._when:
            self._action()


def child(script: str, *arguments: object, environment: dict[str, str] | None = None) -> subprocess.Popen:
    variables = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"} | (environment or {})
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables)


def finish(process: subprocess.Popen) -> str:
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors[-3000:]
    return output


# === The same again ===


def test_two_runs_of_one_seed_are_equal_to_the_last_digit(config, whole, tmp_path):
    recorder = Recorder()
    again = train(config, tmp_path / "again", observer=recorder).run
    assert history_of(again) == history_of(whole)
    assert_same_weights(again, whole)
    assert [row["epoch"] for row in recorder.epochs] == [1, 2, 3]
    assert [facts["done"] for facts in recorder.batches] == [*range(1, 11)] * 3
    assert {(facts["total"], facts["epochs"]) for facts in recorder.batches} == {(10, 3)}
    assert all(np.isfinite(facts["loss"]) and facts["rows_per_second"] > 0 for facts in recorder.batches)
    np.testing.assert_allclose(recorder.batches[-1]["loss"], recorder.epochs[-1]["loss"], rtol=1e-6)


@pytest.mark.slow
def test_another_seed_gives_another_run(make, whole, tmp_path):
    other = train(make(seed=4, epochs=1), tmp_path / "other").run
    assert history_of(other)[0]["loss"] != history_of(whole)[0]["loss"]


# === Interrupted and resumed ===


@pytest.mark.slow
def test_a_run_stopped_in_an_epoch_ends_like_one_that_was_not(config, whole, unfinished, tmp_path):
    shutil.copytree(unfinished, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert run.last_epoch() == 1
    assert not run.is_complete
    trained = train(config, run.path, resume=True)
    assert history_of(run) == history_of(whole)
    assert_same_weights(run, whole)
    assert not (run.path / "checkpoints").exists()
    assert trained.metrics == whole.read_json("metrics.json")


KILLED = """
import os, signal, sys
from pathlib import Path
from bert_serving.saved_model.export import export_run
from bert_serving.training.loading import load_classifier
from bert_serving.training import run as run_module
from bert_serving.training.run import train
from bert_serving.config import load_run_file
from bert_serving.training import checkpoints
write = checkpoints._write
def write_and_die(checkpoint, prefix):
    write(checkpoint, prefix)
    if "002" in str(prefix):
        os.kill(os.getpid(), signal.SIGKILL)
checkpoints._write = write_and_die
train(load_run_file(Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_run_killed_while_it_writes_a_checkpoint_ends_the_same(config, whole, tmp_path):
    run = RunFolder(tmp_path / "run")
    with child(KILLED, config.data.folder / "run.toml", run.path) as process:
        process.communicate(timeout=180)
    assert process.returncode == -signal.SIGKILL
    assert sorted(path.name for path in (run.path / "checkpoints").iterdir()) == [".tmp-epoch_002", "epoch_001"]
    train(config, run.path, resume=True)
    assert history_of(run) == history_of(whole)
    assert_same_weights(run, whole)


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one_usable(config, whole, tmp_path):
    run = RunFolder(tmp_path / "run")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_the_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))

    try:
        with pytest.raises(RunFolderError) as raised:
            train(config, run.path, observer=_At(2, 5, fill_the_disk))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    message = str(raised.value)
    assert message.startswith(f"{run.path}/checkpoints: cannot write a checkpoint: ")
    assert message.endswith("; free space and go on with --resume")
    assert "\n" not in message
    assert [path.name for path in (run.path / "checkpoints").iterdir()] == ["epoch_001"]
    train(config, run.path, resume=True)
    assert_same_weights(run, whole)


@pytest.mark.slow
def test_weights_that_cannot_be_written_give_one_line(config, whole, tmp_path):
    run = RunFolder(tmp_path / "run")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class FillTheDisk(Observer):
        def epoch(self, row) -> None:
            if row["epoch"] == 3:
                resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))

    try:
        with pytest.raises(RunFolderError) as raised:
            train(config, run.path, observer=FillTheDisk())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(raised.value).startswith(f"{run.path}: cannot write the run folder: ")
    assert "\n" not in str(raised.value)
    assert not run.is_complete
    train(config, run.path, resume=True)
    assert_same_weights(run, whole)


def test_a_damaged_checkpoint_is_named(config, unfinished, tmp_path):
    shutil.copytree(unfinished, tmp_path / "run")
    [data] = (tmp_path / "run/checkpoints/epoch_001").glob("state.data*")
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(RunFolderError) as raised:
        train(config, tmp_path / "run", resume=True)
    assert str(raised.value).startswith(f"{tmp_path}/run/checkpoints/epoch_001: cannot read the checkpoint: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("overrides", "keys"),
    [(["training.epochs=5"], "epochs"), (["training.seed=4", "head.dropout=0.2"], "dropout, seed")],
)
def test_a_run_file_that_changed_is_not_resumed(config, unfinished, overrides, keys):
    changed = load_run_file(config.data.folder / "run.toml", overrides)
    with pytest.raises(RunFolderError) as raised:
        train(changed, unfinished, resume=True)
    expected = f"{unfinished}: the run file changed since this run began ({keys}); train it anew"
    assert str(raised.value) == expected


def test_data_that_changed_are_not_resumed(config, unfinished, rows):
    path = config.data.folder / "train.tsv"
    before = path.read_bytes()
    try:
        write_tsv_file(path, [*rows[:39], ("the wheel is good", "praise")])
        with pytest.raises(RunFolderError) as raised:
            train(config, unfinished, resume=True)
    finally:
        path.write_bytes(before)
    assert str(raised.value) == f"{unfinished}: the train data changed since this run began; train it anew"


@pytest.mark.slow
def test_an_encoder_that_changed_is_not_resumed(make, tmp_path):
    write_hugging_face_folder(tmp_path / "encoder", layers=1, seed=1)
    config = make(encoder=tmp_path / "encoder")
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", observer=_At(1, 5, interrupt))
    shutil.rmtree(tmp_path / "encoder")
    write_hugging_face_folder(tmp_path / "encoder", layers=1, seed=2)
    with pytest.raises(RunFolderError, match="the encoder changed since this run began; train it anew"):
        train(config, tmp_path / "run", resume=True)


def test_a_run_that_began_is_not_begun_again(config, whole, unfinished, tmp_path):
    cases = {
        (whole.path, False): "holds a complete run; give another --out",
        (unfinished, False): "holds an unfinished run; give another --out, or --resume",
        (tmp_path, True): "nothing to resume here (run.toml is missing); leave --resume out",
    }
    for (folder, resume), problem in cases.items():
        with pytest.raises(RunFolderError) as raised:
            train(config, folder, resume=resume)
        assert str(raised.value) == f"{folder}: {problem}"


def test_a_folder_in_use_is_refused(config, tmp_path):
    with (
        RunFolder(tmp_path).locked(),
        pytest.raises(RunFolderError, match="another process is training into this folder"),
    ):
        train(config, tmp_path)


# === Which epoch is kept ===


@pytest.fixture(scope="module")
def misled(rows):
    """Validation rows with the wrong labels: what is learned makes them worse."""
    swapped = [(text, {"praise": "blame", "blame": "praise"}[label]) for text, label in rows[40:50]]
    return [*rows[:40], *swapped, *rows[50:]]


def test_the_best_epochs_weights_are_kept_and_not_the_last(make, misled, tmp_path):
    trained = train(make(data=misled, best_metric="loss", learning_rate=0.02, epochs=4), tmp_path / "run")
    history = history_of(trained.run)
    losses = [row["val_loss"] for row in history]
    best = best_epoch(history, "loss")
    assert losses[best - 1] == min(losses)
    assert best < len(history) == 4
    classifier = load_classifier(trained.run)
    tokens, _ = classifier.tokenize(trained.splits.validation.texts)
    targets = targets_of(Head.SOFTMAX, classifier.options.labels, trained.splits.validation.labels)
    found = validation_scores(classifier, Examples(tokens, targets))["loss"]
    np.testing.assert_allclose(found, losses[best - 1], rtol=1e-5)


@pytest.mark.slow
def test_training_stops_when_nothing_gets_better(make, tmp_path):
    recorder = Recorder()
    config = make(early_stopping=2, epochs=9, learning_rate=1e-12)
    run = train(config, tmp_path / "run", observer=recorder).run
    assert [row["epoch"] for row in history_of(run)] == [1, 2, 3]
    assert recorder.notes == ["stopped early: no better accuracy for 2 epochs"]
    assert run.is_complete


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("accuracy", [0.5, 0.9, 0.8], 2),
        ("accuracy", [0.9, 0.9, 0.9], 1),
        ("loss", [0.5, 0.2, 0.3], 2),
        ("spearman", [-0.5, 0.0, -0.1], 2),
    ],
)
def test_the_first_of_the_best_epochs_counts(metric, values, best):
    history = [{"epoch": number, f"val_{metric}": value} for number, value in enumerate(values, start=1)]
    assert best_epoch(history, metric) == best


# === Weights of rows ===


@pytest.mark.parametrize(
    ("targets", "classes", "expected"),
    [
        (np.array([0, 0, 0, 1]), 2, [2 / 3, 2 / 3, 2 / 3, 2]),
        (np.array([0, 1, 2]), 3, [1, 1, 1]),
        (np.array([0, 2, 2, 2]), 3, [2, 2 / 3, 2 / 3, 2 / 3]),
        (np.array([[0.0], [1.0], [1.0], [1.0]], np.float32), 2, [2, 2 / 3, 2 / 3, 2 / 3]),
    ],
)
def test_rows_of_rare_labels_weigh_more(targets, classes, expected):
    found = class_weights(targets, classes)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(found.sum(), len(targets), rtol=1e-6)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # (1 - b) / (1 - b ** n) of arXiv:1901.05555 for b = 0.999 by hand: 1, 0.5003, 0.1005, divided by the rows' mean.
        ((1, 2, 10), [1.0, 0.50025, 0.10045]),
        ((5, 5), [1.0, 1.0]),
        ((100_000, 1), [0.001, 1.0]),
    ],
)
def test_weights_by_the_effective_number_of_rows(counts, expected):
    targets = np.repeat(np.arange(len(counts)), counts)
    found = class_weights(targets, len(counts), "effective_number")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(), 1, rtol=1e-5)
    of_classes = found[np.cumsum(counts) - 1]
    np.testing.assert_allclose(of_classes / of_classes.max(), expected, rtol=1e-3)


@pytest.mark.slow
def test_class_weights_of_the_run_file_arrive(make, rows, encoder_without_dropout, tmp_path):
    """With weights that hardly move, the epoch's loss is the weighted mean of the losses of all rows."""
    uneven = [*rows[:20], *[row for row in rows[:40] if row[1] == "praise"], *rows[40:]]
    config = make(
        "head.dropout=0.0", data=uneven, encoder=encoder_without_dropout, class_weights=True, learning_rate=1e-12
    )
    trained = train(config, tmp_path / "run")
    training_rows, labels = trained.splits.train, trained.classifier.options.labels
    chances = trained.classifier.predict(training_rows.texts)
    losses = np.array(
        [-np.log(row[labels.index(label)]) for row, label in zip(chances, training_rows.labels, strict=True)]
    )
    weights = np.array([40 / (2 * training_rows.labels.count(label)) for label in training_rows.labels])
    assert len(training_rows) == 40
    assert weights.min() < 0.7
    found = [row["loss"] for row in history_of(trained.run)]
    np.testing.assert_allclose(found, [np.mean(weights * losses)] * 3, rtol=1e-5)
    assert abs(np.mean(losses) - np.mean(weights * losses)) > 1e-4


# === Label smoothing ===


@pytest.mark.parametrize(
    ("head", "targets", "logits", "expected"),
    [
        # 0.3 of a label's probability over three labels: 0.8, 0.1 and 0.1; of yes and no: 0.85 and 0.15.
        (Head.SOFTMAX, [1], [[0.0, 2.0, -1.0]], [[0.1, 0.8, 0.1]]),
        (Head.SOFTMAX, [[1]], [[0.0, 2.0, -1.0]], [[0.1, 0.8, 0.1]]),
        (Head.BINARY, [[1.0]], [[0.7]], [[0.85]]),
        (Head.MULTILABEL, [[1.0, 0.0]], [[0.7, -2.0]], [[0.85, 0.15]]),
    ],
)
def test_label_smoothing_spreads_a_fraction_of_each_label(head, targets, logits, expected):
    logits, smoothed = np.array(logits), np.array(expected)
    if head is Head.SOFTMAX:
        cross_entropy = -np.sum(smoothed * (logits - np.log(np.exp(logits).sum())))
    else:
        chances = 1 / (1 + np.exp(-logits))
        cross_entropy = -np.mean(smoothed * np.log(chances) + (1 - smoothed) * np.log(1 - chances))
    found = loss_of(head, 0.3)(np.array(targets), np.array(logits, np.float32))
    np.testing.assert_allclose(float(found), cross_entropy, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("head", [Head.SOFTMAX, Head.BINARY])
def test_label_smoothing_of_the_run_file_arrives(head, make, encoder_without_dropout, tmp_path):
    """With weights that hardly move: the training loss is smoothed, that of validation is not."""
    config = make(
        "head.dropout=0.0",
        f"head.kind={head}",
        encoder=encoder_without_dropout,
        label_smoothing=0.5,
        learning_rate=1e-12,
        epochs=1,
    )
    trained = train(config, tmp_path / "run")
    labels, splits = trained.classifier.options.labels, trained.splits
    [row] = history_of(trained.run)
    for table, key, smoothing in ((splits.train, "loss", 0.5), (splits.validation, "val_loss", 0)):
        chances = trained.classifier.predict(table.texts)
        targets = np.eye(2)[[labels.index(label) for label in table.labels]] * (1 - smoothing) + smoothing / 2
        np.testing.assert_allclose(row[key], -np.mean(np.sum(targets * np.log(chances), axis=1)), rtol=1e-4)


# === Failures ===


def test_a_loss_that_is_no_number_ends_the_run(make, tmp_path):
    with pytest.raises(TrainingError) as raised:
        train(make(learning_rate=1e30, warmup_ratio=0), tmp_path / "run")
    message = str(raised.value)
    assert message.startswith("the loss is nan after epoch 1; lower training.learning_rate (now 1e+30)")
    assert not RunFolder(tmp_path / "run").is_complete


def test_weights_that_are_no_numbers_after_the_last_step_end_the_run_too(make, tmp_path):
    """One step an epoch: its loss is measured before the step spoils the weights."""
    config = make(learning_rate=1e38, warmup_ratio=0, batch_size=40, epochs=1)
    with pytest.raises(TrainingError, match="loss is nan after epoch 1"):
        train(config, tmp_path / "run")


# === Other ways to train ===


@pytest.fixture(scope="module")
def encoder_without_dropout(tmp_path_factory) -> Path:
    """Masks differ with the arithmetic and from replica to replica; without them results must agree.

    It has 20 positions, fewer than the 32 tokens whose multiples XLA's lengths are rounded up to.
    """
    base = tmp_path_factory.mktemp("encoders")
    write_hugging_face_folder(base / "hugging_face", positions=20, seed=1)
    convert_hugging_face(base / "hugging_face", base / "calm")
    described = json.loads((base / "calm/encoder.json").read_text()) | {"dropout": 0.0, "attention_dropout": 0.0}
    (base / "calm/encoder.json").write_text(json.dumps(described))
    return base / "calm"


@pytest.fixture(scope="module")
def calm_config(make, rows, encoder_without_dropout) -> RunConfig:
    # Three of the words that tell: learned in three epochs.
    clear = [(" ".join([{"praise": "good", "blame": "bad"}[label]] * 3 + [text]), label) for text, label in rows]
    config = make(encoder=encoder_without_dropout, data=clear, seed=14)
    path = config.data.folder / "run.toml"
    path.write_text(path.read_text() + "[head]\ndropout = 0.0\n")
    return load_run_file(path)


@pytest.fixture(scope="module")
def calm(calm_config, tmp_path_factory) -> RunFolder:
    """A run without dropout, on one device, in float32."""
    return train(calm_config, tmp_path_factory.mktemp("runs") / "calm").run


def assert_close(run: RunFolder, single: RunFolder, tolerance: float) -> None:
    ours, theirs = history_of(run), history_of(single)
    assert len(ours) == len(theirs) == 3
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose([row[name] for row in ours], [row[name] for row in theirs], atol=tolerance)
    assert theirs[-1]["val_loss"] < theirs[0]["val_loss"] - 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "tolerance"),
    [
        ("mixed_precision=bfloat16", 0.03),
        pytest.param("mixed_precision=float16", 0.01, marks=pytest.mark.slow),
        pytest.param("xla=true", 1e-3, marks=pytest.mark.slow),
    ],
)
def test_other_arithmetic_learns_the_same(calm_config, calm, tmp_path, override, tolerance):
    config = load_run_file(calm_config.data.folder / "run.toml", [f"training.{override}"])
    run = train(config, tmp_path / "run").run
    assert_close(run, calm, tolerance)
    assert {tensor.dtype for tensor in read_safetensors(run.weights).values()} == {np.dtype(np.float32)}
    # Proof that the other arithmetic was used at all.
    assert history_of(run) != history_of(calm)


@pytest.mark.slow
def test_an_encoder_that_is_no_bert_is_trained_and_exported(make, encoder_folder, tmp_path):
    write_bag_of_words(tmp_path / "bag")
    config = make(
        f"encoder.preprocessing={encoder_folder / 'preprocessing'}",
        encoder=tmp_path / "bag",
        learning_rate=0.1,
        epochs=4,
    )
    trained = train(config, tmp_path / "run")
    assert trained.metrics["test"]["accuracy"] >= 0.9
    assert not trained.run.description.exists()
    version = export_run(trained.run, ExportOptions(tmp_path / "models", "bag"))
    texts = trained.splits.test.texts
    exported = ExportedModel(version).predict(texts)
    np.testing.assert_allclose(exported, trained.classifier.predict(texts), atol=1e-5)


# === Several devices ===

MIRRORED = """
import sys
from pathlib import Path
import tensorflow as tf
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from bert_serving.saved_model.export import export_run
from bert_serving.training.loading import load_classifier
from bert_serving.training import run as run_module
from bert_serving.training.run import train
from bert_serving.config import load_run_file
run_module._draw = lambda *arguments: None
overrides = ["training.strategy=mirrored", 'training.devices=["CPU:0", "CPU:1"]', *sys.argv[3:]]
trained = train(load_run_file(Path(sys.argv[1]), overrides), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_two_devices_learn_what_one_does(calm_config, calm, tmp_path):
    with child(MIRRORED, calm_config.data.folder / "run.toml", tmp_path / "run") as process:
        finish(process)
    assert_close(RunFolder(tmp_path / "run"), calm, 1e-3)


@pytest.mark.slow
def test_two_devices_learn_from_bounded_batches_what_one_does(calm_config, tmp_path):
    # Batches of one text to four.
    path, bound = calm_config.data.folder / "run.toml", "training.max_batch_tokens=30"
    single = train(load_run_file(path, [bound]), tmp_path / "single").run
    with child(MIRRORED, path, tmp_path / "run", bound) as process:
        finish(process)
    assert_close(RunFolder(tmp_path / "run"), single, 1e-3)


# === Scores of every head ===


@pytest.mark.parametrize(
    ("head", "labels", "values"),
    [
        (Head.SOFTMAX, ("a", "b", "c"), ["a", "b", "c", "a"]),
        (Head.BINARY, ("no", "yes"), ["no", "yes", "yes", "no"]),
        (Head.MULTILABEL, ("a", "b"), [("a",), (), ("a", "b"), ("b",)]),
        (Head.REGRESSION, (), [0.5, 1.5, -2.0, 3.0]),
    ],
)
def test_each_head_is_scored_by_its_own_metrics(encoder_folder, head, labels, values):
    folder = find_encoder_folder(EncoderConfig(path=encoder_folder))
    options = ClassifierOptions(labels=labels, head=head, sequence_length=16)
    classifier = build_classifier(load_encoder(folder), load_preprocessing(folder.preprocessing), options)
    texts = ["good film", "bad bike", "very good", "the wheel is not bad"]
    rows, _ = classifier.tokenize(texts)
    scores = validation_scores(classifier, Examples(rows, targets_of(head, labels, values)))
    logits = classifier.predict_tokens(rows)
    if head is Head.REGRESSION:
        ranks = [np.argsort(np.argsort(column)) for column in (logits[:, 0], values)]
        assert scores.keys() == {"loss", "spearman"}
        np.testing.assert_allclose(scores["spearman"], np.corrcoef(*ranks)[0, 1], atol=1e-6)
        np.testing.assert_allclose(scores["loss"], np.mean((logits[:, 0] - values) ** 2), rtol=1e-5)
        return
    assert scores.keys() == {"loss", "accuracy", "macro_f1"}
    answers = classifier.predict(texts)
    if head is Head.MULTILABEL:
        right = [
            {label for label, one in zip(labels, row, strict=True) if one >= 0.5} == set(value)
            for row, value in zip(answers, values, strict=True)
        ]
    else:
        right = [labels[row.argmax()] == value for row, value in zip(answers, values, strict=True)]
    assert scores["accuracy"] == np.mean(right)


def test_a_regression_that_always_says_the_same_has_no_rank_correlation(encoder_folder):
    folder = find_encoder_folder(EncoderConfig(path=encoder_folder))
    options = ClassifierOptions(labels=(), head=Head.REGRESSION, sequence_length=16)
    classifier = build_classifier(load_encoder(folder), load_preprocessing(folder.preprocessing), options)
    rows, _ = classifier.tokenize(["good film", "good film"])
    targets = np.array([[1.0], [2.0]], np.float32)
    assert validation_scores(classifier, Examples(rows, targets))["spearman"] == 0.0
