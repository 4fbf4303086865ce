"""Token ids of the in-graph tokenizer against those of Hugging Face's, text by text, on real data.

    python benchmarks/token_agreement.py --data data --model models/all-MiniLM-L6-v2

Needs transformers. Writes benchmarks/results/token_agreement.json and prints a table; each text that differs is printed with what differs.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from bert_serving.text.preprocessing import Preprocessing, load_preprocessing, write_preprocessing

RESULT = Path(__file__).parent / "results" / "token_agreement.json"
SETS = {
    "emotion": "emotion/*.tsv",
    "imdb": "imdb/*.tsv.gz",
    "sib200, nine languages": "sib200/*/*.tsv",
    "waimai_10k": "waimai_10k/*.tsv",
}
LENGTH = 512
BATCH = 1000
SHOWN = 10


def texts_of(data: Path, pattern: str) -> list[str]:
    """All texts of the files that match."""
    tables = [
        pd.read_csv(path, sep="\t", quoting=3, keep_default_na=False, dtype=str) for path in sorted(data.glob(pattern))
    ]
    return [text for table in tables for text in table["text"]]


def ours(preprocessing: Preprocessing, texts: list[str]) -> list[list[int]]:
    """Token ids as the serving graph computes them."""
    words, _, offsets, _ = preprocessing.token_rows(texts, None, LENGTH)
    return [row.tolist() for row in np.split(words, offsets[1:-1])]


def differing(preprocessing: Preprocessing, tokenizer: object, texts: list[str]) -> Iterator[str]:
    """Texts whose ids differ."""
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        theirs = tokenizer(batch, truncation=True, max_length=LENGTH)["input_ids"]
        yield from (
            text for text, mine, other in zip(batch, ours(preprocessing, batch), theirs, strict=True) if mine != other
        )


def main() -> None:
    """Compares, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="a BERT in Hugging Face's format")
    arguments = parser.parse_args()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        write_preprocessing(
            arguments.model / "vocab.txt", Path(folder, "preprocessing"), lower_case=tokenizer.do_lower_case
        )
        preprocessing = load_preprocessing(Path(folder, "preprocessing"))
        for name, pattern in SETS.items():
            texts = texts_of(arguments.data, pattern)
            other = list(differing(preprocessing, tokenizer, texts))
            found[name] = {"texts": len(texts), "differing": len(other)}
            print(f"{name}: {len(texts):,} texts, {len(other):,} differ")
            for text in other[:SHOWN]:
                print(f"  {text[:300]!r}")
    RESULT.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
