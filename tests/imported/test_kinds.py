"""What is no classifier, or not whole: one line that names it, what is supported and what to do."""

import json
from pathlib import Path

import pytest

from bert_serving.config import EncoderConfig
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import BertServingError
from bert_serving.imported.kinds import KINDS, check_told, kind_of
from bert_serving.imported.options import ImportOptions
from bert_serving.imported.source import local_source
from bert_serving.observer import Observer


def folder(base: Path, files: dict) -> Path:
    """A folder with these files; objects become JSON."""
    base.mkdir()
    for name, content in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return base


def hugging_face(model_type: str, *classes: str, **more) -> dict:
    return {"config.json": {"model_type": model_type, "architectures": list(classes), **more}, "model.safetensors": ""}


REFUSED = {
    "a decoder": (
        hugging_face("gpt2", "GPT2LMHeadModel"),
        "config.json: model_type is 'gpt2' (GPT2LMHeadModel), a decoder, which generates text; only bert, ",
    ),
    "a decoder of a new family": (
        hugging_face("brandnew", "BrandNewForCausalLM"),
        "model_type is 'brandnew' (BrandNewForCausalLM), a decoder, which generates text",
    ),
    "a decoder with a head for texts": (
        hugging_face("llama", "LlamaForSequenceClassification"),
        "model_type is 'llama' (LlamaForSequenceClassification), a decoder",
    ),
    "T5": (hugging_face("t5", "T5ForConditionalGeneration"), "an encoder with a decoder, which generates text"),
    "BART": (hugging_face("bart", "BartForSequenceClassification"), "model_type is 'bart' (BartForSequenceClassif"),
    "an image model": (hugging_face("vit", "ViTForImageClassification"), "(ViTForImageClassification), an image model"),
    "speech": (hugging_face("whisper", "WhisperForConditionalGeneration"), "a model of speech"),
    "DeBERTa": (hugging_face("deberta-v2"), "model_type is 'deberta-v2', an encoder whose attention has relative posi"),
    "MPNet": (hugging_face("mpnet"), "model_type is 'mpnet', an encoder whose attention has relative positions; only"),
    "a decoder in a pickle": (
        {"config.json": {"model_type": "gpt2"}, "pytorch_model.bin": "x"},
        "model_type is 'gpt2', a decoder",
    ),
    "an adapter": (
        {"adapter_config.json": {"peft_type": "LORA", "base_model_name_or_path": "b"}, "adapter_model.safetensors": ""},
        "is an adapter (LORA), which holds changes to a base model and not the model; its base is 'b'",
    ),
    "a pickle": (
        {"config.json": {"model_type": "bert"}, "pytorch_model.bin": "x"},
        "pytorch_model.bin is a pickle, which can run any code when it is read, so it is refused; convert it once",
    ),
    "a pickle alone": (
        {"pytorch_model.bin": "x"},
        "its file pytorch_model.bin is a single file of weights; give the whole folder, with",
    ),
    "a pickle by its ending": (
        {"model.pt": "x"},
        "its file model.pt is a pickle, which can run any code when it is read",
    ),
    "ONNX": ({"config.json": {"model_type": "bert"}, "model.onnx": "x"}, "has an ONNX graph, model.onnx, but no model"),
    "ONNX alone": ({"model.onnx": "x"}, "its file model.onnx is an ONNX graph; give the model that it was made of"),
    "GGUF alone": ({"model-q4.gguf": "x"}, "its file model-q4.gguf is a GGUF file; give the model that it was made of"),
    "Flax": (
        {"config.json": {"model_type": "bert"}, "flax_model.msgpack": "x"},
        "has flax_model.msgpack, but no model.safetensors; convert it once with transformers 4",
    ),
    "Flax alone": (
        {"flax_model.msgpack": "x"},
        "its file flax_model.msgpack holds weights of Flax; convert them with transformers 4",
    ),
    "TensorFlow Lite": (
        {"model.tflite": "x"},
        "its file model.tflite is a TensorFlow Lite file, whose weights may be quantized",
    ),
    "a checkpoint without its encoder's files": (
        {"model.ckpt-300.index": "x", "checkpoint": "x"},
        "holds a checkpoint of TensorFlow 1 without bert_config.json; copy it and vocab.txt from the pretrained encoder",
    ),
    "a checkpoint of TensorFlow 2": (
        {"ckpt-1.index": "x", "checkpoint": "x"},
        "holds a checkpoint of TensorFlow 2, which has weights but no model",
    ),
    "an empty folder": ({}, "is an empty folder; supported are a run folder (run.toml), a Hugging Face classifier"),
    "another folder": ({"notes.txt": "x"}, "holds no model; supported are a run folder (run.toml)"),
}


