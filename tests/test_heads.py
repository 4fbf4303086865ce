"""Heads beyond a dense layer: new Transformer blocks, the maximum over tokens; word pieces kept on disk."""

import numpy as np
import pytest
import tensorflow as tf
from support.tiny import VOCABULARY, write_run_file

from bert_serving import contract
from bert_serving.classifier import ClassifierOptions, build_classifier, pool
from bert_serving.config import EncoderConfig, load_run_file
from bert_serving.contract import Graph, Pooling
from bert_serving.encoders.architecture import sample_inputs
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.encoders.token_cache import cached_token_rows
from bert_serving.errors import RunFileError
from bert_serving.features import frozen as features
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training.loading import load_classifier
from bert_serving.training.run import train
from bert_serving.training.unfreezing import unfreeze


def test_the_maximum_sees_real_tokens_only():
    outputs = {contract.SEQUENCE_OUTPUT: tf.constant([[[1.0, -5.0], [3.0, -7.0], [9.0, 9.0]]])}
    found = pool(Pooling.MAX, outputs, tf.constant([[1, 1, 0]]))
    np.testing.assert_array_equal(found, [[3.0, -5.0]])


def test_blocks_learn_on_a_frozen_encoder_and_see_no_padding(encoder_folder):
    folder = find_encoder_folder(EncoderConfig(path=encoder_folder))
    options = ClassifierOptions(labels=("a", "b"), sequence_length=16, pooling=Pooling.MEAN, blocks=2)
    classifier = build_classifier(
        load_encoder(folder, trainable=False), load_preprocessing(folder.preprocessing), options
    )
    names = {variable.name for variable in classifier.token_model.trainable_variables}
    assert len(names) == 2 * 16 + 2
    assert {name.split("/")[0] for name in names} == {"blocks", "head"}
    inputs = sample_inputs(len(VOCABULARY), rows=1)
    padded = {name: tf.pad(tensor, [[0, 0], [0, 5]]) for name, tensor in inputs.items()}
    np.testing.assert_allclose(classifier.token_model(inputs), classifier.token_model(padded), atol=1e-5)


@pytest.mark.slow
def test_a_run_with_blocks_and_word_pieces_on_disk_is_exported(encoder_folder, rows, tmp_path, bert_serving):
    path = write_run_file(tmp_path, encoder_folder, rows, epochs=1)
    settings = ["head.blocks=1", "head.pooling=max", "encoder.trainable=false", "encoder.cache_tokens=true"]
    trained = train(load_run_file(path, settings), tmp_path / "run")
    ended = bert_serving("export", trained.run.path, "--to", "models", "--name", "blocks")
    assert (ended.status, ended.err) == (0, "")
    folder = tmp_path / "models" / "blocks" / "1"
    assert load_manifest(folder).graph is Graph.TRIMMED
    texts = ["good film", "the bike is not very good"]
    loaded = load_classifier(trained.run)
    np.testing.assert_allclose(ExportedModel(folder).predict(texts), loaded.predict(texts), atol=1e-5)


def test_blocks_need_a_pooling_that_sees_them(encoder_folder, rows, tmp_path):
    path = write_run_file(tmp_path, encoder_folder, rows)
    with pytest.raises(
        RunFileError, match=r"head\.blocks is 1, and the pooler sees the encoder alone; set head\.pooling"
    ):
        load_run_file(path, ["head.blocks=1"])


