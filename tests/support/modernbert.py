"""Tiny ModernBERT classifiers in Hugging Face's format, with random weights; made with NumPy and safetensors alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

WIDTH, INNER, LAYERS, WINDOW, VOCABULARY = 16, 24, 4, 8, 60
LABELS = ("praise", "blame", "neither")
# config.json of a tiny classifier, with the keys of transformers 4: layers 0 and 3 attend to all tokens, 1 and 2 to four on each side.
CONFIGURATION = {
    "architectures": ["ModernBertForSequenceClassification"],
    "model_type": "modernbert",
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": INNER,
    "max_position_embeddings": 64,
    "hidden_activation": "gelu",
    "global_attn_every_n_layers": 3,
    "local_attention": WINDOW,
    "global_rope_theta": 160000.0,
    "local_rope_theta": 10000.0,
    "norm_eps": 1e-05,
    "norm_bias": False,
    "attention_bias": False,
    "mlp_bias": False,
    "classifier_bias": False,
    "classifier_activation": "gelu",
    "classifier_pooling": "cls",
    "pad_token_id": 0,
    "cls_token_id": 1,
    "sep_token_id": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# transformers 5 writes other keys for the layers' kinds and the rotary positions.
OF_TRANSFORMERS_5 = {
    "layer_types": ["full_attention", "sliding_attention", "full_attention", "sliding_attention"],
    "rope_parameters": {
        "full_attention": {"rope_theta": 5000.0, "rope_type": "default"},
        "sliding_attention": {"rope_theta": 100.0, "rope_type": "default"},
    },
    "global_attn_every_n_layers": ...,
    "global_rope_theta": ...,
    "local_rope_theta": ...,
}
BIASES = {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "transformers_4": {},
    "transformers_5": OF_TRANSFORMERS_5,
    "biases_and_mean": BIASES | {"classifier_pooling": "mean"},
    "one_theta": {"local_rope_theta": 160000.0, "global_attn_every_n_layers": 2, "classifier_activation": "relu"},
    "other_activation": {"hidden_activation": "gelu_pytorch_tanh", "norm_eps": 1e-3, "local_attention": 3},
}


def configuration(**changes: Any) -> dict[str, Any]:
    """`CONFIGURATION` with changes; `...` leaves a key out."""
    return {key: value for key, value in (CONFIGURATION | changes).items() if value is not ...}


def write_modernbert(folder: Path, *, labels: Sequence[str] = LABELS, **changes: Any) -> dict[str, np.ndarray]:
    """Writes config.json and model.safetensors of a classifier, and returns its tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
    }
    config = configuration(**named | changes)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    random = np.random.default_rng(3)
    tensors = {name: _value(random, name, shape) for name, shape in _shapes(config, len(labels))}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return tensors


def write_byte_level_classifier(folder: Path, **changes: Any) -> None:
    """A classifier with a tokenizer of ModernBERT's kind: byte-level BPE of composed text, framed as BERT's, without token types."""
    from support.byte_level import MASK, TOKENS, rules, template  # brings TensorFlow

    write_modernbert(folder, vocab_size=len(TOKENS), **changes)
    content = rules() | {
        "normalizer": {"type": "NFC"},
        "post_processor": template("<s>", "</s>", separators=1, second_type=1),
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 64,
        "model_input_names": ["input_ids", "attention_mask"],
        **{"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": MASK},
    }
    (folder / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")


def token_rows() -> list[list[int]]:
    """Token ids of texts without words, shorter than a window, at its edges, and as long as the encoder takes."""
    random = np.random.default_rng(5)
    lengths = (2, 3, 4, 5, 8, 9, 12, 13, 31, 64)
    return [[1, *random.integers(3, VOCABULARY, length - 2).tolist(), 2] for length in lengths]


def _shapes(config: Mapping[str, Any], outputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, inner = config["hidden_size"], config["intermediate_size"]

    def norm(name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (width,)
        if config["norm_bias"]:
            yield f"{name}.bias", (width,)

    def dense(name: str, rows: int, columns: int, flag: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (rows, columns)
        if config[flag]:
            yield f"{name}.bias", (rows,)

    yield "model.embeddings.tok_embeddings.weight", (config["vocab_size"], width)
    yield from norm("model.embeddings.norm")
    for number in range(config["num_hidden_layers"]):
        layer = f"model.layers.{number}"
        if number:
            yield from norm(f"{layer}.attn_norm")
        yield from dense(f"{layer}.attn.Wqkv", 3 * width, width, "attention_bias")
        yield from dense(f"{layer}.attn.Wo", width, width, "attention_bias")
        yield from norm(f"{layer}.mlp_norm")
        yield from dense(f"{layer}.mlp.Wi", 2 * inner, width, "mlp_bias")
        yield from dense(f"{layer}.mlp.Wo", width, inner, "mlp_bias")
    yield from norm("model.final_norm")
    yield from dense("head.dense", width, width, "classifier_bias")
    yield from norm("head.norm")
    yield "classifier.weight", (outputs, width)
    yield "classifier.bias", (outputs,)


def _value(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    is_scale = "norm." in name and name.endswith("weight")
    return (random.normal(size=shape, scale=0.1 if is_scale else 0.3) + is_scale).astype(np.float32)
