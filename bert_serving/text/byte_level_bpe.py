"""Byte-level BPE, the tokenizer of GPT-2 and RoBERTa, from operations that TensorFlow Serving has.

A text is split into words by GPT-2's regular expression; the bytes of each word become the characters U+0000 to U+00FF, and a
SentencePiece model of type BPE merges them.
"""

import itertools
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import tensorflow as tf
import tensorflow_text
from sentencepiece import sentencepiece_model_pb2

# Name of the normalization rules in such a SentencePiece model, which tells it from others.
_MODEL_NAME = "byte_level"

# Normalization rules: the size of a table in bytes, the table, the texts that it puts in. This table finds nothing, as does an
# empty field, about which SentencePiece writes a line to stderr each time it loads the model.
_NO_RULES = struct.pack("<I", 1024) + bytes(1024) + b"\0"

# The letters that GPT-2's files have for the bytes: printable ones stand for themselves, others for U+0100 and above.
_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_OTHERS = tuple(byte for byte in range(0x100) if byte not in _PRINTABLE)
BYTES = {chr(byte): byte for byte in _PRINTABLE} | {chr(0x100 + place): byte for place, byte in enumerate(_OTHERS)}
"""the bytes by their letters in vocab.json and merges.txt"""

_NEVER_IN_UTF8 = {0xC0, 0xC1, *range(0xF5, 0x100)}

# No valid UTF-8 has this byte, and no class of a regular expression matches it.
SEPARATOR = b"\xff"

# Characters since Unicode 12.1: servers differ in how many of them their regular expressions know. Hugging Face's tokenizers
# know Unicode 16.
_NEWER_LETTERS = """
870-887 889-88E 8B5-8B5 8BE-8C9 C5D-C5D CDD-CDD D04-D04 170D-170D 171F-171F 1B4C-1B4C 1C89-1C8A 2C2F-2C2F 2C5F-2C5F 31BB-31BF
4DB6-4DBF 9FF0-9FFF A7C0-A7C1 A7C7-A7CD A7D0-A7D1 A7D3-A7D3 A7D5-A7DC A7F2-A7F6 AB68-AB69 10570-1057A 1057C-1058A 1058C-10592
10594-10595 10597-105A1 105A3-105B1 105B3-105B9 105BB-105BC 105C0-105F3 10780-10785 10787-107B0 107B2-107BA 10D4A-10D65
10D6F-10D85 10E80-10EA9 10EB0-10EB1 10EC2-10EC4 10F70-10F81 10FB0-10FC4 11071-11072 11075-11075 11147-11147 1123F-11240
11380-11389 1138B-1138B 1138E-1138E 11390-113B5 113B7-113B7 113D1-113D1 113D3-113D3 11460-11461 11740-11746 11900-11906
11909-11909 1190C-11913 11915-11916 11918-1192F 1193F-1193F 11941-11941 11AB0-11ABF 11BC0-11BE0 11F02-11F02 11F04-11F10
11F12-11F33 11FB0-11FB0 12F90-12FF0 1342F-1342F 13441-13446 13460-143FA 16100-1611D 16A70-16ABE 16D40-16D6C 18AF3-18CD5
18CFF-18D08 1AFF0-1AFF3 1AFF5-1AFFB 1AFFD-1AFFE 1B11F-1B122 1B132-1B132 1B155-1B155 1DF00-1DF1E 1DF25-1DF2A 1E030-1E06D
1E290-1E2AD 1E4D0-1E4EB 1E5D0-1E5ED 1E5F0-1E5F0 1E7E0-1E7E6 1E7E8-1E7EB 1E7ED-1E7EE 1E7F0-1E7FE 2A6D7-2A6DF 2B735-2B739
2EBF0-2EE5D 30000-3134A 31350-323AF
"""
_NEWER_NUMBERS = """
10D40-10D49 10FC5-10FCB 116D0-116E3 11950-11959 11BF0-11BF9 11F50-11F59 16130-16139 16AC0-16AC9 16D70-16D79 1CCF0-1CCF9
1D2C0-1D2D3 1E4F0-1E4F9 1E5F1-1E5FA 1FBF0-1FBF9
"""


def _ranges(listed: str) -> str:
    """Ranges of hexadecimal code points as a part of a class in a regular expression."""
    pairs = (pair.split("-") for pair in listed.split())
    return "".join(rf"\x{{{first}}}-\x{{{last}}}" for first, last in pairs)


_SPACES = r"\t\n\v\f\r\x{85}\p{Z}"
_LETTERS = rf"\p{{L}}{_ranges(_NEWER_LETTERS)}"
_NUMBERS = rf"\p{{N}}{_ranges(_NEWER_NUMBERS)}"
# GPT-2's expression, but for `\s+(?!\S)`: white space without the last character before a word. TensorFlow's regular
# expressions cannot look ahead, so a separator is put in its place first.
_LAST_SPACE = rf"([{_SPACES}]+)([{_SPACES}][^{_SPACES}])"
_WORD = rf"'s|'t|'re|'ve|'m|'ll|'d| ?[{_LETTERS}]+| ?[{_NUMBERS}]+| ?[^{_SPACES}{_LETTERS}{_NUMBERS}]+|[{_SPACES}]+"


