"""Folders of fine-tuned classifiers that people have, and that are saved in an unusual way."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.cases import slow_but
from support.hugging_face_folders import write_fine_tuned
from support.tiny import VOCABULARY
from support.tokenizer_folders import rules

from bert_serving.errors import EncoderError
from bert_serving.hugging_face import ConvertedClassifier, convert_classifier

TEXTS = ["good film", "the bike is not very bad", ""]


@pytest.fixture
def folder(tmp_path) -> Path:
    write_fine_tuned(tmp_path / "it", "bert")
    return tmp_path / "it"


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> np.ndarray:
    """Probabilities of the folder as transformers saves it."""
    folder = tmp_path_factory.mktemp("usual") / "it"
    write_fine_tuned(folder, "bert")
    return probabilities(folder)


def converted(folder: Path) -> ConvertedClassifier:
    scratch = folder.with_name(f"{folder.name}-scratch")
    scratch.mkdir(exist_ok=True)
    return convert_classifier(folder, scratch)


def probabilities(folder: Path) -> np.ndarray:
    return converted(folder).classifier.predict(TEXTS)


def change(folder: Path, **changes: Any) -> None:
    """Changes config.json; a key with the value ... is left out."""
    config = json.loads((folder / "config.json").read_text("utf-8")) | changes
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not ...}), "utf-8")


def in_two_files(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(tensors)}
    for file in set(names.values()):
        save_file({name: tensor for name, tensor in tensors.items() if names[name] == file}, folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


def with_names(folder: Path, prefix: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({f"{prefix}{name}": tensor for name, tensor in tensors.items()}, folder / "model.safetensors")


def with_constants(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"bert.embeddings.position_ids": np.arange(32)[None]}, folder / "model.safetensors")


def with_tokenizer_json_alone(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    (folder / "tokenizer.json").write_text(json.dumps(rules(VOCABULARY)), "utf-8")


ODD = {
    "weights in two files": in_two_files,
    "saved within torch.compile": lambda folder: with_names(folder, "_orig_mod."),
    "saved within DataParallel": lambda folder: with_names(folder, "module."),
    "saved within both": lambda folder: with_names(folder, "_orig_mod.module."),
    "constants among the weights": with_constants,
    "tokenizer.json alone": with_tokenizer_json_alone,
    "no architectures": lambda folder: change(folder, architectures=...),
    "null for architectures": lambda folder: change(folder, architectures=None),
    "null for problem_type": lambda folder: change(folder, problem_type=None),
}


@pytest.mark.parametrize(
    "name", slow_but(ODD, kept=["no architectures", "weights in two files", "tokenizer.json alone"])
)
def test_a_folder_that_was_saved_in_an_unusual_way_gives_the_same(folder, expected, name):
    ODD[name](folder)
    np.testing.assert_array_equal(probabilities(folder), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "largest"), slow_but([(np.float16, 1e-3), (ml_dtypes.bfloat16, 2e-2)], kept=[(ml_dtypes.bfloat16, 2e-2)])
)
def test_weights_in_half_precision_give_nearly_the_same(folder, expected, dtype, largest):
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor.astype(dtype) for name, tensor in tensors.items()}, folder / "model.safetensors")
    change(folder, torch_dtype=np.dtype(dtype).name)
    found = probabilities(folder)
    np.testing.assert_allclose(found, expected, atol=largest)
    assert not np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("id2label", "labels"),
    slow_but(
        [
            ({"0": 1, "1": 2, "2": 3}, ("1", "2", "3")),
            ({"0": "a", "1": 2, "2": 0.5}, ("a", "2", "0.5")),
            (..., ("LABEL_0", "LABEL_1", "LABEL_2")),
            (None, ("LABEL_0", "LABEL_1", "LABEL_2")),
        ],
        kept=[({"0": "a", "1": 2, "2": 0.5}, ("a", "2", "0.5"))],  # tests/test_hugging_face.py reads the others
    ),
)
def test_labels_may_be_numbers_or_missing(folder, id2label, labels):
    change(folder, id2label=id2label, label2id=...)
    assert converted(folder).classifier.options.labels == labels


def test_an_encoder_without_a_head_is_no_classifier(folder):
    change(folder, architectures=...)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: each for name, each in tensors.items() if name.startswith("bert.")}, folder / "model.safetensors")
    with pytest.raises(EncoderError, match="not a fine-tuned classifier: its architectures are none, expected one"):
        converted(folder)
