"""SentencePiece models, and the normalization of texts before one tokenizes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sentencepiece
import tensorflow as tf
import tensorflow_text
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2

from bert_serving.errors import EncoderError
from bert_serving.text.vocabulary import TOKENS_BY_NAME, SpecialIds, check_rows

ALBERT_TOKENS = TOKENS_BY_NAME | {"padding_id": "<pad>"}
"""special tokens of an ALBERT by their names in the TF Hub interface"""


# With 2**13 two of 155,677 texts in eleven languages get other ids than from Hugging Face's tokenizers, with 2**15 one, with 2**14 none.
_STEPS_OF_SCORE = 2**14


@dataclass(frozen=True)
class TextRules:
    """Normalization of a text before SentencePiece, which has its own rules, too.

    Attributes:
        lower_case: lower-case it.
        strip_accents: decompose it (NFKD) and remove combining marks.
        plain_quotes: replace the quotation marks of LaTeX by straight ones.
        plain_spaces: replace each run of white space by one space.
        words: give SentencePiece each word for itself, as Hugging Face's tokenizers do. Of two ways to split a text that are equally
            likely, rounding over the words before would choose one or the other.
    """

    lower_case: bool = False
    strip_accents: bool = False
    plain_quotes: bool = False
    plain_spaces: bool = False
    words: bool = False

    def apply(self, texts: tf.Tensor) -> tf.Tensor:
        """Normalizes texts of valid UTF-8, string [B], in a graph."""
        if self.plain_quotes:
            texts = tf.strings.regex_replace(texts, "``|''", '"')
        if self.strip_accents:
            texts = tensorflow_text.normalize_utf8(texts, "NFKD")
            texts = tf.strings.regex_replace(texts, r"\p{M}", "")
        if self.lower_case:
            # ASCII first: Unicode lower-casing depends on the locale (see `preprocessing.normalize`).
            texts = tf.strings.lower(tf.strings.lower(texts), encoding="utf-8")
        if self.plain_spaces:
            # Without the vertical tab, which the rules of published models (nmt_nfkc) remove.
            texts = tf.strings.regex_replace(texts, r"[\p{Z}\t\n\f\r\x{85}]+", " ")
        return texts

    def split(self, texts: tf.Tensor) -> tf.Tensor | tf.RaggedTensor:
        """What SentencePiece is given of normalized strings [B]: the same, or [B, (words)] with `words`."""
        # Its default separator would be white space, the vertical tab too.
        return tf.strings.split(texts, " ") if self.words else texts


@dataclass(frozen=True)
class SentencePiece:
    """A SentencePiece model.

    Attributes:
        content: the bytes of its file.
        ids: of the special tokens, `vocab_size`, and perhaps the frame of a pair, by their names in the TF Hub interface
            (`SpecialIds.from_names`).
    """

    content: bytes
    ids: dict[str, int]

    @property
    def second_type(self) -> int:
        """Type id of the second text of a pair."""
        return SpecialIds.from_names(self.ids).second_type


def read_sentencepiece(path: Path, *, rows: int | None = None) -> SentencePiece:
    """Reads a SentencePiece model and checks it.

    Args:
        path: the file.
        rows: of the encoder's embedding table; those beyond the model's pieces are never used.

    Raises:
        EncoderError: the file is missing or damaged, lacks a special token, or has more pieces than the embeddings have rows.
    """
    model = parse_sentencepiece(read_sentencepiece_bytes(path), str(path))
    check_rows(model.ids["vocab_size"], rows, str(path))
    return model


def read_sentencepiece_bytes(path: Path) -> bytes:
    """Content of a SentencePiece file that can be parsed.

    Raises:
        EncoderError: the file is missing or damaged.
    """
    try:
        content = path.read_bytes()
        # Parsed first: SentencePiece ends the process for some damaged files.
        if not sentencepiece_model_pb2.ModelProto.FromString(content).pieces:
            raise EncoderError(f"{path}: not a SentencePiece model: it holds no pieces; fetch it again")
    except OSError as error:
        raise EncoderError(
            f"{path}: cannot read the SentencePiece model: {error.strerror}; put the one that the encoder was trained with at this path"
        ) from None
    except DecodeError as error:
        raise EncoderError(
            f"{path}: not a SentencePiece model: {' '.join(str(error).split())}; fetch it again"
        ) from None
    return content


def parse_sentencepiece(content: bytes, name: str, special: Mapping[str, str] = ALBERT_TOKENS) -> SentencePiece:
    """Checks the content of a SentencePiece file.

    Args:
        content: of the file.
        name: for messages.
        special: special tokens by their names in the TF Hub interface.

    Raises:
        EncoderError: it is damaged, or lacks a special token.
    """
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=content)
    except RuntimeError as error:
        raise EncoderError(
            f"{name}: not a SentencePiece model: {' '.join(str(error).split())}; fetch it again"
        ) from None
    size = processor.get_piece_size()
    ids = {key: processor.piece_to_id(piece) for key, piece in special.items()}
    missing = [special[key] for key, number in ids.items() if processor.id_to_piece(number) != special[key]]
    if missing:
        raise EncoderError(
            f"{name}: the SentencePiece model of {size} pieces lacks {', '.join(missing)}; give the model that the encoder was "
            "trained with"
        )
    return SentencePiece(content, ids | {"vocab_size": size})


def unigram_model(
    pieces: Sequence[tuple[str, float]],
    charsmap: bytes,
    unknown: int,
    special: Mapping[str, str] = ALBERT_TOKENS,
) -> bytes:
    """Serializes a SentencePiece model from its parts.

    Args:
        pieces: with their scores, in the order of their ids.
        charsmap: the compiled normalization rules; empty for none.
        unknown: id of the piece for unknown characters.
        special: pieces that no text gives, by their names in the TF Hub interface.
    """
    kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
    model = sentencepiece_model_pb2.ModelProto()
    for number, (piece, score) in enumerate(pieces):
        is_special = piece in special.values()
        kind = kinds.UNKNOWN if number == unknown else kinds.CONTROL if is_special else kinds.NORMAL
        model.pieces.add(piece=piece, score=score, type=kind)
    model.trainer_spec.model_type = sentencepiece_model_pb2.TrainerSpec.UNIGRAM
    model.trainer_spec.unk_id = unknown
    model.trainer_spec.unk_piece = pieces[unknown][0]
    for role, field in (("start_of_sequence_id", "bos"), ("end_of_segment_id", "eos"), ("padding_id", "pad")):
        number = next((number for number, (piece, _) in enumerate(pieces) if piece == special[role]), -1)
        setattr(model.trainer_spec, f"{field}_id", number)
        setattr(model.trainer_spec, f"{field}_piece", special[role])
    model.normalizer_spec.name = "hugging_face"
    model.normalizer_spec.precompiled_charsmap = charsmap
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = True
    model.normalizer_spec.escape_whitespaces = True
    content: bytes = model.SerializeToString()
    return content


def piece_names(content: bytes) -> list[str]:
    """The pieces of a serialized SentencePiece model, in the order of their ids."""
    return [piece.piece for piece in sentencepiece_model_pb2.ModelProto.FromString(content).pieces]


def with_control_pieces(model: SentencePiece, pieces: Sequence[str]) -> SentencePiece:
    """A model with more pieces at its end, which no text gives."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.content)
    for piece in pieces:
        proto.pieces.add(piece=piece, type=sentencepiece_model_pb2.ModelProto.SentencePiece.CONTROL)
    return SentencePiece(proto.SerializeToString(), model.ids | {"vocab_size": len(proto.pieces)})


def with_exact_sums(content: bytes) -> bytes:
    """A serialized unigram model whose scores are rounded to multiples of 2**-14.

    SentencePiece adds up scores in float32. Where two ways to split a word are equally likely, as two orders of the same pieces are,
    rounding would choose one. Sums of the rounded scores are exact up to 1,024, so the first way found is taken, as it is in Hugging
    Face's tokenizers, which add up in float64.
    """
    model = sentencepiece_model_pb2.ModelProto.FromString(content)
    for piece in model.pieces:
        piece.score = round(piece.score * _STEPS_OF_SCORE) / _STEPS_OF_SCORE
    exact: bytes = model.SerializeToString()
    return exact


def same_pieces(first: bytes, second: bytes) -> bool:
    """Whether two serialized SentencePiece models have the same pieces, scores and normalization rules."""
    one, other = (sentencepiece_model_pb2.ModelProto.FromString(content) for content in (first, second))
    return one.normalizer_spec.precompiled_charsmap == other.normalizer_spec.precompiled_charsmap and [
        (piece.piece, piece.score) for piece in one.pieces
    ] == [(piece.piece, piece.score) for piece in other.pieces]
