"""Tiny fine-tuned classifiers of every family in Hugging Face's format, with random weights, made without transformers."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from safetensors.numpy import save_file

from bert_serving.encoders.architecture import Architecture, build_network
from bert_serving.encoders.conversion.families import FAMILIES
from bert_serving.encoders.conversion.families import POSITIONS as POSITION_TABLE
from bert_serving.encoders.conversion.hugging_face import read_architecture
from support.byte_level import MERGES, TOKENS
from support.tiny import POSITIONS, VOCABULARY, WORDS

WIDTH = 8
CLASSES = {
    "bert": "BertForSequenceClassification",
    "distilbert": "DistilBertForSequenceClassification",
    "electra": "ElectraForSequenceClassification",
    "albert": "AlbertForSequenceClassification",
    "roberta": "RobertaForSequenceClassification",
    "xlm-roberta": "XLMRobertaForSequenceClassification",
    "camembert": "CamembertForSequenceClassification",
}
PIECES = 48
# Of XLM-RoBERTa and CamemBERT: fairseq's special tokens around those of the SentencePiece model.
FAIRSEQ_PIECES = {"xlm-roberta": PIECES + 2, "camembert": PIECES + 5}
_ROBERTA_FIRST = 2
"""positions that a RoBERTa's table has before that of the first token"""


def configuration(model_type: str) -> dict[str, Any]:
    """config.json of an encoder with two layers."""
    if model_type == "distilbert":
        return {
            "model_type": "distilbert",
            "vocab_size": len(VOCABULARY),
            "dim": WIDTH,
            "n_layers": 2,
            "n_heads": 2,
            "hidden_dim": 2 * WIDTH,
            "max_position_embeddings": POSITIONS,
            "activation": "gelu",
        }
    is_roberta = CLASSES[model_type].lower().startswith(("roberta", "xlmroberta", "camembert"))
    sizes = {
        "model_type": model_type,
        "vocab_size": {"albert": PIECES, "roberta": len(TOKENS), **FAIRSEQ_PIECES}.get(model_type, len(VOCABULARY)),
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 2 * WIDTH,
        "max_position_embeddings": POSITIONS + _ROBERTA_FIRST * is_roberta,
        "type_vocab_size": 1 if is_roberta else 2,
        "hidden_act": "gelu_new" if model_type == "albert" else "gelu",
        "layer_norm_eps": 1e-5 if is_roberta else 1e-12,
    }
    if is_roberta:
        sizes |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    narrower = {"embedding_size": WIDTH // 2}
    return sizes | (narrower if model_type in ("albert", "electra") else {})


def write_fine_tuned(
    folder: Path, model_type: str, *, labels: Sequence[str] = ("praise", "blame", "neither"), **changes: Any
) -> dict[str, np.ndarray]:
    """Writes a classifier and returns its tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    head = {
        "architectures": [CLASSES[model_type]],
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
    }
    config = configuration(model_type) | head | changes
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    write_vocabulary(folder, model_type)
    tensors = random_tensors(config, outputs=len(labels))
    save_file(tensors, folder / "model.safetensors")
    return tensors


def write_vocabulary(folder: Path, model_type: str) -> None:
    """vocab.txt, or the files that the family has."""
    if model_type == "albert":
        (folder / "spiece.model").write_bytes(sentencepiece_model())
        settings = {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    elif model_type == "roberta":
        vocabulary = {token: number for number, token in enumerate(TOKENS)}
        (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES), "utf-8")
    elif model_type in FAIRSEQ_PIECES:
        (folder / "sentencepiece.bpe.model").write_bytes(fairseq_model())
        settings = {"tokenizer_class": _TOKENIZERS[model_type], "model_max_length": POSITIONS}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    else:
        (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")


_TOKENIZERS = {"xlm-roberta": "XLMRobertaTokenizer", "camembert": "CamembertTokenizer"}


def sentencepiece_model(texts: Sequence[str] | None = None, pieces: int = PIECES) -> bytes:
    """A SentencePiece model with ALBERT's framing tokens, learnt from texts, or from the tests' words."""
    return _learned_model(
        texts,
        pieces,
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        pad_piece="<pad>",
        unk_piece="<unk>",
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        control_symbols=["[MASK]"],
    )


def fairseq_model(texts: Sequence[str] | None = None, pieces: int = PIECES) -> bytes:
    """A SentencePiece model with the special tokens of SentencePiece itself, learnt from texts, or from the tests' words."""
    return _learned_model(texts, pieces)


def _learned_model(texts: Sequence[str] | None, pieces: int, **special: Any) -> bytes:
    words = [word.removeprefix("##") for word in WORDS]
    if texts is None:
        texts = [" ".join(words[i:] + words[:i]) for i in range(len(words))] * 20 + [
            "abcdefghijklmnopqrstuvwxyz , . ! ' \""
        ] * 5
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=pieces,
        hard_vocab_limit=True,
        minloglevel=2,
        **special,
    )
    return model.getvalue()


def random_tensors(config: Mapping[str, Any], outputs: int) -> dict[str, np.ndarray]:
    """Weights under Hugging Face's names and in its shapes, those of the head included."""
    architecture, family = read_architecture(config), FAMILIES[config["model_type"]]
    random = np.random.default_rng(7)
    shapes = {variable.name: tuple(variable.shape) for variable in build_network(architecture).variables}
    names = family.weight_names(architecture.num_hidden_layers, projection=architecture.has_projection)
    if family.head_has_pooler:
        names = {theirs: ours for theirs, ours in names.items() if theirs not in family.pooler_names()}
    tensors = {
        f"{family.prefix}{theirs}": _value(random, theirs, _their_shape(f"{ours}:0", shapes, architecture))
        for theirs, ours in names.items()
    }
    positions = f"{family.prefix}{POSITION_TABLE}"
    before = np.zeros((family.first_position(config), tensors[positions].shape[1]), np.float32)
    tensors[positions] = np.concatenate([before, tensors[positions]])
    head = {f"{family.classifier.output}.weight": (outputs, WIDTH), f"{family.classifier.output}.bias": (outputs,)}
    if family.head_has_pooler:
        head |= {f"{family.classifier.pooler}.weight": (WIDTH, WIDTH), f"{family.classifier.pooler}.bias": (WIDTH,)}
    return tensors | {name: _value(random, name, shape) for name, shape in head.items()}


def _value(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    is_scale = ("LayerNorm" in name or "layer_norm" in name) and name.endswith("weight")
    return (random.normal(size=shape, scale=0.3) + is_scale).astype(np.float32)


def _their_shape(ours: str, shapes: Mapping[str, tuple[int, ...]], architecture: Architecture) -> tuple[int, ...]:
    shape = shapes[ours]
    if not ours.endswith("/kernel:0"):
        return (int(np.prod(shape)),) if "self_attention/" in ours else shape
    if "self_attention/" in ours:
        return (architecture.hidden_size, architecture.hidden_size)
    return shape[::-1]
