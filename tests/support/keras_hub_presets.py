"""KerasHub presets as Keras 3 stores them, made without KerasHub."""

import json
from pathlib import Path

import h5py
import numpy as np

from support.tiny import VOCABULARY

SIZES = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 32}


def write_preset(folder: Path, *, attention_prefix: str) -> None:
    """A BERT of one layer as Keras 3 stores it, with weights that are the same at each call."""
    random = np.random.default_rng(0)
    wide, tall = [(8, 8), (8,)], [(8,), (8,)]
    layers = {
        "reversible_embedding": [(len(VOCABULARY), 8)],
        "position_embedding": [(32, 8)],
        "embedding": [(2, 8)],
        "layer_normalization": tall,
        "dense": wide,
        "transformer_encoder/_self_attention_layer_norm": tall,
        "transformer_encoder/_feedforward_layer_norm": tall,
        "transformer_encoder/_feedforward_intermediate_dense": [(8, 16), (16,)],
        "transformer_encoder/_feedforward_output_dense": [(16, 8), (8,)],
    }
    attention = f"transformer_encoder/_self_attention_layer/{attention_prefix}"
    layers |= {f"{attention}{part}_dense": [(8, 2, 4), (2, 4)] for part in ("query", "key", "value")}
    layers[f"{attention}output_dense"] = [(2, 4, 8), (8,)]
    (folder / "assets" / "tokenizer").mkdir(parents=True)
    (folder / "assets" / "tokenizer" / "vocabulary.txt").write_text("\n".join(VOCABULARY))
    config = {
        "class_name": "BertBackbone",
        "config": SIZES | {"vocabulary_size": len(VOCABULARY)} | {"num_layers": 1, "num_segments": 2},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps({"config": {"lowercase": True}}))
    with h5py.File(folder / "model.weights.h5", "w") as file:
        for layer, shapes in layers.items():
            for place, shape in enumerate(shapes):
                file[f"layers/{layer}/vars/{place}"] = random.normal(size=shape).astype(np.float32)
