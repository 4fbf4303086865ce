"""Agreement of the in-graph tokenizer with Hugging Face's: token ids, text by text, on real data.

    python benchmarks/token_agreement.py --data data --model models/all-MiniLM-L6-v2

Needs transformers. Each set is compared twice: with the model's own vocabulary and, on some of its
texts, with a vocabulary of all their characters, so that no script is hidden behind [UNK]. Writes
benchmarks/results/token_agreement.json and prints a table for the docs; each kind of difference is
described by its characters.
"""

import argparse
import json
import os
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from bert_serving.text.preprocessing import Preprocessing, load_preprocessing, write_preprocessing
from bert_serving.text.vocabulary import SPECIAL_TOKENS

RESULT = Path(__file__).parent / "results" / "token_agreement.json"
SETS = ("emotion", "imdb", "waimai_10k", "sib200/*")
LENGTH = 512
BATCH = 1000
CHARACTER_TEXTS = 1000

Tokenizer = Callable[[Sequence[str]], list[list[int]]]


def texts_of(folder: Path) -> list[str]:
    """All texts of a data set."""
    tables = [
        pd.read_csv(path, sep="\t", quoting=3, keep_default_na=False, dtype=str)
        for path in sorted(folder.glob("*.tsv*"))
    ]
    return [text for table in tables for text in table["text"]]


def ours(preprocessing: Preprocessing) -> Tokenizer:
    """Token ids as the serving graph computes them."""

    def tokenize(texts: Sequence[str]) -> list[list[int]]:
        words, _, offsets, _ = preprocessing.token_rows(texts, None, LENGTH)
        return [row.tolist() for row in np.split(words, offsets[1:-1])]

    return tokenize


def theirs(tokenizer: object) -> Tokenizer:
    """Token ids as Hugging Face's tokenizer gives them."""
    return lambda texts: tokenizer(list(texts), truncation=True, max_length=LENGTH)["input_ids"]


def compare(mine: Tokenizer, other: Tokenizer, texts: Sequence[str]) -> dict[str, object]:
    """The number of differing texts, and how many of them have each kind of difference."""
    differing = []
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        pairs = zip(batch, mine(batch), other(batch), strict=True)
        differing += [text for text, one, two in pairs if one != two]
    kinds = Counter(kind for text in differing for kind in kinds_of(mine, other, text))
    return {"texts": len(texts), "differing": len(differing), "kinds": dict(kinds.most_common())}


def kinds_of(mine: Tokenizer, other: Tokenizer, text: str) -> set[str]:
    """The characters that differ on their own, else the words, else the whole text."""
    for parts in (sorted(set(text)), sorted(set(text.split()))):
        found = [part for part, one, two in zip(parts, mine(parts), other(parts), strict=True) if one != two]
        if found:
            return {f"U+{ord(each):04X} {unicodedata.name(each, '')}" if len(each) == 1 else each for each in found}
    return {"the position in the text"}


def character_vocabulary(texts: Sequence[str]) -> list[str]:
    """Every character of the texts, unchanged and as an uncased tokenizer normalizes it, at a word's start and inside."""
    joined = "".join(texts)
    characters = sorted(set(joined) | set(unicodedata.normalize("NFD", joined).lower()))
    printable = [each for each in characters if not each.isspace() and unicodedata.category(each)[0] != "C"]
    return [*SPECIAL_TOKENS, *printable, *(f"##{each}" for each in printable)]


def main() -> None:
    """Compares all sets, prints a table and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="a BERT in Hugging Face's format")
    arguments = parser.parse_args()
    from transformers import AutoTokenizer, BertTokenizerFast

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    lower_case = bool(getattr(tokenizer, "do_lower_case", True))
    found: dict[str, dict[str, object]] = {}
    print("| data | texts | differing | by all characters | differing |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        workshop = Path(name)
        write_preprocessing(arguments.model / "vocab.txt", workshop / "preprocessing", lower_case=lower_case)
        own = ours(load_preprocessing(workshop / "preprocessing"))
        for folder in [folder for pattern in SETS for folder in sorted(arguments.data.glob(pattern))]:
            if not folder.is_dir():
                continue
            texts = texts_of(folder)
            by_model = compare(own, theirs(tokenizer), texts)
            some = texts[:: max(1, len(texts) // CHARACTER_TEXTS)]
            place = workshop / folder.name
            place.mkdir()
            (place / "vocab.txt").write_text("".join(f"{each}\n" for each in character_vocabulary(some)), "utf-8")
            write_preprocessing(place / "vocab.txt", place / "preprocessing", lower_case=True)
            by_characters = compare(
                ours(load_preprocessing(place / "preprocessing")),
                theirs(BertTokenizerFast(str(place / "vocab.txt"), do_lower_case=True)),
                some,
            )
            found[str(folder.relative_to(arguments.data))] = {"model": by_model, "characters": by_characters}
            counts = [each[key] for each in (by_model, by_characters) for key in ("texts", "differing")]
            print("|", folder.relative_to(arguments.data), "|", " | ".join(f"{count:,}" for count in counts), "|")
            for kind, count in {**by_model["kinds"], **by_characters["kinds"]}.items():
                print(f"    {kind}: {count}")
    RESULT.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
