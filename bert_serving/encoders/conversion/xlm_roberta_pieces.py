"""SentencePiece as XLM-RoBERTa and CamemBERT number it: special tokens first and last, pieces between them.

Multilingual E5 has the same tokenizer around BERT's arithmetic. The order of ids comes from fairseq, in which both were trained:
https://github.com/huggingface/transformers, `convert_slow_tokenizer.py`, `XLMRobertaConverter` and `CamembertConverter`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from bert_serving.encoders.conversion.tokenizer_files import (
    ROBERTA_FRAME,
    ROBERTA_FRAME_IDS,
    ROBERTA_SPECIAL,
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
from bert_serving.text.sentencepieces import (
    SentencePiece,
    TextRules,
    parse_sentencepiece,
    read_sentencepiece_bytes,
    unigram_model,
)

MODEL_FILE = "sentencepiece.bpe.model"

XLM_ROBERTA, CAMEMBERT = "XLMRobertaTokenizer", "CamembertTokenizer"
_ROLES = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "mask_token": "<mask>",
}
# Pieces before those of the model, and how many of the model's own special pieces they stand for.
_FIRST: dict[str, tuple[list[tuple[str, float]], int]] = {
    XLM_ROBERTA: ([("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)], 3),
    CAMEMBERT: (
        [("<s>NOTUSED", 0.0), ("<pad>", 0.0), ("</s>NOTUSED", 0.0), ("<unk>", 0.0), ("<unk>NOTUSED", -100.0)],
        1,
    ),
}
_UNKNOWN = 3
_STEPS = ("Precompiled", "Strip", "Replace")
_SPACES = {"type": "Replace", "pattern": {"Regex": " {2,}"}}


def read_xlm_roberta_pieces(files: TokenizerFiles, tokenizer_class: str) -> UnigramPieces:
    """Reads the SentencePiece tokenizer of a folder.

    Args:
        files: of the tokenizer.
        tokenizer_class: `XLM_ROBERTA` or `CAMEMBERT`; it decides where the folder has the SentencePiece model alone.

    Raises:
        EncoderError: the model is missing or damaged, a rule is another one, or two files contradict each other.
    """
    if files.declared_class not in (None, tokenizer_class) and not (files.is_generic and files.rules):
        raise EncoderError(
            f"{files.folder}: tokenizer_class is {files.declared_class!r}; with this SentencePiece model only {tokenizer_class!r} can "
            "be converted"
        )
    files.check_sides()
    for role, token in _ROLES.items():
        if (found := files.special_token(role, token)) != token:
            raise EncoderError(f"{files.folder}: {role} is {found!r}, only {token!r} can be converted")
    model = _model_of_rules(files) if files.rules else _model_of_file(files, tokenizer_class)
    return UnigramPieces.with_added(files, model, TextRules(plain_spaces=True, words=True), _ROLES)


def _model_of_rules(files: TokenizerFiles) -> SentencePiece:
    path = files.folder / TOKENIZER_FILE
    check_prefix(files)
    for name, value, expected in _rules(files.rules):
        if value != expected:
            raise EncoderError(f"{path}: {name} is {json.dumps(value)}, only {json.dumps(expected)} can be converted")
    for step in normalizer_steps(files.rules):
        if step.get("type") not in _STEPS or (step["type"] == "Replace" and not _SPACES.items() <= step.items()):
            raise EncoderError(
                f"{path}: its normalizer has {step.get('type')!r}, only {', '.join(_STEPS)} of spaces can be converted; texts would "
                "be tokenized differently than in the training of the encoder"
            )
    told = UnigramRules.read(files, ROBERTA_FRAME)
    frame = [told.pieces[number][0] for number in (told.start, told.end)]
    if frame != [_ROLES["cls_token"], _ROLES["sep_token"]]:
        raise EncoderError(
            f"{path}: post_processor frames texts with {' and '.join(frame)}, only with <s> and </s> can be converted"
        )
    return _numbered(told.pieces, told.charsmap, told.unknown, str(path))


def _rules(rules: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Rules of tokenization: name, value, and the only value that can be converted."""
    yield "pre_tokenizer", pre_tokenizer_types(rules), ["Metaspace"]
    yield "model.type", table(rules, "model").get("type"), "Unigram"
    yield "model.byte_fallback", table(rules, "model").get("byte_fallback", False), False


def _model_of_file(files: TokenizerFiles, tokenizer_class: str) -> SentencePiece:
    path = files.folder / MODEL_FILE
    proto = sentencepiece_model_pb2.ModelProto.FromString(read_sentencepiece_bytes(path))
    first, replaced = _FIRST[tokenizer_class]
    pieces = [*first, *((piece.piece, piece.score) for piece in proto.pieces[replaced:]), ("<mask>", 0.0)]
    return _numbered(pieces, proto.normalizer_spec.precompiled_charsmap, _UNKNOWN, str(path))


def _numbered(pieces: list[tuple[str, float]], charsmap: bytes, unknown: int, name: str) -> SentencePiece:
    found = parse_sentencepiece(unigram_model(pieces, charsmap, unknown, ROBERTA_SPECIAL), name, ROBERTA_SPECIAL)
    return SentencePiece(found.content, found.ids | ROBERTA_FRAME_IDS)
