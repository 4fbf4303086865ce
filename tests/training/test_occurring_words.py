"""Training with the embeddings of occurring word pieces: the same weights as with the whole table."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support.runs import interrupt
from support.tiny import VOCABULARY, write_run_file

from bert_serving.classifier import Classifier, ClassifierOptions, build_classifier
from bert_serving.config import EncoderConfig, TrainingConfig, load_run_file
from bert_serving.contract import Pooling
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.observer import Observer
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training import run as run_module
from bert_serving.training.frozen_layers import freeze
from bert_serving.training.learning_model import Learning, plan_learning
from bert_serving.training.loop import Examples, fit
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder
from bert_serving.training.strategy import mixed_precision

TABLE = "word_embeddings/embeddings:0"
# "not", "##ly", [UNK] and [MASK] occur in none of them.
TEXTS = ["good film", "the bike is bad", "wheel is very good", "bad the bad", "film very bad wheel", "good"] * 4
# Here they do.
OTHERS = ["not goodly", "unknown", "bad film not", "good"]
SETTINGS = {"epochs": 2, "batch_size": 4, "learning_rate": 0.02, "weight_decay": 0.3}


@pytest.fixture(scope="module")
def folder(encoder_folder):
    return find_encoder_folder(EncoderConfig(path=encoder_folder))


def classifier_of(folder, **options: object) -> Classifier:
    tf_keras.utils.set_random_seed(0)
    settings = ClassifierOptions(("a", "b"), sequence_length=16, **options)
    return build_classifier(load_encoder(folder), load_preprocessing(folder.preprocessing), settings)


def plan(classifier: Classifier, settings: dict, *, is_short: bool) -> Learning:
    """With the plain gradient of GELU, whose rounding the test does not look at."""
    rows, _ = classifier.tokenize(TEXTS)
    learning = plan_learning(classifier, rows, TrainingConfig(**settings), is_short=is_short)
    return dataclasses.replace(learning, is_short=False)


def learn(classifier: Classifier, learning: Learning, settings: dict, folder) -> tuple[dict, list]:
    """Trains, and returns all weights and the history."""

    def examples(texts: list[str]) -> Examples:
        return Examples(classifier.tokenize(texts)[0], np.array([text.count("bad") > 0 for text in texts], np.int32))

    history = fit(
        classifier,
        train=examples(TEXTS),
        validation=examples(OTHERS),
        config=TrainingConfig(**settings),
        best_metric="loss",
        run=RunFolder(folder),
        strategy=tf.distribute.get_strategy(),
        observer=Observer(),
        learning=learning,
    )
    return {variable.name: variable.numpy() for variable in classifier.token_model.variables}, history


# === The same weights ===


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        pytest.param({"average_last_epochs": 2, "padding": "fixed"}, {"pooling": Pooling.MEAN}, marks=pytest.mark.slow),
        pytest.param(
            {"epochs": 4, "gradual_unfreezing": 1, "seed": 2}, {"pooling": Pooling.CLS}, marks=pytest.mark.slow
        ),
        pytest.param({"max_grad_norm": 0.01}, {"pooling": Pooling.MAX, "blocks": 1}, marks=pytest.mark.slow),
        pytest.param({"mixed_precision": "bfloat16"}, {}, marks=pytest.mark.slow),
        pytest.param({"mixed_precision": "float16"}, {}, marks=pytest.mark.slow),
    ],
)
def test_occurring_words_alone_give_the_weights_of_the_whole_table(settings, options, folder, tmp_path):
    settings, results = SETTINGS | settings, []
    for is_short in (False, True):
        with mixed_precision(settings.get("mixed_precision", "float32")):
            classifier = classifier_of(folder, **options)
            learning = plan(classifier, settings, is_short=is_short)
        target = tmp_path / str(is_short)
        target.mkdir()
        results.append(learn(classifier, learning, settings, target))
    (expected, _), (weights, _) = results
    assert [name for name in weights if name != TABLE and not np.array_equal(weights[name], expected[name])] == []
    occurring = learning.words.ids
    absent = np.setdiff1d(np.arange(len(VOCABULARY)), occurring)
    assert {VOCABULARY[number] for number in absent} == {"[UNK]", "[MASK]", "not", "##ly"}
    np.testing.assert_array_equal(weights[TABLE][occurring], expected[TABLE][occurring])
    np.testing.assert_allclose(weights[TABLE][absent], expected[TABLE][absent], rtol=2e-6)
    before = load_encoder(folder).layer.get_layer("word_embeddings").embeddings.numpy()
    assert np.abs(weights[TABLE][absent] / before[absent] - 1).min() > 1e-3, "weight decay shows"
    scores = [[row["val_loss"] for row in history] for _, history in results]
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-5)


@pytest.mark.slow
def test_an_adversarial_step_moves_occurring_words_as_in_the_whole_table(folder, tmp_path):
    settings, results = SETTINGS | {"adversarial_epsilon": 1.0}, []
    for is_short in (False, True):
        classifier = classifier_of(folder)
        learning = plan(classifier, settings, is_short=is_short)
        assert (learning.words is not None) == is_short
        target = tmp_path / str(is_short)
        target.mkdir()
        results.append(learn(classifier, learning, settings, target)[0])
    # The norm of the gradient is a sum of other length, and rounds otherwise.
    for name, expected in results[0].items():
        np.testing.assert_allclose(results[1][name], expected, rtol=1e-3, atol=2e-5, err_msg=name)


def test_an_interrupted_epoch_leaves_its_weights_in_the_classifier(folder):
    classifier = classifier_of(folder)
    learning = plan(classifier, SETTINGS, is_short=True)
    table, words = classifier.encoder.layer.get_layer("word_embeddings").embeddings, learning.words
    before = table.numpy()

    def train_and_stop() -> None:
        with learning.training():
            words.layer.embeddings.assign(0.75 * words.layer.embeddings)
            interrupt()

    with pytest.raises(KeyboardInterrupt):
        train_and_stop()
    np.testing.assert_allclose(table.numpy(), 0.75 * before, rtol=1e-6)
    assert len(words.ids) < len(before)


# === Where the whole table is trained ===


@pytest.mark.parametrize("case", ["strategy", "frozen encoder", "frozen layers", "unknown network"])
def test_the_whole_table_stays_where_it_is_needed_or_frozen(case, folder):
    settings = {"strategy": "mirrored"} if case == "strategy" else {}
    encoder = load_encoder(folder, trainable=case != "frozen encoder", rebuild=case != "unknown network")
    layers = 1 if case == "frozen layers" else 0
    if layers:
        freeze(encoder, layers)
    options = ClassifierOptions(("a", "b"), sequence_length=16)
    classifier = build_classifier(encoder, load_preprocessing(folder.preprocessing), options)
    rows, _ = classifier.tokenize(TEXTS)
    learning = plan_learning(classifier, rows, TrainingConfig(**settings), layers)
    assert learning.words is None
    assert learning.trained is learning.validated
    assert learning.rows(rows) is rows


# === Runs of earlier versions ===


class Stop(Observer):
    def __init__(self, epoch: int):
        self._epoch = epoch

    def batch(self, *, epoch: int, **_: object) -> None:
        if epoch == self._epoch:
            interrupt()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fact", "settings"),
    [("short_training_step", []), ("short_adversarial_step", ["training.adversarial_epsilon=1.0"])],
)
def test_a_run_that_began_with_the_whole_table_goes_on_with_it(
    fact, settings, encoder_folder, rows, tmp_path, monkeypatch
):
    monkeypatch.setattr(run_module, "_draw", lambda *arguments: None)
    config = load_run_file(write_run_file(tmp_path, encoder_folder, rows, epochs=2), settings)
    run = RunFolder(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        train(config, run.path, observer=Stop(1))
    facts = run.facts()
    assert facts.pop(fact) is True
    (run.path / "run.json").write_text(json.dumps(facts), "utf-8")
    with pytest.raises(KeyboardInterrupt):
        train(config, run.path, resume=True, observer=Stop(2))
    names = [name for name, _ in tf.train.list_variables(str(run.checkpoint(1) / "state"))]
    assert not [name for name in names if name.startswith("words/")]
    assert train(config, run.path, resume=True).run.is_complete
