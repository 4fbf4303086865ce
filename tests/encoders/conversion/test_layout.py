"""Folders that look like a model: what each is, and the one thing to do."""

import json
from pathlib import Path

import pytest

from bert_serving.config import EncoderConfig
from bert_serving.encoders.conversion.layout import check_layout
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError

CONFIG = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 267844284\n"
INDEX = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
HASH = "0123456789012345678901234567890123456789"


def write(folder: Path, files: dict) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(EncoderError) as raised:
        check_layout(folder)
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix(f"{folder}: ")


WHOLE = {"config.json": CONFIG, "model.safetensors": "0" * 2000}


@pytest.mark.parametrize(
    "files",
    [
        WHOLE,
        WHOLE | {"pytorch_model.bin": "", "tf_model.h5": "", "onnx/model.onnx": "", "1_Pooling/config.json": {}},
        WHOLE | {"modules.json": "[]", "checkpoint-500/config.json": CONFIG},
        {
            "config.json": CONFIG,
            "model.safetensors.index.json": INDEX,
            **dict.fromkeys(INDEX["weight_map"].values(), ""),
        },
        {"config.json": CONFIG},
        {"config.json": "{"},
        {"notes.txt": "nothing"},
    ],
)
def test_a_model_or_nothing_like_one_is_let_pass(tmp_path, files):
    check_layout(write(tmp_path / "it", files))


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (
            {"config.json": CONFIG, "model.safetensors": POINTER},
            "model.safetensors is a Git LFS pointer, not the content; run `git",
        ),
        (
            WHOLE | {"spiece.model": POINTER, "vocab.txt": POINTER},
            "spiece.model, vocab.txt are Git LFS pointers, not the content",
        ),
        (
            {
                "config.json": CONFIG,
                "adapter_config.json": {"peft_type": "LORA", "base_model_name_or_path": "bert-base-uncased"},
            },
            "is an adapter (LORA), which holds changes to a base model and not the model; its base is 'bert-base-uncased'; merge",
        ),
        (
            {"adapter_config.json": {"peft_type": "LORA"}, "adapter_model.safetensors": ""},
            "is an adapter (LORA), which holds changes to a base model and not the model; adapter_config.json does not name its",
        ),
        (WHOLE | {"adapter_config.json": {}}, "is an adapter (of unknown type), which holds changes to a base model"),
        (
            {
                "config.json": CONFIG | {"quantization_config": {"quant_method": "gptq"}},
                "model.safetensors": "0" * 2000,
            },
            "config.json has a quantization_config (gptq), so the weights are not those of the encoder itself; give the model",
        ),
        (
            {"modules.json": "[]", "0_Transformer/config.json": CONFIG, "1_Pooling/config.json": {}},
            "holds a sentence-transformers model; give the folder with the model's config.json, {folder}/0_Transformer",
        ),
        (
            {"model/config.json": CONFIG},
            "holds no model itself; give the folder with the model's config.json, {folder}/model",
        ),
        (
            {"a/config.json": CONFIG, "b/config.json": CONFIG},
            "holds no model itself; give the folder with the model's config.json, {folder}/a or {folder}/b",
        ),
        (
            {"checkpoint-500/config.json": CONFIG, "checkpoint-1000/config.json": CONFIG},
            "holds no model itself; give the folder with the model's config.json, {folder}/checkpoint-1000 (there are 2",
        ),
        (
            {
                f"snapshots/{'f' * 40}/config.json": CONFIG,
                f"snapshots/{HASH}/config.json": CONFIG,
                "refs/main": HASH + "\n",
            },
            "is an entry of the Hugging Face Hub's cache; give the model in it, {folder}/snapshots/" + HASH,
        ),
        (
            {f"models--a--b/snapshots/{HASH}/config.json": CONFIG},
            "holds no model itself; give the folder with the model's config.json, {folder}/models--a--b/snapshots/"
            + HASH,
        ),
        (
            {"config.json": CONFIG, "pytorch_model.bin": ""},
            "pytorch_model.bin is a pickle, which can run any code when it is read, so it is refused; convert it once, if you trust "
            'it, with transformers: BertForSequenceClassification.from_pretrained("{folder}").save_pretrained("{folder}") writes',
        ),
        (
            {"config.json": CONFIG, "pytorch_model-00001-of-00002.bin": "", "pytorch_model.bin.index.json": {}},
            "pytorch_model-00001-of-00002.bin is a pickle, which can run any code",
        ),
        (
            {"config.json": CONFIG, "tf_model.h5": ""},
            "has tf_model.h5, but no model.safetensors; convert it once with transformers 4: "
            'BertForSequenceClassification.from_pretrained("{folder}", from_tf=True).save_pretrained("{folder}")',
        ),
        (
            {"config.json": {"model_type": "bert"}, "flax_model.msgpack": ""},
            'has flax_model.msgpack, but no model.safetensors; convert it once with transformers 4: AutoModel.from_pretrained("',
        ),
        (
            {"config.json": CONFIG, "model.onnx": ""},
            "has an ONNX graph, model.onnx, but no model.safetensors; give the model",
        ),
        (
            {"config.json": CONFIG, "model.gguf": ""},
            "has a GGUF file, model.gguf, but no model.safetensors; give the model",
        ),
        (
            {"config.json": CONFIG, "model.safetensors.index.json": INDEX, "model-00001-of-00002.safetensors": ""},
            "lacks model-00002-of-00002.safetensors of the 2 weight files that model.safetensors.index.json names; fetch",
        ),
        (
            {"config.json": CONFIG, "model-00001-of-00002.safetensors": ""},
            "has model-00001-of-00002.safetensors, but neither model.safetensors nor model.safetensors.index.json; fetch it",
        ),
    ],
)
def test_what_a_folder_is_and_what_to_do_is_told(tmp_path, files, problem):
    folder = write(tmp_path / "it", files)
    assert refusal(folder).startswith(problem.replace("{folder}", str(folder)))


@pytest.mark.parametrize("name", ["1_Pooling", "onnx"])
def test_a_folder_below_the_model_is_told(tmp_path, name):
    folder = write(
        tmp_path / "it", WHOLE | {"1_Pooling/config.json": {"pooling_mode_mean_tokens": True}, "onnx/model.onnx": ""}
    )
    assert refusal(folder / name) == f"is a part of the model in the folder above it; give {folder}"


@pytest.mark.parametrize("command", ["export {folder} --to models", "encoders convert {folder} --to out"])
def test_commands_tell_it_in_one_line_and_write_nothing(tmp_path, bert_serving, command):
    folder = write(tmp_path / "it", {"adapter_config.json": {"peft_type": "LORA"}})
    ended = bert_serving(*command.format(folder=folder).split())
    assert ended.status == 2
    assert "is an adapter (LORA)" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "models").exists()
    assert not (tmp_path / "out").exists()


def test_the_encoder_of_a_run_file_is_told_the_same(tmp_path):
    folder = write(tmp_path / "it", {"model/config.json": CONFIG})
    with pytest.raises(EncoderError, match=f"give the folder with the model's config.json, {folder}/model"):
        find_encoder_folder(EncoderConfig(path=folder))
