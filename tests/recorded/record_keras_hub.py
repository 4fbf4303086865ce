"""Records token ids and logits that KerasHub gives for RoBERTa and XLM-RoBERTa with random weights: `keras_hub.json` beside this file.

KERAS_BACKEND=tensorflow PYTHONPATH=.:tests python tests/recorded/record_keras_hub.py     (needs keras_hub)
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import h5py
import keras_hub
import tensorflow as tf
from support.hugging_face_folders import fairseq_model
from support.keras_hub_presets import BYTE_TEXTS, OUTPUTS, ROBERTAS, SIZES, WORDS, write_roberta_task

TARGET = Path(__file__).with_name("keras_hub.json")


def token_ids(**settings: Any) -> list[list[int]]:
    """Token ids of the texts in a pipeline: a tokenizer that is called outside one splits words as Llama 3 does."""
    tokenizer = keras_hub.tokenizers.RobertaTokenizer(**WORDS, **settings)
    return next(iter(tf.data.Dataset.from_tensor_slices([*BYTE_TEXTS]).batch(len(BYTE_TEXTS)).map(tokenizer))).to_list()


def logits(name: str, folder: Path) -> list[list[float]]:
    """Logits of the texts by the classifier of `write_roberta_task`."""
    write_roberta_task(folder, name)
    models = keras_hub.models
    words = WORDS if name == "Roberta" else {"proto": fairseq_model()}
    sizes = SIZES | {"num_layers": 1, "vocabulary_size": ROBERTAS[name]}
    tokenizer = getattr(models, f"{name}Tokenizer")(**words)
    model = getattr(models, f"{name}TextClassifier")(
        backbone=getattr(models, f"{name}Backbone")(**sizes),
        num_classes=OUTPUTS,
        preprocessor=getattr(models, f"{name}TextClassifierPreprocessor")(tokenizer, sequence_length=16),
    )
    model.backbone.load_weights(folder / "model.weights.h5")
    with h5py.File(folder / "task.weights.h5") as file:
        for layer, stored in ((model.pooled_dense, "dense"), (model.output_dense, "dense_1")):
            layer.set_weights([file[f"layers/{stored}/vars/{number}"][()] for number in range(2)])
    return model.predict([*BYTE_TEXTS]).tolist()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        answers = {name: logits(name, Path(scratch, name)) for name in ROBERTAS}
    lines = [
        f'"keras_hub": {json.dumps(keras_hub.__version__)}',
        f'"token_ids": {json.dumps(token_ids())}',
        f'"token_ids_after_a_space": {json.dumps(token_ids(add_prefix_space=True))}',
        f'"logits": {json.dumps(answers)}',
    ]
    TARGET.write_text("{" + ",\n".join(lines) + "}\n", "utf-8")
