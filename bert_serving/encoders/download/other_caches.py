"""Reads the caches of TF Hub's and Kaggle's own libraries; never writes them.

TF Hub: a folder named by the sha1 of the exact address, below TFHUB_CACHE_DIR or the temporary folder (tensorflow_hub 0.16.1,
`resolver.py`). Kaggle: a folder for each handle, below KAGGLEHUB_CACHE or ~/.cache/kagglehub, with a mark beside it once it is
complete (kagglehub 1.0.2, `cache.py`).
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from bert_serving import contract
from bert_serving.encoders.download.http import mirror_or

_DEFAULT_KAGGLE_ENDPOINT = "https://www.kaggle.com"
_KAGGLE_ADDRESS = re.compile(
    r"https?://(?:www\.)?kaggle\.com/models/([\w-]+)/([\w-]+)/(?:frameworks/)?([\w-]+)/(?:variations/)?([\w.-]+)/(?:versions/)?(\d+)/?",
    re.IGNORECASE,
)


def kaggle_endpoint() -> str:
    """Address of Kaggle, or of its mirror in KAGGLE_API_ENDPOINT.

    Raises:
        SourceError: KAGGLE_API_ENDPOINT is not an address.
    """
    return mirror_or("KAGGLE_API_ENDPOINT", _DEFAULT_KAGGLE_ENDPOINT)


def kaggle_handle(address: str) -> str | None:
    """Handle of kagglehub for an address of a model's page on Kaggle; None for another address."""
    match = _KAGGLE_ADDRESS.fullmatch(address.partition("?")[0])
    if match is None:
        return None
    owner, model, framework, variation, version = match.groups()
    spelled = "tensorFlow2" if framework.lower() == "tensorflow2" else framework
    return f"{owner}/{model}/{spelled}/{variation}/{version}"


def cached_elsewhere(handle: str) -> Path | None:
    """Folder of a SavedModel in the cache of TF Hub's or of Kaggle's library; None when neither has it complete."""
    candidates = [_tf_hub_folder() / hashlib.sha1(address.encode()).hexdigest() for address in _spellings(handle)]
    candidates += _kaggle_folders(kaggle_handle(handle) or handle)
    return next((folder for folder in candidates if _is_saved_model(folder)), None)


def _spellings(handle: str) -> list[str]:
    """The addresses under which the same model may have been fetched."""
    spellings = [handle, handle.rstrip("/")]
    kaggle = kaggle_handle(handle) or handle
    if kaggle.count("/") == 4 and "://" not in kaggle:
        owner, model, framework, variation, version = kaggle.split("/")
        for name in (framework, framework[:1].upper() + framework[1:]):
            for site in ("https://www.kaggle.com", "https://kaggle.com"):
                models = f"{site}/models/{owner}/{model}"
                spellings.append(f"{models}/{name}/{variation}/{version}")
                spellings.append(f"{models}/frameworks/{name}/variations/{variation}/versions/{version}")
    return list(dict.fromkeys(spellings))


def _tf_hub_folder() -> Path:
    return Path(os.environ.get("TFHUB_CACHE_DIR") or Path(tempfile.gettempdir(), "tfhub_modules")).expanduser()


def _kaggle_folders(handle: str) -> list[Path]:
    if "://" in handle or handle.count("/") != 4:
        return []
    root = os.environ.get("KAGGLEHUB_CACHE") or "~/.cache/kagglehub"
    try:
        folder = Path(root).expanduser() / "models" / handle
    except RuntimeError:  # no home folder
        return []
    return [folder] if folder.with_name(f"{folder.name}.complete").exists() else []


def _is_saved_model(folder: Path) -> bool:
    """Whether a SavedModel is complete: cleaners of temporary folders leave incomplete ones behind."""
    if not (folder / contract.GRAPH_FILE).is_file():
        return False
    # Imported here, because `encoders list` needs no TensorFlow, whose import opens a socket to look for IPv6.
    from google.protobuf.message import DecodeError  # noqa: PLC0415  as above
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: PLC0415  as above

    try:
        saved = SavedModel.FromString((folder / contract.GRAPH_FILE).read_bytes())
    except (OSError, DecodeError):
        return False
    assets = [asset.filename for graph in saved.meta_graphs for asset in graph.asset_file_def]
    if not all((folder / "assets" / name).is_file() for name in assets):
        return False
    has_variables = any(
        node.WhichOneof("kind") == "variable" for graph in saved.meta_graphs for node in graph.object_graph_def.nodes
    )
    variables = folder / "variables"
    if not (has_variables or variables.exists()):
        return True
    shards = list(variables.glob("variables.data-*-of-*"))
    return (variables / "variables.index").is_file() and bool(shards) and len(shards) == int(shards[0].name[-5:])
