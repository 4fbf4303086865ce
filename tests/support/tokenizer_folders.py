"""Small Hugging Face folders whose tokenizer files agree or contradict each other, and what transformers makes of them."""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
RENAMED = dict(zip(SPECIAL, ("<pad>", "<unk>", "<s>", "</s>", "<mask>"), strict=True))
ROLES = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
WORDS = (
    "good",
    "bad",
    "Good",
    "film",
    "caf\u00e9",
    "cafe",
    "\u6211",
    "[",
    "]",
    "e",
    "##1",
    "1",
    "x",
    "##x",
    ".",
    "a",
    "##b",
)
TOKENS = (*SPECIAL, *WORDS)
TEXTS = (
    "Good Film caf\u00e9 CAF\u00c9 \u6211x",
    "[E1] good x. [USER]",
    "good\u00a0bad\tfilm ab xxx",
    "",
    "[MASK] good[MASK]bad [CLS][SEP] [mask] [PAD]",
    "a<mask>x [UNK] </s>",
    "[E1][e1]x  [E1]  GOOD [E2]good[E2]1 newx NEWX newx1 \u6211newx\u6211",
    " [E1] ",
)
PAIR = ("good", "bad film")

SETTINGS = {"do_lower_case": True, "tokenizer_class": "BertTokenizer", "model_max_length": 64}


def added(content: str, *, special: bool = True, **more: Any) -> dict[str, Any]:
    """A token as `added_tokens_decoder` has it, and with its `id` tokenizer.json; `more` may set its rules."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"content": content, "special": special, **flags, **more}


def rules(tokens: tuple[str, ...] = TOKENS, *, special: tuple[str, ...] = SPECIAL, **normalizer: Any) -> dict[str, Any]:
    """tokenizer.json of a BERT; `normalizer` changes its normalizer."""
    _, unknown, start, end, _ = special

    def part(kind: str, name: str, type_id: int = 0) -> dict[str, Any]:
        return {kind: {"id": name, "type_id": type_id}}

    single = [part("SpecialToken", start), part("Sequence", "A"), part("SpecialToken", end)]
    second = [part("Sequence", "B", 1), part("SpecialToken", end, 1)]
    frame = {name: {"id": name, "ids": [tokens.index(name)], "tokens": [name]} for name in (start, end)}
    flags = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    model = {
        "type": "WordPiece",
        "unk_token": unknown,
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(token, id=tokens.index(token)) for token in special],
        "normalizer": {"type": "BertNormalizer", **flags, **normalizer},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": single + second,
            "special_tokens": frame,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": model | {"vocab": {token: number for number, token in enumerate(tokens)}},
    }


def changed(content: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a JSON object with another value at a path of keys with dots between them."""
    copy: Any = deepcopy(dict(content))
    *parents, last = path.split(".")
    target = copy
    for key in parents:
        target = target[int(key) if isinstance(target, list) else key]
    target[int(last) if isinstance(target, list) else last] = value
    return copy


def write_folder(folder: Path, files: Mapping[str, Any], *, model_type: str = "bert") -> Path:
    """Writes a folder without weights: JSON of objects, texts and bytes as they are, nothing for None."""
    folder.mkdir(parents=True)
    config = {"model_type": model_type, "vocab_size": 200, "hidden_size": 8, "num_attention_heads": 2}
    for name, content in ({"config.json": config} | dict(files)).items():
        if content is not None:
            data = content.encode() if isinstance(content, str) else content
            (folder / name).write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return folder


def _lines(tokens: tuple[str, ...] = TOKENS, end: str = "\n") -> str:
    return "".join(token + end for token in tokens)


_OTHER = tuple(RENAMED.get(token, token) for token in TOKENS)
_NAMES = {role: RENAMED[token] for role, token in ROLES.items()}
_SWAPPED = tuple({"good": "bad", "bad": "good"}.get(token, token) for token in TOKENS)


_VOCABULARY = _lines()


def _files(rules: Any = None, settings: Any = SETTINGS, vocabulary: Any = _VOCABULARY, **others: Any) -> dict[str, Any]:
    named = {"special": "special_tokens_map.json", "added_tokens": "added_tokens.json"}
    return {
        "tokenizer.json": rules,
        "tokenizer_config.json": settings,
        "vocab.txt": vocabulary,
        **{named[key]: value for key, value in others.items()},
    }


def _decoder(*tokens: dict[str, Any], first: int = len(TOKENS)) -> dict[str, Any]:
    return {"added_tokens_decoder": {str(number): token for number, token in enumerate(tokens, first)}}


_RULES = rules()


def _with(*tokens: dict[str, Any]) -> dict[str, Any]:
    """tokenizer.json with more added tokens."""
    new = [{**token, "id": number} for number, token in enumerate(tokens, len(TOKENS))]
    return _RULES | {"added_tokens": [*_RULES["added_tokens"], *new]}


_GENERIC = {"tokenizer_class": "PreTrainedTokenizerFast"}
_CASED = SETTINGS | {"do_lower_case": False}

