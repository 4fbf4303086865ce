"""Memory between runs of one process."""

import gc

import tf_keras


def release_memory() -> None:
    """Gives back what Keras and Python keep of models that nobody uses any more."""
    tf_keras.backend.clear_session()
    gc.collect()
