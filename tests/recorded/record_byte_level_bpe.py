"""Records the token ids that Hugging Face's tokenizers give for the texts of `support.byte_level`: `byte_level_bpe.json`.

PYTHONPATH=.:tests python tests/recorded/record_byte_level_bpe.py     (needs tokenizers)
"""

import json
from pathlib import Path

import tokenizers
from support.byte_level import LONG_TEXTS, RULES, TEXTS, counted, tokenizer_of

TARGET = Path(__file__).with_name("byte_level_bpe.json")

if __name__ == "__main__":
    answers = {
        name: [tokenizer_of(rules).encode(text, add_special_tokens=False).ids for text in TEXTS]
        for name, rules in RULES.items()
    }
    plain = tokenizer_of(next(iter(RULES.values())))
    counts = {name: counted(plain.encode(text, add_special_tokens=False).ids) for name, text in LONG_TEXTS.items()}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(ids)}" for name, ids in answers.items())
    TARGET.write_text(
        f'{{"tokenizers": "{tokenizers.__version__}", "answers": {{\n{lines}\n}},\n"long": {json.dumps(counts)}}}\n',
        "utf-8",
    )
