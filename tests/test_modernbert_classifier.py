"""A ModernBERT from Hugging Face's folder to answers: exported as it is, trained, explained, served."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.cases import slow_but
from support.classifier_answers import LENGTH, our_answers
from support.hugging_face_folders import write_vocabulary
from support.modernbert import LABELS, write_byte_level_classifier, write_modernbert
from support.paths import RECORDED as FOLDER
from support.runs import Recorder, assert_same_weights, interrupted_and_resumed
from support.tiny import write_run_file

from bert_serving import contract
from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.config import load_run_file
from bert_serving.contract import Graph
from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
from bert_serving.encoders.conversion.run_folder import convert_run
from bert_serving.errors import EncoderError
from bert_serving.explanation.integrated_gradients import explain
from bert_serving.hugging_face import ConvertedClassifier, convert_classifier
from bert_serving.model_server.process import ModelServerProcess
from bert_serving.saved_model.export import export_run
from bert_serving.saved_model.graphs.dense import FloatArithmetic
from bert_serving.saved_model.graphs.ragged import ragged_encoder
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.operations.versions import version_key
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.saved_model.signatures import supported_graph
from bert_serving.training.frozen_layers import freeze
from bert_serving.training.run import train

RECORDED = json.loads((FOLDER / "modernbert_reference.json").read_text("utf-8"))["answers"]
TEXTS = ["good film", "the bike is not very good", "", "bad wheel bad", "very " * 80]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("modernbert") / "tiny"
    write_modernbert(folder)
    write_vocabulary(folder, "bert")
    return folder


@pytest.fixture(scope="module")
def converted(folder, tmp_path_factory) -> ConvertedClassifier:
    return convert_classifier(folder, tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def encoder(folder, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("encoder") / "tiny"
    convert_hugging_face(folder, target)
    return target


@pytest.fixture(scope="module")
def run_file(encoder, rows, tmp_path_factory) -> Path:
    return write_run_file(
        tmp_path_factory.mktemp("run_file"), encoder, rows, epochs=2, batch_size=8, learning_rate=0.003
    )


@pytest.fixture(scope="module")
def trained(run_file, tmp_path_factory):
    observer = Recorder()
    run = train(load_run_file(run_file), tmp_path_factory.mktemp("runs") / "tiny", observer=observer)
    return run, observer.epochs


# === As it is ===


@pytest.mark.parametrize("kind", slow_but(["singles", "pairs"], kept=["pairs"]))
def test_token_ids_and_logits_are_those_that_transformers_recorded(tmp_path, kind):
    write_byte_level_classifier(tmp_path / "model")
    converted = convert_classifier(
        tmp_path / "model", tmp_path / "scratch", sequence_length=LENGTH, pairs=kind == "pairs"
    )
    found, expected = our_answers(converted.classifier, pairs=kind == "pairs"), RECORDED[kind]
    assert found["ids"] == expected["ids"]
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-5)


@pytest.mark.slow
def test_a_folder_becomes_a_served_model(folder, converted, bert_serving, tmp_path):
    ended = bert_serving("export", folder, "--to", "models")
    assert (ended.status, ended.err) == (0, "")
    version = tmp_path / "models" / "tiny" / "1"
    manifest = load_manifest(version)
    assert (manifest.labels, manifest.graph, manifest.sequence_length) == (LABELS, "trimmed", 64)
    assert version_key(manifest.oldest_tf_serving) <= version_key("2.12")
    assert manifest.verification.passed
    exported = ExportedModel(version)
    np.testing.assert_allclose(exported.predict(TEXTS), converted.classifier.predict(TEXTS), atol=1e-5)
    pooled = exported.call(contract.EMBED, text=TEXTS)[contract.POOLED_OUTPUT]
    assert pooled.shape == (len(TEXTS), 16)


def test_options_are_those_of_its_configuration(converted):
    options = converted.classifier.options
    assert (options.sequence_length, options.dropout, options.labels) == (64, 0.0, LABELS)
    assert converted.architecture == "ModernBertForSequenceClassification"


def test_its_graph_is_the_trimmed_one(converted):
    assert supported_graph(converted.classifier, Graph.RAGGED) is Graph.TRIMMED
    with pytest.raises(EncoderError, match="the ragged graph needs a BERT encoder; use the trimmed one"):
        ragged_encoder(converted.classifier, FloatArithmetic(tf.float32))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
def test_it_computes_in_float32_only(folder, bert_serving, tmp_path, precision):
    (tmp_path / "texts.txt").write_text("good film\nbad bike\n", "utf-8")
    options = ["--precision", precision, "--texts", "texts.txt", "--minimum-tf-serving", "2.17"]
    ended = bert_serving("export", folder, "--to", "models", *options)
    assert ended.status == 2
    assert f"the trimmed graph computes in float32 only, got {precision}" in ended.err
    assert not list(tmp_path.rglob("saved_model.pb"))


@pytest.mark.slow
def test_pairs_need_no_token_types(folder, tmp_path):
    classifier = convert_classifier(folder, tmp_path, pairs=True).classifier
    rows, _ = classifier.tokenize(["good film"], ["bad bike"])
    logits = classifier.predict_tokens(rows)
    rows.types[:] = 0
    np.testing.assert_array_equal(classifier.predict_tokens(rows), logits)


def test_words_explain_the_logit(converted):
    found = explain(converted.classifier, "the bike is not very good")
    assert found.is_complete
    total = sum(word.attribution for word in found.words)
    assert total == pytest.approx(found.logit - found.baseline_logit, abs=0.01)


# === Trained ===


@pytest.mark.slow
def test_an_epoch_of_training_lowers_the_loss(trained):
    _, epochs = trained
    first, second = (row["val_loss"] for row in epochs)
    assert second < first < np.log(2)


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_weights(trained, run_file, tmp_path, monkeypatch):
    resumed = interrupted_and_resumed(load_run_file(run_file), tmp_path / "run")
    assert_same_weights(resumed, trained[0].run)


@pytest.mark.slow
def test_a_run_is_exported_served_and_taken_on(trained, tmp_path):
    run = trained[0].run
    version = export_run(run, ExportOptions(tmp_path / "models", "tiny"))
    assert load_manifest(version).graph == "trimmed"
    expected = trained[0].classifier.predict(TEXTS)
    with ModelServerProcess(version.parent, "tiny") as server, GrpcClient(server.grpc_address) as client:
        found = client.predict("tiny", TEXTS)
    np.testing.assert_allclose([each.probabilities for each in found], expected, atol=1e-5)
    convert_run(run.path, tmp_path / "encoder")
    description = json.loads((tmp_path / "encoder" / "encoder.json").read_text())
    assert description["model_type"] == "modernbert"


def test_what_needs_the_layers_of_a_bert_is_refused_in_one_line(converted):
    with pytest.raises(
        EncoderError, match=r"frozen_layers is 1, and needs a BERT, DistilBERT or ELECTRA, layer by layer"
    ):
        freeze(converted.classifier.encoder, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        ["training.gradual_unfreezing=2"],
        ["training.mixed_precision=bfloat16"],
        ["training.adversarial_epsilon=0.5"],
        ["encoder.trainable=false"],
        ["training.xla=true"],
        ["head.pooling=mean"],
        ["head.blocks=1"],
    ],
)
def test_options_of_training_work(run_file, changes, tmp_path):
    finished = train(load_run_file(run_file, changes), tmp_path / "run")
    assert np.isfinite(finished.classifier.predict(TEXTS)).all()
