"""What kind of folder an encoder comes in, and the way from each kind to an encoder folder."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bert_serving import contract
from bert_serving.encoders.conversion.hugging_face import (
    ENCODER,
    PREPROCESSING,
    convert_hugging_face,
    is_hugging_face_folder,
)
from bert_serving.encoders.conversion.keras_hub import convert_keras_hub, is_keras_hub_preset
from bert_serving.encoders.conversion.run_folder import convert_run, is_run_folder
from bert_serving.encoders.conversion.tf1_checkpoint import convert_checkpoint, is_checkpoint_folder
from bert_serving.encoders.download.hugging_face_hub import COMMIT_FILE, DOCUMENTS
from bert_serving.errors import EncoderError


@dataclass(frozen=True)
class Origin:
    """A kind of folder that can be converted.

    Attributes:
        name: what people call it.
        mark: the file that tells it.
        matches: whether a folder is one.
        convert: fills an encoder folder, its second argument, from such a folder.
    """

    name: str
    mark: str
    matches: Callable[[Path], bool]
    convert: Callable[[Path, Path], None]


# Several kinds have a config.json, so the order matters.
ORIGINS = (
    Origin("run folder", contract.RUN_FILE, is_run_folder, convert_run),
    Origin("KerasHub preset", "model.weights.h5", is_keras_hub_preset, convert_keras_hub),
    Origin("checkpoint of TensorFlow 1", "bert_model.ckpt.index", is_checkpoint_folder, convert_checkpoint),
    Origin("Hugging Face folder", "config.json", is_hugging_face_folder, convert_hugging_face),
)


def is_encoder_folder(folder: Path) -> bool:
    """Whether `folder` holds an encoder and its preprocessing, as conversion writes them."""
    return (folder / ENCODER).is_dir()


def origin_of(folder: Path) -> Origin | None:
    """The kind of a folder that can be converted; None for another folder."""
    return next((origin for origin in ORIGINS if origin.matches(folder)), None)


def convert_folder(source: Path, target: Path) -> None:
    """Writes the encoder folder for a folder of any kind.

    Raises:
        EncoderError: it is of no kind that can be converted, or is damaged.
    """
    if not source.is_dir():
        raise EncoderError(f"{source}: no such folder; check the path")
    origin = origin_of(source)
    if origin is None:
        kinds = ", ".join(f"a {origin.name} ({origin.mark})" for origin in ORIGINS)
        raise EncoderError(f"{source}: cannot be converted; it is none of these: {kinds}")
    origin.convert(source, target)
    keep_documents(source, target)


def keep_documents(source: Path, target: Path) -> None:
    """Copies the license and the model's page, which go wherever the weights go."""
    for name in DOCUMENTS:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def settle(arrived: Path, target: Path) -> None:
    """Makes an encoder folder of what a source delivered.

    Args:
        arrived: folder that `sources.fetch` filled; its files may be moved.
        target: folder to fill; keeps the license, the model's page and the commit.

    Raises:
        EncoderError: what arrived is no encoder.
    """
    if is_encoder_folder(arrived):
        # A stranger's description is left out: one beside an encoder says that conversion wrote it here.
        for name in (ENCODER, PREPROCESSING):
            if (arrived / name).exists():
                (arrived / name).rename(target / name)
    else:
        convert_folder(arrived, target)
    for name in (*DOCUMENTS, COMMIT_FILE):
        if (arrived / name).is_file():
            (arrived / name).replace(target / name)
    shutil.rmtree(arrived)
