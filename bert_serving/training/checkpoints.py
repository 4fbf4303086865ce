"""Checkpoint of an epoch, from which training can be resumed: weights, the optimizer's state, and the history so far."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from bert_serving.errors import RunFolderError
from bert_serving.training.run_folder import HISTORY, RunFolder

_STATE = "state"


def restore(checkpoint: tf.train.Checkpoint, run: RunFolder, epoch: int | None = None) -> list[dict[str, Any]]:
    """Reads an epoch's checkpoint, and returns the history up to it.

    Args:
        checkpoint: what is restored.
        run: the run folder.
        epoch: its number, 0 for none; None for the last one that is there.

    Raises:
        RunFolderError: the checkpoint is damaged.
    """
    last = run.last_epoch() if epoch is None else epoch
    if not last:
        return []
    folder = run.checkpoint(last)
    read(checkpoint, folder)
    history: list[dict[str, Any]] = RunFolder(folder).read_json(HISTORY)
    return history


def save(checkpoint: tf.train.Checkpoint, run: RunFolder, history: list[dict[str, Any]]) -> None:
    """Writes the checkpoint of the history's last epoch.

    Raises:
        RunFolderError: it cannot be written.
    """
    # Of several workers, the chief alone saves: no variable of model and optimizer needs the others for it.
    with run.new_folder(run.checkpoint(history[-1]["epoch"])) as folder:
        _write(checkpoint, folder / _STATE)
        RunFolder(folder).write_json(HISTORY, history)


def read(checkpoint: tf.train.Checkpoint, folder: Path) -> None:
    """Reads one epoch's checkpoint.

    Raises:
        RunFolderError: it is damaged.
    """
    try:
        checkpoint.read(str(folder / _STATE)).assert_existing_objects_matched()
    except (tf.errors.OpError, OSError, IndexError, ValueError, AssertionError) as error:
        # TensorFlow raises IndexError for a file that is too short.
        reason = str(error).splitlines()[0]
        raise RunFolderError(f"{folder}: cannot read the checkpoint: {reason}; train anew") from None


def _write(checkpoint: tf.train.Checkpoint, prefix: Path) -> None:
    try:
        checkpoint.write(str(prefix))
    except (tf.errors.OpError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RunFolderError(
            f"{prefix.parent.parent}: cannot write a checkpoint: {reason}; free space and go on with --resume"
        ) from None
