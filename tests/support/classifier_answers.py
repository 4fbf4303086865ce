"""Texts on which classifiers of every family are compared with transformers, and what transformers answers."""

from pathlib import Path
from typing import Any

import numpy as np

# Of no words, of a few, and of more tokens than the tiny encoders have positions.
TEXTS = (
    "",
    "good film",
    "The bike is NOT very good\u2026",
    "bad wheel, bad film " * 12,
    "caf\u00e9 \u6211\t good\u00a0film",
)
SECOND = ("very bad", "", "the film", "good " * 40, "good")
LENGTH = 32


def transformers_answers(folder: Path, *, pairs: bool) -> dict[str, Any]:
    """Token ids and logits of a folder in transformers; needs torch and transformers."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = [list(TEXTS), list(SECOND)] if pairs else [list(TEXTS)]
    encoded = tokenizer(*texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
    with torch.no_grad():
        logits = network(**encoded).logits
    rows = zip(encoded["input_ids"], encoded["attention_mask"], strict=True)
    return {
        "ids": [ids[mask == 1].tolist() for ids, mask in rows],
        "logits": [[float(f"{value:.8g}") for value in row] for row in logits.tolist()],
    }


def our_answers(classifier: Any, *, pairs: bool) -> dict[str, Any]:
    """The same from a converted classifier, logits as float32 [N, outputs]."""
    rows, _ = classifier.tokenize(list(TEXTS), list(SECOND) if pairs else None)
    return {
        "ids": [row.tolist() for row in np.split(rows.words, rows.offsets[1:-1])],
        "logits": classifier.predict_tokens(rows),
    }
