"""Models of Keras, as the tutorial and tf-models-official save them, against what these models answer themselves."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support.keras_models import TEXTS, official_classifier, softmax, tutorial_model, two
from support.other_encoders import write_bag_of_words
from support.runs import in_process_verification
from support.tiny import VOCABULARY, write_hugging_face_folder

import bert_serving as bs
from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
from bert_serving.errors import BertServingError
from bert_serving.imported.conversion import convert_import
from bert_serving.imported.options import ImportOptions

TWO, THREE = ("neg", "pos"), ("praise", "blame", "neither")
SAME = 1e-6


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """An encoder that takes the 128 tokens of the tutorial's preprocessing."""
    folder = tmp_path_factory.mktemp("long")
    write_hugging_face_folder(folder / "hugging_face", positions=128)
    convert_hugging_face(folder / "hugging_face", folder / "encoder")
    return folder / "encoder"


@pytest.fixture(scope="module")
def vocabulary(encoder) -> Path:
    return encoder / "preprocessing/assets/vocab.txt"


@pytest.fixture(scope="module")
def tutorial(encoder) -> tf_keras.Model:
    return tutorial_model(encoder)


@pytest.fixture(scope="module")
def saved(tutorial, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "imdb_bert"
    tutorial.save(str(folder), include_optimizer=False)
    return folder


def answers(source, scratch: Path, texts=TEXTS, pairs=None, **options) -> np.ndarray:
    """Probabilities of the classifier that is made of a model."""
    scratch.mkdir()
    return convert_import(source, scratch, ImportOptions(**options)).classifier.predict(texts, pairs)


def refusal(source, scratch: Path, **options) -> str:
    with pytest.raises(BertServingError) as raised:
        answers(source, scratch, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", ["imdb.keras", "imdb.h5"])
def test_a_file_of_keras_keeps_its_probabilities(tutorial, tmp_path, name):
    tutorial.save(str(tmp_path / name))
    found = answers(tmp_path / name, tmp_path / "scratch", labels=TWO)
    np.testing.assert_allclose(found, two(tf.sigmoid(tutorial(tf.constant(TEXTS)))), atol=SAME)


@pytest.mark.slow
def test_one_command_takes_the_tutorials_saved_model_in(tutorial, saved, bert_serving, tmp_path):
    ended = bert_serving("export", saved, "--labels", "neg,pos", "--to", "models", "--name", "imdb")
    assert ended.status == 0, ended.err
    assert "answers as imdb_bert: 15 texts, a probability differs by" in ended.err + ended.out
    exported = bs.load(tmp_path / "models/imdb")
    assert (exported.manifest.graph, exported.labels, exported.manifest.sequence_length) == ("ragged", TWO, 128)
    found = np.array([each.probabilities for each in exported.predict(TEXTS)])
    np.testing.assert_allclose(found, two(tf.sigmoid(tutorial(tf.constant(TEXTS)))), atol=SAME)


@pytest.mark.slow  # Keras traces every layer of a network that it saves
@pytest.mark.parametrize("dict_outputs", [True, False])
def test_bert_classifier_of_tf_models_keeps_its_probabilities(vocabulary, tmp_path, dict_outputs):
    model = official_classifier(vocabulary=len(VOCABULARY), dict_outputs=dict_outputs)
    model.save(str(tmp_path / "official"), include_optimizer=False)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    options = ImportOptions(labels=THREE, vocabulary=vocabulary)
    classifier = convert_import(tmp_path / "official", scratch, options).classifier
    rows, _ = classifier.tokenize(TEXTS)
    expected = model(classifier.batch(rows, range(len(TEXTS))))
    np.testing.assert_allclose(classifier.predict(TEXTS), softmax(expected), atol=SAME)


@pytest.mark.slow
def test_the_keras_model_of_build_classifier_can_be_exported(encoder_folder, tmp_path):
    built = bs.build_classifier(encoder_folder, THREE, sequence_length=12)
    with in_process_verification():
        exported = bs.export(built.model, to=tmp_path / "models", name="fitted")
    assert (exported.labels, exported.manifest.sequence_length) == (THREE, 12)
    found = np.array([each.probabilities for each in exported.predict(TEXTS)])
    np.testing.assert_allclose(found, built.classifier.predict(TEXTS), atol=SAME)


@pytest.mark.slow
def test_a_model_of_token_ids_needs_its_vocabulary(trained, tmp_path, vocabulary):
    from bert_serving.training.loading import load_classifier

    ours = load_classifier(trained.run)
    model, labels = ours.token_model, ours.options.labels
    assert "takes token ids, not texts; name the WordPiece vocabulary" in refusal(model, tmp_path / "a", labels=labels)
    found = answers(model, tmp_path / "b", labels=labels, vocabulary=vocabulary, sequence_length=16)
    np.testing.assert_allclose(found, ours.predict(TEXTS), atol=SAME)


@pytest.mark.slow
def test_another_encoder_of_tf_hub_is_kept_as_it_is(encoder, tmp_path):
    other = tmp_path / "other"
    write_bag_of_words(other / "encoder")
    (other / "preprocessing").symlink_to(encoder / "preprocessing")
    model = tutorial_model(other, 3)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    classifier = convert_import(model, scratch, ImportOptions(labels=THREE)).classifier
    assert classifier.encoder.architecture is None
    np.testing.assert_allclose(classifier.predict(TEXTS), softmax(model(tf.constant(TEXTS))), atol=SAME)


# === Refusals ===


def test_what_is_needed_for_a_saved_model_is_told(saved, tmp_path):
    assert "so name two, such as --labels negative,positive" in refusal(saved, tmp_path / "a")
    problem = refusal(saved, tmp_path / "b", labels=TWO, vocabulary=Path("vocab.txt"))
    assert "has its own vocabulary; leave --vocabulary out" in problem


def test_a_saved_model_that_writes_files_is_never_loaded(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(text):
        tf.io.write_file(str(tmp_path / "written"), "x")
        return {"logits": tf.zeros([tf.shape(text)[0], 2])}

    tf.saved_model.save(tf.Module(), str(tmp_path / "hostile"), signatures=serve)
    assert "has unsafe operations: WriteFile (writes files)" in refusal(
        tmp_path / "hostile", tmp_path / "a", labels=TWO
    )
    assert not (tmp_path / "written").exists()


def test_another_saved_model_is_told_by_its_inputs_and_outputs(encoder, tmp_path):
    assert "is an encoder without a signature serving_default" in refusal(
        encoder / "encoder", tmp_path / "a", labels=TWO
    )
    found = refusal(encoder / "preprocessing", tmp_path / "c", labels=TWO)
    assert "takes sentences (string [any]) and gives input_mask (int32 [any, 128])" in found


def test_a_lambda_in_a_file_of_keras_is_never_run(tutorial, tmp_path):
    path = tmp_path / "code.keras"
    text = tf_keras.layers.Input(shape=(), dtype=tf.string)
    written = str(tmp_path / "written")
    model = tf_keras.Model(text, tf_keras.layers.Lambda(lambda text: (open(written, "w"), text)[1])(text))  # noqa: SIM115
    model.save(str(path))
    Path(written).unlink(missing_ok=True)
    assert "has a Lambda layer, which is Python code and is never run here" in refusal(path, tmp_path / "a", labels=TWO)
    assert not Path(written).exists()


@pytest.mark.parametrize("name", ["moved.keras", "moved.h5"])
def test_a_handle_that_is_gone_is_named(encoder, tutorial, tmp_path, name):
    copy = Path(shutil.copytree(encoder, tmp_path / "copy"))
    tutorial_model(copy).save(str(tmp_path / name))
    shutil.rmtree(copy / "encoder")
    problem = refusal(tmp_path / name, tmp_path / "scratch", labels=TWO)
    assert f"needs {copy / 'encoder'}, which hub.KerasLayer read: no SavedModel there" in problem


def write_keras_3(path: Path) -> Path:
    """The description of a model of Keras 3, without any weights."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        file.writestr(
            "config.json", json.dumps({"module": "keras", "class_name": "Sequential", "config": {"layers": []}})
        )
        file.writestr("model.weights.h5", b"")
    return path


def test_a_file_of_keras_3_is_named(tmp_path):
    problem = refusal(write_keras_3(tmp_path / "new.keras"), tmp_path / "scratch", labels=TWO)
    assert "a Sequential of Keras 3.15.1; only models of Keras 2 (tf_keras) with hub.KerasLayer" in problem


@pytest.mark.parametrize(("name", "content"), [("a.keras", b"x"), ("a.h5", b"x"), ("empty.keras", b"")])
def test_a_damaged_file_of_keras_is_told(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert "cannot read the file of Keras" in refusal(tmp_path / name, tmp_path / "scratch", labels=TWO)
