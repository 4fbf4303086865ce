"""Converts the fine-tuned encoder of a run; the head is left out.

The layout of a run folder: `bert_serving.training.run_folder`.
"""

import hashlib
import shutil
from pathlib import Path

from bert_serving import contract
from bert_serving.encoders.architecture import load_architecture, rebuild_network
from bert_serving.encoders.folder import DESCRIPTION, PREPROCESSING, write_encoder_folder
from bert_serving.encoders.safetensors_file import WEIGHTS_FILE, read_safetensors
from bert_serving.errors import EncoderError
from bert_serving.io.cache import folder_sha256

WEIGHTS = contract.RUN_WEIGHTS_FOLDER
_HEAD = ("head/", "blocks/")


def is_run_folder(folder: Path) -> bool:
    """Whether `folder` was written by training."""
    return (folder / contract.RUN_FILE).is_file()


def convert_run(run: Path, target: Path) -> None:
    """Writes the encoder folder for a run's best weights.

    Args:
        run: a complete run folder.
        target: folder to fill.

    Raises:
        EncoderError: the run is not complete or damaged, or its encoder was not rebuilt as a Keras network.
    """
    _check_complete(run)
    if not (run / DESCRIPTION).is_file():
        raise EncoderError(
            f"{run}: its encoder was used as TF Hub's layer ({DESCRIPTION} is missing); only encoders of the BERT family can be "
            "taken out of a run"
        )
    architecture = load_architecture(run / DESCRIPTION)
    weights = read_safetensors(run / WEIGHTS / WEIGHTS_FILE)
    encoder_weights = {name: value for name, value in weights.items() if not name.startswith(_HEAD)}
    try:
        network = rebuild_network(architecture, encoder_weights)
    except EncoderError as error:
        raise EncoderError(f"{run / WEIGHTS / WEIGHTS_FILE}: {error}; train again") from None
    write_encoder_folder(target, architecture, network)
    try:
        shutil.copytree(run / PREPROCESSING, target / PREPROCESSING)
    except OSError as error:
        reason = error.strerror or error.args[0][0][2]  # of the first file, where copytree lists all
        raise EncoderError(f"{run / PREPROCESSING}: cannot be copied: {reason}; train again") from None


def weights_sha256(run: Path) -> str:
    """Digest of a run's best weights.

    Raises:
        EncoderError: the run is not complete.
    """
    _check_complete(run)
    return folder_sha256(run / WEIGHTS)


def run_sha256(run: Path) -> str:
    """Digest of a run's best weights and its preprocessing, which may have been replaced after training.

    Raises:
        EncoderError: the run is not complete.
    """
    return hashlib.sha256(f"{weights_sha256(run)} {folder_sha256(run / PREPROCESSING)}".encode()).hexdigest()


def _check_complete(run: Path) -> None:
    if not (run / WEIGHTS).is_dir():
        raise EncoderError(f"{run}: training is not complete ({WEIGHTS} is missing); go on with train --resume")
