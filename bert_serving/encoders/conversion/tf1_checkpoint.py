"""Converts a BERT checkpoint of TensorFlow 1, as google-research/bert wrote them.

Its folder holds bert_config.json, vocab.txt and bert_model.ckpt.index with its data; a fine-tuned one holds model.ckpt-N instead.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from bert_serving.encoders.architecture import Architecture, rebuild_network
from bert_serving.encoders.conversion.hugging_face import read_architecture, rename_weights
from bert_serving.encoders.conversion.tokenizer import Pieces, read_tokenizer
from bert_serving.encoders.conversion.tokenizer_files import read_json
from bert_serving.encoders.folder import PREPROCESSING, write_encoder_folder
from bert_serving.encoders.safetensors_file import WEIGHTS_FILE
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import VOCABULARY_FILE
from bert_serving.text.vocabulary import check_rows, read_tokens

_CONFIGS = ("bert_config.json", "config.json")
_PREFIX = "bert/"
_PREFERRED = "bert_model.ckpt"
# Endings of the optimizer's variables.
_OPTIMIZER = ("/adam_m", "/adam_v", "/lamb_m", "/lamb_v")
# Kernel, transposed, and bias of a classifier's last layer (run_classifier.py, create_model).
_HEAD = ("output_weights", "output_bias")
# "gelu" of google-research/bert (modeling.py) is the approximation with tanh; elsewhere it is the exact function.
_ACTIVATIONS = {"gelu": "gelu_new"}
_LAYER = re.compile(r"\blayer_(\d+)\b")


def is_checkpoint_folder(folder: Path) -> bool:
    """Whether `folder` holds a BERT checkpoint of TensorFlow 1."""
    if (folder / WEIGHTS_FILE).is_file():  # an old folder of Hugging Face with its checkpoint still in it
        return False
    return _checkpoint(folder) is not None and any((folder / name).is_file() for name in _CONFIGS)


def convert_checkpoint(source: Path, target: Path) -> None:
    """Writes the encoder folder for a checkpoint of TensorFlow 1.

    Whether texts are lower-cased is read from tokenizer_config.json where there is one, otherwise from the vocabulary: only
    that of a cased encoder has words with capitals.

    Args:
        source: holds bert_config.json, vocab.txt and the checkpoint.
        target: folder to fill.

    Raises:
        EncoderError: a file is missing or damaged, or the checkpoint is not that of a BERT of this size.
    """
    pieces, architecture, weights = read_tf1_encoder(source)
    write_encoder_folder(target, architecture, rebuild_network(architecture, weights))
    pieces.write(target / PREPROCESSING)


def read_tf1_encoder(source: Path, *, fine_tuned: bool = False) -> tuple[Pieces, Architecture, dict[str, np.ndarray]]:
    """Tokenizer, architecture and weights, under our names, of a checkpoint's encoder.

    Args:
        source: the folder.
        fine_tuned: of the checkpoint with a classifier, even where the pretrained one lies beside it; its pooler must be there.

    Raises:
        EncoderError: as `convert_checkpoint`, or the pooler is missing and must not be.
    """
    config = next(read_json(source / name) for name in _CONFIGS if (source / name).is_file())
    config = config | {
        "model_type": "bert",
        "hidden_act": _ACTIVATIONS.get(str(config.get("hidden_act")), config.get("hidden_act")),
    }
    lower_case = not has_capitals(read_tokens(source / VOCABULARY_FILE))
    pieces = read_tokenizer(source, config, lower_case=lower_case).pieces
    architecture = read_architecture(config, lower_case=pieces.lower_case)
    check_rows(pieces.size, architecture.vocab_size, str(source / VOCABULARY_FILE))
    weights = rename_weights(
        read_checkpoint(source, fine_tuned=fine_tuned), architecture, file=_PREFERRED, pooler_may_lack=not fine_tuned
    )
    # Google's code for these checkpoints does not search texts for special tokens.
    return replace(pieces, added=()), architecture, weights


def read_fine_tuned(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [H, outputs] and bias [outputs] of the layer that run_classifier.py trains on the pooled output.

    Raises:
        EncoderError: the checkpoint cannot be read, or is that of an encoder alone.
    """
    path, tensors = _read(folder, lambda name: name in _HEAD, fine_tuned=True)
    if missing := [name for name in _HEAD if name not in tensors]:
        raise EncoderError(
            f"{path}: has no {' and no '.join(missing)}, so it is an encoder and no classifier of run_classifier.py; to train a "
            "classifier on this encoder, name it in encoder.path of a run file"
        )
    return np.ascontiguousarray(tensors[_HEAD[0]].T), tensors[_HEAD[1]]


def read_checkpoint(folder: Path, *, fine_tuned: bool = False) -> dict[str, np.ndarray]:
    """Tensors of the encoder under the names and in the shapes that Hugging Face gives them; see `read_tf1_encoder`.

    Raises:
        EncoderError: the checkpoint cannot be read, or holds no BERT.
    """
    path, tensors = _read(
        folder, lambda name: name.startswith(_PREFIX) and not name.endswith(_OPTIMIZER), fine_tuned=fine_tuned
    )
    if not tensors:
        raise EncoderError(
            f"{path}: holds no BERT: none of its variables is named {_PREFIX}...; give BERT's own checkpoint"
        )
    return dict(_renamed(name, tensor) for name, tensor in tensors.items())


def _read(folder: Path, wanted: Callable[[str], bool], *, fine_tuned: bool) -> tuple[Path, dict[str, np.ndarray]]:
    path = _checkpoint(folder, fine_tuned=fine_tuned)
    if path is None:
        raise EncoderError(f"{folder}: no checkpoint here; expected {_PREFERRED}.index and its data")
    try:
        reader = tf.train.load_checkpoint(str(path))
        return path, {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if wanted(name)}
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise EncoderError(
            f"{path}: cannot read the checkpoint: {str(error).splitlines()[0]}; fetch it again"
        ) from None


def _renamed(name: str, tensor: np.ndarray) -> tuple[str, np.ndarray]:
    """`bert/encoder/layer_0/output/dense/kernel` to `encoder.layer.0.output.dense.weight`, which is stored transposed."""
    theirs = _LAYER.sub(r"layer.\1", name.removeprefix(_PREFIX)).replace("/", ".")
    parent, _, part = theirs.rpartition(".")
    match part:
        case "kernel":
            return f"{parent}.weight", tensor.T
        case "gamma" | "beta":
            return f"{parent}.{'weight' if part == 'gamma' else 'bias'}", tensor
        case "bias":
            return theirs, tensor
    return f"{theirs}.weight", tensor


def _checkpoint(folder: Path, *, fine_tuned: bool = False) -> Path | None:
    """Path of a checkpoint without its ending: `bert_model.ckpt`, else, or first if `fine_tuned`, the one with the highest step."""
    checkpoints = [path.with_suffix("") for path in folder.glob("*.index") if ".ckpt" in path.name]
    if folder / _PREFERRED in checkpoints and not (fine_tuned and len(checkpoints) > 1):
        return folder / _PREFERRED
    return max((path for path in checkpoints if path.name != _PREFERRED), key=_step, default=None)


def _step(path: Path) -> tuple[int, str]:
    step = path.name.rpartition("-")[2]
    return (int(step) if step.isdecimal() else -1, path.name)


def has_capitals(tokens: list[str]) -> bool:
    """Whether a vocabulary has words with capital letters, as only that of a cased encoder does."""
    return any(token != token.lower() for token in tokens if not re.fullmatch(r"\[.*\]", token))
