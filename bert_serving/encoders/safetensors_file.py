"""Reads weights from safetensors files, never from pickles."""

import json
import re
from pathlib import Path
from typing import NoReturn

import ml_dtypes  # registers bfloat16 with NumPy; without it safetensors cannot read such tensors
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from bert_serving.errors import EncoderError

WEIGHTS_FILE = "model.safetensors"
SHARDS_FILE = "model.safetensors.index.json"

_HALF_PRECISION = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))
_PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
# PyTorch writes a zip archive of pickles; older versions wrote pickle protocol 2 to 5 as it is.
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Reads all tensors of a safetensors file.

    Args:
        path: the file, or a folder in Hugging Face format that holds `model.safetensors` or the index of its parts.

    Returns:
        Arrays by the names of their tensors; float16 and bfloat16 become float32, other dtypes stay.

    Raises:
        EncoderError: the file is missing, truncated or corrupt, holds a dtype that NumPy lacks, or is a pickle.
    """
    path = _weights_path(path)
    if path.name == SHARDS_FILE:
        shards = [read_safetensors(path.with_name(name)) for name in shard_names(path)]
        return {name: tensor for shard in shards for name, tensor in shard.items()}
    check_safetensors(path)
    try:
        tensors = load_file(path)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # safetensors raises these for a dtype that NumPy lacks, such as float8.
        raise EncoderError(
            f"{path}: holds tensors of a dtype that cannot be read ({error}); save the weights as float32, "
            "float16 or bfloat16"
        ) from None
    except (OSError, SafetensorError) as error:
        _fail(path, error)
    return {name: _as_float32(tensor) for name, tensor in tensors.items()}


def shard_names(index: Path) -> list[str]:
    """Names of the files that a large model's weights are split into, in the folder of their index.

    Raises:
        EncoderError: the index is damaged, or names a file in another folder.
    """
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise EncoderError(f"{index}: cannot read it: {type(error).__name__}: {error}; fetch it again") from None
    if not names or not all(re.fullmatch(r"[\w-][\w.-]*\.safetensors", name) for name in names):
        raise EncoderError(f"{index}: must name safetensors files in its own folder; fetch it again")
    return names


def check_safetensors(path: Path) -> None:
    """Checks that a safetensors file is complete: its header is valid and its length fits the header.

    Raises:
        EncoderError: the file is missing, truncated or corrupt, or is a pickle.
    """
    path = Path(path)
    _refuse_pickle(path)
    if not path.is_file():
        raise EncoderError(f"{path}: no such weight file; give a folder in Hugging Face format with {WEIGHTS_FILE}")
    try:
        with safe_open(path, framework="np"):
            pass
    except (OSError, SafetensorError) as error:
        _fail(path, error)


def _weights_path(path: Path) -> Path:
    path = Path(path)
    if not path.is_dir():
        return path
    whole, index = path / WEIGHTS_FILE, path / SHARDS_FILE
    return index if index.is_file() and not whole.is_file() else whole


def _refuse_pickle(path: Path) -> None:
    if _is_pickle(path):
        raise EncoderError(
            f"{path}: is a pickle, which can run any code when it is read, so it is refused; convert it once, if you trust it, with "
            f"transformers: from_pretrained(FOLDER).save_pretrained(FOLDER) of the model's own class writes {WEIGHTS_FILE}"
        )


def _is_pickle(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError:
        return False
    if path.suffix.lower() in _PICKLE_SUFFIXES:
        return True
    # The length of a header of 640 bytes starts like a pickle, but JSON follows its eight bytes.
    return start.startswith(_PICKLE_STARTS) and start[8:] != b"{"


def _as_float32(tensor: np.ndarray) -> np.ndarray:
    return tensor.astype(np.float32) if tensor.dtype in _HALF_PRECISION else tensor


def _fail(path: Path, error: Exception) -> NoReturn:
    reason = " ".join(str(error).split())
    raise EncoderError(
        f"{path}: not a complete safetensors file ({reason}); fetch it again, or check that the copy was completed"
    ) from None
