"""Layer-wise learning rate decay: which variable has which rate, in one step and in a run."""

import numpy as np
import pytest
import tensorflow as tf
from support.family_encoders import write_family_encoder
from support.runs import assert_same_weights, history_of, interrupted_and_resumed, no_pictures  # noqa: F401  no_pictures is a fixture
from support.tiny import write_run_file

from bert_serving.classifier import ClassifierOptions, build_classifier
from bert_serving.config import EncoderConfig, TrainingConfig, load_run_file
from bert_serving.contract import Pooling
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training.optimizer import Schedule, create_optimizer
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder
from bert_serving.training.techniques.layer_rates import LayerRates, layer_rates

DECAY = 0.5


def expected_factor(name: str, layers: int = 2) -> float:
    """Of the families' two-layer encoders."""
    for number in range(layers):
        if f"transformer/layer_{number}/" in name:
            return DECAY ** (layers - 1 - number)
    is_top = any(part in name for part in ("head", "blocks", "pooler", "final"))
    return 1.0 if is_top else DECAY**layers


@pytest.mark.parametrize(
    "family",
    [
        "electra",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("bert", "distilbert", "roberta", "modernbert")),
    ],
)
def test_each_variable_of_a_family_moves_by_its_layers_rate(family, tmp_path):
    """By Adam's first step, which is as long as the learning rate, whatever the gradient."""
    write_family_encoder(tmp_path / family, family)
    folder = find_encoder_folder(EncoderConfig(path=tmp_path / family))
    encoder = load_encoder(folder)
    options = ClassifierOptions(("a", "b"), sequence_length=16, pooling=Pooling.MEAN, blocks=1)
    model = build_classifier(encoder, load_preprocessing(folder.preprocessing), options).token_model
    config = TrainingConfig(max_grad_norm=0, weight_decay=0)
    optimizer = create_optimizer(Schedule(1000, 0, 1.0), config, layer_rates(encoder, DECAY))
    before = [variable.numpy() for variable in model.trainable_variables]
    optimizer.apply_gradients([(tf.ones_like(variable), variable) for variable in model.trainable_variables])
    for variable, value in zip(model.trainable_variables, before, strict=True):
        moved = value - variable.numpy()
        np.testing.assert_allclose(moved, expected_factor(variable.name), rtol=1e-4, err_msg=variable.name)
    assert {expected_factor(variable.name) for variable in model.trainable_variables} == {0.25, 0.5, 1}


@pytest.mark.parametrize("mixed_precision", ["float32", "float16"])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_weight_decay_follows_the_rate_of_the_layer(mixed_precision, is_sparse):
    config = TrainingConfig(weight_decay=0.1, max_grad_norm=0, mixed_precision=mixed_precision)
    optimizer = create_optimizer(Schedule(1000, 0, 1.0), config, LayerRates(DECAY, 1))
    tables = [tf.Variable(tf.ones([2, 3]), name=name) for name in ("head/kernel", "word_embeddings/embeddings")]
    zeros = tf.zeros([2, 3])
    gradient = tf.IndexedSlices(zeros, tf.constant([0, 1]), tf.constant([2, 3])) if is_sparse else zeros
    optimizer.apply_gradients([(gradient, table) for table in tables])
    np.testing.assert_allclose(tables[0].numpy(), 0.9, rtol=1e-6)
    np.testing.assert_allclose(tables[1].numpy(), 0.95, rtol=1e-6)


def test_a_decay_of_one_is_off(encoder_folder):
    encoder = load_encoder(find_encoder_folder(EncoderConfig(path=encoder_folder)))
    assert layer_rates(encoder, 1.0) is None


@pytest.mark.parametrize("kind", ["shared", "unknown"])
def test_an_encoder_without_layers_of_its_own_is_refused(kind, encoder_folder, tmp_path):
    if kind == "shared":
        write_family_encoder(tmp_path / "albert", "albert")
        encoder = load_encoder(find_encoder_folder(EncoderConfig(path=tmp_path / "albert")))
    else:
        encoder = load_encoder(find_encoder_folder(EncoderConfig(path=encoder_folder)), rebuild=False)
    with pytest.raises(EncoderError) as raised:
        layer_rates(encoder, 0.9)
    assert str(raised.value) == (
        "training.layerwise_learning_rate_decay is 0.9, and needs an encoder whose layers are known and have weights of their "
        "own; leave it out"
    )


def test_it_is_refused_before_a_run_begins(rows, tmp_path):
    write_family_encoder(tmp_path / "albert", "albert")
    config = load_run_file(
        write_run_file(tmp_path, tmp_path / "albert", rows, layerwise_learning_rate_decay=0.9, epochs=1)
    )
    with pytest.raises(EncoderError, match=r"layerwise_learning_rate_decay is 0\.9"):
        train(config, tmp_path / "run")
    assert not RunFolder(tmp_path / "run").path.exists()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param([], marks=pytest.mark.slow),
        pytest.param(["encoder.frozen_layers=1"], marks=pytest.mark.slow),
        pytest.param(["training.gradual_unfreezing=2"], marks=pytest.mark.slow),
        pytest.param(["training.adversarial_epsilon=0.5"], marks=pytest.mark.slow),
        pytest.param(["training.mixed_precision=bfloat16", "head.kind=binary"], marks=pytest.mark.slow),
    ],
    ids=lambda settings: settings[0] if settings else "alone",
)
def test_a_run_with_it_learns_otherwise_and_resumes_to_the_same_weights(settings, encoder_folder, rows, tmp_path):
    path = write_run_file(tmp_path, encoder_folder, rows, epochs=2)
    config = load_run_file(path, [*settings, "training.layerwise_learning_rate_decay=0.5"])
    whole = train(config, tmp_path / "whole").run
    resumed = interrupted_and_resumed(config, tmp_path / "stopped")
    assert history_of(resumed) == history_of(whole)
    assert_same_weights(resumed, whole)
    without = train(load_run_file(path, settings), tmp_path / "without").run
    # Of two layers the one above the frozen one has the whole rate. The weights of the best epoch may be of the first one, in which
    # gradual unfreezing trains the head alone.
    assert (history_of(whole) == history_of(without)) is (settings == ["encoder.frozen_layers=1"])
