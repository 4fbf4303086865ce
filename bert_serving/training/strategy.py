"""Distribution of training: one device, several devices, several machines, or a TPU."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf
import tf_keras

from bert_serving.config import TrainingConfig
from bert_serving.errors import InputError


def create_strategy(config: TrainingConfig) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy that a run file names.

    A strategy of several processes must be created before TensorFlow has run anything; every process then needs a run folder
    of its own.

    Raises:
        InputError: the devices, the cluster or the TPU are not available.
    """
    try:
        match config.strategy:
            case "one_device":
                return tf.distribute.get_strategy()
            case "mirrored":
                return tf.distribute.MirroredStrategy(_devices(config))
            case "multi_worker":
                return tf.distribute.MultiWorkerMirroredStrategy()
            case "tpu":
                resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(config.tpu)
                return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"training.strategy {config.strategy!r} cannot start: {reason}; check the devices or use 'one_device'"
        ) from None


@contextlib.contextmanager
def mixed_precision(name: str) -> Iterator[None]:
    """Layers built inside compute in `name` ("float32", "bfloat16", "float16") and keep float32 variables."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(name if name == "float32" else f"mixed_{name}")
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


def _devices(config: TrainingConfig) -> list[str] | None:
    if config.devices is None:
        return None
    known = {device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()}
    missing = [device for device in config.devices if device not in known]
    if missing:
        raise InputError(f"training.devices names {', '.join(missing)}, this machine has {', '.join(sorted(known))}")
    return list(config.devices)