@dataclass(frozen=True)
class WordRules:
    """How a text is split into words.

    Attributes:
        add_prefix_space: put a space before a text that does not begin with one.
        compose: compose characters first (NFC).
        lower_case: always False, as vocabularies of bytes are cased.
    """

    add_prefix_space: bool = False
    compose: bool = False
    lower_case: ClassVar[bool] = False

    def apply(self, texts: tf.Tensor) -> tf.Tensor:
        """Normalizes texts of valid UTF-8, string [B], in a graph."""
        return tensorflow_text.normalize_utf8(texts, "NFC") if self.compose else texts

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Words of normalized texts, string [B, (words)], in a graph; each byte is one of the characters U+0000 to U+00FF.

        Some words are empty.
        """
        if self.add_prefix_space:
            texts = tf.strings.regex_replace(texts, r"\A[^ ]", r" \0")
        texts = tf.strings.regex_replace(texts, _LAST_SPACE, rb"\1" + SEPARATOR + rb"\2")
        texts = tf.strings.regex_replace(texts, _WORD, rb"\0" + SEPARATOR)
        words = tf.strings.split(texts, SEPARATOR)
        letters = tf.strings.unicode_transcode(
            words.values, "ISO-8859-1", "UTF-8", errors="strict", replace_control_characters=False
        )
        return words.with_values(letters)


def byte_level_model(
    tokens: Sequence[str], merges: Sequence[tuple[str, str]], special: Collection[str], unknown: str
) -> bytes:
    """Serializes the SentencePiece model that merges bytes as byte-level BPE does.

    SentencePiece merges two neighbors wherever a piece is their concatenation, BPE only where a rule names both. Inside the span
    that becomes a token, BPE merges as if the token stood alone. So both do the same if every piece is a token that BPE makes of
    its own bytes, with the rank of its last merge as score; other tokens are never made, and get a type that is never matched.

    Args:
        tokens: in the order of their ids, in GPT-2's letters.
        merges: rules, the first one applied first.
        special: tokens that are not made of texts.
        unknown: the one of them that stands for unknown characters.

    Raises:
        ValueError: the tokens lack a byte, or a special token can be made of a text.
    """
    kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
    model = sentencepiece_model_pb2.ModelProto()
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    if missing := sorted(set(BYTES.values()) - _NEVER_IN_UTF8 - {BYTES[token] for token in tokens if token in BYTES}):
        raise ValueError(
            f"it has no token for the byte 0x{missing[0]:02X}, and byte-level BPE needs one for every byte"
        )
    for number, token in enumerate(tokens):
        rank = _last_rank(token, ranks)
        if token in special:
            if rank is not None:
                raise ValueError(f"the special token {token!r} is one that merges make of a text")
            kind = kinds.UNKNOWN if token == unknown else kinds.CONTROL
            model.pieces.add(piece=token if len(token) > 1 else _unused(number), type=kind)
        elif rank is None:
            model.pieces.add(piece=_unused(number), type=kinds.CONTROL)
        else:
            piece = "".join(chr(BYTES[letter]) for letter in token)
            model.pieces.add(piece=piece, score=-rank, type=kinds.NORMAL)
    _set_rules(model, tokens.index(unknown))
    content: bytes = model.SerializeToString()
    return content


def is_byte_level(model: sentencepiece_model_pb2.ModelProto) -> bool:
    """Whether a SentencePiece model is one of `byte_level_model`."""
    return bool(model.normalizer_spec.name == _MODEL_NAME)


def token_bytes(piece: str) -> bytes:
    """The bytes that a piece of such a model stands for; a special token as it is written."""
    return piece.encode("utf-8") if max(piece, default="") > "\xff" else piece.encode("latin-1")


def _unused(number: int) -> str:
    # No character of a text is the first of them, so SentencePiece never looks this piece up.
    return f"\U0010fffd{number}"


def _set_rules(model: sentencepiece_model_pb2.ModelProto, unknown: int) -> None:
    model.trainer_spec.model_type = sentencepiece_model_pb2.TrainerSpec.BPE
    model.trainer_spec.unk_id = unknown
    model.trainer_spec.unk_piece = model.pieces[unknown].piece
    # Those tokens are put around texts by `packing`, not by SentencePiece.
    for role in ("bos", "eos", "pad"):
        setattr(model.trainer_spec, f"{role}_id", -1)
    model.normalizer_spec.name = _MODEL_NAME
    model.normalizer_spec.precompiled_charsmap = _NO_RULES
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    model.normalizer_spec.escape_whitespaces = False


def _last_rank(token: str, ranks: Mapping[tuple[str, str], int]) -> int | None:
    """Rank, from 1 on, of the merge that makes a token of its own bytes; 0 for a byte; None where BPE does not make it."""
    if not token or not BYTES.keys() >= set(token):
        return None
    parts, last = list(token), 0
    while len(parts) > 1:
        rank, place = min(_ranked(parts, ranks), default=(None, 0))
        if rank is None:
            return None
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
        last = rank + 1
    return last


def _ranked(parts: Sequence[str], ranks: Mapping[tuple[str, str], int]) -> Iterator[tuple[int, int]]:
    """Rank and place of each pair of neighbors that has a rule."""
    for place, pair in enumerate(itertools.pairwise(parts)):
        if pair in ranks:
            yield ranks[pair], place
