"""WordPiece of a Hugging Face folder: the tokens by their ids, and whether texts are lower-cased.

A folder is refused where our preprocessing would give other token ids than transformers does.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bert_serving.encoders.conversion.added_tokens import read_added_tokens, searched
from bert_serving.encoders.conversion.tokenizer_files import (
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    TokenizerFiles,
    table,
)
from bert_serving.errors import EncoderError
from bert_serving.text.added_tokens import AddedToken, problems
from bert_serving.text.preprocessing import VOCABULARY_FILE, write_preprocessing
from bert_serving.text.tokenizers import LONGEST_WORD, wordpiece_matching
from bert_serving.text.vocabulary import SPECIAL_TOKENS, check_tokens, read_tokens
from bert_serving.text.words import split_words

# Those with which transformers 4 and 5 read a folder alike. ConvBertTokenizer, for example, lower-cases in version 5 only.
_CLASSES = (
    "BertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "LayoutLMTokenizer",
    "LxmertTokenizer",
    "MobileBertTokenizer",
    "SqueezeBertTokenizer",
)
_ROLES = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS, strict=True))
_FRAME = ("cls_token", "sep_token")


@dataclass(frozen=True)
class WordPieces:
    """A WordPiece tokenizer.

    Attributes:
        tokens: by their ids; the special tokens have BERT's names, whatever they are called in the folder.
        lower_case: whether texts are lower-cased and lose their accents.
    """

    tokens: tuple[str, ...]
    lower_case: bool
    second_type: int = 1
    """type id of the second text of a pair"""
    added: tuple[AddedToken, ...] = ()
    """tokens that texts are searched for; those that are not in the vocabulary are the last of `tokens`"""
    vocabulary: int | None = None
    """tokens that words are split into; None: all"""

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.tokens)

    def write(self, target: Path) -> None:
        """Writes the preprocessing SavedModel."""
        with TemporaryDirectory() as scratch:
            # The asset of a SavedModel keeps the file's name.
            path = Path(scratch, VOCABULARY_FILE)
            path.write_bytes("".join(f"{token}\n" for token in self.tokens).encode())
            write_preprocessing(path, target, lower_case=self.lower_case, added=self.added, words=self.vocabulary)


def read_wordpieces(files: TokenizerFiles, *, lower_case: bool = True) -> WordPieces:
    """Reads the WordPiece tokenizer of a folder.

    Args:
        files: of the tokenizer.
        lower_case: what holds where no file tells.

    Raises:
        EncoderError: the vocabulary is missing or damaged, a rule is not that of our preprocessing (the first one is named),
            or two files contradict each other where transformers 4 and 5 differ.
    """
    _check_class(files)
    files.check_sides()
    if files.rules:
        _check_rules(files)
    words = _vocabulary(files)
    names = {role: files.special_token(role, default) for role, default in _ROLES.items()}
    added = read_added_tokens(files, {token: number for number, token in enumerate(words)}, names)
    tokens = [*words, *(token.content for token in added if token.number >= len(words))]
    if files.rules:
        names = _check_frame(files, tokens, names)
    lowers = _lower_case(files, lower_case)
    form = functools.partial(wordpiece_matching, lower_case=lowers)
    if problem := next(problems(added, form), None):
        raise EncoderError(f"{files.folder}: {problem}; such tokens cannot be converted, so fine-tune without them")
    # A word of a text must not be taken for an added token that is not in the vocabulary.
    are_words = any(len(split_words(token)) < 2 for token in tokens[len(words) :])
    return WordPieces(
        _with_berts_names(files, tokens, names),
        lowers,
        added=searched(files, added),
        vocabulary=len(words) if are_words else None,
    )


def _check_class(files: TokenizerFiles) -> None:
    declared = files.declared_class
    if declared is None or declared in _CLASSES or (files.is_generic and files.rules):
        return
    if files.is_generic:
        raise EncoderError(
            f"{files.folder / TOKENIZER_FILE}: missing; tokenizer_class is {declared!r}, whose rules are in this file alone"
        )
    how = ", which splits words by a dictionary" if declared == "BertJapaneseTokenizer" else ""
    raise EncoderError(
        f"{files.folder}: tokenizer_class is {declared!r}{how}; with WordPiece only {', '.join(_CLASSES)} can be converted"
    )


def _check_rules(files: TokenizerFiles) -> None:
    for name, value, expected in _rules(files.rules):
        if value != expected:
            raise EncoderError(
                f"{files.folder / TOKENIZER_FILE}: {name} is {json.dumps(value)}, only {json.dumps(expected)} can be converted; "
                "texts would be tokenized differently than in the training of the encoder"
            )


def _rules(rules: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Rules of tokenization: name, value, and the only value that our preprocessing supports."""
    normalizer, splitter, model = (table(rules, name) for name in ("normalizer", "pre_tokenizer", "model"))
    # The first versions of tokenizer.json have no type of the model.
    yield "model", model.get("type", "WordPiece"), "WordPiece"
    yield "normalizer", normalizer.get("type"), "BertNormalizer"
    yield "normalizer.clean_text", normalizer.get("clean_text", True), True
    yield "pre_tokenizer", splitter.get("type"), "BertPreTokenizer"
    yield "model.continuing_subword_prefix", model.get("continuing_subword_prefix", "##"), "##"
    yield "model.max_input_chars_per_word", model.get("max_input_chars_per_word", LONGEST_WORD), LONGEST_WORD


