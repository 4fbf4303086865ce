"""A run's fine-tuned encoder as the start of another run."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file
from support import tiny

from bert_serving import contract
from bert_serving.config import EncoderConfig, load_run_file
from bert_serving.encoders.conversion.run_folder import convert_run, is_run_folder
from bert_serving.encoders.license import LicenseAndLanguages
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder

TEXTS = ["the film is good", "very bad", ""]


def encoder_weights(run: RunFolder) -> dict[str, np.ndarray]:
    return {name: value for name, value in read_safetensors(run.weights).items() if not name.startswith("head/")}


def test_a_run_folder_is_known_by_what_training_writes(trained, encoder_folder):
    assert is_run_folder(trained.run.path)
    assert not is_run_folder(encoder_folder)


@pytest.mark.slow
def test_a_runs_encoder_has_its_weights_and_gives_its_pooled_output(trained, encoder_folder):
    folder = find_encoder_folder(EncoderConfig(path=trained.run.path))
    loaded = load_encoder(folder)
    assert loaded.architecture == trained.classifier.encoder.architecture
    expected = encoder_weights(trained.run)
    found = {variable.name: variable.numpy() for variable in loaded.layer.variables}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, name)
    before = load_encoder(find_encoder_folder(EncoderConfig(path=encoder_folder))).layer
    assert any(np.abs(variable.numpy() - expected[variable.name]).max() > 0.01 for variable in before.variables)

    tokens, _ = trained.classifier.tokenize(TEXTS)
    inputs = trained.classifier.batch(tokens, range(len(TEXTS)))
    pooled = trained.classifier.features_model(inputs, training=False)[contract.POOLED_OUTPUT]
    saved = tf.saved_model.load(str(folder.encoder))
    np.testing.assert_allclose(saved(inputs)[contract.POOLED_OUTPUT], pooled, atol=1e-6)
    for mine, theirs in zip(
        load_preprocessing(folder.preprocessing).token_rows(TEXTS, None, 16),
        trained.classifier.preprocessing.token_rows(TEXTS, None, 16),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_it_is_converted_once_and_again_when_the_weights_change(trained, tmp_path):
    copy = shutil.copytree(trained.run.path, tmp_path / trained.run.path.name)
    first = find_encoder_folder(EncoderConfig(path=trained.run.path))
    moved = find_encoder_folder(EncoderConfig(path=copy))
    assert (moved.encoder, moved.sha256) == (first.encoder, first.sha256)
    weights = read_safetensors(RunFolder(copy).weights)
    weights["pooler_transform/bias:0"] += 1
    save_file(weights, RunFolder(copy).weights)
    changed = find_encoder_folder(EncoderConfig(path=copy))
    assert changed.encoder != first.encoder
    assert changed.sha256 != first.sha256


@pytest.mark.slow
def test_training_starts_with_the_weights_of_the_run_in_encoder_path(trained, rows, tmp_path):
    run_file = tiny.write_run_file(tmp_path, trained.run.path, rows, epochs=1)
    config = load_run_file(run_file, ["encoder.trainable=false"])
    second = train(config, tmp_path / "second")
    expected = encoder_weights(trained.run)
    found = encoder_weights(second.run)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, name)
    origin = second.run.read_json("run.json")["encoder"]
    assert origin["name"] == trained.run.path.name
    # Resuming finds the same encoder again.
    assert train(config, tmp_path / "second", resume=True).metrics == second.metrics


def test_license_and_languages_go_from_run_to_run(trained, tmp_path):
    # Of the same name, so that the conversion is in the cache.
    copy = shutil.copytree(trained.run.path, tmp_path / trained.run.path.name)
    assert find_encoder_folder(EncoderConfig(path=copy)).licensing == LicenseAndLanguages()
    facts = json.loads((copy / "run.json").read_text())
    facts["encoder"] |= {"license": "mit", "languages": ["en", "de"]}
    (copy / "run.json").write_text(json.dumps(facts))
    assert find_encoder_folder(EncoderConfig(path=copy)).licensing == LicenseAndLanguages("mit", ("en", "de"))


def incomplete(run):
    shutil.rmtree(run / "weights")


def not_rebuilt(run):
    (run / "encoder.json").unlink()


def without_preprocessing(run):
    shutil.rmtree(run / "preprocessing")


def damaged(run):
    (run / "weights" / "model.safetensors").write_bytes(b"x")


def of_another_size(run):
    description = json.loads((run / "encoder.json").read_text())
    (run / "encoder.json").write_text(json.dumps(description | {"layers": 3}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (incomplete, "run: training is not complete (weights is missing); go on with train --resume"),
        (not_rebuilt, "run: its encoder was used as TF Hub's layer (encoder.json is missing)"),
        (without_preprocessing, "run/preprocessing: cannot be copied: No such file or directory; train again"),
        (damaged, "model.safetensors: not a complete safetensors file"),
        (of_another_size, "the weights do not fit: transformer/layer_2/"),
    ],
)
def test_a_run_that_has_no_encoder_to_give_is_refused_in_one_line(spoil, message, trained, tmp_path):
    run = shutil.copytree(trained.run.path, tmp_path / "run")
    spoil(run)
    with pytest.raises(EncoderError) as raised:
        convert_run(run, tmp_path / "target")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
