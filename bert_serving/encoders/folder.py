"""The encoder folder: the names of its files, how one is written, and what a loader must know of it.

    encoder/              SavedModel in TF Hub's format for text encoders
    preprocessing/        SavedModel in TF Hub's format for text preprocessing; its vocabulary is an asset
    encoder.json          the encoder's architecture; only conversion and pretraining write it
    commit.txt            commit of the Hugging Face repository that the folder was made from
    README.md, LICENSE    the model card and the license of the source

Imports no TensorFlow: downloads and `encoders list` need the names alone.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bert_serving.encoders.license import UNKNOWN, LicenseAndLanguages

if TYPE_CHECKING:
    import tf_keras

    from bert_serving.encoders.architecture import AnyArchitecture

ENCODER = "encoder"
PREPROCESSING = "preprocessing"
DESCRIPTION = "encoder.json"
COMMIT_FILE = "commit.txt"
DOCUMENTS = ("README.md", "LICENSE", "LICENSE.txt", "NOTICE")

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class EncoderFolder:
    """An encoder on disk in TF Hub's format, ready to be loaded.

    Attributes:
        name: name or path in the run file.
        encoder: SavedModel of the encoder.
        preprocessing: SavedModel of its preprocessing.
        sha256: digest of the encoder's variables.
        licensing: license and languages, as far as they are known.
        commit: of the Hugging Face repository that it came from; None for another source.
        architecture: read from encoder.json of a cache entry that conversion wrote; None: infer it from the SavedModel.
    """

    name: str
    encoder: Path
    preprocessing: Path
    sha256: str
    licensing: LicenseAndLanguages = UNKNOWN
    commit: str | None = None
    architecture: "AnyArchitecture | None" = None


def is_encoder_folder(folder: Path) -> bool:
    """Whether `folder` holds an encoder and its preprocessing, as conversion writes them."""
    return (folder / ENCODER).is_dir()


def write_encoder_folder(target: Path, architecture: "AnyArchitecture", network: "tf_keras.Model") -> None:
    """Writes encoder/ and encoder.json; the caller adds preprocessing/."""
    from bert_serving.encoders.tf_hub_format import write_encoder  # noqa: PLC0415  imports TensorFlow

    target.mkdir(parents=True, exist_ok=True)
    write_encoder(network, target / ENCODER)
    architecture.save(target / DESCRIPTION)


def copy_documents(source: Path, target: Path) -> None:
    """Copies the model card and the license, which belong to the weights."""
    for name in DOCUMENTS:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def read_commit(folder: Path) -> str | None:
    """Commit of the Hugging Face repository that a folder was made from; None for another source."""
    try:
        commit = (folder / COMMIT_FILE).read_text("utf-8").strip()
    except (OSError, ValueError):
        return None
    return commit if COMMIT.fullmatch(commit) else None
