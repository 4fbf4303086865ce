"""Byte-level BPE of a Hugging Face folder, as RoBERTa's: the merges, and the rules by which texts are split before them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_serving.encoders.conversion.added_tokens import read_added_tokens, searched, told_ids
from bert_serving.encoders.conversion.tokenizer_files import (
    BERT_FRAME,
    ROBERTA_FRAME,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    Frame,
    TokenizerFiles,
    read_json,
    table,
)
from bert_serving.encoders.conversion.unigram_pieces import UnigramPieces, normalizer_steps
from bert_serving.errors import EncoderError
from bert_serving.text.added_tokens import problems
from bert_serving.text.byte_level_bpe import WordRules, byte_level_model
from bert_serving.text.sentencepieces import SentencePiece
from bert_serving.text.vocabulary import SECOND_TYPE, SEPARATORS

VOCABULARY_FILE, MERGES_FILE = "vocab.json", "merges.txt"
ROBERTA = "RobertaTokenizer"

_ROLES = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "mask_token": "<mask>",
}
_NAMES = {
    "start_of_sequence_id": "cls_token",
    "end_of_segment_id": "sep_token",
    "padding_id": "pad_token",
    "mask_id": "mask_token",
}
_VERSION_LINE = "#version"
_PAIR = 2


def has_byte_level_pieces(files: TokenizerFiles, model_type: Any) -> bool:
    """Whether the tokenizer of a folder is to be read as one of byte-level BPE."""
    is_expected = files.declared_class == ROBERTA or (files.declared_class is None and model_type == "roberta")
    if not files.rules:
        return is_expected
    return bool(table(files.rules, "model").get("type") == "BPE" and (is_expected or files.is_generic))


def read_byte_level_pieces(files: TokenizerFiles) -> UnigramPieces:
    """Reads the byte-level BPE tokenizer of a folder.

    Raises:
        EncoderError: the vocabulary is missing or damaged, a rule is another one (the first one is named), or two files
            contradict each other where transformers 4 and 5 differ.
    """
    _check_class(files)
    files.check_sides()
    if files.rules:
        _check_rules(files)
    tokens, merges, vocabulary = _vocabulary(files)
    names = {role: files.special_token(role, default) for role, default in _ROLES.items()}
    path = _vocabulary_path(files)
    _check_special(names, tokens, path)
    frame = _frame(files, tokens, names)
    rules = _word_rules(files)
    added = read_added_tokens(files, vocabulary, names, strips_before=("mask_token",))
    if problem := next(problems(added, rules.apply), None):
        raise EncoderError(f"{files.folder}: {problem}; such tokens cannot be converted, so fine-tune without them")
    new = {token.content for token in added if token.content not in vocabulary}
    try:
        content = byte_level_model(tokens, merges, new.union(names.values()), names["unk_token"])
    except ValueError as error:
        raise EncoderError(f"{path}: cannot read its vocabulary: {error}") from None
    ids = {key: tokens.index(names[role]) for key, role in _NAMES.items()}
    ids |= {"vocab_size": len(tokens), SEPARATORS: frame.separators, SECOND_TYPE: frame.second_type}
    return UnigramPieces(SentencePiece(content, ids), rules, searched(files, added))


def _vocabulary_path(files: TokenizerFiles) -> Path:
    return files.folder / (TOKENIZER_FILE if files.rules else VOCABULARY_FILE)


# === Rules ===


def _check_class(files: TokenizerFiles) -> None:
    if files.is_generic and not files.rules:
        raise EncoderError(
            f"{files.folder / TOKENIZER_FILE}: missing; tokenizer_class is {files.declared_class!r}, whose rules are in this file alone"
        )
    if files.declared_class not in (None, ROBERTA) and not files.is_generic:
        raise EncoderError(
            f"{files.folder}: tokenizer_class is {files.declared_class!r}; with byte-level BPE only {ROBERTA!r} can be converted"
        )


def _check_rules(files: TokenizerFiles) -> None:
    for name, value, expected in _rules(files.rules):
        if value not in expected:
            raise EncoderError(
                f"{files.folder / TOKENIZER_FILE}: {name} is {json.dumps(value)}, only {json.dumps(expected[0])} can be converted; "
                "texts would be tokenized differently than in the training of the encoder"
            )
    if files.is_generic:
        return
    if steps := normalizer_steps(files.rules):
        raise EncoderError(
            f"{files.folder / TOKENIZER_FILE}: its normalizer has {steps[0].get('type')!r}, but transformers 5 ignores it for "
            f"{ROBERTA}, unlike 4; remove it, or set tokenizer_class to 'PreTrainedTokenizerFast'"
        )


def _rules(rules: Mapping[str, Any]) -> Iterator[tuple[str, Any, Sequence[Any]]]:
    """Rules of tokenization: name, value, and the values that can be converted."""
    splitter, model = table(rules, "pre_tokenizer"), table(rules, "model")
    for step in normalizer_steps(rules):
        yield "normalizer", step.get("type"), ["NFC"]
    yield "pre_tokenizer", splitter.get("type"), ["ByteLevel"]
    yield "pre_tokenizer.use_regex", splitter.get("use_regex", True), [True]
    yield "pre_tokenizer.add_prefix_space", splitter.get("add_prefix_space", True), [False, True]
    yield "model.type", model.get("type"), ["BPE"]
    yield "model.dropout", model.get("dropout"), [None, 0.0]
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        yield f"model.{name}", model.get(name), ["", None]
    for name in ("byte_fallback", "ignore_merges"):
        yield f"model.{name}", model.get(name, False), [False]


def _word_rules(files: TokenizerFiles) -> WordRules:
    """Rules of the split; the class decides, by its own settings, and tokenizer.json for a class without any."""
    told = bool(files.switch("add_prefix_space", False))
    if files.is_generic:
        found = bool(table(files.rules, "pre_tokenizer").get("add_prefix_space", True))
        if found != told:
            raise EncoderError(
                f"{files.folder / TOKENIZER_CONFIG_FILE}: add_prefix_space is {json.dumps(told)}"
                f"{'' if 'add_prefix_space' in files.settings else ' where the file does not tell'}, but the pre_tokenizer of "
                f"{TOKENIZER_FILE} says {json.dumps(found)}; transformers 4 and 5 differ on which one counts, so write the same in both"
            )
    return WordRules(add_prefix_space=told, compose=bool(normalizer_steps(files.rules)))


# === Vocabulary ===


def _vocabulary(files: TokenizerFiles) -> tuple[list[str], list[tuple[str, str]], dict[str, int]]:
    """Tokens by their ids, merges, and the ids without added tokens: of tokenizer.json, else of vocab.json and merges.txt."""
    path = _vocabulary_path(files)
    listed = {} if files.rules else read_json(path)
    try:
        if files.rules:
            vocabulary, merges = dict(files.rules["model"]["vocab"]), merge_pairs(files.rules["model"]["merges"])
        else:
            vocabulary, merges = listed, _read_merges(files.folder / MERGES_FILE)
        # A token that is in the vocabulary keeps its id there.
        tokens = tokens_by_ids(told_ids(files) | vocabulary)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EncoderError(f"{path}: cannot read its vocabulary: {type(error).__name__}: {error}") from None
    check_merges(tokens, merges, path)
    return tokens, merges, vocabulary


def check_merges(tokens: Sequence[str], merges: Sequence[tuple[str, str]], path: Path) -> None:
    """Checks that merges join tokens into tokens; `path` is for messages.

    Raises:
        EncoderError: a token of a merge is not in the vocabulary.
    """
    known = set(tokens)
    for number, (first, second) in enumerate(merges, start=1):
        if not {first, second, first + second} <= known:
            raise EncoderError(
                f"{path}: cannot read its vocabulary: merge {number}, {first!r} and {second!r}, has a token that is not in the vocabulary"
            )


def tokens_by_ids(ids: Mapping[str, int]) -> list[str]:
    """Tokens in the order of their ids; "" where no token has an id.

    Raises:
        ValueError: two tokens have one id, or an id is far from the others.
    """
    numbers = {number: token for token, number in ids.items()}
    if len(numbers) < len(ids):
        token = next(token for token, number in ids.items() if numbers[number] != token)
        raise ValueError(f"{token!r} and {numbers[ids[token]]!r} both have the id {ids[token]}")
    size = max(numbers, default=-1) + 1
    # More would fill the memory for one wrong number.
    if min(numbers, default=0) < 0 or size > 2 * len(numbers):
        raise ValueError(f"the ids of {len(numbers)} tokens go from {min(numbers)} to {max(numbers)}")
    return [numbers.get(number, "") for number in range(size)]


def merge_pairs(merges: Sequence[Any]) -> list[tuple[str, str]]:
    """Merges of tokenizer.json: pairs, or strings with a space between two tokens in its first versions.

    Raises:
        ValueError: a merge is not of two tokens.
    """
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in merges]
    if wrong := next((pair for pair in pairs if len(pair) != _PAIR), None):
        raise ValueError(f"a merge is {' '.join(map(str, wrong))!r}, expected two tokens")
    return [(str(first), str(second)) for first, second in pairs]


def _read_merges(path: Path) -> list[tuple[str, str]]:
    """Merges of merges.txt, one a line, after a line with the version."""
    try:
        content = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except FileNotFoundError:
        raise EncoderError(f"{path}: missing; byte-level BPE needs its merges") from None
    except (OSError, UnicodeDecodeError) as error:
        raise EncoderError(f"{path}: cannot read it: {error}") from None
    first, *lines = content.split("\n")
    if not first.startswith(_VERSION_LINE) or lines[-1:] != [""]:
        raise EncoderError(
            f"{path}: expected {_VERSION_LINE!r} at its beginning and a newline at its end; without them versions of transformers differ "
            "on the merges, so save the tokenizer again"
        )
    try:
        return merge_pairs(lines[:-1])
    except ValueError as error:
        raise EncoderError(f"{path}: cannot read it: {error}") from None


# === Special tokens ===


def _check_special(names: Mapping[str, str], tokens: Sequence[str], path: Path) -> None:
    if missing := [name for name in names.values() if name not in tokens]:
        raise EncoderError(f"{path}: the vocabulary of {len(tokens)} tokens lacks {', '.join(missing)}")
    if len(set(names.values())) < len(names):
        listed = ", ".join(f"{role} {name!r}" for role, name in names.items())
        raise EncoderError(f"{path.parent}: two special tokens are one: {listed}; each needs its own")


def _frame(files: TokenizerFiles, tokens: Sequence[str], names: Mapping[str, str]) -> Frame:
    """The frame of a pair, after a comparison of the special tokens with those that tokenizer.json puts around a text."""
    if not files.rules:
        return ROBERTA_FRAME
    expected = [ROBERTA_FRAME, BERT_FRAME] if files.is_generic else [ROBERTA_FRAME]
    start, end, frame = files.frame(len(tokens), expected)
    for role, number in (("cls_token", start), ("sep_token", end)):
        if tokens[number] != names[role]:
            raise EncoderError(
                f"{files.folder / TOKENIZER_FILE}: uses {tokens[number]!r} as {role}, but {role} is {names[role]!r} in the other files; "
                "transformers 4 and 5 differ on which one counts, so write the same one in both"
            )
    return frame
