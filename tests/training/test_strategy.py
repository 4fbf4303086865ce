"""Where training runs, and what is said when it cannot."""

import json

import pytest
import tensorflow as tf
import tf_keras

from bert_serving.config import TrainingConfig
from bert_serving.errors import InputError
from bert_serving.training.strategy import create_strategy, mixed_precision


def test_one_device_needs_no_strategy():
    strategy = create_strategy(TrainingConfig())
    assert strategy.num_replicas_in_sync == 1
    assert not isinstance(strategy, tf.distribute.MirroredStrategy)


@pytest.mark.parametrize("devices", [None, ("CPU:0",)])
def test_mirrored_takes_the_devices_that_are_there(devices):
    strategy = create_strategy(TrainingConfig(strategy="mirrored", devices=devices))
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == 1


@pytest.mark.parametrize("devices", [("GPU:7",), ("GPU:7", "CPU:0", "gpu"), ("",)])
def test_unknown_devices_are_named_beside_the_known(devices):
    with pytest.raises(InputError) as raised:
        create_strategy(TrainingConfig(strategy="mirrored", devices=devices))
    known = sorted(device.name.removeprefix("/device:") for device in tf.config.list_logical_devices())
    unknown = [device for device in devices if device not in known]
    expected = f"training.devices names {', '.join(unknown)}, this machine has {', '.join(known)}"
    assert str(raised.value) == expected


def test_several_workers_need_to_be_named(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(InputError, match=r"training\.strategy 'multi_worker' needs TF_CONFIG, which is not set"):
        create_strategy(TrainingConfig(strategy="multi_worker"))


def test_a_cluster_that_comes_too_late_is_refused_in_one_line(monkeypatch):
    tf.zeros([1])  # TensorFlow has run something
    cluster = {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(InputError) as raised:
        create_strategy(TrainingConfig(strategy="multi_worker"))
    assert str(raised.value).startswith("training.strategy 'multi_worker' cannot start: ")
    assert "\n" not in str(raised.value)


def test_a_machine_without_a_tpu_says_so_in_one_line():
    with pytest.raises(InputError) as raised:
        create_strategy(TrainingConfig(strategy="tpu"))
    assert str(raised.value).startswith("training.strategy 'tpu' cannot start: TPUs not found in the cluster")
    assert str(raised.value).endswith("check the devices or use 'one_device'")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "policy"), [("float32", "float32"), ("bfloat16", "mixed_bfloat16"), ("float16", "mixed_float16")]
)
def test_layers_compute_in_the_precision_and_keep_float32_variables(name, policy):
    before = tf_keras.mixed_precision.global_policy().name
    with mixed_precision(name):
        assert tf_keras.mixed_precision.global_policy().name == policy
        layer = tf_keras.layers.Dense(1)
        assert layer(tf.zeros([1, 2])).dtype == name
    assert layer.kernel.dtype == tf.float32
    assert tf_keras.mixed_precision.global_policy().name == before


def test_an_error_leaves_the_precision_as_it_was():
    with pytest.raises(ValueError, match="oops"), mixed_precision("bfloat16"):
        raise ValueError("oops")
    assert tf_keras.mixed_precision.global_policy().name == "float32"
