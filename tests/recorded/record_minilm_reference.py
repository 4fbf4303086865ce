"""Records what Hugging Face's tokenizer and PyTorch's model answer for a few texts: `minilm_reference.json` beside this file.

python tests/recorded/record_minilm_reference.py <folder of all-MiniLM-L6-v2>     (needs torch and transformers)
"""

import json
import platform
import sys
from pathlib import Path

import torch
import transformers

TARGET = Path(__file__).with_name("minilm_reference.json")
LENGTH = 128

TEXTS = [
    "",
    " \t\r\n ",
    "The quick brown fox jumps over the lazy dog.",
    "ALL CAPITALS, some CamelCase and snake_case",
    "unaffable tokenization of antidisestablishmentarianism",
    "don't -- it's (really) $9.99! 100% [sic] <br /><br /> a/b & c@d.com",
    "naïve café Ångström São Tomé über Žižek",
    "Straße, STRASSE, Größe, ß and ẞ",
    "İstanbul ISTANBUL ısı",
    "很快，好吃，味道足，量大",
    "mixed 中文 and English混合 text",
    "日本語のテキスト ひらがな カタカナ",
    "한국어 텍스트",
    "Русский текст с Ё и Й",
    "Ελληνικό κείμενο, χωρίς τελικό σίγμα: μΜ",
    "हिन्दी पाठ",
    "ภาษาไทย",
    "النص العربي مَعَ التشكيل",
    "no\u00a0break\u00a0space, thin\u2009space, ideographic\u3000space, line\u2028separator",
    "zero\u200bwidth, soft\u00adhyphen, byte order \ufeffmark, \u202eoverride",
    "nul\x00byte, bell\x07, escape\x1b, delete\x7f, C1 \x85 control",
    "replacement \ufffd character",
    "emoji 😀 🇩🇪 👩‍👩‍👧 and ☺️",
    "ligatures ﬁ ﬂ, ǆ, ½, ①, ², Ⅷ",
    "combining e\u0301 a\u0308\u0323 and precomposed é ậ",
    "“quotes” ‘single’ — dashes – … ‹›«»",
    "math: ∑ ∫ √ ≤ ± × ÷ £ € ¥ ^ ` ~ + = < > |",
    "x" * 99 + " " + "x" * 100 + " " + "x" * 101,
    "a." * 80,
    "word " * 200,
    "\ue000 private use and \u0378 unassigned",
    "I'm [unused0] ##ly",
]
# An odd token of a cut pair goes to the second text there, to the first in TensorFlow: no pair here leaves one.
PAIRS = [
    ["How old are you?", "What is your age?"],
    ["short", "long " * 200],
    ["long " * 200, "short"],
    ["long " * 62, "longer " * 63],
    ["", "nothing before"],
]
# Few enough that the file stays small.
POOLED = [
    ["The quick brown fox jumps over the lazy dog.", None],
    ["", None],
    ["naïve café", None],
    ["How old are you?", "What is your age?"],
    ["很快，好吃", None],
    ["word " * 200, None],
]
SEQUENCE = 0


def main(folder: str) -> None:
    """Writes the reference."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    def encode(text: str, pair: str | None = None) -> dict[str, list[int]]:
        return tokenizer(text, pair, truncation=True, max_length=LENGTH)

    def outputs(text: str, pair: str | None):
        batch = {name: torch.tensor([ids]) for name, ids in encode(text, pair).items()}
        with torch.no_grad():
            return model(**batch)

    answers = [outputs(*each) for each in POOLED]
    reference = {
        "made_with": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "sequence_length": LENGTH,
        "texts": [{"text": text, "ids": encode(text)["input_ids"]} for text in TEXTS],
        "pairs": [
            {"texts": pair, "ids": (found := encode(*pair))["input_ids"], "type_ids": found["token_type_ids"]}
            for pair in PAIRS
        ],
        "pooled_output": [
            {"texts": texts, "values": [round(value, 6) for value in answer.pooler_output[0].tolist()]}
            for texts, answer in zip(POOLED, answers, strict=True)
        ],
        "sequence_output": {
            "texts": POOLED[SEQUENCE],
            "values": [[round(value, 6) for value in row] for row in answers[SEQUENCE].last_hidden_state[0].tolist()],
        },
    }
    TARGET.write_text(json.dumps(reference, ensure_ascii=True, separators=(",", ":")) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
