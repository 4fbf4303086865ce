"""Encoders of every origin: ours, Hugging Face's, tf-models-official's, and some that are no BERT at all."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras
from official.legacy.bert import configs
from official.modeling import tf_utils
from official.nlp.modeling import models
from official.nlp.tools import export_tfhub_lib
from support.other_encoders import write_bag_of_words
from support.tiny import POSITIONS, VOCABULARY

from bert_serving import contract
from bert_serving.classifier import ClassifierOptions, build_classifier
from bert_serving.config import EncoderConfig
from bert_serving.encoders.architecture import Architecture, sample_inputs
from bert_serving.encoders.dropout import reseed_dropout
from bert_serving.encoders.folder import EncoderFolder
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training.strategy import mixed_precision

INPUTS = sample_inputs(len(VOCABULARY), rows=3, length=12)
ACTIVATIONS = {"gelu_tanh": "gelu", "relu": "relu"}


def export_official(folder: Path, hidden_act: str, *, with_mlm: bool) -> EncoderFolder:
    """An encoder and its preprocessing, written by tf-models-official's own exporter for TF Hub."""
    config = configs.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        hidden_act=hidden_act,
        max_position_embeddings=POSITIONS,
        type_vocab_size=2,
    )
    encoder = export_tfhub_lib.get_bert_encoder(config)
    items = {"model": encoder, "encoder": encoder}
    if with_mlm:
        pretrainer = models.BertPretrainerV2(encoder, mlm_activation=tf_utils.get_activation(hidden_act))
        pretrainer({tensor.name: tensor for tensor in pretrainer.inputs})
        items = pretrainer.checkpoint_items
    random = np.random.default_rng(2)
    for variable in encoder.variables:
        variable.assign(random.normal(size=variable.shape, scale=0.5))
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    export_tfhub_lib.export_model(
        str(folder / "encoder_of_others"),
        bert_config=config,
        model_checkpoint_path=tf.train.Checkpoint(**items).save(str(folder / "checkpoint/bert")),
        with_mlm=with_mlm,
        vocab_file=str(vocabulary),
        do_lower_case=True,
    )
    export_tfhub_lib.export_preprocessing(
        str(folder / "preprocessing_of_others"),
        vocab_file=str(vocabulary),
        do_lower_case=True,
        tokenize_with_offsets=False,
        default_seq_length=16,
        experimental_disable_assert=True,
    )
    return find_encoder_folder(
        EncoderConfig(path=folder / "encoder_of_others", preprocessing=folder / "preprocessing_of_others")
    )


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> Mapping[str, EncoderFolder]:
    """Encoders of a foreign origin by their activation, made when one is asked for; "gelu" is the approximate one there."""

    class Made(dict[str, EncoderFolder]):
        def __missing__(self, ours: str) -> EncoderFolder:
            self[ours] = export_official(tmp_path_factory.mktemp(ours), ACTIVATIONS[ours], with_mlm=ours == "relu")
            return self[ours]

    return Made()


@pytest.fixture(scope="module")
def bag_of_words(encoder_folder, tmp_path_factory) -> EncoderFolder:
    folder = tmp_path_factory.mktemp("bag_of_words") / "model"
    write_bag_of_words(folder)
    return find_encoder_folder(EncoderConfig(path=folder, preprocessing=encoder_folder / "preprocessing"))


def train_a_little(folder: EncoderFolder, *, trainable: bool, rebuild: bool = True):
    """Builds a classifier, trains a few steps, and tells the encoder's variables before and after."""
    encoder = load_encoder(folder, trainable=trainable, rebuild=rebuild)
    options = ClassifierOptions(labels=("a", "b"), sequence_length=16)
    classifier = build_classifier(encoder, load_preprocessing(folder.preprocessing), options)
    before = [variable.numpy() for variable in encoder.layer.variables]
    head = classifier.token_model.get_layer("head").kernel.numpy()
    rows, _ = classifier.tokenize(["good film", "bad bike", "very good wheel", "the film is bad"])
    classifier.token_model.compile(
        tf_keras.optimizers.legacy.Adam(0.02), tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    reseed_dropout(classifier.token_model, (0,))
    history = classifier.token_model.fit(classifier.batch(rows, range(4)), np.array([0, 1, 0, 1]), epochs=20, verbose=0)
    after = [variable.numpy() for variable in encoder.layer.variables]
    assert not np.array_equal(head, classifier.token_model.get_layer("head").kernel.numpy())
    return encoder, before, after, history.history["loss"]


# === Where an encoder is found ===


def test_an_encoder_folder_is_used_as_it_is(encoder_folder):
    found = find_encoder_folder(EncoderConfig(path=encoder_folder))
    assert (found.encoder, found.preprocessing) == (encoder_folder / "encoder", encoder_folder / "preprocessing")
    assert found.name == "tiny"
    assert len(found.sha256) == 64


@pytest.mark.parametrize("kind", ["hugging face", "encoder folder", "archive"])
def test_another_preprocessing_than_its_own_is_refused(kind, hugging_face_folder, encoder_folder, tmp_path):
    path = hugging_face_folder if kind == "hugging face" else encoder_folder
    if kind == "archive":
        path = Path(shutil.make_archive(str(tmp_path / "packed"), "gztar", encoder_folder))
    with pytest.raises(EncoderError, match=r"comes with its own preprocessing, .*; leave encoder\.preprocessing out"):
        find_encoder_folder(EncoderConfig(path=path, preprocessing=encoder_folder / "preprocessing"))


def test_an_archive_of_a_savedmodel_takes_the_named_preprocessing(encoder_folder, tmp_path):
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "gztar", encoder_folder / "encoder"))
    found = find_encoder_folder(EncoderConfig(path=path, preprocessing=encoder_folder / "preprocessing"))
    assert found.preprocessing == encoder_folder / "preprocessing"


