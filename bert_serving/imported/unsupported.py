"""What a file or folder is that no classifier can be taken out of; free of TensorFlow."""

from pathlib import Path

from bert_serving.contract import RUN_FILE

_SUPPORTED = (
    f"supported are a run folder ({RUN_FILE}), a Hugging Face classifier (config.json, model.safetensors), what model.save of Keras writes "
    "(saved_model.pb, .keras, .h5), a KerasHub task preset (task.json) and a fine-tuned checkpoint of TensorFlow 1 (bert_config.json, "
    "model.ckpt-N)"
)
_FILES = {
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


def unsupported(source: Path) -> str:
    """What `source` is, what is supported, and what to do."""
    if not source.exists():
        return "no such file or folder; check the path"
    if source.is_file():
        known = next((text for ending, text in _FILES.items() if source.name.endswith(ending)), None)
        return known or f"is a file of no known kind; {_SUPPORTED}"
    names = sorted(path.name for path in source.iterdir())
    if not names:
        return f"is an empty folder; {_SUPPORTED}"
    if any(source.glob("*.ckpt*.index")):
        return (
            "holds a checkpoint of TensorFlow 1 without bert_config.json; copy it and vocab.txt from the pretrained encoder that "
            "run_classifier.py was given"
        )
    if any(source.glob("*.index")) and (source / "checkpoint").is_file():
        return (
            "holds a checkpoint of TensorFlow 2, which has weights but no model; load it into the model that it was written from, and give "
            "what model.save writes"
        )
    lone = next((text for name in names for ending, text in _FILES.items() if name.endswith(ending)), None)
    return f"its file {lone}" if lone else f"holds no model; {_SUPPORTED}"
