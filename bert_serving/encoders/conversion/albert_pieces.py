"""SentencePiece of a Hugging Face ALBERT: the model, and the normalization of texts before it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bert_serving.encoders.conversion.tokenizer_files import (
    BERT_FRAME,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    TokenizerFiles,
    table,
)
from bert_serving.encoders.conversion.unigram_pieces import (
    UnigramPieces,
    UnigramRules,
    check_prefix,
    normalizer_steps,
    pre_tokenizer_types,
)
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import SENTENCEPIECE_FILE
from bert_serving.text.sentencepieces import (
    SentencePiece,
    TextRules,
    parse_sentencepiece,
    read_sentencepiece,
    same_pieces,
    unigram_model,
)

_CLASS = "AlbertTokenizer"
_ROLES = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
# transformers, `AlbertConverter`.
_STEPS = ("Replace", "NFKD", "StripAccents", "Lowercase", "Precompiled")
_DEFAULTS = {"do_lower_case": True, "keep_accents": False}


def read_albert_pieces(files: TokenizerFiles) -> UnigramPieces:
    """Reads the SentencePiece tokenizer of a folder.

    Raises:
        EncoderError: the model is missing or damaged, a rule is not ALBERT's, or two files contradict each other where
            transformers 4 and 5 differ.
    """
    if files.declared_class not in (None, _CLASS) and not (files.is_generic and files.rules):
        raise EncoderError(
            f"{files.folder}: tokenizer_class is {files.declared_class!r}; with SentencePiece only {_CLASS!r} can be converted"
        )
    files.check_sides()
    for role, token in _ROLES.items():
        if (found := files.special_token(role, token)) != token:
            raise EncoderError(f"{files.folder}: {role} is {found!r}, only ALBERT's {token!r} can be converted")
    if files.rules:
        _check_rules(files)
    switches = _switches(files)
    rules = TextRules(
        lower_case=switches["do_lower_case"],
        strip_accents=not switches["keep_accents"],
        plain_quotes=True,
        plain_spaces=True,
        words=True,
    )
    return UnigramPieces.with_added(files, _model(files), rules, _ROLES)


def _switches(files: TokenizerFiles) -> dict[str, bool]:
    """Lower-casing and accents; tokenizer.json counts in transformers 4, tokenizer_config.json in 5."""
    told = {name: bool(files.switch(name, default)) for name, default in _DEFAULTS.items()}
    if not files.rules:
        return told
    steps = _steps(files.rules)
    found = {"do_lower_case": "Lowercase" in steps, "keep_accents": "StripAccents" not in steps}
    for name, value in found.items():
        if not files.is_generic and value != told[name]:
            raise EncoderError(
                f"{files.folder / TOKENIZER_CONFIG_FILE}: {name} is {json.dumps(told[name])}"
                f"{'' if name in files.settings else ' where the file does not tell'}, but the normalizer of {TOKENIZER_FILE} "
                f"says {json.dumps(value)}; transformers 4 and 5 differ on which one counts, so write the same in both"
            )
    return found


def _steps(rules: Mapping[str, Any]) -> list[str]:
    """Types of the steps of the normalizer."""
    return [str(step.get("type")) for step in normalizer_steps(rules)]


def _check_rules(files: TokenizerFiles) -> None:
    path = files.folder / TOKENIZER_FILE
    check_prefix(files)
    for name, value, expected in _rules(files.rules):
        if value != expected:
            raise EncoderError(
                f"{path}: {name} is {json.dumps(value)}, only ALBERT's {json.dumps(expected)} can be converted"
            )
    if unknown := [step for step in _steps(files.rules) if step not in _STEPS]:
        raise EncoderError(
            f"{path}: its normalizer has {unknown[0]!r}, only {', '.join(_STEPS)} can be converted; texts would be "
            "tokenized differently than in the training of the encoder"
        )


def _rules(rules: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Rules of tokenization: name, value, and the only value that can be converted."""
    yield "normalizer", table(rules, "normalizer").get("type"), "Sequence"
    yield "pre_tokenizer", pre_tokenizer_types(rules), ["Metaspace"]
    yield "model.type", table(rules, "model").get("type"), "Unigram"
    yield "model.byte_fallback", table(rules, "model").get("byte_fallback", False), False


def _model(files: TokenizerFiles) -> SentencePiece:
    """The SentencePiece model: that of tokenizer.json, else spiece.model."""
    path, found = files.folder / SENTENCEPIECE_FILE, files.folder / TOKENIZER_FILE
    if not files.rules:
        return read_sentencepiece(path)
    told = UnigramRules.read(files, BERT_FRAME)
    if (frame := [told.pieces[number][0] for number in (told.start, told.end)]) != [
        _ROLES["cls_token"],
        _ROLES["sep_token"],
    ]:
        raise EncoderError(
            f"{found}: post_processor frames texts with {' and '.join(frame)}, only with [CLS] and [SEP] can be converted"
        )
    content = unigram_model(told.pieces, told.charsmap, told.unknown)
    # spiece.model may have kinds of pieces that tokenizer.json does not have.
    if path.is_file() and same_pieces((original := read_sentencepiece(path)).content, content):
        return original
    return parse_sentencepiece(content, str(found))
