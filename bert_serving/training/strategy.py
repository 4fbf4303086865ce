"""Distribution of training: one device, several devices, several machines, or a TPU."""

import contextlib
import os
from collections.abc import Iterator

import tensorflow as tf
import tf_keras
from tensorflow.compiler.xla.tsl.protobuf.coordination_config_pb2 import CoordinatedJob
from tensorflow.python.eager import context

from bert_serving.config import TrainingConfig
from bert_serving.errors import InputError, WorkerLostError
from bert_serving.training.cluster import VARIABLE, Cluster, parse_cluster

LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
"""errors of operations that wait for another worker, which is gone or was started again"""


def create_strategy(config: TrainingConfig) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy that a run file names.

    A strategy of several processes must be created before TensorFlow has run anything; it waits for all of them.

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
                return _multi_worker(parse_cluster(os.environ.get(VARIABLE)), config.worker_timeout)
            case "tpu":
                resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(config.tpu)
                return tf.distribute.TPUStrategy(resolver)
    except LOST_WORKER as error:
        raise WorkerLostError(f"the workers did not connect: {_first_line(error)}") from None
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise InputError(
            f"training.strategy {config.strategy!r} cannot start: {_first_line(error)}; check the devices or use 'one_device'"
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


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _devices(config: TrainingConfig) -> list[str] | None:
    if config.devices is None:
        return None
    known = {device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()}
    missing = [device for device in config.devices if device not in known]
    if missing:
        raise InputError(f"training.devices names {', '.join(missing)}, this machine has {', '.join(sorted(known))}")
    return list(config.devices)


# Workers meet before they start TensorFlow's cluster, so that they are seconds apart.
_REGISTRATION_SECONDS = 60


def _multi_worker(cluster: Cluster, timeout: float) -> tf.distribute.Strategy:
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.index,
        rpc_layer="grpc",
    )
    if len(cluster.addresses) > 1 and context.context().coordination_service is None:
        # As the strategy does it, which leaves out the time limits: registration would wait for an hour.
        context.context().configure_coordination_service(
            service_type="standalone",
            service_leader="/job:worker/replica:0/task:0",
            cluster_register_timeout_in_ms=_REGISTRATION_SECONDS * 1000,
            heartbeat_timeout_in_ms=int(timeout * 1000),
            coordinated_jobs=[CoordinatedJob(name="worker", num_tasks=len(cluster.addresses))],
        )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)
