"""Folders that hold a model, or a part of one, but cannot be converted as they are: what each is, and the one thing to do."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bert_serving.encoders.conversion.other_models import other_model
from bert_serving.encoders.safetensors_file import SHARDS_FILE, WEIGHTS_FILE, shard_names
from bert_serving.errors import EncoderError

_CONFIG = "config.json"
_ADAPTER = "adapter_config.json"
_PICKLES = "pytorch_model"
_CHECKPOINT = "checkpoint-"
_NAMED = 3
# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: a pointer has less than 1,024 bytes.
_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER_SIZE = 1024
# Other weights, by their endings, and what transformers 4 needs to read them.
_OTHER_WEIGHTS = {".h5": ", from_tf=True", ".msgpack": ", from_flax=True"}
# Files that are given without the model around them.
_LONE_FILES = {
    ".tflite": "is a TensorFlow Lite file, whose weights may be quantized; give the SavedModel that it was made of",
    ".onnx": "is an ONNX graph; give the model that it was made of",
    ".gguf": "is a GGUF file; give the model that it was made of",
    ".bin": "is a single file of weights; give the whole folder, with config.json and model.safetensors",
    ".pt": "is a pickle, which can run any code when it is read; save the model with save_pretrained and give the folder",
    ".pth": "is a pickle, which can run any code when it is read; save the model with save_pretrained and give the folder",
    ".pkl": "is a pickle, which can run any code when it is read; save the model with save_pretrained and give the folder",
    ".msgpack": "holds weights of Flax; convert them with transformers 4, from_pretrained(FOLDER, from_flax=True).save_pretrained(FOLDER)",
    ".safetensors": "is a single file of weights; give the whole folder, with config.json and the tokenizer",
    ".pb": "is a file of a SavedModel; give the folder",
}
_NO_TRANSFORMERS = {".onnx": "an ONNX graph", ".gguf": "a GGUF file"}


def check_layout(folder: Path) -> None:
    """Refuses a folder that is recognized as something else than a whole Hugging Face model with safetensors weights.

    Raises:
        EncoderError: it is an adapter, a cache, a folder above or below the model, quantized, not fetched, or its weights are in
            another format.
    """
    problem = next(_problems(folder), None)
    if problem is not None:
        raise EncoderError(f"{folder}: {problem}")


def _problems(folder: Path) -> Iterator[str]:
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    if pointers := [path.name for path in files if _is_pointer(path)]:
        yield (
            f"{', '.join(pointers)} {'is a Git LFS pointer' if len(pointers) == 1 else 'are Git LFS pointers'}, not the content; "
            "run `git lfs pull` in the folder"
        )
    if (folder / _ADAPTER).is_file():
        yield _adapter(read_object(folder / _ADAPTER))
    config = read_object(folder / _CONFIG)
    if other := other_model(config):
        yield f"{_CONFIG}: {other}"
    if not (folder / _CONFIG).is_file() or not config.get("model_type"):
        yield from _elsewhere(folder)
    elif not (folder / WEIGHTS_FILE).is_file():
        yield from _weights(folder, files, config)
    if quantization := config.get("quantization_config"):
        method = quantization.get("quant_method", "quantized") if isinstance(quantization, Mapping) else quantization
        yield (
            f"config.json has a quantization_config ({method}), so the weights are not those of the encoder itself; give the model "
            "from before quantization (export has --precision int8)"
        )


def _is_pointer(path: Path) -> bool:
    if path.stat().st_size > _POINTER_SIZE:
        return False
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def read_object(path: Path) -> Mapping[str, Any]:
    """A JSON object; {} where there is none: whoever needs it tells what is wrong with it."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _adapter(config: Mapping[str, Any]) -> str:
    base = config.get("base_model_name_or_path")
    named = f"its base is {base!r}" if base else f"{_ADAPTER} does not name its base (base_model_name_or_path)"
    return (
        f"is an adapter ({config.get('peft_type', 'of unknown type')}), which holds changes to a base model and not the model; {named}; "
        "merge both once with peft, AutoPeftModelForSequenceClassification.from_pretrained(ADAPTER).merge_and_unload()"
        ".save_pretrained(NEW), save the tokenizer to NEW, too, and give NEW"
    )


