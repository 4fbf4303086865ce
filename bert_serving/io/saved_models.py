"""Writing a SavedModel without TensorFlow's line about its assets, which names a temporary folder."""

import logging
from pathlib import Path
from typing import Any


def write_saved_model(module: Any, target: Path, signatures: Any = None) -> None:
    """Writes a `tf.Module` with its signatures; a program's own log level is as before afterwards."""
    import tensorflow as tf  # noqa: PLC0415  this folder is free of it

    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        tf.saved_model.save(module, str(target), signatures=signatures)
    finally:
        logger.setLevel(level)
