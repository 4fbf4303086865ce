"""SavedModels of TensorFlow 1 in a session, as TensorFlow Serving runs them.

TensorFlow 2 imports their graph into functions, which fails for some.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

Functions = dict[str, Callable[..., Mapping[str, tf.Tensor]]]


def load_in_session(path: Path, tags: Sequence[str]) -> tuple[Any, Functions]:
    """A session with a SavedModel, and callables by signature name that run in it.

    The session is closed when nothing refers to it any more.

    Raises:
        OSError, ValueError, RuntimeError, tf.errors.OpError: as TensorFlow's loader does.
    """
    v1 = tf.compat.v1
    config = v1.ConfigProto(
        intra_op_parallelism_threads=tf.config.threading.get_intra_op_parallelism_threads(),
        inter_op_parallelism_threads=tf.config.threading.get_inter_op_parallelism_threads(),
    )
    graph = v1.Graph()
    session = v1.Session(graph=graph, config=config)
    with graph.as_default():
        meta_graph = v1.saved_model.loader.load(session, list(tags), str(path))
        functions = {
            name: _callable(session, signature)
            for name, signature in meta_graph.signature_def.items()
            if signature.outputs
        }
    return session, functions


def _callable(session: Any, signature: Any) -> Callable[..., Mapping[str, tf.Tensor]]:
    inputs, outputs = list(signature.inputs), list(signature.outputs)
    options = config_pb2.CallableOptions(
        feed=[signature.inputs[name].name for name in inputs], fetch=[signature.outputs[name].name for name in outputs]
    )
    # Unlike session.run and make_callable it leaves it to the operations which shapes fit, as TensorFlow Serving does.
    run = session._make_callable_from_options(options)  # noqa: SLF001  no public call does

    def call(**tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        arrays = run(*(tensors[name].numpy() for name in inputs))
        return dict(zip(outputs, map(tf.constant, arrays), strict=True))

    return call
