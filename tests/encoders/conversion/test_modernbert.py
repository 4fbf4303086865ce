"""Hugging Face's ModernBERT folders: whose head is the pooler, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.hugging_face_folders import write_vocabulary
from support.modernbert import OF_TRANSFORMERS_5, configuration, write_modernbert

from bert_serving import contract
from bert_serving.config import EncoderConfig
from bert_serving.encoders.architecture import load_architecture, rebuild_network, sample_inputs
from bert_serving.encoders.conversion.hugging_face import convert_hugging_face, encoder_weights
from bert_serving.encoders.conversion.modernbert import read_modernbert_architecture
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("modernbert") / "tiny"
    write_modernbert(folder)
    write_vocabulary(folder, "bert")
    return folder


@pytest.fixture
def folder(original, tmp_path) -> Path:
    return shutil.copytree(original, tmp_path / "mine")


def change_weights(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(configuration(**json.loads(path.read_text()) | changes)))


# === The encoder alone ===


def as_language_model(tensors):
    """The tensors of a `ModernBertForMaskedLM`, whose output is a decoder."""
    others = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}
    return others | {"decoder.bias": np.zeros(60, np.float32)}


def as_encoder(tensors):
    """The tensors of a `ModernBertModel`, which have no prefix."""
    return {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}


@pytest.mark.parametrize(
    ("architecture", "change", "has_pooler"),
    [
        ("ModernBertForMaskedLM", as_language_model, True),
        ("ModernBertModel", as_encoder, False),
        ("ModernBertForSequenceClassification", dict, True),
    ],
)
def test_the_dense_layer_before_an_output_is_the_pooler(original, architecture, change, has_pooler):
    config = configuration(architectures=[architecture])
    tensors = change(load_file(original / "model.safetensors"))
    found, weights = encoder_weights(tensors, read_modernbert_architecture(config), config)
    assert found.has_pooler is has_pooler
    outputs = rebuild_network(found, weights)(sample_inputs(15))
    first = outputs[contract.SEQUENCE_OUTPUT][:, 0]
    assert np.allclose(outputs[contract.POOLED_OUTPUT], first) is not has_pooler


@pytest.mark.slow
def test_a_converted_encoder_gives_the_same_as_its_savedmodel(tmp_path):
    write_modernbert(tmp_path / "short", num_hidden_layers=2)
    write_vocabulary(tmp_path / "short", "bert")
    convert_hugging_face(tmp_path / "short", tmp_path / "out")
    assert load_architecture(tmp_path / "out" / "encoder.json").global_layers == (True, False)
    folder = find_encoder_folder(EncoderConfig(path=tmp_path / "out", trusted=True))
    # The folder's description is not trusted: the network must give what the SavedModel gives.
    rebuilt, layer = load_encoder(folder), load_encoder(folder, rebuild=False)
    assert (rebuilt.architecture is not None, layer.architecture) == (True, None)
    inputs = sample_inputs(15)
    for training in (False, True):
        for name in (contract.POOLED_OUTPUT, contract.SEQUENCE_OUTPUT):
            np.testing.assert_allclose(
                rebuilt.layer(inputs)[name], layer.layer(inputs, training=training)[name], atol=1e-5
            )


# === Mistakes ===


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"hidden_size": ...}, "key 'hidden_size' is missing; it must describe a modernbert model"),
        ({"num_hidden_layers": "four"}, "a size is not a number: invalid literal"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0, expected 1 or more"),
        ({"num_attention_heads": 3}, "num_attention_heads 3 does not divide hidden_size 16"),
        ({"num_attention_heads": 16}, "attention heads have a width of 1 (hidden_size / num_attention_heads), rotary"),
        ({"head_dim": 4}, "head_dim is 4, only hidden_size / num_attention_heads (8) can be converted"),
        ({"local_attention": 1}, "local_attention is 1, expected a number of 2 or more"),
        ({"global_attn_every_n_layers": 0}, "global_attn_every_n_layers is 0, expected 1 or more"),
        ({"layer_types": ["full_attention"]}, "layer_types is ['full_attention'], expected full_attention or sliding_"),
        ({"layer_types": ["full_attention"] * 3 + ["linear"]}, "expected full_attention or sliding_attention for each"),
        ({"layer_types": [[], [], [], []]}, "expected full_attention or sliding_attention for each of the 4 layers"),
        (
            {"rope_scaling": {"factor": 2}},
            "rope_scaling is {'factor': 2}, only rotary positions without scaling can be",
        ),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1e4}}},
            "rope_type of full_attention is 'yarn', only 'default' can be converted",
        ),
        ({"rope_parameters": {"full_attention": 3}}, "rope_parameters is {'full_attention': 3}, expected"),
        ({"rope_parameters": 3}, "rope_parameters is 3, expected"),
        ({"global_rope_theta": 0}, "rope_theta is 0.0, expected a number above 0"),
        ({"norm_eps": -1}, "norm_eps is -1.0, expected a number above 0"),
        (
            {"hidden_activation": "silu"},
            "hidden_activation 'silu' is not one of gelu, gelu_new, gelu_pytorch_tanh, relu",
        ),
        (
            {"classifier_activation": ["tanh"]},
            "classifier_activation ['tanh'] is not one of gelu, gelu_new, gelu_pytorch",
        ),
        ({"classifier_pooling": "max"}, "classifier_pooling is 'max', expected cls or mean"),
        ({"norm_bias": "no"}, "norm_bias is 'no', expected true or false"),
        ({"mlp_dropout": 1.5}, "mlp_dropout is 1.5, expected a number from 0 to below 1"),
    ],
)
def test_a_configuration_that_cannot_be_converted_is_refused(folder, tmp_path, changes, problem):
    change_config(folder, **changes)
    with pytest.raises(EncoderError) as raised:
        convert_hugging_face(folder, tmp_path / "out")
    assert str(raised.value).startswith("config.json: ")
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_decoder_is_refused_by_its_name(folder, tmp_path):
    change_config(folder, model_type="modernbert-decoder", architectures=["ModernBertDecoderForSequenceClassification"])
    with pytest.raises(EncoderError, match=r"model_type is 'modernbert-decoder', only bert, .*, modernbert can be"):
        convert_hugging_face(folder, tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "thetas"),
    [
        ({}, (160_000.0, 10_000.0)),
        ({"local_rope_theta": None}, (160_000.0, 160_000.0)),
        ({"global_rope_theta": ..., "local_rope_theta": ...}, (160_000.0, 10_000.0)),
        (OF_TRANSFORMERS_5, (5_000.0, 100.0)),
        ({"rope_parameters": None, "global_rope_theta": 7.0}, (7.0, 10_000.0)),
    ],
)
def test_both_versions_keys_tell_the_rotary_positions(changes, thetas):
    read = read_modernbert_architecture(configuration(**changes))
    assert (read.global_rope_theta, read.local_rope_theta) == thetas


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("model.layers.2.attn.Wo.weight", None, "layers.2.attn.Wo.weight is missing"),
        ("model.layers.0.attn_norm.weight", np.ones(16, np.float32), "layers.0.attn_norm.weight is unknown"),
        ("model.layers.4.mlp.Wi.weight", np.ones((48, 16), np.float32), "layers.4.mlp.Wi.weight is unknown"),
        ("head.norm.weight", None, "head.norm.weight is missing"),
        ("model.layers.1.mlp.Wi.weight", np.ones((24, 16), np.float32), "layers.1.mlp.Wi.weight has shape (24, 16)"),
        (
            "model.embeddings.tok_embeddings.weight",
            np.ones((59, 16), np.float32),
            "has shape (59, 16), expected (60, 16",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_told(folder, tmp_path, name, value, problem):
    def change(tensors):
        tensors[name] = value
        if value is None:
            del tensors[name]

    change_weights(folder, change)
    with pytest.raises(EncoderError) as raised:
        convert_hugging_face(folder, tmp_path / "out")
    assert problem in str(raised.value)
    assert "model.safetensors" in str(raised.value)
    assert "\n" not in str(raised.value)
