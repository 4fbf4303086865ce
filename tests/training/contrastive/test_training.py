"""Contrastive training from a run file: all heads, resumption, history, head and export."""

import numpy as np
import pytest
import tensorflow as tf
from support.runs import (  # noqa: F401  no_pictures is a fixture
    Recorder,
    assert_same_weights,
    history_of,
    in_process_verification,
    interrupted_and_resumed,
    no_pictures,
)
from support.tiny import write_tsv_file

import bert_serving as bs
from bert_serving.classifier import targets_of
from bert_serving.config import load_run_file
from bert_serving.contract import Head
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.saved_model.export import export_run
from bert_serving.saved_model.options import ExportOptions
from bert_serving.training.contrastive.head import fitted_head
from bert_serving.training.loading import load_classifier
from bert_serving.training.run import train

CONTRASTIVE = (
    "training.method=contrastive",
    "training.contrastive_iterations=10",
    "training.epochs=2",
    "head.pooling=mean",
)


@pytest.fixture(scope="module")
def config(run_file):
    return load_run_file(run_file, CONTRASTIVE)


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """A finished run, and what its observer was told."""
    recorder = Recorder()
    return train(config, tmp_path_factory.mktemp("runs") / "contrastive", observer=recorder), recorder


def test_the_tiny_encoder_learns_its_labels(finished):
    trained, _ = finished
    assert all(trained.metrics[split]["accuracy"] >= 0.8 for split in ("validation", "test"))


def test_history_has_the_contrastive_loss_and_the_scores_of_the_head(finished):
    trained, recorder = finished
    history = history_of(trained.run)
    assert [row["epoch"] for row in history] == [1, 2]
    for row in history:
        assert {"contrastive_loss", "loss", "accuracy", "val_loss", "val_accuracy"} <= row.keys()
    assert history[1]["contrastive_loss"] < history[0]["contrastive_loss"]
    # 40 rows in ten iterations, 4 rows in a batch.
    assert [batch["done"] for batch in recorder.batches if batch["epoch"] == 1] == list(range(1, 101))
    assert {batch["total"] for batch in recorder.batches} == {100}


def test_the_head_is_the_regression_on_the_vectors_of_the_training_rows(finished):
    trained, _ = finished
    classifier = load_classifier(trained.run)
    table = trained.splits.train
    rows, _ = classifier.tokenize(table.texts)
    vectors = classifier.features_model(classifier.batch(rows, range(len(rows))))["pooled_output"].numpy()
    targets = targets_of(Head.SOFTMAX, classifier.options.labels, table.labels)
    kernel, bias = fitted_head(Head.SOFTMAX, vectors, targets, 2)
    head = classifier.token_model.get_layer("head")
    np.testing.assert_allclose(head.kernel.numpy(), kernel, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(head.bias.numpy(), bias, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(config, finished, tmp_path):
    resumed = interrupted_and_resumed(config, tmp_path / "killed")
    assert_same_weights(resumed, finished[0].run)
    assert history_of(resumed) == history_of(finished[0].run)


@pytest.mark.slow
def test_an_export_of_it_is_verified(finished, tmp_path):
    with in_process_verification():
        exported = export_run(finished[0].run, ExportOptions(tmp_path, "few"))
    signature = tf.saved_model.load(str(exported)).signatures["serving_default"]
    served = signature(text=tf.constant(["a very good film"]))["probabilities"].numpy()
    np.testing.assert_allclose(served, finished[0].classifier.predict(["a very good film"]), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ("head.kind=binary", "training.class_weights=true"),
        ("head.pooling=pooler",),
        ("head.pooling=cls", "encoder.frozen_layers=1"),
        ("head.pooling=max", "training.padding=fixed", "training.early_stopping=1"),
    ],
    ids=" ".join,
)
def test_heads_poolings_and_frozen_layers_learn_too(run_file, overrides, tmp_path):
    settings = [*CONTRASTIVE, "training.seed=14", "training.learning_rate=0.005", *overrides]
    history = history_of(train(load_run_file(run_file, settings), tmp_path / "run").run)
    assert history[-1]["contrastive_loss"] < history[0]["contrastive_loss"]
    assert history[-1]["accuracy"] >= 0.7


@pytest.mark.slow
def test_a_multilabel_head_learns_each_label(run_file, rows, tmp_path):
    for name, part in (("train", rows[:40]), ("validation", rows[40:50]), ("test", rows[50:])):
        marked = [(text, ",".join([label, *(["wheel"] if "wheel" in text else [])])) for text, label in part]
        write_tsv_file(tmp_path / f"{name}.tsv", marked)
    settings = [*CONTRASTIVE, "head.kind=multilabel", f"data.folder={tmp_path}"]
    trained = train(load_run_file(run_file, settings), tmp_path / "run")
    history = history_of(trained.run)
    assert history[-1]["contrastive_loss"] < history[0]["contrastive_loss"]
    assert trained.metrics["validation"]["micro_f1"] > 0.8


@pytest.mark.slow
def test_the_python_interface_trains_by_contrast_too(encoder_folder, rows):
    classifier = bs.build_classifier(encoder_folder, labels=["blame", "praise"], sequence_length=16, pooling="mean")
    settings = {"epochs": 1, "batch_size": 4, "learning_rate": 0.02, "contrastive_iterations": 20}
    [row] = classifier.fit(rows, method="contrastive", **settings)
    assert row["val_accuracy"] >= 0.7


@pytest.mark.slow
def test_another_seed_makes_another_encoder(config, finished, tmp_path):
    changed = config.model_copy(update={"training": config.training.model_copy(update={"seed": 15})})
    one, other = (read_safetensors(run.weights) for run in (finished[0].run, train(changed, tmp_path / "run").run))
    assert any(not np.array_equal(one[name], other[name]) for name in one if "word_embeddings" in name)


@pytest.mark.slow
@pytest.mark.parametrize("few", [2, 8])
def test_few_rows_of_each_label_are_enough_without_validation_files(run_file, few, tmp_path):
    settings = [*CONTRASTIVE, "data.validation=[]", f"data.max_rows_per_label={few}", "training.epochs=1"]
    trained = train(load_run_file(run_file, settings), tmp_path / "run")
    labels = trained.splits.train.labels
    assert {label: labels.count(label) for label in set(labels)} == {"praise": few, "blame": few}
