"""The mean of the last epochs' weights is kept where validation prefers it."""

import numpy as np
import pytest
from support.runs import Recorder, assert_same_weights, history_of, interrupt

from bert_serving.classifier import targets_of
from bert_serving.config import load_run_file
from bert_serving.data.splits import load_validation
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.training import loop
from bert_serving.training.loading import load_classifier
from bert_serving.training.loop import Examples, validation_scores
from bert_serving.training.run import train

OPTIONS = ("training.epochs=3", "training.average_last_epochs=2", "training.best_metric=loss")


@pytest.fixture(scope="module")
def config(run_file):
    return load_run_file(run_file, OPTIONS)


@pytest.fixture(scope="module")
def averaged(config, tmp_path_factory):
    """A finished run, and the weights after each of its epochs."""
    weights, save = [], loop.save

    def keep(checkpoint, *rest):
        weights.append({each.name: each.numpy() for each in checkpoint.model.trainable_variables})
        save(checkpoint, *rest)

    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "save", keep)
        run = train(config, tmp_path_factory.mktemp("runs") / "averaged", observer=recorder).run
    return run, weights, recorder.notes


@pytest.mark.slow
def test_the_better_of_best_epoch_and_mean_is_kept(averaged):
    run, weights, notes = averaged
    found = run.read_json("average.json")
    best = min(row["val_loss"] for row in history_of(run))
    assert found["epochs"] == [2, 3]
    assert found["kept"] == (found["val_loss"] < best)
    assert len(notes) == 1
    assert notes[0].startswith(f"mean of the weights of epochs 2 to 3: val_loss {found['val_loss']:.4f}, ")
    epoch = 1 + int(np.argmin([row["val_loss"] for row in history_of(run)]))
    kept = read_safetensors(run.weights)
    for name, value in weights[epoch - 1].items():
        expected = (weights[1][name].astype(float) + weights[2][name]) / 2 if found["kept"] else value
        np.testing.assert_allclose(kept[name], expected, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.slow
def test_the_kept_weights_have_the_score_that_is_told(averaged):
    run, _, _ = averaged
    classifier = load_classifier(run)
    table = load_validation(run.config().data, run.config().head.kind, run.config().training.seed)
    targets = targets_of(classifier.options.head, classifier.options.labels, table.labels)
    score = validation_scores(classifier, Examples(classifier.tokenize(table.texts)[0], targets))["loss"]
    told = [run.read_json("average.json")["val_loss"], *(row["val_loss"] for row in history_of(run))]
    assert score == pytest.approx(min(told), rel=1e-5)


@pytest.mark.slow
def test_a_mean_that_is_no_better_than_the_best_epoch_is_not_kept(config, averaged, tmp_path, monkeypatch):
    calls, score = [], loop.validation_scores

    def worse_after_the_epochs(classifier, examples):
        calls.append(1)
        return score(classifier, examples) | ({"loss": 99.0} if len(calls) > 3 else {})

    monkeypatch.setattr(loop, "validation_scores", worse_after_the_epochs)
    run = train(config, tmp_path / "run").run
    history = history_of(run)
    epoch = 1 + int(np.argmin([row["val_loss"] for row in history]))
    assert run.read_json("average.json")["kept"] is False
    kept, (_, weights, _) = read_safetensors(run.weights), averaged
    for name, value in weights[epoch - 1].items():
        np.testing.assert_array_equal(kept[name], value, err_msg=name)


@pytest.mark.slow
def test_a_run_resumed_after_its_last_epoch_ends_the_same(config, averaged, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "assign_average", lambda *_: interrupt())
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run")
    monkeypatch.undo()
    run = train(config, tmp_path / "run", resume=True).run
    assert_same_weights(run, averaged[0])
    assert run.read_json("average.json") == averaged[0].read_json("average.json")
