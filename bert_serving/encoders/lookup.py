"""From `encoder.name` or `encoder.path` of a run file to an encoder folder on disk: fetched, unpacked or converted as needed."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bert_serving.config import EncoderConfig
from bert_serving.encoders.architecture import load_architecture
from bert_serving.encoders.catalog.handles import CONVERSION, cache_key, find_handle
from bert_serving.encoders.conversion.formats import (
    FORMATS,
    Format,
    convert_folder,
    format_of,
    make_encoder_folder,
)
from bert_serving.encoders.conversion.layout import check_layout
from bert_serving.encoders.conversion.sentence_transformers import left_out, transformer_folder
from bert_serving.encoders.download.archive import SUFFIXES, is_archive, top_folder, unpack
from bert_serving.encoders.download.sources import fetch_first
from bert_serving.encoders.folder import (
    DESCRIPTION,
    ENCODER,
    PREPROCESSING,
    EncoderFolder,
    is_encoder_folder,
    read_commit,
)
from bert_serving.encoders.license import UNKNOWN, LicenseAndLanguages, licensing_of_readme
from bert_serving.encoders.trust import check_harmless
from bert_serving.errors import EncoderError
from bert_serving.io.cache import cached, cached_intact, file_sha256, folder_sha256, recorded_sha256
from bert_serving.text.preprocessing import SENTENCEPIECE_FILE, VOCABULARY_FILE

# TensorFlow writes the graph of a SavedModel a little differently each time; the variables stay the same.
_VARIABLES = "variables"
_CONTENT = "content"


def find_encoder_folder(
    config: EncoderConfig,
    *,
    passed_over: Callable[[str], None] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> EncoderFolder:
    """Finds the encoder of a run file; fetches and converts it when it is not cached.

    Args:
        config: the encoder's name or path.
        passed_over: called with one line for each source that could not deliver.
        progress: called with the bytes fetched and their total where it is known.

    Raises:
        EncoderError: the name is unknown, the folder is not an encoder, or a SavedModel from elsewhere has unsafe operations.
        SourceError: no source of the name could deliver it.
    """
    if config.path is not None and (modules := left_out(config.path)) and passed_over is not None:
        passed_over(f"{config.path}: {', '.join(modules)} of modules.json is left out; only the Transformer is used")
    folder = _local(config.path, config) if config.path is not None else _named(config, passed_over, progress)
    if not config.trusted:
        _check_harmless(folder)
    return folder


def _check_harmless(folder: EncoderFolder) -> None:
    """Refuses SavedModels with unsafe operations before they are loaded.

    An encoder that conversion wrote is safe, its preprocessing need not be: that of a run is copied from the run folder, which anyone may
    have written.
    """
    is_converted = folder.architecture is not None
    for part in (folder.preprocessing,) if is_converted else (folder.encoder, folder.preprocessing):
        if (part / "saved_model.pb").is_file():
            check_harmless(part)


# === By name ===


def _named(
    config: EncoderConfig,
    passed_over: Callable[[str], None] | None,
    progress: Callable[[int, int | None], None] | None,
) -> EncoderFolder:
    handle = find_handle(str(config.name), None if config.preprocessing is None else str(config.preprocessing))

    def build(target: Path) -> None:
        fetched = target / "download"
        fetch_first(handle.name, handle.sources, fetched, progress=progress, passed_over=passed_over)
        # Checked before conversion, so that the message names the encoder rather than a temporary folder.
        if is_encoder_folder(fetched) and not (fetched / PREPROCESSING).is_dir():
            raise EncoderError(
                f"{handle.name}: comes without preprocessing; name that of its vocabulary in encoder.preprocessing, such as "
                '"https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3"'
            )
        make_encoder_folder(fetched, target)

    folder = cached_intact(cache_key(handle), build, damaged=passed_over)
    licensing = licensing_of_readme(folder) if handle.licensing == UNKNOWN else handle.licensing
    return replace(_cache_entry(handle.name, folder, licensing), commit=read_commit(folder))


def _cache_entry(name: str, folder: Path, licensing: LicenseAndLanguages) -> EncoderFolder:
    """An intact entry of the cache; encoder.json in it was written by conversion."""
    entry = _encoder_folder(name, folder, licensing, recorded_sha256(folder, f"{ENCODER}/{_VARIABLES}"))
    description = folder / DESCRIPTION
    return replace(entry, architecture=load_architecture(description)) if description.is_file() else entry


def _encoder_folder(name: str, folder: Path, licensing: LicenseAndLanguages, sha256: str) -> EncoderFolder:
    preprocessing = folder / PREPROCESSING
    assets = [preprocessing / "assets" / file for file in (VOCABULARY_FILE, SENTENCEPIECE_FILE)]
    # Preprocessing from elsewhere may carry its vocabulary under another name, or inside its graph.
    is_foreign = (preprocessing / "saved_model.pb").is_file() and not (folder / DESCRIPTION).is_file()
    if not is_foreign and not any(path.is_file() for path in assets):
        raise EncoderError(
            f"{folder}: the encoder folder has no vocabulary ({PREPROCESSING}/assets/{VOCABULARY_FILE} is missing)"
        )
    return EncoderFolder(name, folder / ENCODER, preprocessing, sha256, licensing)


# === By path ===


def _local(path: Path, config: EncoderConfig) -> EncoderFolder:
    if path.is_file() and is_archive(path):
        return replace(_local(unpacked(path), config), name=path.name)
    if not path.is_dir():
        problem = (
            f"is neither a folder nor an archive ({', '.join(SUFFIXES)})" if path.exists() else "no such encoder folder"
        )
        raise EncoderError(f"{path}: {problem}; check encoder.path")
    if (nested := transformer_folder(path)) != path:
        return replace(_local(nested, config), name=path.name)
    format_ = format_of(path)
    if format_ is None and not is_encoder_folder(path):
        return _bare_saved_model(path, config)
    if config.preprocessing is not None:
        raise EncoderError(
            f"{path}: comes with its own preprocessing, but encoder.preprocessing names another one; leave encoder.preprocessing out"
        )
    if format_ is not None:
        return _converted(path, format_)
    sha256 = folder_sha256(path / ENCODER / _VARIABLES)
    return _encoder_folder(path.name, path, licensing_of_readme(path), sha256)


def _converted(path: Path, format_: Format) -> EncoderFolder:
    # A folder's name may be longer than a cache entry's, and have characters that no entry may have.
    name = re.sub(r"[^A-Za-z0-9._-]", "_", path.name)[:100]
    key = f"converted-{name}-{format_.sha256(path)[:16]}-{CONVERSION}"
    folder = cached_intact(key, lambda target: convert_folder(path, target))
    return _cache_entry(path.name, folder, format_.licensing(path))


def _bare_saved_model(path: Path, config: EncoderConfig) -> EncoderFolder:
    """A SavedModel with its preprocessing elsewhere."""
    if not (path / "saved_model.pb").is_file():
        check_layout(path)
        kinds = ", nor ".join(f"a {format_.name} ({format_.mark})" for format_ in reversed(FORMATS))
        raise EncoderError(
            f"{path}: neither {kinds}, nor an encoder folder ({ENCODER}/, {PREPROCESSING}/), nor a SavedModel; check encoder.path"
        )
    if config.preprocessing is None:
        raise EncoderError(
            f"{path}: the encoder folder has no vocabulary; name its preprocessing SavedModel in encoder.preprocessing"
        )
    return EncoderFolder(path.name, path, Path(config.preprocessing), folder_sha256(path / _VARIABLES))


def unpacked(archive: Path) -> Path:
    """The cache's folder with an archive's content; any other path is returned as it is.

    Raises:
        EncoderError: the archive is damaged or holds what may not be unpacked.
    """
    if not (archive.is_file() and is_archive(archive)):
        return archive

    def build(target: Path) -> None:
        (target / _CONTENT).mkdir()
        unpack(archive, target / _CONTENT)

    content = cached(f"unpacked-{file_sha256(archive)[:32]}", build) / _CONTENT
    return content if is_encoder_folder(content) else top_folder(content)
