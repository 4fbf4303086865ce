"""Sharing of a run: its fine-tuned encoder, or an export of its classifier, with a model card."""

# ruff: noqa: PLC0415
# Encoders bring TensorFlow; a classifier is shared without it.

import shutil
from collections.abc import Mapping
from pathlib import Path

from bert_serving.config import EncoderConfig
from bert_serving.contract import CARD_FILE, MANIFEST_FILE
from bert_serving.errors import ExportError
from bert_serving.io.files import whole_folder
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.sharing.card import classifier_card, encoder_card
from bert_serving.saved_model.sharing.provenance import provenance_of
from bert_serving.saved_model.versions import latest_version
from bert_serving.training.run_folder import RunFolder

CARD = Path(CARD_FILE).name
"""model card at the top of a repository, where a hub looks for it"""

SharedFiles = Mapping[str, Path | bytes]
"""relative names of shared files, with a file or its content"""


def encoder_files(run: RunFolder) -> SharedFiles:
    """The encoder of a complete run as an encoder folder, which `encoder.path` of another run takes.

    Raises:
        RunFolderError: the run is not complete, or damaged.
        EncoderError: its encoder is not of the BERT family; or the cache cannot be written.
    """
    # Brings TensorFlow; a classifier is shared without it.
    from bert_serving.encoders.folder import DESCRIPTION, ENCODER, PREPROCESSING
    from bert_serving.encoders.lookup import find_encoder_folder

    provenance = provenance_of(run)
    folder = find_encoder_folder(EncoderConfig(path=run.path)).encoder.parent
    files = {name: path for part in (ENCODER, PREPROCESSING) for name, path in _files(folder, folder / part).items()}
    return {CARD: encoder_card(provenance).encode(), DESCRIPTION: folder / DESCRIPTION, **files}


def classifier_files(run: RunFolder, export: Path) -> SharedFiles:
    """The files of a version folder, with the model card at the top, too.

    Args:
        run: the run that was exported.
        export: a version folder, or a folder of versions, of which the highest is taken.

    Raises:
        RunFolderError: the run is not complete, or damaged.
        ExportError: the folder is not an export, or one of another run.
    """
    provenance = provenance_of(run)
    version = latest_version(export)
    manifest = load_manifest(version)
    if manifest is None:
        raise ExportError(f"{version}: has no manifest ({MANIFEST_FILE}); give what export wrote")
    if (manifest.labels, manifest.metrics) != (provenance.labels, provenance.scores):
        raise ExportError(f"{version}: has other labels or scores than the run {run.path}; give an export of this run")
    card = version / CARD_FILE
    content = card.read_bytes() if card.is_file() else classifier_card(manifest, provenance).encode()
    return {CARD: content, **_files(version, version)}


def write_files(files: SharedFiles, target: Path) -> None:
    """Writes shared files into a new folder, completely or not at all.

    Raises:
        ExportError: the folder exists, or cannot be written.
    """
    if target.exists():
        raise ExportError(f"{target}: exists; give a new folder with --to")
    try:
        with whole_folder(target) as temporary:
            for name, content in files.items():
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, bytes):
                    path.write_bytes(content)
                else:
                    shutil.copyfile(content, path)
    except OSError as error:
        raise ExportError(f"{target}: cannot write it: {error.strerror or error}; choose another --to") from None


def size_of(files: SharedFiles) -> int:
    """Total size of the files in bytes."""
    return sum(len(content) if isinstance(content, bytes) else content.stat().st_size for content in files.values())


def _files(folder: Path, part: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(part.rglob("*")) if path.is_file()}
