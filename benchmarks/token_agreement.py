"""Agreement of the in-graph tokenizer with Hugging Face's: token ids, text by text, on real data.

    python benchmarks/token_agreement.py --data data --model models/all-MiniLM-L6-v2

    python benchmarks/token_agreement.py --data data --model roberta-base

Needs transformers. Each set is compared twice with WordPiece: with the model's own vocabulary and,
on some of its texts, with a vocabulary of all their characters, so that no script is hidden behind
[UNK]. Any other tokenizer is compared once; of it the folder needs config.json and the tokenizer's
files alone. Also prints how many tokens a second the serving graph's tokenizer gives on one thread.
Writes benchmarks/results/token_agreement.json, or token_agreement_MODEL.json, and prints a table
for the docs; each kind of difference is described by its characters.
"""

import argparse
import json
import os
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
import tensorflow as tf

from bert_serving.encoders.conversion.tokenizer import read_tokenizer
from bert_serving.encoders.conversion.tokenizer_files import read_json
from bert_serving.text.preprocessing import Preprocessing, load_preprocessing, write_preprocessing
from bert_serving.text.vocabulary import SPECIAL_TOKENS

RESULTS = Path(__file__).parent / "results"
SETS = ("banking77", "emotion", "imdb", "sms_spam", "tweeteval_emotion", "waimai_10k", "sib200/*")
LENGTH = 512
BATCH = 1000
CHARACTER_TEXTS = 1000
TIMED_BATCH = 64
TIMED_TEXTS = 2000

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


def tokens_per_second(preprocessing: Preprocessing, texts: Sequence[str]) -> float:
    """Tokens per second of processor time, which is that of one thread; batches as a server has them."""
    batches = [tf.constant(texts[start : start + TIMED_BATCH]) for start in range(0, len(texts), TIMED_BATCH)]
    preprocessing.segment(batches[0])
    started = time.process_time()
    tokens = sum(int(tf.size(preprocessing.segment(batch).flat_values)) for batch in batches)
    return tokens / (time.process_time() - started)


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


def compare_wordpieces(arguments: argparse.Namespace, folders: Sequence[Path], workshop: Path) -> dict[str, object]:
    """Compares WordPiece on all sets, by the model's vocabulary and by all characters."""
    from transformers import AutoTokenizer, BertTokenizerFast

    found: dict[str, object] = {}
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    lower_case = bool(getattr(tokenizer, "do_lower_case", True))
    print("| data | texts | differing | by all characters | differing | tokens a second |\n|---|---|---|---|---|---|")
    write_preprocessing(arguments.model / "vocab.txt", workshop / "preprocessing", lower_case=lower_case)
    preprocessing = load_preprocessing(workshop / "preprocessing")
    for folder in folders:
        texts = texts_of(folder)
        by_model = compare(ours(preprocessing), theirs(tokenizer), texts)
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
        speed = round(tokens_per_second(preprocessing, texts[:TIMED_TEXTS]))
        name = str(folder.relative_to(arguments.data))
        found[name] = {"model": by_model, "characters": by_characters, "tokens_per_second": speed}
        counts = [each[key] for each in (by_model, by_characters) for key in ("texts", "differing")]
        print_row(name, [*counts, speed], {**by_model["kinds"], **by_characters["kinds"]})
    return found


def compare_others(arguments: argparse.Namespace, folders: Sequence[Path], workshop: Path) -> dict[str, object]:
    """Compares another tokenizer on all sets."""
    from transformers import AutoTokenizer

    found: dict[str, object] = {}
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    read_tokenizer(arguments.model, read_json(arguments.model / "config.json")).pieces.write(workshop / "preprocessing")
    preprocessing = load_preprocessing(workshop / "preprocessing")
    print("| data | texts | differing | tokens a second |\n|---|---|---|---|")
    for folder in folders:
        texts = texts_of(folder)
        result = compare(ours(preprocessing), theirs(tokenizer), texts)
        speed = round(tokens_per_second(preprocessing, texts[:TIMED_TEXTS]))
        name = str(folder.relative_to(arguments.data))
        found[name] = result | {"tokens_per_second": speed}
        print_row(name, [result["texts"], result["differing"], speed], result["kinds"])
    return found


def print_row(name: str, numbers: Sequence[int], kinds: dict[str, int]) -> None:
    """Prints a row of the table, and below it the kinds of differences."""
    print("|", name, "|", " | ".join(f"{number:,}" for number in numbers), "|", flush=True)
    for kind, count in kinds.items():
        print(f"    {kind}: {count}")


def main() -> None:
    """Compares all sets, prints a table and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="a folder in Hugging Face's format")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    folders = [folder for pattern in SETS for folder in sorted(arguments.data.glob(pattern)) if folder.is_dir()]
    has_wordpieces = (arguments.model / "vocab.txt").is_file()
    with tempfile.TemporaryDirectory() as name:
        compare_all = compare_wordpieces if has_wordpieces else compare_others
        found = compare_all(arguments, folders, Path(name))
    result = RESULTS / ("token_agreement.json" if has_wordpieces else f"token_agreement_{arguments.model.name}.json")
    result.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
