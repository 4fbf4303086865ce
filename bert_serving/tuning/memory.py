"""Memory between runs of one process."""

import contextlib
import gc
from collections.abc import Iterator

import tf_keras
from tensorflow.python.framework import ops

# TensorFlow keeps the gradient of each function with `tf.custom_gradient` for ever under such a name, and with it the graph of
# the training step, the weights and the optimizer's state: 140 to 210 MiB for each run of all-MiniLM-L6-v2.
_GRADIENT = "CustomGradient-"


@contextlib.contextmanager
def released_memory() -> Iterator[None]:
    """Around a run: afterwards, what Keras, TensorFlow and Python keep of its training is given back.

    The run's weights must not be trained any further afterwards; graphs from before the run are left alone.
    """
    gradients = ops.gradient_registry._registry  # noqa: SLF001  the registry has no way to remove an entry
    before = set(gradients)
    try:
        yield
    finally:
        for name in set(gradients) - before:
            if name.startswith(_GRADIENT):
                del gradients[name]
        tf_keras.backend.clear_session()
        gc.collect()
