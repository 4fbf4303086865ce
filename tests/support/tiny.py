"""A ten-word vocabulary, a two-layer encoder, and data that it learns in seconds."""

import csv
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

WORDS = ("good", "bad", "film", "bike", "the", "is", "not", "very", "##ly", "wheel")
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)
POSITIONS = 32

Rows = list[tuple[str, str]]


def write_hugging_face_folder(
    folder: Path, *, layers: int = 2, width: int = 8, positions: int = POSITIONS, seed: int = 0
) -> None:
    """Writes config.json, vocab.txt and model.safetensors of a random BERT."""
    from safetensors.numpy import save_file

    from bert_serving.encoders.conversion.families import FAMILIES

    config = {
        "model_type": "bert",
        "vocab_size": len(VOCABULARY),
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 2 * width,
        "max_position_embeddings": positions,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
    }
    shapes = {
        "word_embeddings": (len(VOCABULARY), width),
        "position_embeddings": (positions, width),
        "token_type_embeddings": (2, width),
        "intermediate.dense.weight": (2 * width, width),
        "intermediate.dense.bias": (2 * width,),
        "output.dense.weight": (width, 2 * width),
    }
    random = np.random.default_rng(seed)

    def tensor(name: str) -> np.ndarray:
        if "LayerNorm" in name:
            return (random.normal(size=width) * 0.1 + name.endswith("weight")).astype(np.float32)
        special = [shape for part, shape in shapes.items() if part in name and "attention.output" not in name]
        shape = special[0] if special else (width, width) if name.endswith("weight") else (width,)
        return random.normal(size=shape, scale=0.3).astype(np.float32)

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    names = FAMILIES["bert"].weight_names(layers, projection=False)
    save_file({name: tensor(name) for name in names}, folder / "model.safetensors")


def write_tsv_file(path: Path, rows: Rows, header: tuple[str, ...] = ("text", "label")) -> Path:
    """Writes rows to a TSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_run_file(folder: Path, encoder: Path, rows: Rows, **training: object) -> Path:
    """Writes a run file with its data: 40 training, 10 validation and 10 test rows."""
    for name, part in (("train", rows[:40]), ("validation", rows[40:50]), ("test", rows[50:])):
        write_tsv_file(folder / f"{name}.tsv", part)
    settings = {"epochs": 4, "batch_size": 4, "learning_rate": 0.02, "seed": 11} | training
    lines = [
        "[data]",
        'train = "train.tsv"',
        'validation = "validation.tsv"',
        'test = "test.tsv"',
        "[encoder]",
        f'path = "{encoder}"',
        "sequence_length = 16",
        "[training]",
        *(f"{key} = {json.dumps(value)}" for key, value in settings.items()),
        "[export]",
        'name = "tiny"',
    ]
    path = folder / "run.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str