def _lower_case(files: TokenizerFiles, default: bool) -> bool:
    """Whether texts are lower-cased: the class decides, by its own settings, and tokenizer.json for a class without any."""
    if files.is_generic:
        file, normalizer = TOKENIZER_FILE, table(files.rules, "normalizer")
        lower_case = bool(normalizer.get("lowercase", True))
        strip_accents, chinese = normalizer.get("strip_accents"), normalizer.get("handle_chinese_chars", True)
    else:
        file = TOKENIZER_CONFIG_FILE
        lower_case = bool(files.switch("do_lower_case", default))
        strip_accents, chinese = files.switch("strip_accents", None), files.switch("tokenize_chinese_chars", True)
    if strip_accents is not None and strip_accents != lower_case:
        raise EncoderError(
            f"{files.folder / file}: strip_accents is {json.dumps(strip_accents)} while texts are "
            f"{'' if lower_case else 'not '}lower-cased; only both or neither can be converted"
        )
    if not chinese:
        name = "handle_chinese_chars" if files.is_generic else "tokenize_chinese_chars"
        raise EncoderError(f"{files.folder / file}: {name} is false, only true can be converted")
    return lower_case


def _vocabulary(files: TokenizerFiles) -> list[str]:
    """The tokens by their ids: those of tokenizer.json, else of vocab.txt."""
    if not files.rules:
        return read_tokens(files.folder / VOCABULARY_FILE)
    path = files.folder / TOKENIZER_FILE
    try:
        ids: dict[str, int] = dict(files.rules["model"]["vocab"])
        tokens = sorted(ids, key=lambda token: ids[token])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EncoderError(f"{path}: cannot read its vocabulary: {type(error).__name__}: {error}") from None
    if unplaced := next((token for number, token in enumerate(tokens) if ids[token] != number), None):
        raise EncoderError(
            f"{path}: cannot read its vocabulary: the ids have gaps or repeat: {unplaced!r} has {ids[unplaced]}, expected "
            f"{tokens.index(unplaced)}"
        )
    return tokens


def _check_frame(files: TokenizerFiles, tokens: Sequence[str], names: dict[str, str]) -> dict[str, str]:
    """The special tokens, after a comparison with the frame that tokenizer.json puts around a text."""
    path = files.folder / TOKENIZER_FILE
    unknown = str(table(files.rules, "model").get("unk_token", names["unk_token"]))
    frame = {role: tokens[number] for role, number in zip(_FRAME, files.frame(len(tokens))[:2], strict=True)}
    found = {"unk_token": unknown, **frame}
    if files.is_generic:
        return names | found
    for role, token in found.items():
        if token != names[role]:
            raise EncoderError(
                f"{path}: uses {token!r} as {role}, but {role} is {names[role]!r} in the other files of {files.folder}; "
                "transformers 4 and 5 differ on which one counts, so write the same one in both"
            )
    return names


def _with_berts_names(files: TokenizerFiles, tokens: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """The tokens with BERT's names for the special tokens, under which the preprocessing looks for them."""
    renamed = {name: _ROLES[role] for role, name in names.items() if name != _ROLES[role]}
    if len(set(names.values())) < len(names):
        listed = ", ".join(f"{role} {name!r}" for role, name in names.items())
        raise EncoderError(f"{files.folder}: two special tokens are one: {listed}; each needs its own")
    for name, ours in renamed.items():
        # A word of a text must not be taken for it.
        if len(split_words(name)) < 2 or ours in tokens:
            reason = f"the vocabulary has {ours!r}, too" if ours in tokens else "it is a word"
            raise EncoderError(f"{files.folder}: {name!r} cannot stand for {ours}: {reason}; rename it")
    # A line of the vocabulary's file cannot have it; neither has a word of a text.
    unused = {
        number: f"[no word {number}]" for number, token in enumerate(tokens) if not token or set(token) & {"\r", "\n"}
    }
    found = [unused.get(number) or renamed.get(token, token) for number, token in enumerate(tokens)]
    check_tokens(found, str(files.folder / (TOKENIZER_FILE if files.rules else VOCABULARY_FILE)))
    return tuple(found)
