"""Formats that an encoder can be converted from, and how each is recognized."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bert_serving import contract
from bert_serving.encoders.conversion.hugging_face import convert_hugging_face, is_hugging_face_folder
from bert_serving.encoders.conversion.keras_hub import convert_keras_hub, is_keras_hub_preset
from bert_serving.encoders.conversion.layout import check_layout
from bert_serving.encoders.conversion.run_folder import convert_run, is_run_folder, run_sha256
from bert_serving.encoders.conversion.sentence_transformers import transformer_folder
from bert_serving.encoders.conversion.tf1_checkpoint import convert_checkpoint, is_checkpoint_folder
from bert_serving.encoders.folder import (
    COMMIT_FILE,
    DOCUMENTS,
    ENCODER,
    PREPROCESSING,
    copy_documents,
    is_encoder_folder,
)
from bert_serving.encoders.license import LicenseAndLanguages, licensing_of_readme, licensing_of_run
from bert_serving.errors import EncoderError
from bert_serving.io.cache import folder_sha256


@dataclass(frozen=True)
class Format:
    """A kind of folder that can be converted to an encoder folder.

    Attributes:
        name: for messages.
        mark: the file by which a person recognizes it.
        matches: whether a folder has this format.
        convert: fills an encoder folder, its second argument, from a folder of this format.
        sha256: digest of everything in a folder that conversion depends on.
        licensing: reads license and languages.
    """

    name: str
    mark: str
    matches: Callable[[Path], bool]
    convert: Callable[[Path, Path], None]
    sha256: Callable[[Path], str] = folder_sha256
    licensing: Callable[[Path], LicenseAndLanguages] = licensing_of_readme


# Several formats have a config.json, so the order matters.
FORMATS = (
    Format("run folder", contract.RUN_FILE, is_run_folder, convert_run, run_sha256, licensing_of_run),
    Format("KerasHub preset", "model.weights.h5", is_keras_hub_preset, convert_keras_hub),
    Format("checkpoint of TensorFlow 1", "bert_model.ckpt.index", is_checkpoint_folder, convert_checkpoint),
    Format("Hugging Face folder", "config.json", is_hugging_face_folder, convert_hugging_face),
)


def format_of(folder: Path) -> Format | None:
    """The format of a folder that can be converted; None for another folder."""
    return next((format_ for format_ in FORMATS if format_.matches(folder)), None)


def convert_folder(source: Path, target: Path) -> None:
    """Writes the encoder folder for a folder of any format.

    Raises:
        EncoderError: the format is unknown, or the folder is damaged.
    """
    if not source.is_dir():
        raise EncoderError(f"{source}: no such folder; check the path")
    source = transformer_folder(source)
    format_ = format_of(source)
    if format_ is None:
        check_layout(source)
        kinds = ", ".join(f"a {format_.name} ({format_.mark})" for format_ in FORMATS)
        raise EncoderError(f"{source}: cannot be converted; it is none of these: {kinds}")
    format_.convert(source, target)
    copy_documents(source, target)


def make_encoder_folder(fetched: Path, target: Path) -> None:
    """Makes an encoder folder of what a source delivered.

    Args:
        fetched: folder that `download.sources.fetch` filled; it is removed.
        target: folder to fill; also gets the license, the model card and the commit.

    Raises:
        EncoderError: what was fetched is not an encoder.
    """
    if is_encoder_folder(fetched):
        # encoder.json is left out: in the cache it means that conversion wrote the encoder, so that it is trusted.
        for name in (ENCODER, PREPROCESSING):
            if (fetched / name).exists():
                (fetched / name).rename(target / name)
    else:
        convert_folder(fetched, target)
    for name in (*DOCUMENTS, COMMIT_FILE):
        if (fetched / name).is_file():
            (fetched / name).replace(target / name)
    shutil.rmtree(fetched)
