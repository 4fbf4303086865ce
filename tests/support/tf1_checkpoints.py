"""Checkpoints as google-research/bert wrote them, made with TensorFlow 1's own saver."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from safetensors.numpy import load_file


def their_name(name: str) -> str:
    """Hugging Face's name of a tensor as google-research/bert called it."""
    parent, _, part = name.rpartition(".")
    if "LayerNorm" in name:
        part = {"weight": "gamma", "bias": "beta"}[part]
    elif name.endswith("_embeddings.weight"):
        return f"bert/{parent}".replace(".", "/")
    elif part == "weight":
        part = "kernel"
    return f"bert/{parent}/{part}".replace(".", "/").replace("layer/0", "layer_0").replace("layer/1", "layer_1")


def write_checkpoint(
    hugging_face_folder: Path, folder: Path, name: str = "bert_model.ckpt", head: Mapping[str, np.ndarray] = {}
) -> None:
    """The tiny BERT with the variables that training leaves beside it, and those of a classifier's head."""
    folder.mkdir(exist_ok=True)
    tensors = load_file(hugging_face_folder / "model.safetensors")
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        for theirs, tensor in tensors.items():
            value = tensor.T if their_name(theirs).endswith("/kernel") else tensor
            tf.compat.v1.get_variable(their_name(theirs), initializer=value, use_resource=False)
        for extra in ("cls/predictions/output_bias", "global_step", "bert/pooler/dense/kernel/adam_m"):
            tf.compat.v1.get_variable(extra, initializer=np.zeros(3, np.float32), use_resource=False)
        for theirs, tensor in head.items():
            tf.compat.v1.get_variable(theirs, initializer=tensor, use_resource=False)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(folder / name), write_meta_graph=False)
    config = json.loads((hugging_face_folder / "config.json").read_text())
    theirs = {key: value for key, value in config.items() if key not in ("model_type", "layer_norm_eps")}
    (folder / "bert_config.json").write_text(json.dumps(theirs | {"hidden_dropout_prob": 0.2}))
    shutil.copy(hugging_face_folder / "vocab.txt", folder)
