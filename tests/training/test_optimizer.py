"""The recipe that BERT is fine-tuned with."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from bert_serving.config import TrainingConfig
from bert_serving.encoders.architecture import Architecture, build_network
from bert_serving.errors import TrainingError
from bert_serving.training.optimizer import (
    Schedule,
    check_decay_exclusions,
    create_optimizer,
    default_learning_rate,
    plan_schedule,
)

ADAM_EPSILON = 1e-6


def published_rate(step: int, schedule: Schedule) -> float:
    """google-research/bert, optimization.py: a line to zero over all steps, and a line from zero while warming up."""
    if step < schedule.warmup_steps:
        return schedule.peak * step / schedule.warmup_steps
    return schedule.peak * (1 - min(step, schedule.steps) / schedule.steps)


def step_of(variable: tf.Variable, gradient, config: TrainingConfig) -> np.ndarray:
    """How far one step at a learning rate of 1 moves a variable."""
    optimizer = create_optimizer(Schedule(1000, 0, 1.0), config)
    before = variable.numpy()
    optimizer.apply_gradients([(tf.constant(gradient, tf.float32), variable)])
    return before - variable.numpy()


# === Learning rate ===


@pytest.mark.parametrize(
    ("width", "rate"),
    [(128, 3e-4), (256, 3e-4), (257, 1e-4), (384, 1e-4), (512, 1e-4), (768, 3e-5), (769, 2e-5), (1024, 2e-5)],
)
def test_wider_encoders_learn_slower(width, rate):
    assert default_learning_rate(width) == rate


@pytest.mark.parametrize("width", [128, 1024])
def test_a_head_alone_learns_faster(width):
    assert default_learning_rate(width, trainable=False) == 1e-3


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Schedule(300, 30, 3e-5)),
        ({"warmup_ratio": 0}, Schedule(300, 0, 3e-5)),
        ({"warmup_ratio": 0.999}, Schedule(300, 299, 3e-5)),
        ({"learning_rate": 0.5}, Schedule(300, 30, 0.5)),
    ],
)
def test_the_run_file_decides_the_schedule(settings, expected):
    assert plan_schedule(TrainingConfig(**settings), steps=300, width=768, trainable=True) == expected


def test_a_frozen_encoder_has_the_heads_rate():
    schedule = plan_schedule(TrainingConfig(), steps=10, width=768, trainable=False)
    assert schedule.peak == 1e-3


@pytest.mark.parametrize(("changes", "peak"), [({}, 9e-5), ({"learning_rate": 1e-5}, 1e-5)])
def test_contrastive_training_has_three_times_the_rate_unless_it_is_given(changes, peak):
    config = TrainingConfig(method="contrastive", **changes)
    assert plan_schedule(config, steps=10, width=768, trainable=True).peak == pytest.approx(peak)


@pytest.mark.parametrize("schedule", [Schedule(200, 20, 2e-5), Schedule(7, 0, 1.0), Schedule(3, 2, 0.1)])
def test_the_rate_follows_the_published_formula(schedule):
    rate = create_optimizer(schedule, TrainingConfig()).learning_rate
    for step in range(schedule.steps + 3):
        np.testing.assert_allclose(float(rate(step)), published_rate(step, schedule), rtol=1e-5, atol=1e-12)


def test_the_rate_is_zero_at_both_ends_and_highest_when_the_warmup_ends():
    schedule = Schedule(200, 20, 1.0)
    rate = create_optimizer(schedule, TrainingConfig()).learning_rate
    values = [float(rate(step)) for step in range(201)]
    assert values[0] == values[200] == 0
    assert np.argmax(values) == 19
    np.testing.assert_allclose(values[19:21], [0.95, 0.9], rtol=1e-6)


# === Weight decay ===


def test_ten_of_sixteen_tensors_of_each_block_are_not_decayed():
    network = build_network(Architecture(20, 3, 8, 2, 16, 32))
    optimizer = create_optimizer(Schedule(10, 1, 0.1), TrainingConfig())
    check_decay_exclusions(optimizer, network.trainable_variables)
    for layer in range(3):
        names = [each.name for each in network.variables if each.name.startswith(f"transformer/layer_{layer}/")]
        decayed = {name.split("/", 2)[2] for name in names if optimizer._do_use_weight_decay(name)}
        assert len(names) == 16
        assert decayed == {
            "self_attention/query/kernel:0",
            "self_attention/key/kernel:0",
            "self_attention/value/kernel:0",
            "self_attention/attention_output/kernel:0",
            "intermediate/kernel:0",
            "output/kernel:0",
        }


@pytest.mark.parametrize("mixed_precision", ["float32", "float16"])
def test_renamed_layers_that_would_be_decayed_are_refused(mixed_precision):
    network = build_network(Architecture(20, 1, 8, 2, 16, 32))
    names = [each.name.replace("layer_norm", "normalization") for each in network.trainable_variables]
    variables = [tf.Variable(0.0, name=name.removesuffix(":0")) for name in names]
    optimizer = create_optimizer(Schedule(10, 1, 0.1), TrainingConfig(mixed_precision=mixed_precision))
    with pytest.raises(TrainingError) as raised:
        check_decay_exclusions(optimizer, variables)
    assert str(raised.value).startswith(
        "transformer/layer_0: weight decay would touch 10 of its 16 tensors, expected 6 kernels; "
    )
    check_decay_exclusions(create_optimizer(Schedule(10, 1, 0.1), TrainingConfig(weight_decay=0)), variables)


@pytest.mark.parametrize("weight_decay", [0, 0.01, 0.5])
@pytest.mark.parametrize(("name", "decays"), [("kernel", True), ("bias", False), ("layer_norm/gamma", False)])
def test_weight_decay_of_the_run_file_arrives(weight_decay, name, decays):
    variable = tf.Variable([2.0, -4.0], name=name)
    moved = step_of(variable, [0.0, 0.0], TrainingConfig(weight_decay=weight_decay))
    np.testing.assert_allclose(moved, np.array([2.0, -4.0]) * weight_decay * decays, atol=1e-6)


# === Gradients ===


@pytest.mark.parametrize("mixed_precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    ("norm", "gradient"), [(1.0, [0.6, 0.8]), (0.25, [0.15, 0.2]), (100, [3.0, 4.0]), (0, [3.0, 4.0])]
)
def test_gradients_are_cut_at_the_norm_of_the_run_file(mixed_precision, norm, gradient):
    config = TrainingConfig(max_grad_norm=norm, weight_decay=0, mixed_precision=mixed_precision)
    optimizer = create_optimizer(Schedule(1000, 0, 1.0), config)
    variables = [tf.Variable(1.0, name="a"), tf.Variable(1.0, name="b")]
    optimizer.minimize(lambda: 3.0 * variables[0] + 4.0 * variables[1], variables)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    # Adam's first moment after one step is (1 - beta_1) times the gradient it was given.
    given = [float(inner.get_slot(variable, "m")) / 0.1 for variable in variables]
    np.testing.assert_allclose(given, gradient, rtol=1e-4)


@pytest.mark.parametrize(("mixed_precision", "scaled"), [("float32", False), ("bfloat16", False), ("float16", True)])
def test_only_float16_needs_its_loss_scaled(mixed_precision, scaled):
    optimizer = create_optimizer(Schedule(10, 1, 0.1), TrainingConfig(mixed_precision=mixed_precision))
    assert isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer) is scaled


def test_a_scaled_step_without_a_finite_gradient_is_left_out():
    config = TrainingConfig(mixed_precision="float16")
    optimizer = create_optimizer(Schedule(10, 0, 0.1), config)
    variable = tf.Variable(1.0, name="kernel")
    scale = float(optimizer.loss_scale)
    optimizer.apply_gradients([(tf.constant(np.inf), variable)])
    assert variable.numpy() == 1.0
    assert float(optimizer.loss_scale) == scale / 2


def test_a_step_is_adamws():
    """Kingma and Ba (arXiv:1412.6980) with decoupled decay (arXiv:1711.05101); after one step both moments are the gradient's."""
    config = TrainingConfig(max_grad_norm=0, weight_decay=0.1)
    moved = step_of(tf.Variable([2.0, 2.0], name="kernel"), [0.5, -3.0], config)
    np.testing.assert_allclose(moved, np.array([1, -1]) + 0.1 * 2.0, atol=1e-4 + ADAM_EPSILON)


def test_a_table_moves_as_if_its_sparse_gradient_were_dense():
    """All rows, those of earlier batches by their momentum, as in google-research/bert."""
    config = TrainingConfig(weight_decay=0.1)
    tables = [tf.Variable(tf.reshape(tf.range(12.0), (6, 2)), name=f"table_{number}") for number in range(2)]
    optimizers = [create_optimizer(Schedule(10, 0, 0.1), config) for _ in tables]
    for rows in ([1, 4, 1], [0, 4, 4], [2, 2, 2]):
        slices = tf.IndexedSlices(
            tf.constant([[0.1, -0.2], [0.3, 0.1], [0.2, 0.2]]), tf.constant(rows), tf.constant([6, 2])
        )
        optimizers[0].apply_gradients([(slices, tables[0])])
        optimizers[1].apply_gradients([(tf.convert_to_tensor(slices), tables[1])])
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-6)
    assert not np.allclose(tables[0][1], [2.0, 3.0], atol=0.1)
