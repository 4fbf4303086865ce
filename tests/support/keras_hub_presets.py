"""KerasHub presets as Keras 3 stores them, made without KerasHub."""

import json
from pathlib import Path

import h5py
import numpy as np

from support.byte_level import MERGES, TEXTS, TOKENS
from support.hugging_face_folders import FAIRSEQ_PIECES, fairseq_model
from support.tiny import VOCABULARY

SIZES = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 32}
OUTPUTS = 3
ROBERTAS = {"Roberta": len(TOKENS), "XLMRoberta": FAIRSEQ_PIECES["xlm-roberta"]}
"""classes of KerasHub with RoBERTa's network, and how many token ids theirs have in the tests"""
WORDS = {"vocabulary": {token: number for number, token in enumerate(TOKENS)}, "merges": [" ".join(p) for p in MERGES]}
"""arguments of a `RobertaTokenizer`"""
BYTE_TEXTS = (
    *TEXTS,
    "<s>the</s>good <mask> the<pad>good <unk>",
    "the  good   the ",
    "the \n good \n\n the\t",
    "the \r\n\u00a0good\u2009\u202f the\u3000",
    "the \u00a0\u2009\u202f\u3000",
    "it\u00a0's \u00a0\u00a0 the 's",
    "\u096c \u096c\u096c the\u096cgood \u096cthe",
)
"""texts whose words KerasHub has not as GPT-2"""
_WIDE, _TALL = [(8, 8), (8,)], [(8,), (8,)]


def write_preset(folder: Path, *, attention_prefix: str) -> None:
    """A BERT of one layer as Keras 3 stores it, with weights that are the same at each call."""
    (folder / "assets" / "tokenizer").mkdir(parents=True)
    (folder / "assets" / "tokenizer" / "vocabulary.txt").write_text("\n".join(VOCABULARY))
    config = SIZES | {"vocabulary_size": len(VOCABULARY)} | {"num_layers": 1, "num_segments": 2}
    _write_json(folder / "config.json", "BertBackbone", config)
    (folder / "tokenizer.json").write_text(json.dumps({"config": {"lowercase": True}}))
    layers = {
        "reversible_embedding": [(len(VOCABULARY), 8)],
        "position_embedding": [(32, 8)],
        "embedding": [(2, 8)],
        "layer_normalization": _TALL,
        "dense": _WIDE,
    }
    _write_weights(folder / "model.weights.h5", layers | _layer(attention_prefix))


def write_roberta_task(folder: Path, name: str) -> None:
    """A text classifier of one layer and three outputs, as `save_to_preset` of KerasHub 0.32 stores it.

    Args:
        folder: to create.
        name: one of `ROBERTAS`.
    """
    write_roberta_tokenizer(folder, name)
    _write_json(folder / "config.json", f"{name}Backbone", SIZES | {"vocabulary_size": ROBERTAS[name], "num_layers": 1})
    _write_json(folder / "task.json", f"{name}TextClassifier", {"num_classes": OUTPUTS, "activation": "linear"})
    _write_json(folder / "preprocessor.json", f"{name}TextClassifierPreprocessor", {"sequence_length": 16})
    layers = {
        "token_and_position_embedding/token_embedding": [(ROBERTAS[name], 8)],
        "token_and_position_embedding/position_embedding": [(32, 8)],
        "layer_normalization": _TALL,
    }
    _write_weights(folder / "model.weights.h5", layers | _layer(""))
    _write_weights(folder / "task.weights.h5", {"dense": _WIDE, "dense_1": [(8, OUTPUTS), (OUTPUTS,)]})


def write_roberta_tokenizer(folder: Path, name: str, **settings: object) -> None:
    """The tokenizer of such a classifier; `settings` change tokenizer.json."""
    assets = folder / "assets" / "tokenizer"
    assets.mkdir(parents=True)
    _write_json(folder / "tokenizer.json", f"{name}Tokenizer", settings)
    if name == "XLMRoberta":
        (assets / "vocabulary.spm").write_bytes(fairseq_model())
    else:
        (assets / "vocabulary.json").write_text(json.dumps(WORDS["vocabulary"]), "utf-8")
        (assets / "merges.txt").write_text("".join(f"{merge}\n" for merge in WORDS["merges"]), "utf-8")


def _layer(attention_prefix: str) -> dict[str, list[tuple[int, ...]]]:
    attention = f"transformer_encoder/_self_attention_layer/{attention_prefix}"
    return {
        "transformer_encoder/_self_attention_layer_norm": _TALL,
        "transformer_encoder/_feedforward_layer_norm": _TALL,
        "transformer_encoder/_feedforward_intermediate_dense": [(8, 16), (16,)],
        "transformer_encoder/_feedforward_output_dense": [(16, 8), (8,)],
        **{f"{attention}{part}_dense": [(8, 2, 4), (2, 4)] for part in ("query", "key", "value")},
        f"{attention}output_dense": [(2, 4, 8), (8,)],
    }


def _write_weights(path: Path, layers: dict[str, list[tuple[int, ...]]]) -> None:
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for layer, shapes in layers.items():
            for place, shape in enumerate(shapes):
                file[f"layers/{layer}/vars/{place}"] = random.normal(size=shape).astype(np.float32)


def _write_json(path: Path, name: str, config: dict[str, object]) -> None:
    path.write_text(json.dumps({"class_name": name, "config": config}), "utf-8")
