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


@dataclass(frozen=True)
class SpecialIds:
    """Ids of the special tokens around and after a text."""

    start_of_sequence: int
    end_of_segment: int
    padding: int

    @classmethod
    def from_names(cls, ids: Mapping[str, int]) -> "SpecialIds":
        """Selects them from ids by the names of `TOKENS_BY_NAME`."""
        return cls(ids["start_of_sequence_id"], ids["end_of_segment_id"], ids["padding_id"])


def read_vocabulary(path: Path, *, expected_size: int | None = None) -> list[str]:
    """Reads a WordPiece vocabulary and checks it.

    Args:
        path: UTF-8 text, one token a line.
        expected_size: rows of the encoder's embedding table.

    Raises:
        EncoderError: the file is missing, lacks a special token, repeats one or has another size than the embeddings.
    """
    try:
        content = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise EncoderError(
            f"{path.parent}: the encoder folder has no vocabulary ({path.name} is missing); "
            "put the vocabulary that the encoder was trained with beside its weights"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise EncoderError(f"{path}: cannot read the vocabulary: {error}") from None
    if "\r\n" in content:
        raise EncoderError(
            f"{path}: the vocabulary has Windows line ends; write it again with a plain newline after each token"
        )
    # TensorFlow's tables split at newlines only; str.splitlines splits at more characters, some of which are tokens.
    tokens = content.removesuffix("\n").split("\n") if content else []
    check_tokens(tokens, str(path))
    if expected_size is not None and len(tokens) != expected_size:
        raise EncoderError(
            f"{path}: the vocabulary has {len(tokens)} tokens, the encoder's embedding table {expected_size} rows; "
            "use the vocabulary that the encoder was trained with"
        )
    return tokens


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
