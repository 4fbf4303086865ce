"""The WordPiece vocabulary: a file with one token per line, in the order of their ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bert_serving.errors import EncoderError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

TOKENS_BY_NAME = {
    "start_of_sequence_id": "[CLS]",
    "end_of_segment_id": "[SEP]",
    "padding_id": "[PAD]",
    "mask_id": "[MASK]",
}
"""special tokens by their names in `.tokenize.get_special_tokens_dict` of the TF Hub interface"""


SEPARATORS, SECOND_TYPE = "separators_between_segments", "second_type_id"
"""names beside those of `TOKENS_BY_NAME` by which a tokenizer tells how it frames a pair; without them, as BERT does"""


@dataclass(frozen=True)
class SpecialIds:
    """Ids of the special tokens around and after a text, and the frame of a pair.

    Attributes:
        start_of_sequence: id before the first text.
        end_of_segment: id after a text.
        padding: id after the last token of a shorter row.
        separators: how often `end_of_segment` stands between the texts of a pair: 1 in BERT, 2 in RoBERTa.
        second_type: type id of the second text: 1 in BERT, 0 in RoBERTa, which has no types.
    """

    start_of_sequence: int
    end_of_segment: int
    padding: int
    separators: int = 1
    second_type: int = 1

    @classmethod
    def from_names(cls, ids: Mapping[str, int]) -> "SpecialIds":
        """Selects them from ids by the names of `TOKENS_BY_NAME`."""
        return cls(
            ids["start_of_sequence_id"],
            ids["end_of_segment_id"],
            ids["padding_id"],
            ids.get(SEPARATORS, 1),
            ids.get(SECOND_TYPE, 1),
        )

    def frame_tokens(self, texts: int) -> int:
        """Number of special tokens in a row of one or two texts."""
        return 2 if texts == 1 else 2 + self.separators


def read_vocabulary(path: Path, *, rows: int | None = None) -> list[str]:
    """Reads a WordPiece vocabulary that is to be an asset of a SavedModel, and checks it.

    Args:
        path: UTF-8 text, one token a line.
        rows: of the encoder's embedding table. It may have more rows than the vocabulary has tokens, as tables whose size was
            rounded up for speed have; the rest is never used.

    Returns:
        The tokens; the place of each is its id.

    Raises:
        EncoderError: the file is missing, is not UTF-8, has Windows line ends or an empty line, lacks a special token, repeats a
            token, or has more tokens than the embeddings have rows.
    """
    content = _content(path)
    if "\r\n" in content:
        raise EncoderError(
            f"{path}: the vocabulary has Windows line ends; write it again with a plain newline after each token"
        )
    # TensorFlow's tables split at newlines only; str.splitlines splits at more characters, some of which are tokens.
    tokens = content.removesuffix("\n").split("\n") if content else []
    if "" in tokens:
        raise EncoderError(
            f"{path}: the vocabulary's line {tokens.index('') + 1} is empty; each line must have a token"
        )
    check_tokens(tokens, str(path))
    check_rows(len(tokens), rows, str(path))
    return tokens


def read_tokens(path: Path) -> list[str]:
    """Reads the lines of a vocabulary as transformers does: with any line ends, and without the empty lines at the end.

    The tokens are not checked otherwise (`check_tokens`).

    Raises:
        EncoderError: the file is missing, is not UTF-8, begins with a byte-order mark, or a line could be read in two ways.
    """
    content = _content(path).replace("\r\n", "\n").rstrip("\n")
    tokens = content.split("\n") if content else []
    for line, token in enumerate(tokens, start=1):
        if "\r" in token or (token.strip() and token != token.rstrip()):
            raise EncoderError(
                f"{path}: the vocabulary has {token!r} on line {line}, with white space at its end or a carriage return; versions of "
                "transformers differ on its token, so remove the white space"
            )
    return tokens


def _content(path: Path) -> str:
    try:
        content = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise EncoderError(
            f"{path.parent}: the encoder folder has no vocabulary ({path.name} is missing); "
            "put the vocabulary that the encoder was trained with beside its weights"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise EncoderError(f"{path}: cannot read the vocabulary: {error}") from None
    if content.startswith("\ufeff"):
        raise EncoderError(
            f"{path}: the vocabulary begins with a byte-order mark, which would be part of its first token; save it as UTF-8 "
            "without one"
        )
    return content


def check_rows(tokens: int, rows: int | None, name: str) -> None:
    """Refuses a vocabulary with more tokens than an embedding table has rows; `name` is for messages.

    Raises:
        EncoderError: as above.
    """
    if rows is not None and tokens > rows:
        raise EncoderError(
            f"{name}: the vocabulary has {tokens} tokens, the encoder's embedding table {rows} rows, so some tokens have no "
            "embedding; use the vocabulary that the encoder was trained with"
        )


def check_tokens(tokens: Sequence[str], name: str) -> None:
    """Checks that a vocabulary has the special tokens and no token twice; `name` is for messages.

    Raises:
        EncoderError: a special token is missing, or a token is repeated.
    """
    missing = [token for token in SPECIAL_TOKENS if token not in tokens]
    if missing:
        raise EncoderError(
            f"{name}: the vocabulary of {len(tokens)} tokens lacks {', '.join(missing)}; it must be a BERT WordPiece file"
        )
    lines: dict[str, int] = {}
    for line, token in enumerate(tokens, start=1):
        first = lines.setdefault(token, line)
        if first != line:
            raise EncoderError(
                f"{name}: the vocabulary has {token!r} on lines {first} and {line}; each token may have one id"
            )
