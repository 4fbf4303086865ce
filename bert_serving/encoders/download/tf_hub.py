"""Downloads the SavedModels of an encoder and its preprocessing from TF Hub, Kaggle, or any address of an archive."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from bert_serving.config import is_kaggle_handle
from bert_serving.encoders.download.archive import is_archive, top_folder, unpack
from bert_serving.encoders.download.http import Downloader, Progress, is_offline, no_progress
from bert_serving.encoders.download.other_caches import cached_elsewhere, kaggle_endpoint
from bert_serving.encoders.folder import ENCODER, PREPROCESSING
from bert_serving.errors import EncoderError, SourceError


@dataclass(frozen=True, kw_only=True)
class TFHubSource:
    """An encoder and its preprocessing on TF Hub or on Kaggle, each the archive of a SavedModel.

    Each is an address of TF Hub (`https://tfhub.dev/publisher/model/version`), of Kaggle, of any server that answers TF Hub's
    protocol for compressed models, or of an archive; or a handle of kagglehub (`owner/model/framework/variation/version`).
    """

    encoder: str
    preprocessing: str | None = None
    sha256: str | None = None
    """of the encoder's archive"""
    preprocessing_sha256: str | None = None
    """of the preprocessing's archive"""

    def __str__(self) -> str:
        """As messages name it."""
        return f"Kaggle model {self.encoder}" if is_kaggle_handle(self.encoder) else self.encoder


def is_at_hand(source: TFHubSource) -> bool:
    """Whether a source needs no network, because the cache of another library has all of it."""
    parts = [(source.encoder, source.sha256), (source.preprocessing, source.preprocessing_sha256)]
    return all(_cached_elsewhere(handle, sha256) is not None for handle, sha256 in parts if handle is not None)


def download_saved_models(
    source: TFHubSource, target: Path, scratch: Path, progress: Progress, connect_timeout: float
) -> None:
    """Fills `target` with encoder/ and preprocessing/, or with the content of an archive that holds another kind of folder.

    Raises:
        SourceError: an archive could not be downloaded, or is refused.
    """
    encoder = target / ENCODER
    _download_saved_model(source.encoder, encoder, scratch, progress, connect_timeout, source.sha256)
    if source.preprocessing is not None:
        sha256 = source.preprocessing_sha256
        _download_saved_model(
            source.preprocessing, target / PREPROCESSING, scratch, no_progress, connect_timeout, sha256
        )
    elif not (encoder / "saved_model.pb").is_file():
        for path in encoder.rename(scratch / "whole").iterdir():
            path.rename(target / path.name)


def _cached_elsewhere(handle: str, sha256: str | None) -> Path | None:
    """A SavedModel in another library's cache; None where a digest is asked for, which is that of an archive."""
    return None if sha256 else cached_elsewhere(handle)


def _download_saved_model(
    handle: str, target: Path, scratch: Path, progress: Progress, connect_timeout: float, sha256: str | None
) -> None:
    if (folder := _cached_elsewhere(handle, sha256)) is not None:
        shutil.copytree(folder, target)
        return
    if is_offline():
        raise SourceError(f"{handle}: nothing is fetched while BERT_SERVING_OFFLINE is set; unset it")
    archive = scratch / f"{target.name}.archive"
    with Downloader(connect_timeout) as downloader:
        try:
            downloader.fetch(_archive_address(handle), archive, progress=progress, sha256=sha256)
        except SourceError as error:
            # Name the model rather than the temporary file.
            raise SourceError(str(error).replace(archive.name, f"archive of {handle}")) from None
    unpacked = scratch / f"{target.name}-unpacked"
    unpacked.mkdir()
    try:
        unpack(archive, unpacked)
    except EncoderError as error:
        raise SourceError(f"what arrived for {handle} is refused: {error}") from None
    top = unpacked if (unpacked / "saved_model.pb").is_file() else top_folder(unpacked)
    top.rename(target)
    archive.unlink()


def _archive_address(handle: str) -> str:
    """Address of the archive of a SavedModel."""
    if is_kaggle_handle(handle):
        # https://github.com/Kaggle/kagglehub: ApiDownloadModelInstanceVersionRequest
        return f"{kaggle_endpoint()}/api/v1/models/{handle}/download"
    if is_archive(Path(handle.partition("?")[0])):
        return handle
    # https://www.tensorflow.org/hub/hosting, "Compressed hosting protocol"
    return f"{handle}{'&' if '?' in handle else '?'}tf-hub-format=compressed"