# Those that a person may take for an encoder are told in the same way where one is looked for.
@pytest.mark.parametrize("name", ["a decoder", "DeBERTa", "an adapter", "a pickle", "GGUF alone", "TensorFlow Lite"])
def test_encoder_path_tells_the_same(tmp_path, name):
    files, problem = REFUSED[name]
    with pytest.raises(BertServingError) as raised:
        find_encoder_folder(EncoderConfig(path=folder(tmp_path / "model", files)))
    assert problem in str(raised.value)


def refusal(source: Path) -> str:
    with pytest.raises(BertServingError) as raised:
        kind_of(source)
    assert str(raised.value).startswith(f"{source}: ")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_without_a_classifier_is_told_what_it_is(tmp_path, name):
    files, problem = REFUSED[name]
    assert problem in refusal(folder(tmp_path / "model", files))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("model.tflite", "is a TensorFlow Lite file"),
        ("model.onnx", "is an ONNX graph"),
        (
            "pytorch_model.bin",
            "is a single file of weights; give the whole folder, with config.json and model.safetensors",
        ),
        ("model.pkl", "is a pickle, which can run any code when it is read; save the model with save_pretrained"),
        ("saved_model.pb", "is a file of a SavedModel; give the folder"),
        ("notes.txt", "is a file of no known kind; supported are a run folder (run.toml)"),
        (None, "no such file or folder; check the path"),
    ],
)
def test_a_file_that_is_no_classifier_is_told_what_it_is(tmp_path, name, problem):
    path = tmp_path / "alone" / (name or "missing")
    path.parent.mkdir()
    if name:
        path.write_bytes(b"x")
    assert problem in refusal(path)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"saved_model.pb": ""}, "SavedModel"),
        ({"task.json": {}, "config.json": {"class_name": "BertBackbone"}}, "KerasHub preset"),
        ({"config.json": {"class_name": "BertBackbone"}}, "KerasHub preset"),
        ({"bert_config.json": {}, "model.ckpt-3.index": ""}, "checkpoint of TensorFlow 1"),
        (hugging_face("bert", "BertForSequenceClassification"), "Hugging Face folder"),
    ],
)
def test_every_kind_is_recognized_by_its_files(tmp_path, files, kind):
    assert kind_of(folder(tmp_path / "model", files)).name == kind


@pytest.mark.parametrize(
    ("kind", "options", "surplus"),
    [
        ("Hugging Face folder", {"labels": ("a", "b")}, "--labels"),
        ("Hugging Face folder", {"vocabulary": Path("v.txt"), "labels": ("a",)}, "--labels and --vocabulary"),
        ("KerasHub preset", {"vocabulary": Path("v.txt")}, "--vocabulary"),
        ("SavedModel", {"vocabulary": Path("v.txt"), "labels": ("a",), "pairs": True}, None),
    ],
)
def test_an_option_whose_fact_is_in_the_files_is_refused(kind, options, surplus):
    chosen = next(each for each in KINDS if each.name == kind)
    if surplus is None:
        check_told(Path("model"), chosen, ImportOptions(**options))
        return
    with pytest.raises(BertServingError) as raised:
        check_told(Path("model"), chosen, ImportOptions(**options))
    assert f"whose files tell what {surplus} would; leave it out" in str(raised.value)


@pytest.mark.parametrize("name", ["a decoder", "an image model", "an adapter", "an empty folder", "T5"])
def test_the_command_refuses_it_before_tensorflow_is_started(bert_serving, tmp_path, name):
    files, problem = REFUSED[name]
    ended = bert_serving("export", folder(tmp_path / "model", files), "--to", tmp_path / "models")
    assert ended.status == 2
    assert problem in ended.err.replace("\n", " ")
    assert "Starting TensorFlow" not in ended.err + ended.out


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("https://models.example/a.tar.gz", "cannot be fetched; give hf://owner/name, or a path"),
        ("hf://alone", "'hf://alone' is not a Hugging Face repository; expected hf://owner/name or hf://owner/name@"),
    ],
)
def test_an_address_that_cannot_be_fetched_is_told(source, problem):
    with pytest.raises(BertServingError) as raised:
        local_source(source, Observer())
    assert problem in str(raised.value)
