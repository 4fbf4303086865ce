"""The pieces of a preprocessing SavedModel's vocabulary, as people read them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sentencepiece import sentencepiece_model_pb2

from bert_serving import contract
from bert_serving.text.byte_level_bpe import is_byte_level, token_bytes
from bert_serving.text.preprocessing import SENTENCEPIECE_FILE, VOCABULARY_FILE
from bert_serving.text.sentencepieces import read_sentencepiece_bytes
from bert_serving.text.vocabulary import read_vocabulary

UNKNOWN = "[UNK]"
CONTINUED = "##"
"""before a piece that continues the word of the piece before it"""

# SentencePiece's sign for a space.
_SPACE = "\u2581"
_BLANK = "\u2423"


@dataclass(frozen=True)
class ShownPieces:
    """A vocabulary that can be shown.

    Attributes:
        pieces: by their ids, as bytes of the text that they stand for; white space before a word is a part of its first piece.
            WordPiece's are as in its file.
        unknown: id of the piece for unknown characters.
        is_word_piece: whether the pieces are WordPiece's.
    """

    pieces: tuple[bytes, ...]
    unknown: int
    is_word_piece: bool

    def of_word(self, ids: Iterable[int]) -> tuple[str, ...]:
        r"""The pieces of one word, each but the first with "##"; bytes that are no whole character are written as \xNN."""
        if self.is_word_piece:
            return tuple(self.pieces[number].decode() for number in ids)
        texts = [UNKNOWN if number == self.unknown else _readable(self.pieces[number]) for number in ids]
        texts = [text for text in (texts[0].lstrip(), *texts[1:]) if text] if texts else []
        return tuple(text if place == 0 or text == UNKNOWN else CONTINUED + text for place, text in enumerate(texts))

    def word(self, ids: Iterable[int]) -> tuple[str, bool]:
        """The text of one word, without white space around it, and whether white space precedes it."""
        numbers = list(ids)
        if self.is_word_piece:
            return "".join(self.pieces[number].decode() for number in numbers).replace(CONTINUED, ""), True
        text = _readable(b"".join(UNKNOWN.encode() if each == self.unknown else self.pieces[each] for each in numbers))
        return text.strip() or _BLANK, text != text.lstrip()

    def words(self, ids: Sequence[int]) -> list[list[int]]:
        """Groups the pieces of a text by words: each begins with white space, the first one may not."""
        grouped: list[list[int]] = []
        for number in ids:
            if not grouped or self.pieces[number].startswith(b" "):
                grouped.append([])
            grouped[-1].append(number)
        return grouped


def has_sentencepieces(folder: Path) -> bool:
    """Whether a preprocessing SavedModel carries a SentencePiece model: unigram, or byte-level BPE."""
    return (folder / contract.ASSETS_FOLDER / SENTENCEPIECE_FILE).is_file()


def read_shown_pieces(folder: Path) -> ShownPieces:
    """The vocabulary that a preprocessing SavedModel carries.

    Raises:
        EncoderError: it carries none, or a damaged one.
    """
    assets = folder / contract.ASSETS_FOLDER
    if not has_sentencepieces(folder):
        tokens = read_vocabulary(assets / VOCABULARY_FILE)
        return ShownPieces(tuple(token.encode() for token in tokens), tokens.index(UNKNOWN), is_word_piece=True)
    content = read_sentencepiece_bytes(assets / SENTENCEPIECE_FILE)
    model = sentencepiece_model_pb2.ModelProto.FromString(content)
    of_piece = token_bytes if is_byte_level(model) else _of_sentencepiece
    unknown = next(number for number, piece in enumerate(model.pieces) if piece.type == piece.UNKNOWN)
    return ShownPieces(tuple(of_piece(piece.piece) for piece in model.pieces), unknown, is_word_piece=False)


def _of_sentencepiece(piece: str) -> bytes:
    return piece.replace(_SPACE, " ").encode()


def _readable(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")