def _elsewhere(folder: Path) -> Iterator[str]:
    """Where the model is, for a folder that has no configuration of one."""
    if snapshot := _snapshot(folder):
        yield f"is an entry of the Hugging Face Hub's cache; give the model in it, {snapshot}"
    below = [path for path in sorted(folder.glob("*")) if path.is_dir() and _is_model(path)] if folder.is_dir() else []
    if below:
        kind = "holds a sentence-transformers model" if (folder / "modules.json").is_file() else "holds no model itself"
        # Checkpoints of one training, by their steps: "checkpoint-1000" after "checkpoint-500".
        checkpoints = [path for path in below if path.name.startswith(_CHECKPOINT)]
        chosen = [max(checkpoints, key=lambda path: (len(path.name), path.name))] if checkpoints else below[:_NAMED]
        named = " or ".join(str(_snapshot(path) or path) for path in chosen)
        more = f" (there are {len(below)} such folders)" if len(below) > len(chosen) else ""
        yield f"{kind}; give the folder with the model's config.json, {named}{more}"
    if (above := folder.resolve().parent) and _is_model(above):
        yield f"is a part of the model in the folder above it; give {above}"

    if folder.is_dir():
        yield from _lone_files(folder)


def lone_file(name: str) -> str | None:
    """What a single file is, and what to give in its place, by its ending; None for a file of no known kind."""
    return next((text for ending, text in _LONE_FILES.items() if name.endswith(ending)), None)


def _lone_files(folder: Path) -> Iterator[str]:
    if any(folder.glob("*.ckpt*.index")):
        yield (
            "holds a checkpoint of TensorFlow 1 without bert_config.json; copy it and vocab.txt from the pretrained encoder that "
            "run_classifier.py was given"
        )
    elif any(folder.glob("*.index")) and (folder / "checkpoint").is_file():
        yield (
            "holds a checkpoint of TensorFlow 2, which has weights but no model; load it into the model that it was written from, and give "
            "what model.save writes"
        )
    # A folder with the weights has the rest, too, or lacks config.json, which whoever reads it tells.
    others = (path.name for path in sorted(folder.iterdir()) if path.name != WEIGHTS_FILE)
    yield from (f"its file {name} {text}" for name in others if (text := lone_file(name)))


def _is_model(folder: Path) -> bool:
    return bool(read_object(folder / _CONFIG).get("model_type")) or _snapshot(folder) is not None


def _snapshot(folder: Path) -> Path | None:
    """The current snapshot in an entry of the hub's cache."""
    try:
        commit = (folder / "refs" / "main").read_text("utf-8").strip()
    except (OSError, ValueError):
        commit = ""
    snapshots = [path for path in sorted(folder.glob("snapshots/*")) if (path / _CONFIG).is_file()]
    return next((path for path in snapshots if path.name == commit), snapshots[-1] if snapshots else None)


def _weights(folder: Path, files: list[Path], config: Mapping[str, Any]) -> Iterator[str]:
    """What is there in place of model.safetensors."""
    if (folder / SHARDS_FILE).is_file():
        names = shard_names(folder / SHARDS_FILE)
        if missing := [name for name in names if not (folder / name).is_file()]:
            yield f"lacks {', '.join(missing)} of the {len(names)} weight files that {SHARDS_FILE} names; fetch the folder again"
        return
    architectures = config.get("architectures")
    # AutoModel would drop a classifier's head.
    name = architectures[0] if isinstance(architectures, list) and architectures else "AutoModel"
    names = [path.name for path in files]
    if pickles := [each for each in names if each.startswith(_PICKLES)]:
        yield (
            f"{pickles[0]} is a pickle, which can run any code when it is read, so it is refused; convert it once, if you trust it, "
            f'with transformers: {name}.from_pretrained("{folder}").save_pretrained("{folder}") writes {WEIGHTS_FILE}'
        )
    for path in files:
        if path.suffix in _OTHER_WEIGHTS:
            yield (
                f"has {path.name}, but no {WEIGHTS_FILE}; convert it once with transformers 4: "
                f'{name}.from_pretrained("{folder}"{_OTHER_WEIGHTS[path.suffix]}).save_pretrained("{folder}")'
            )
        if path.suffix in _NO_TRANSFORMERS:
            yield f"has {_NO_TRANSFORMERS[path.suffix]}, {path.name}, but no {WEIGHTS_FILE}; give the model that it was made of"
    if others := [each for each in names if each.endswith(".safetensors")]:
        yield f"has {', '.join(others)}, but neither {WEIGHTS_FILE} nor {SHARDS_FILE}; fetch it again, or rename the weights"