def test_a_hugging_face_folder_is_converted_once(hugging_face_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_SERVING_CACHE", str(tmp_path))
    first = find_encoder_folder(EncoderConfig(path=hugging_face_folder))
    written = (first.encoder / "saved_model.pb").stat().st_mtime_ns
    assert first.encoder.is_relative_to(tmp_path)
    again = find_encoder_folder(EncoderConfig(path=hugging_face_folder))
    assert again == first
    assert (again.encoder / "saved_model.pb").stat().st_mtime_ns == written
    assert sorted(path.name for path in first.encoder.parent.iterdir()) == [
        "encoder",
        "encoder.json",
        "manifest.json",
        "preprocessing",
    ]


@pytest.mark.slow
def test_an_encoder_in_the_cache_whose_bytes_changed_is_made_anew(hugging_face_folder, tmp_path, monkeypatch):
    """As on a disk that rots: the file's size is the same."""
    monkeypatch.setenv("BERT_SERVING_CACHE", str(tmp_path))
    first = find_encoder_folder(EncoderConfig(path=hugging_face_folder))
    expected = load_encoder(first).layer(INPUTS)[contract.POOLED_OUTPUT]
    data = next((first.encoder / "variables").glob("variables.data-*"))
    whole = data.read_bytes()
    data.write_bytes(bytes(byte ^ 1 for byte in whole[:400]) + whole[400:])
    again = find_encoder_folder(EncoderConfig(path=hugging_face_folder))
    assert again == first
    np.testing.assert_array_equal(load_encoder(again).layer(INPUTS)[contract.POOLED_OUTPUT], expected)


@pytest.mark.parametrize("name", ["my encoder (v2)", "编码器", "x" * 220])
def test_a_hugging_face_folder_may_have_any_name(hugging_face_folder, tmp_path, monkeypatch, name):
    monkeypatch.setenv("BERT_SERVING_CACHE", str(tmp_path / "cache"))
    shutil.copytree(hugging_face_folder, tmp_path / name)
    # Found out before the conversion, which this test need not wait for.
    (tmp_path / name / "vocab.txt").unlink()
    with pytest.raises(EncoderError, match="the encoder folder has no vocabulary"):
        find_encoder_folder(EncoderConfig(path=tmp_path / name))


def test_an_unknown_name_is_refused():
    with pytest.raises(EncoderError, match="no-such-encoder"):
        find_encoder_folder(EncoderConfig(name="no-such-encoder"))


def test_what_is_no_encoder_is_refused_in_one_line(encoder_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    shutil.copytree(encoder_folder, tmp_path / "mute", ignore=shutil.ignore_patterns("vocab.txt"))
    cases = {
        tmp_path / "absent": "no such encoder folder; check encoder.path",
        tmp_path / "empty": "neither a Hugging Face folder (config.json), nor a checkpoint of TensorFlow 1",
        tmp_path / "mute": "the encoder folder has no vocabulary (preprocessing/assets/vocab.txt is missing)",
        encoder_folder / "encoder": "the encoder folder has no vocabulary; name its preprocessing SavedModel in",
    }
    for path, problem in cases.items():
        with pytest.raises(EncoderError) as raised:
            find_encoder_folder(EncoderConfig(path=path))
        assert str(raised.value).startswith(f"{path}: {problem}")
        assert "\n" not in str(raised.value)


# === Loading ===


def test_an_encoder_of_ours_becomes_a_keras_network_with_equal_outputs(encoder_folder):
    folder = find_encoder_folder(EncoderConfig(path=encoder_folder))
    loaded = load_encoder(folder)
    assert loaded.architecture is not None
    assert (loaded.architecture.num_hidden_layers, loaded.architecture.activation) == (2, "gelu")
    expected = hub.load(str(folder.encoder))(INPUTS)
    found = loaded.layer(INPUTS)
    for name in (contract.POOLED_OUTPUT, contract.SEQUENCE_OUTPUT):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


@pytest.mark.slow
def test_an_encoder_that_conversion_cached_is_built_once_and_not_run(hugging_face_folder, tmp_path, monkeypatch):
    """What conversion wrote and nobody changed need not be compared with itself."""
    monkeypatch.setenv("BERT_SERVING_CACHE", str(tmp_path))
    folder = find_encoder_folder(EncoderConfig(path=hugging_face_folder))
    assert folder.architecture == Architecture.load(folder.encoder.parent / "encoder.json")
    expected = hub.load(str(folder.encoder))(INPUTS)
    monkeypatch.delattr(tf.saved_model, "load")
    loaded = load_encoder(folder)
    assert loaded.architecture == folder.architecture
    for name in (contract.POOLED_OUTPUT, contract.SEQUENCE_OUTPUT):
        np.testing.assert_allclose(loaded.layer(INPUTS)[name], expected[name], atol=1e-6)


@pytest.mark.slow
def test_a_cached_encoder_computes_in_bfloat16_from_the_same_weights(hugging_face_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_SERVING_CACHE", str(tmp_path))
    folder = find_encoder_folder(EncoderConfig(path=hugging_face_folder))
    exact = load_encoder(folder).layer
    with mixed_precision("bfloat16"):
        rough = load_encoder(folder).layer
    for mine, other in zip(rough.variables, exact.variables, strict=True):
        np.testing.assert_array_equal(mine, other)
    found = rough(INPUTS)[contract.POOLED_OUTPUT]
    assert found.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(found, tf.float32), exact(INPUTS)[contract.POOLED_OUTPUT], atol=0.05)


@pytest.mark.slow
def test_a_cached_encoder_gives_each_device_its_weights(hugging_face_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_SERVING_CACHE", str(tmp_path))
    folder = find_encoder_folder(EncoderConfig(path=hugging_face_folder))
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        mirrored = load_encoder(folder).layer
    assert all(isinstance(variable, tf.distribute.DistributedValues) for variable in mirrored.variables)
    for mine, other in zip(mirrored.variables, load_encoder(folder).layer.variables, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_folder_of_the_users_tells_no_architecture_that_is_believed(encoder_folder):
    assert (encoder_folder / "encoder.json").is_file()
    assert find_encoder_folder(EncoderConfig(path=encoder_folder)).architecture is None


@pytest.mark.parametrize("damage", ["absent", "short", "other sizes"])
def test_cached_variables_that_do_not_fit_are_told_in_one_line(encoder_folder, tmp_path, damage):
    shutil.copytree(encoder_folder, tmp_path / "entry")
    folder = find_encoder_folder(EncoderConfig(path=tmp_path / "entry"))
    architecture = Architecture.load(tmp_path / "entry/encoder.json")
    data = next((folder.encoder / "variables").glob("variables.data-*"))
    if damage == "absent":
        data.unlink()
    elif damage == "short":
        data.write_bytes(data.read_bytes()[:100])
    else:
        architecture = replace(architecture, intermediate_size=architecture.intermediate_size * 2)
    with pytest.raises(EncoderError) as raised:
        load_encoder(replace(folder, architecture=architecture))
    assert str(raised.value).startswith(f"{folder.encoder}: cannot load the encoder: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.slow
def test_an_official_encoder_becomes_a_keras_network_with_its_activation(official, activation):
    folder = official[activation]
    loaded = load_encoder(folder)
    assert loaded.architecture is not None
    assert loaded.architecture.activation == activation
    assert (loaded.architecture.num_attention_heads, loaded.architecture.intermediate_size) == (2, 16)
    expected = hub.load(str(folder.encoder))(INPUTS)
    found = loaded.layer(INPUTS)
    for name in (contract.POOLED_OUTPUT, contract.SEQUENCE_OUTPUT):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.slow
def test_the_activation_is_found_under_mixed_precision_too(official, activation):
    with mixed_precision("bfloat16"):
        loaded = load_encoder(official[activation])
    assert loaded.architecture is not None
    assert loaded.architecture.activation == activation
    assert loaded.layer(INPUTS)[contract.POOLED_OUTPUT].dtype == tf.bfloat16


@pytest.mark.slow
def test_preprocessing_of_tf_models_official_gives_our_token_ids(official, encoder_folder):
    texts = ["good film", "", "the bike is VERY badly not good " * 3, "good!"]
    pairs = ["bad", "wheel", "is it very good " * 4, ""]
    theirs = load_preprocessing(official["relu"].preprocessing)
    ours = load_preprocessing(encoder_folder / "preprocessing")
    for columns in ((texts, None), (texts, pairs)):
        for mine, other in zip(ours.token_rows(*columns, 16), theirs.token_rows(*columns, 16), strict=True):
            np.testing.assert_array_equal(mine, other)


def test_an_encoder_stays_a_hub_layer_when_it_is_asked_to(encoder_folder):
    folder = find_encoder_folder(EncoderConfig(path=encoder_folder))
    loaded = load_encoder(folder, rebuild=False)
    assert isinstance(loaded.layer, hub.KerasLayer)
    assert loaded.architecture is None
    assert loaded.positions == 32
    with pytest.raises(EncoderError, match="the length is 33, the encoder takes at most 32 tokens; lower it"):
        loaded.check_length(33, "the length")
    np.testing.assert_allclose(
        loaded.layer(INPUTS)[contract.POOLED_OUTPUT],
        load_encoder(folder).layer(INPUTS)[contract.POOLED_OUTPUT],
        atol=1e-6,
    )


def test_a_bert_whose_outputs_cannot_be_rebuilt_stays_a_hub_layer(encoder_folder, tmp_path):
    """Its variables are those of a BERT, but no activation we know gives its outputs."""
    shutil.copytree(encoder_folder, tmp_path / "other")
    description = json.loads((tmp_path / "other/encoder.json").read_text()) | {"activation": "relu"}
    (tmp_path / "other/encoder.json").write_text(json.dumps(description))
    loaded = load_encoder(find_encoder_folder(EncoderConfig(path=tmp_path / "other")))
    assert isinstance(loaded.layer, hub.KerasLayer)


@pytest.mark.parametrize(
    ("damaged", "problem"),
    [
        (None, "no encoder SavedModel here (saved_model.pb is missing); check encoder.path"),
        ("saved_model.pb", "cannot load the encoder: "),
        ("variables/variables.index", "cannot load the encoder: "),
        ("variables/variables.data-00000-of-00001", "cannot load the encoder: "),
    ],
)
def test_a_damaged_encoder_is_named_in_one_line(encoder_folder, tmp_path, damaged, problem):
    shutil.copytree(encoder_folder / "encoder", tmp_path / "encoder")
    if damaged is None:
        (tmp_path / "encoder/saved_model.pb").unlink()
    else:
        (tmp_path / "encoder" / damaged).write_bytes(b"\x00\xff short")
    with pytest.raises(EncoderError) as raised:
        load_encoder(EncoderFolder("damaged", tmp_path / "encoder", encoder_folder / "preprocessing", ""))
    assert str(raised.value).startswith(f"{tmp_path}/encoder: {problem}")
    assert "\n" not in str(raised.value)


def test_a_saved_model_that_is_no_text_encoder_is_refused(encoder_folder, tmp_path):
    module = tf.Module()
    module.double = tf.function(lambda x: x + x, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "other"))
    for path in (tmp_path / "other", encoder_folder / "preprocessing"):
        with pytest.raises(EncoderError, match="not a text encoder of TF Hub's format") as raised:
            load_encoder(EncoderFolder("other", path, encoder_folder / "preprocessing", ""))
        assert "\n" not in str(raised.value)


# === Training ===


def test_an_encoder_that_is_no_bert_stays_a_hub_layer_and_learns(bag_of_words):
    encoder, before, after, losses = train_a_little(bag_of_words, trainable=True)
    assert isinstance(encoder.layer, hub.KerasLayer)
    assert encoder.architecture is None
    assert encoder.positions is None
    assert len(before) == 1
    assert not np.array_equal(before[0], after[0])
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("rebuild", [True, False])
def test_a_frozen_encoder_stays_as_it_is(encoder_folder, rebuild):
    folder = find_encoder_folder(EncoderConfig(path=encoder_folder))
    encoder, before, after, _ = train_a_little(folder, trainable=False, rebuild=rebuild)
    assert encoder.layer.trainable_variables == []
    assert len(before) == 7 + 2 * 16
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_trainable_encoder_learns(encoder_folder):
    folder = find_encoder_folder(EncoderConfig(path=encoder_folder))
    _, before, after, losses = train_a_little(folder, trainable=True)
    assert sum(not np.array_equal(old, new) for old, new in zip(before, after, strict=True)) >= 37
    assert losses[-1] < losses[0]


def test_dropout_can_be_seeded_again(encoder_folder):
    layer = load_encoder(find_encoder_folder(EncoderConfig(path=encoder_folder))).layer

    def answer(*seed: int) -> np.ndarray:
        reseed_dropout(layer, seed)
        return layer(INPUTS, training=True)[contract.POOLED_OUTPUT].numpy()

    first, second, other = answer(1, 1), answer(1, 1), answer(1, 2)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other)
    calm = layer(INPUTS, training=False)[contract.POOLED_OUTPUT].numpy()
    assert not np.allclose(first, calm)