def test_word_pieces_are_read_from_the_cache_the_second_time(encoder_folder, monkeypatch):
    preprocessing = load_preprocessing(encoder_folder / "preprocessing")
    texts, pairs = ["good film", "bad"], ["a bike", ""]
    for second in (None, pairs):
        expected = preprocessing.token_rows(texts, second, 8)
        first = cached_token_rows(preprocessing, texts, second, 8)
        for mine, theirs in zip(first, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    monkeypatch.setattr(type(preprocessing), "token_rows", None)
    again = cached_token_rows(preprocessing, texts, pairs, 8)
    np.testing.assert_array_equal(again[0], first[0])
    for other in ((texts[::-1], pairs, 8), (["good", " filmbad"], pairs, 8), (texts, pairs, 9)):
        with pytest.raises(TypeError):
            cached_token_rows(preprocessing, *other)


# === Layer-wise unfreezing ===


def test_layers_join_from_the_last_to_the_first_and_embeddings_at_the_end(encoder_folder):
    encoder = load_encoder(find_encoder_folder(EncoderConfig(path=encoder_folder)))
    learning = []
    for epoch in (1, 2, 3, 4):
        unfreeze(encoder, epoch, 1)
        names = {variable.name for variable in encoder.layer.trainable_variables}
        learning.append({"/".join(name.split("/")[:2]) for name in names})
    assert learning[0] == {"pooler_transform/kernel:0", "pooler_transform/bias:0"}
    assert learning[1] - learning[0] == {"transformer/layer_1"}
    assert learning[2] - learning[1] == {"transformer/layer_0"}
    assert "word_embeddings/embeddings:0" in learning[3] - learning[2]
    assert len(encoder.layer.trainable_variables) == len(encoder.layer.variables)


@pytest.mark.slow
def test_a_run_unfreezes_layer_by_layer(encoder_folder, rows, tmp_path):
    before = {
        each.name: each.numpy()
        for each in load_encoder(find_encoder_folder(EncoderConfig(path=encoder_folder))).layer.variables
    }
    path = write_run_file(tmp_path, encoder_folder, rows, epochs=2, gradual_unfreezing=1, best_metric="loss")
    trained = train(load_run_file(path), tmp_path / "run")
    after = {each.name: each.numpy() for each in trained.classifier.encoder.layer.variables}
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert not [name for name in changed if "layer_0" in name or "embedding" in name]
    assert [name for name in changed if "pooler" in name]


@pytest.mark.slow
def test_the_best_epoch_of_a_run_may_be_one_before_the_last_layer_joined(encoder_folder, rows, tmp_path, monkeypatch):
    monkeypatch.setattr("bert_serving.training.loop.best_epoch", lambda history, metric: 1)
    path = write_run_file(tmp_path, encoder_folder, rows, epochs=3, gradual_unfreezing=1, best_metric="loss")
    trained = train(load_run_file(path), tmp_path / "run")
    before = load_encoder(find_encoder_folder(EncoderConfig(path=encoder_folder))).layer.variables
    changed = {
        mine.name
        for mine, other in zip(trained.classifier.encoder.layer.variables, before, strict=True)
        if not np.array_equal(mine.numpy(), other.numpy())
    }
    assert changed
    assert not [name for name in changed if "layer_" in name or "embedding" in name]


def test_unfreezing_does_not_fit_a_frozen_encoder(encoder_folder, rows, tmp_path):
    path = write_run_file(tmp_path, encoder_folder, rows, gradual_unfreezing=1)
    with pytest.raises(RunFileError, match=r"training\.gradual_unfreezing has no meaning for a frozen encoder"):
        load_run_file(path, ["encoder.trainable=false"])


# === The dense head on cached features ===


@pytest.mark.slow
def test_a_head_learns_from_features_that_are_computed_once(encoder_folder, rows, tmp_path, monkeypatch):
    path = write_run_file(tmp_path, encoder_folder, rows, epochs=3, best_metric="loss")
    settings = ["encoder.trainable=false", "encoder.cache_features=true", "head.pooling=mean", "head.dropout=0"]
    trained = train(load_run_file(path, settings), tmp_path / "run")
    before = load_encoder(find_encoder_folder(EncoderConfig(path=encoder_folder))).layer.variables
    for mine, theirs in zip(trained.classifier.encoder.layer.variables, before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    # The history's loss comes from the cached features, this one from the whole classifier on the same rows.
    validation = trained.splits.validation
    predicted = trained.classifier.predict(validation.texts)
    truth = [trained.classifier.options.labels.index(label) for label in validation.labels]
    best = min(trained.run.read_json("history.json"), key=lambda row: row["val_loss"])
    assert -np.log(predicted[range(len(truth)), truth]).mean() == pytest.approx(best["val_loss"], abs=1e-5)
    monkeypatch.setattr(features, "encode", None)
    again = train(load_run_file(path, settings), tmp_path / "again")
    np.testing.assert_array_equal(again.classifier.predict(["good film"]), trained.classifier.predict(["good film"]))


def test_cached_features_need_a_frozen_encoder_and_a_plain_head(encoder_folder, rows, tmp_path):
    path = write_run_file(tmp_path, encoder_folder, rows)
    with pytest.raises(RunFileError, match=r"encoder\.cache_features needs encoder\.trainable = false, got true"):
        load_run_file(path, ["encoder.cache_features=true"])
    with pytest.raises(RunFileError, match=r"encoder\.cache_features needs head\.blocks = 0, got 1"):
        load_run_file(
            path, ["encoder.cache_features=true", "encoder.trainable=false", "head.blocks=1", "head.pooling=cls"]
        )