READ: dict[str, tuple[str, dict[str, Any]]] = {
    "tokenizer.json and its configuration agree": ("bert", _files(_RULES)),
    "the configuration is cased, tokenizer.json is not": ("bert", _files(_RULES, _CASED)),
    "tokenizer.json is cased, the configuration is not": ("bert", _files(rules(lowercase=False))),
    "tokenizer.json is cased, no configuration": ("bert", _files(rules(lowercase=False), None)),
    "tokenizer.json is cased, the configuration silent": ("bert", _files(rules(lowercase=False), {})),
    "a class without rules: tokenizer.json is cased": ("bert", _files(rules(lowercase=False), SETTINGS | _GENERIC)),
    "a class without rules: the configuration is cased": ("bert", _files(_RULES, _CASED | _GENERIC)),
    "ELECTRA": ("electra", _files(_RULES, _CASED | {"tokenizer_class": "ElectraTokenizer"})),
    "DistilBERT": ("distilbert", _files(_RULES, _CASED | {"tokenizer_class": "DistilBertTokenizerFast"})),
    "DistilBERT without a class": ("distilbert", _files(None, {"do_lower_case": False})),
    "accents kept in tokenizer.json": ("bert", _files(rules(strip_accents=False))),
    "Chinese together in tokenizer.json": ("bert", _files(rules(handle_chinese_chars=False))),
    "another vocabulary in vocab.txt": ("bert", _files(rules(_SWAPPED))),
    "vocab.txt alone": ("bert", _files(settings=None)),
    "vocab.txt of a cased model": ("bert", _files(settings=_CASED)),
    "Windows line ends": ("bert", _files(vocabulary=_lines(end="\r\n"))),
    "no newline at the end": ("bert", _files(vocabulary=_lines().rstrip("\n"))),
    "empty lines at the end": ("bert", _files(vocabulary=_lines() + "\n\n")),
    "an empty line": ("bert", _files(vocabulary=_lines((*TOKENS[:8], "", *TOKENS[8:])))),
    "renamed in the configuration": ("bert", _files(settings=SETTINGS | _NAMES, vocabulary=_lines(_OTHER))),
    "renamed in the map": ("bert", _files(vocabulary=_lines(_OTHER), special=_NAMES)),
    "renamed in the map with objects": (
        "bert",
        _files(vocabulary=_lines(_OTHER), special={role: added(name) for role, name in _NAMES.items()}),
    ),
    "renamed everywhere": ("bert", _files(rules(_OTHER, special=tuple(RENAMED.values())), SETTINGS | _NAMES)),
    "a map that does not count": (
        "bert",
        _files(settings=SETTINGS | {"added_tokens_decoder": {}}, special={"cls_token": "[MASK]"}),
    ),
    "no mask": ("bert", _files(_RULES, SETTINGS | {"mask_token": None})),
    "the first post-processor": (
        "bert",
        _files(_RULES | {"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}}),
    ),
    "max_len, as it was called": ("bert", _files(_RULES, {"max_len": 33})),
    "split by WordPiece alone": ("bert", _files(settings=SETTINGS | {"do_basic_tokenize": False})),
    "special tokens are split": ("bert", _files(_RULES, SETTINGS | {"split_special_tokens": True})),
    "added in added_tokens.json": ("bert", _files(added_tokens={"[E1]": 22})),
    "added in the decoder": ("bert", _files(settings=SETTINGS | _decoder(added("[E1]")))),
    "added in the decoder, normalized": (
        "bert",
        _files(settings=SETTINGS | _decoder(added("[E1]", special=False, normalized=True))),
    ),
    "added everywhere": (
        "bert",
        _files(
            _with(
                added("[E1]"), added("[E2]", lstrip=True, rstrip=True), added("newx", special=False, normalized=True)
            ),
            SETTINGS
            | _decoder(
                added("[E1]"), added("[E2]", lstrip=True, rstrip=True), added("newx", special=False, normalized=True)
            ),
        ),
    ),
    "added single words": (
        "bert",
        _files(
            _with(added("[E1]", single_word=True), added("newx", special=False, single_word=True)),
            SETTINGS | _decoder(added("[E1]", single_word=True), added("newx", special=False, single_word=True)),
        ),
    ),
    "added in tokenizer.json": ("bert", _files(_with(added("[E1]"), added("newx", special=False, normalized=True)))),
    "added in tokenizer.json, a class without rules": (
        "bert",
        _files(_with(added("[E1]"), added("newx", special=False, normalized=True)), SETTINGS | _GENERIC),
    ),
    "none in tokenizer.json, a class without rules": (
        "bert",
        _files(_RULES | {"added_tokens": []}, SETTINGS | _GENERIC),
    ),
    "none in tokenizer.json": ("bert", _files(_RULES | {"added_tokens": []})),
    "a word of the vocabulary is added": (
        "bert",
        _files(settings=SETTINGS | {"added_tokens_decoder": {"8": added("film", special=False)}}),
    ),
    "a mask that takes the space before it": (
        "bert",
        _files(
            changed(_RULES, "added_tokens.4.lstrip", True), SETTINGS | _decoder(added("[MASK]", lstrip=True), first=4)
        ),
    ),
}
"""folders that transformers 4 and 5 read alike: model type and files"""

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another unknown token": (
        _files(changed(_RULES, "model.unk_token", "[PAD]")),
        "tokenizer.json: uses '[PAD]' as unk_token, but unk_token is '[UNK]' in the other files",
    ),
    "another first token": (
        _files(_RULES, SETTINGS | {"cls_token": "[MASK]"}),
        "tokenizer.json: uses '[CLS]' as cls_token, but cls_token is '[MASK]' in the other files",
    ),
    "one token for two roles": (_files(settings=SETTINGS | {"cls_token": "[SEP]"}), ": two special tokens are one: "),
    "a word as a special token": (
        _files(settings=SETTINGS | {"cls_token": "good"}),
        ": 'good' cannot stand for [CLS]: ",
    ),
    "no token": (
        _files(settings=SETTINGS | {"sep_token": None}),
        "tokenizer_config.json: sep_token is null, expected a",
    ),
    "unnamed special tokens": (_files(vocabulary=_lines(_OTHER)), "vocab.txt: the vocabulary of 22 tokens lacks [PAD]"),
    "no frame": (
        _files(_RULES | {"post_processor": None}),
        "tokenizer.json: post_processor is null with another frame",
    ),
    "one type for both texts": (
        _files(changed(_RULES, "post_processor.pair.3.Sequence.type_id", 0)),
        'tokenizer.json: post_processor is "TemplateProcessing" with another frame',
    ),
    "cut at the beginning": (
        _files(_RULES, SETTINGS | {"truncation_side": "left"}),
        "tokenizer_config.json: truncation_side is 'left', only 'right' can be converted",
    ),
    "cut at the beginning, in tokenizer.json": (
        _files(
            changed(
                _RULES, "truncation", {"direction": "Left", "max_length": 9, "strategy": "LongestFirst", "stride": 0}
            )
        ),
        "tokenizer.json: truncation_side is 'left', only 'right' can be converted",
    ),
    "case as a text": (
        _files(settings=SETTINGS | {"do_lower_case": "false"}),
        'tokenizer_config.json: do_lower_case is "false", expected true or false; correct it',
    ),
    "a length as a text": (
        _files(settings=SETTINGS | {"model_max_length": "64"}),
        'tokenizer_config.json: model_max_length is "64", expected a number of tokens, at least 4; correct it',
    ),
    "a tokenizer of another family": (
        _files(_RULES, SETTINGS | {"tokenizer_class": "RobertaTokenizer"}),
        ": tokenizer_class is 'RobertaTokenizer'; with WordPiece only BertTokenizer, ",
    ),
    "a tokenizer that reads differently in version 5": (
        _files(_RULES, SETTINGS | {"tokenizer_class": "ConvBertTokenizer"}),
        ": tokenizer_class is 'ConvBertTokenizer'; with WordPiece only",
    ),
    "a class without rules, no tokenizer.json": (
        _files(settings=SETTINGS | _GENERIC),
        "tokenizer.json: missing; tokenizer_class is 'PreTrainedTokenizer', whose rules are in this file alone",
    ),
    "a byte-order mark": (
        _files(vocabulary="\ufeff" + _lines()),
        "vocab.txt: the vocabulary begins with a byte-order mark, which would be part of its first token; save it as UTF-8",
    ),
    "white space after a token": (
        _files(vocabulary=_lines().replace("film\n", "film \n")),
        "vocab.txt: the vocabulary has 'film ' on line 9, with white space at its end",
    ),
    "a repeated token": (
        _files(vocabulary=_lines() + "good\n"),
        "vocab.txt: the vocabulary has 'good' on lines 6 and 23",
    ),
    "another id in the decoder": (
        _files(settings=SETTINGS | {"added_tokens_decoder": {"7": added("[CLS]")}}),
        "tokenizer_config.json: gives '[CLS]' the id 7, the vocabulary 2; transformers 4 and 5 differ on which one counts",
    ),
    "another id in added_tokens.json": (
        _files(added_tokens={"[MASK]": 9}),
        "added_tokens.json: gives '[MASK]' the id 9, the vocabulary 4; transformers 4",
    ),
    "another id in tokenizer.json": (
        _files(changed(_RULES, "added_tokens.0.id", 9)),
        "tokenizer.json: gives '[PAD]' the id 9, the vocabulary 0; transformers 4",
    ),
    "ids with a gap": (
        _files(changed(_RULES, "model.vocab.zzz", 99)),
        "tokenizer.json: cannot read its vocabulary: the ids have gaps or repeat: 'zzz' has 99, expected 22",
    ),
}
"""folders that are refused: files, and what the message says after the folder's path"""


def answers(tokenizer: Any) -> dict[str, Any]:
    """What transformers' tokenizer makes of the texts and of the pair."""
    pair = tokenizer(*PAIR, return_token_type_ids=True)
    length = tokenizer.model_max_length
    return {
        "texts": [tokenizer(text)["input_ids"] for text in TEXTS],
        "pair": [pair["input_ids"], pair["token_type_ids"]],
        "max_length": length if length < 1e6 else None,
    }
