"""Layer freezing: the same arithmetic as the whole network, frozen weights that stay, and what it does not go with."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support.runs import EndAtBatch, Recorder, assert_same_weights, history_of, interrupted_and_resumed, no_pictures  # noqa: F401  no_pictures is a fixture
from support.tiny import WORDS, write_hugging_face_folder, write_run_file, write_tsv_file

from bert_serving.classifier import BLOCKS, Classifier, ClassifierOptions, build_classifier
from bert_serving.config import EncoderConfig, load_run_file
from bert_serving.contract import Head, Pooling
from bert_serving.data.batches import TokenRows
from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.errors import EncoderError, RunFileError
from bert_serving.observer import Observer
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training.frozen_layers import MEMORY_BUDGET, freeze, with_layer_outputs
from bert_serving.training.learning_model import learning_classifier
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder

TEXTS = ["good film", "the bike is not very goodly", "", "wheel " * 20, "unseen words", "bad"]
POOLER = "pooler_transform"


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """An encoder of three layers."""
    folder = tmp_path_factory.mktemp("deep")
    write_hugging_face_folder(folder / "hugging_face", layers=3)
    convert_hugging_face(folder / "hugging_face", folder / "encoder")
    return find_encoder_folder(EncoderConfig(path=folder / "encoder"))


@pytest.fixture
def run_file(rows, deep, tmp_path):
    return write_run_file(tmp_path, deep.encoder.parent, rows, epochs=2)


def classifier_of(folder, layers: int, **options: object) -> Classifier:
    encoder = load_encoder(folder)
    freeze(encoder, layers)
    settings = ClassifierOptions(("a", "b"), sequence_length=16, **options)
    return build_classifier(encoder, load_preprocessing(folder.preprocessing), settings)


def kept(whole: Classifier, layers: int, folder, *, budget=MEMORY_BUDGET, texts=TEXTS) -> tuple[TokenRows, TokenRows]:
    tokens, _ = whole.tokenize(texts, texts[::-1] if whole.options.pairs else None)
    return tokens, with_layer_outputs(whole, {"train": tokens}, layers, folder, Observer(), budget)["train"]


# === The same arithmetic ===


@pytest.mark.parametrize(
    ("layers", "options"),
    [
        (1, {}),
        pytest.param(2, {"pooling": Pooling.MEAN, "head": Head.MULTILABEL}, marks=pytest.mark.slow),
        pytest.param(3, {"pooling": Pooling.CLS, "head": Head.BINARY}, marks=pytest.mark.slow),
        (2, {"pooling": Pooling.MAX, "head": Head.REGRESSION, "pairs": True}),
        pytest.param(1, {"pooling": Pooling.MEAN, "blocks": 2}, marks=pytest.mark.slow),
    ],
)
def test_kept_outputs_give_the_logits_of_the_whole_network(layers, options, deep, tmp_path):
    whole = classifier_of(deep, layers, **options)
    tokens, rows = kept(whole, layers, tmp_path)
    upper = learning_classifier(whole, layers)
    np.testing.assert_allclose(upper.predict_tokens(rows), whole.predict_tokens(tokens), atol=1e-5)


@pytest.mark.parametrize("pooling", [Pooling.POOLER, Pooling.CLS])
def test_a_last_layer_for_the_first_token_has_the_same_gradients(pooling, deep):
    whole = build_classifier(
        load_encoder(deep),
        load_preprocessing(deep.preprocessing),
        ClassifierOptions(("a", "b"), sequence_length=16, pooling=pooling),
    )
    learning = learning_classifier(whole)
    assert learning is not whole
    rows, _ = whole.tokenize(TEXTS)
    np.testing.assert_allclose(learning.predict_tokens(rows), whole.predict_tokens(rows), atol=1e-5)
    variables, found = whole.token_model.trainable_variables, []
    for model in (whole, learning):
        with tf.GradientTape() as tape:
            logits = model.token_model(model.batch(rows, range(len(TEXTS))), training=False)
            loss = tf.reduce_mean(tf.square(logits - 1.0))
        gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        found.append([tf.convert_to_tensor(gradient).numpy() for gradient in gradients])
    for variable, expected, gradient in zip(variables, *found, strict=True):
        np.testing.assert_allclose(gradient, expected, atol=1e-5, err_msg=variable.name)
    assert all(np.any(gradient) for gradient in found[1][:-4]), "every layer learns"


def test_where_all_tokens_are_pooled_the_whole_classifier_learns(deep):
    whole = classifier_of(deep, 1, pooling=Pooling.MEAN)
    assert learning_classifier(whole) is whole


def test_with_equal_dropout_above_the_training_pass_is_the_same(deep, tmp_path):
    # The head sees all tokens, so that dropout masks of the last layer have one shape in both.
    whole = classifier_of(deep, 2, pooling=Pooling.MEAN)
    tokens, rows = kept(whole, 2, tmp_path)
    upper = learning_classifier(whole, 2)
    for part in whole.encoder.layer.layers:
        for dropout in (part, *part.submodules):
            if not part.trainable and isinstance(dropout, tf_keras.layers.Dropout):
                dropout.rate = 0.0
    results = []
    for model, inputs in ((whole, tokens), (upper, rows)):
        for layer in whole.token_model.submodules:
            if isinstance(layer, tf_keras.layers.Dropout):
                layer._random_generator._generator.reset_from_seed(7)
        batch = model.batch(inputs, range(len(TEXTS)))
        with tf.GradientTape() as tape:
            logits = model.token_model(batch, training=True)
        results.append((logits, tape.gradient(logits, whole.token_model.get_layer("head").kernel)))
    np.testing.assert_allclose(results[1][0], results[0][0], atol=1e-5)
    np.testing.assert_allclose(results[1][1], results[0][1], atol=1e-5)
    assert np.abs(results[0][0] - whole.predict_tokens(tokens)).max() > 1e-3, "dropout above is on"


@pytest.mark.slow
def test_outputs_over_the_budget_are_kept_on_disk_and_are_equal(deep, tmp_path):
    whole = classifier_of(deep, 1)
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, random.integers(0, 14))) for _ in range(150)]
    tokens, in_memory = kept(whole, 1, tmp_path, texts=texts)
    size = in_memory.layer_outputs.nbytes
    assert not isinstance(kept(whole, 1, tmp_path, texts=texts, budget=size)[1].layer_outputs, np.memmap)
    _, on_disk = kept(whole, 1, tmp_path, texts=texts, budget=size - 1)
    assert isinstance(on_disk.layer_outputs, np.memmap)
    np.testing.assert_array_equal(on_disk.layer_outputs, in_memory.layer_outputs)
    assert list(tmp_path.iterdir()) == [], "the file has no name, and vanishes with the process"
    assert len(tokens.words) == len(on_disk.layer_outputs)


# === Training ===


@pytest.mark.parametrize(
    "settings",
    [
        {"class_weights": True},
        pytest.param(
            {"padding": "fixed", "average_last_epochs": 2, "mixed_precision": "bfloat16"}, marks=pytest.mark.slow
        ),
    ],
)
def test_frozen_weights_stay_bit_for_bit_and_all_others_move(settings, rows, deep, tmp_path):
    path = write_run_file(tmp_path, deep.encoder.parent, rows, epochs=2, **settings)
    trained = train(load_run_file(path, ["encoder.frozen_layers=2"]), tmp_path / "run")
    before = {weight.name: weight.numpy() for weight in load_encoder(deep).layer.weights}
    after = read_safetensors(trained.run.weights)
    assert after.keys() == before.keys() | {"head/kernel:0", "head/bias:0"}
    learning = {name for name in before if name.startswith(("transformer/layer_2/", POOLER))}
    assert len(learning) == 18
    for name, weight in before.items():
        same = np.array_equal(weight, after[name])
        assert same is (name not in learning), name


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_weights(run_file, tmp_path):
    config = load_run_file(run_file, ["encoder.frozen_layers=1"])
    whole = train(config, tmp_path / "whole").run
    stopped = interrupted_and_resumed(config, tmp_path / "stopped", EndAtBatch(2, 5))
    assert history_of(stopped) == history_of(whole)
    assert_same_weights(stopped, whole)


@pytest.mark.slow
def test_pairs_with_new_blocks_learn_above_frozen_layers(deep, tmp_path):
    lines = [("good", "film", "1"), ("bad", "bike", "0")] * 6
    write_tsv_file(tmp_path / "pairs.tsv", lines, ("text", "other", "label"))
    path = tmp_path / "run.toml"
    path.write_text(
        f'[data]\ntrain = "pairs.tsv"\ntext_pair = "other"\n[encoder]\npath = "{deep.encoder.parent}"\n'
        'sequence_length = 12\nfrozen_layers = 3\n[head]\nkind = "binary"\npooling = "mean"\nblocks = 1\n'
        "[training]\nepochs = 1\nbatch_size = 4\n",
        "utf-8",
    )
    recorder = Recorder()
    trained = train(load_run_file(path), tmp_path / "run", observer=recorder)
    assert np.isfinite(recorder.epochs[0]["loss"])
    assert any(name.startswith(BLOCKS) for name in read_safetensors(trained.run.weights))


# === What it does not go with ===


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["encoder.trainable=false"], "does not go with encoder.trainable = false; leave out one of them"),
        (["training.gradual_unfreezing=1"], "does not go with training.gradual_unfreezing = 1; leave out one of them"),
        (["training.adversarial_epsilon=1.0"], "does not go with training.adversarial_epsilon = 1.0; leave out one"),
        (["encoder.trainable=false", "encoder.cache_features=true"], "does not go with encoder.trainable = false"),
    ],
)
def test_what_changes_frozen_layers_is_refused_in_the_run_file(overrides, message, run_file):
    with pytest.raises(RunFileError) as raised:
        load_run_file(run_file, ["encoder.frozen_layers=1", *overrides])
    assert len(raised.value.problems) == 1
    assert f"encoder.frozen_layers is 1, which {message}" in str(raised.value)


def test_more_layers_than_there_are_end_before_a_run_begins(run_file, tmp_path):
    config = load_run_file(run_file, ["encoder.frozen_layers=4"])
    with pytest.raises(EncoderError, match="frozen_layers is 4, the encoder has 3 layers; lower it"):
        train(config, tmp_path / "run")
    assert not RunFolder(tmp_path / "run").path.exists()


def test_an_encoder_without_layers_of_its_own_is_refused(deep):
    with pytest.raises(EncoderError, match="needs a BERT, DistilBERT or ELECTRA, layer by layer; leave it out"):
        freeze(load_encoder(deep, rebuild=False), 1)
