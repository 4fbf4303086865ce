"""What a file or folder is that no classifier can be taken out of; free of TensorFlow."""

from pathlib import Path

from bert_serving.contract import RUN_FILE
from bert_serving.encoders.conversion.layout import lone_file

_SUPPORTED = (
    f"supported are a run folder ({RUN_FILE}), a Hugging Face classifier (config.json, model.safetensors), what model.save of Keras writes "
    "(saved_model.pb, .keras, .h5), a KerasHub task preset (task.json) and a fine-tuned checkpoint of TensorFlow 1 (bert_config.json, "
    "model.ckpt-N)"
)


def unsupported(source: Path) -> str:
    """What `source` is, what is supported, and what to do."""
    if not source.exists():
        return "no such file or folder; check the path"
    if source.is_file():
        known = lone_file(source.name)
        return known or f"is a file of no known kind; {_SUPPORTED}"
    return f"{'holds no model' if any(source.iterdir()) else 'is an empty folder'}; {_SUPPORTED}"
