"""A small vocabulary of byte-level BPE, Hugging Face folders with it, and texts on which tokenizers differ."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bert_serving.text.byte_level_bpe import BYTES, WordRules, byte_level_model
from bert_serving.text.preprocessing import Preprocessing, load_preprocessing, write_sentencepiece_preprocessing
from bert_serving.text.sentencepieces import SentencePiece
from bert_serving.text.vocabulary import SECOND_TYPE, SEPARATORS
from support.tokenizer_folders import added

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
# Sorted by rank. "abc" is made of "a" and "bc", "def" of "de" and "f", though both have a second rule.
MERGES: tuple[tuple[str, str], ...] = (
    ("b", "c"),
    ("a", "b"),
    ("ab", "c"),
    ("a", "bc"),
    ("d", "e"),
    ("e", "f"),
    ("d", "ef"),
    ("de", "f"),
    ("y", "z"),
    ("x", "y"),
    ("xy", "z"),  # never applied: "y" and "z" are merged before, so the token "xyz" is never made
    ("xyz", "!"),
    ("\u0120", "t"),
    ("h", "e"),
    ("\u0120t", "he"),
    ("\u0120", "\u0120"),
    ("\u0120\u0120", "\u0120\u0120"),
    ("o", "o"),
    ("g", "oo"),
    ("\u0120", "goo"),
    ("\u0120goo", "d"),
    ("goo", "d"),
    ("'", "s"),
    ("'", "'"),
    ("s", "t"),
    ("1", "2"),
    ("12", "3"),
    ("\u010a", "\u010a"),  # two newlines
    ("\u0100", "\u0100"),  # two NUL
    ("\u00c3", "\u00a9"),  # é
    ("\u00a9", "\u00c3"),
    ("f", "\u00c3\u00a9"),
    ("\u00f0", "\u0141"),  # the first two bytes of many emoji
    ("\u00f0\u0141", "\u0133"),
    ("q", "q"),
    ("qq", "qq"),
    ("qqqq", "qqqq"),
    ("qq", "q"),
    ("\u00c2", "\u0142"),  # a no-break space
    (".", "."),
    ("..", "."),
)
TOKENS = (*SPECIAL, *sorted(BYTES, key=BYTES.__getitem__), *dict.fromkeys(map("".join, MERGES)), MASK)

WHITE = "\t\n\v\f\r \x1c\x1d\x1e\x1f\x85\u00a0\u1680\u180e\u2000\u2009\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
TEXTS = (
    "",
    " ",
    "   ",
    "the good, the abc def",
    " the  good   the    good ",
    "\tthe\n\n good\r\n\n",
    "good\u00a0good \u00a0 good\u3000\u3000the",
    "it's 's''s ''st ' s's't we're they've I'm he'll she'd 'S 'RE !'s's1",
    "12 123 1212 abc123def \u00b2\u00bd\u2160\u0661\u0967",
    "aabcc abab bcabc ddeff dedef",
    "xyz xyyz yzxyz! xy z",
    "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq qqqqqqqqqqq",
    "caf\u00e9 fe\u0301 \u00e9\u00e9\u00a9\u00c3\u00a9",
    "\x00\x00\x00 \x00a\x00",
    "".join(map(chr, range(32))),
    "".join(map(chr, range(0x7F, 0x180))),
    "\U0001f469\U0001f3fd\u200d\U0001f4bb\ufe0f \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1ee\U0001f1f3",
    "\u6211\u559c\u6b22the\u7535\u5f71\u3002 \ud55c\uad6d\uc5b4 \u1112\u1161\u11ab \u0e01\u0e47\u0e17\u0e35\u0e48",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u0939\u093f\u0928\u094d\u0926\u0940",
    "\u0120\u010a \u00ff\u00fe \u0100",
    "...the..good....",
    "<s> </s> <pad><unk> <mask>",
    "\u0888\u1c89\ua7cb\U000105c0\U00016d70\U0001ccf0\U0003134a a\u0888b 1\U00016d711",
    "\ue000\ufffe\uffff\ufdd0 \ufffd \u0378 \U0010ffff",
    "\u212b \u1e9b\u0323 \u0344 \uac00\u11a8 e\u0323\u0302",
    *(f"{mark}the{mark}{mark}good {mark} the{mark}" for mark in WHITE),
)
PAIR = ("the good", "abc def")


def rules(**pre_tokenizer: Any) -> dict[str, Any]:
    """tokenizer.json of a RoBERTa; `pre_tokenizer` changes its pre-tokenizer."""
    roles = ("<s>", "<pad>", "</s>", "<unk>", MASK)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(token, id=TOKENS.index(token), lstrip=token == MASK) for token in roles],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        | pre_tokenizer,
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": ["</s>", TOKENS.index("</s>")],
            "cls": ["<s>", TOKENS.index("<s>")],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(TOKENS)},
            "merges": [list(pair) for pair in MERGES],
        },
    }


def template(start: str, end: str, *, separators: int, second_type: int) -> dict[str, Any]:
    """A post-processor that is written out."""

    def part(kind: str, name: str, type_id: int = 0) -> dict[str, Any]:
        return {kind: {"id": name, "type_id": type_id}}

    single = [part("SpecialToken", start), part("Sequence", "A"), part("SpecialToken", end)]
    more = [part("SpecialToken", end, second_type)] * (separators - 1)
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, *more, part("Sequence", "B", second_type), part("SpecialToken", end, second_type)],
        "special_tokens": {name: {"id": name, "ids": [TOKENS.index(name)], "tokens": [name]} for name in (start, end)},
    }


def vocabulary_files() -> dict[str, Any]:
    """vocab.json and merges.txt."""
    lines = "".join(f"{first} {second}\n" for first, second in MERGES)
    return {
        "vocab.json": {token: number for number, token in enumerate(TOKENS)},
        "merges.txt": f"#version: 0.2\n{lines}",
    }


LONG = 100_000
LONG_TEXTS = {
    "one letter": "q" * LONG,
    "two letters in turn": "ab" * (LONG // 2),
    "marks": "." * LONG,
    "spaces before a word": " " * LONG + "the",
    "newlines": "\n" * LONG,
    "NUL": "\0" * LONG,
    "letters of two bytes": "\u00e9" * (LONG // 2),
    "words": "the good " * (LONG // 9),
}
"""texts whose tokens are only counted"""

RULES = {
    "plain": WordRules(),
    "with a space before the text": WordRules(add_prefix_space=True),
    "composed": WordRules(compose=True),
    "composed, with a space before the text": WordRules(add_prefix_space=True, compose=True),
}


def tokenizer_of(word_rules: WordRules) -> Any:
    """Hugging Face's tokenizer with these rules; special tokens in a text are plain text."""
    from tokenizers import Tokenizer

    changes = {"added_tokens": [], "normalizer": {"type": "NFC"} if word_rules.compose else None}
    return Tokenizer.from_str(json.dumps(rules(add_prefix_space=word_rules.add_prefix_space) | changes))


def counted(ids: Sequence[int]) -> dict[str, int]:
    """How often each id occurs, in the order of the first occurrences."""
    return {str(number): count for number, count in Counter(ids).items()}


def byte_level_preprocessing(folder: Path) -> Preprocessing:
    """Writes a preprocessing SavedModel with the small vocabulary, and loads it."""
    special = dict.fromkeys((*SPECIAL, MASK))
    roles = {"start_of_sequence_id": "<s>", "end_of_segment_id": "</s>", "padding_id": "<pad>", "mask_id": MASK}
    ids = {key: TOKENS.index(token) for key, token in roles.items()}
    ids |= {"vocab_size": len(TOKENS), SEPARATORS: 2, SECOND_TYPE: 0}
    model = SentencePiece(byte_level_model(TOKENS, MERGES, special, "<unk>"), ids)
    write_sentencepiece_preprocessing(model, folder, rules=WordRules())
    return load_preprocessing(folder)
