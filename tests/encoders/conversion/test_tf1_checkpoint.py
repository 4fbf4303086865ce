"""Checkpoints as google-research/bert wrote them, made here with TensorFlow 1's own saver."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.tf1_checkpoints import write_checkpoint
from support.tiny import VOCABULARY

from bert_serving.config import EncoderConfig
from bert_serving.encoders.architecture import Architecture, sample_inputs
from bert_serving.encoders.conversion.formats import format_of
from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
from bert_serving.encoders.conversion.tf1_checkpoint import convert_checkpoint
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError


@pytest.fixture(scope="module")
def checkpoint(hugging_face_folder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tf1") / "uncased_L-2_H-8_A-2"
    write_checkpoint(hugging_face_folder, folder)
    return folder


@pytest.fixture
def copy(checkpoint, tmp_path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def refusal(folder: Path) -> str:
    with pytest.raises(EncoderError) as raised:
        convert_checkpoint(folder, folder / "out")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.slow
def test_a_checkpoint_gives_the_outputs_of_hugging_faces_weights(checkpoint, hugging_face_folder, tmp_path):
    theirs = Path(shutil.copytree(hugging_face_folder, tmp_path / "theirs"))
    config = json.loads((theirs / "config.json").read_text())
    (theirs / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu_new"}))
    convert_hugging_face(theirs, tmp_path / "converted")
    inputs = sample_inputs(len(VOCABULARY))
    expected = load_encoder(find_encoder_folder(EncoderConfig(path=tmp_path / "converted"))).layer(inputs)
    found = load_encoder(find_encoder_folder(EncoderConfig(path=checkpoint))).layer(inputs)
    for name in ("pooled_output", "sequence_output"):
        np.testing.assert_array_equal(found[name], expected[name])


def test_the_architecture_is_that_of_the_configuration(checkpoint, tmp_path):
    convert_checkpoint(checkpoint, tmp_path / "out")
    assert Architecture.load(tmp_path / "out/encoder.json") == Architecture(
        len(VOCABULARY), 2, 8, 2, 16, 32, activation="gelu_tanh", dropout=0.2
    )


@pytest.mark.slow
def test_capitals_in_the_vocabulary_make_it_a_cased_encoder(copy):
    words = (copy / "vocab.txt").read_text().replace("wheel", "Wheel")
    (copy / "vocab.txt").write_text(words)
    convert_checkpoint(copy, copy / "out")
    assert not Architecture.load(copy / "out/encoder.json").lower_case
    (copy / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    convert_checkpoint(copy, copy / "told")
    assert Architecture.load(copy / "told/encoder.json").lower_case


@pytest.mark.slow
@pytest.mark.slow
def test_of_several_fine_tuned_checkpoints_the_last_step_is_taken(hugging_face_folder, tmp_path):
    for step in (100, 20):
        write_checkpoint(hugging_face_folder, tmp_path / "fine-tuned", f"model.ckpt-{step}")
    next((tmp_path / "fine-tuned").glob("model.ckpt-20.data*")).unlink()
    convert_checkpoint(tmp_path / "fine-tuned", tmp_path / "out")


def test_a_folder_with_safetensors_too_is_hugging_faces(copy, hugging_face_folder):
    assert format_of(copy).name == "checkpoint of TensorFlow 1"
    for name in ("config.json", "model.safetensors"):
        shutil.copy(hugging_face_folder / name, copy)
    assert format_of(copy).name == "Hugging Face folder"


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda folder: (folder / "vocab.txt").unlink(), "the encoder folder has no vocabulary (vocab.txt is missing)"),
        (lambda folder: next(folder.glob("*.data*")).unlink(), "bert_model.ckpt: cannot read the checkpoint: "),
        (
            lambda folder: (folder / "bert_model.ckpt.index").write_bytes(b"x"),
            "bert_model.ckpt: cannot read the checkpoint: ",
        ),
        (lambda folder: (folder / "bert_config.json").write_text("{"), "bert_config.json: cannot read it: "),
    ],
)
def test_what_is_missing_or_damaged_is_named(copy, spoil, problem):
    spoil(copy)
    assert problem in refusal(copy)


def test_a_checkpoint_of_another_size_is_refused(copy):
    config = json.loads((copy / "bert_config.json").read_text())
    (copy / "bert_config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    assert "num_hidden_layers is 3, but bert_model.ckpt has 2 layers" in refusal(copy)
