"""Tokenizers of KerasHub's RoBERTa and XLM-RoBERTa: byte-level BPE and SentencePiece, as KerasHub itself calls them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from bert_serving.encoders.conversion.byte_level_pieces import check_merges, merge_pairs, tokens_by_ids
from bert_serving.encoders.conversion.tokenizer_files import ROBERTA_FRAME_IDS, ROBERTA_SPECIAL, read_json, table
from bert_serving.errors import EncoderError
from bert_serving.text.keras_hub_bytes import KerasHubWordRules, keras_hub_byte_model
from bert_serving.text.preprocessing import write_sentencepiece_preprocessing
from bert_serving.text.sentencepieces import (
    SentencePiece,
    TextRules,
    parse_sentencepiece,
    read_sentencepiece_bytes,
)
from bert_serving.text.vocabulary import check_rows

_VOCABULARY = "assets/tokenizer/vocabulary.json"
_MERGES = "assets/tokenizer/merges.txt"
_SENTENCEPIECES = "assets/tokenizer/vocabulary.spm"
_VERSION = "#version:"

# Settings of a tokenizer that put something else around the tokens of a text, and their usual values.
_SETTINGS = {"sequence_length": None, "add_bos": False, "add_eos": False}
# The first pieces of XLM-RoBERTa, and those of its SentencePiece model in place of which they stand.
_FIRST, _REPLACED = ("<s>", "<pad>", "</s>", "<unk>"), ("<unk>", "<s>", "</s>")


@dataclass(frozen=True)
class KerasHubPieces:
    """A tokenizer.

    Attributes:
        model: its pieces stand in the order of the token ids.
        rules: normalization of texts before it, or their split into words.
    """

    model: SentencePiece
    rules: TextRules | KerasHubWordRules

    def write(self, target: Path) -> None:
        """Writes the preprocessing SavedModel."""
        write_sentencepiece_preprocessing(self.model, target, rules=self.rules)


def read_keras_hub_pieces(source: Path, *, rows: int) -> KerasHubPieces | None:
    """Reads the tokenizer of a preset; None where it is of another class.

    Args:
        source: the preset.
        rows: of the encoder's embedding table.

    Raises:
        EncoderError: a file is missing or damaged, or the tokenizer has settings that cannot be converted.
    """
    description = read_json(source / "tokenizer.json")
    read = _TOKENIZERS.get(str(description.get("class_name")))
    if read is None:
        return None
    settings = table(description, "config")
    for name, usual in _SETTINGS.items():
        if (value := settings.get(name, usual)) != usual:
            raise EncoderError(f"{source}/tokenizer.json: {name} is {value!r}, only {usual!r} can be converted")
    pieces = read(source, settings)
    check_rows(pieces.model.ids["vocab_size"], rows, str(source / "assets" / "tokenizer"))
    return pieces


# === XLM-RoBERTa ===


def _read_sentencepieces(source: Path, _: Mapping[str, Any]) -> KerasHubPieces:
    path = source / _SENTENCEPIECES
    model = sentencepiece_model_pb2.ModelProto.FromString(read_sentencepiece_bytes(path))
    first = [piece.piece for piece in model.pieces[: len(_REPLACED)]]
    if first != [*_REPLACED]:
        raise EncoderError(
            f"{path}: the pieces of the SentencePiece model begin with {', '.join(first)}, expected {', '.join(_REPLACED)}; KerasHub "
            "gives the ids of other pieces to its own special tokens"
        )
    own = {*_FIRST, "<mask>"}
    if twice := next((piece.piece for piece in model.pieces[len(_REPLACED) :] if piece.piece in own), None):
        raise EncoderError(
            f"{path}: the SentencePiece model has {twice!r}, which KerasHub adds itself; train it without"
        )
    found = parse_sentencepiece(_numbered(model), str(path), ROBERTA_SPECIAL)
    return KerasHubPieces(SentencePiece(found.content, found.ids | ROBERTA_FRAME_IDS), TextRules())


def _numbered(model: sentencepiece_model_pb2.ModelProto) -> bytes:
    """The same model with its pieces in the order of XLM-RoBERTa's ids."""
    kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
    others = model.pieces[len(_REPLACED) :]
    del model.pieces[:]
    for piece in _FIRST:
        model.pieces.add(piece=piece, score=0.0, type=kinds.UNKNOWN if piece == "<unk>" else kinds.CONTROL)
    model.pieces.extend(others)
    model.pieces.add(piece="<mask>", score=0.0, type=kinds.CONTROL)
    for role, piece in (("bos", "<s>"), ("pad", "<pad>"), ("eos", "</s>"), ("unk", "<unk>")):
        setattr(model.trainer_spec, f"{role}_id", _FIRST.index(piece))
        setattr(model.trainer_spec, f"{role}_piece", piece)
    content: bytes = model.SerializeToString()
    return content


# === RoBERTa ===


def _read_bytes(source: Path, settings: Mapping[str, Any]) -> KerasHubPieces:
    path = source / _VOCABULARY
    listed = read_json(path)
    try:
        tokens = tokens_by_ids(listed)
    except (TypeError, ValueError) as error:
        raise EncoderError(f"{path}: cannot read its vocabulary: {error}") from None
    merges = _merges(source / _MERGES)
    check_merges(tokens, merges, source / _MERGES)
    special = settings.get("unsplittable_tokens", list(ROBERTA_SPECIAL.values()))
    if not isinstance(special, list) or not all(isinstance(token, str) and token for token in special):
        raise EncoderError(f"{source}/tokenizer.json: unsplittable_tokens is {special!r}, expected a list of tokens")
    try:
        content = keras_hub_byte_model(tokens, merges, special)
    except ValueError as error:
        raise EncoderError(f"{path}: cannot read its vocabulary: {error}") from None
    ids = parse_sentencepiece(content, str(path), ROBERTA_SPECIAL).ids
    rules = KerasHubWordRules(tuple(special), add_prefix_space=bool(settings.get("add_prefix_space", False)))
    return KerasHubPieces(SentencePiece(content, ids | {"vocab_size": len(tokens)} | ROBERTA_FRAME_IDS), rules)


def _merges(path: Path) -> list[tuple[str, str]]:
    """Merges of merges.txt, one a line; a line with the version may stand among them."""
    try:
        lines = [line.rstrip() for line in path.read_text("utf-8").splitlines()]
        return merge_pairs([line for line in lines if _VERSION not in line])
    except FileNotFoundError:
        raise EncoderError(f"{path}: missing; byte-level BPE needs its merges") from None
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path}: cannot read it: {error}") from None


_TOKENIZERS: dict[str, Callable[[Path, Mapping[str, Any]], KerasHubPieces]] = {
    "RobertaTokenizer": _read_bytes,
    "XLMRobertaTokenizer": _read_sentencepieces,
}
