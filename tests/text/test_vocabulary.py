"""The WordPiece vocabulary and what is wrong with some of them."""

import pytest

from bert_serving.errors import EncoderError
from bert_serving.text.vocabulary import SPECIAL_TOKENS, read_vocabulary

WORDS = ("good", "##ly", "好", "\u2028", "\x85", "\x1c", "\x0b")


def write(folder, content: bytes):
    path = folder / "vocab.txt"
    path.write_bytes(content)
    return path


def lines(*tokens: str, end: str = "\n") -> bytes:
    return "".join(token + end for token in tokens).encode()


def test_the_line_number_is_the_id(tmp_path):
    path = write(tmp_path, lines(*SPECIAL_TOKENS, "good", "##ly", "好"))
    assert read_vocabulary(path) == [*SPECIAL_TOKENS, "good", "##ly", "好"]


def test_only_a_newline_ends_a_token_as_in_tensorflows_tables(tmp_path):
    path = write(tmp_path, lines(*SPECIAL_TOKENS, *WORDS))
    assert read_vocabulary(path, rows=len(SPECIAL_TOKENS) + len(WORDS))[-len(WORDS) :] == list(WORDS)


def test_the_last_line_needs_no_newline(tmp_path):
    path = write(tmp_path, lines(*SPECIAL_TOKENS) + b"good")
    assert read_vocabulary(path, rows=6)[-1] == "good"


def test_a_table_may_have_more_rows_than_the_vocabulary_has_tokens(tmp_path):
    assert len(read_vocabulary(write(tmp_path, lines(*SPECIAL_TOKENS, "a")), rows=8)) == 6


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the vocabulary of 0 tokens lacks [PAD], [UNK], [CLS], [SEP], [MASK]; it must be a BERT WordPiece file"),
        (lines("[PAD]", "[UNK]", "[SEP]", "a"), "the vocabulary of 4 tokens lacks [CLS], [MASK]; it must be"),
        (lines(*SPECIAL_TOKENS, "a", "b", "a"), "the vocabulary has 'a' on lines 6 and 8; each token may have one id"),
        (lines(*SPECIAL_TOKENS, "a", end="\r\n"), "the vocabulary has Windows line ends; "),
        (lines(*SPECIAL_TOKENS) + b"\xff\n", "cannot read the vocabulary: 'utf-8' codec can't decode byte 0xff"),
        (
            lines(*SPECIAL_TOKENS, "a", "b"),
            "the vocabulary has 7 tokens, the encoder's embedding table 6 rows, so some tokens have no embedding; use the",
        ),
        (lines(*SPECIAL_TOKENS, "", "a"), "the vocabulary's line 6 is empty; each line must have a token"),
        (
            b"\xef\xbb\xbf" + lines(*SPECIAL_TOKENS),
            "the vocabulary begins with a byte-order mark, which would be part of",
        ),
    ],
    ids=["nothing", "special tokens", "repeated", "line ends", "encoding", "size", "empty line", "byte-order mark"],
)
def test_a_vocabulary_that_does_not_fit_is_refused_in_one_line(tmp_path, content, problem):
    path = write(tmp_path, content)
    with pytest.raises(EncoderError) as raised:
        read_vocabulary(path, rows=6)
    assert str(raised.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(raised.value)


def test_a_missing_vocabulary_is_named_with_its_folder(tmp_path):
    with pytest.raises(EncoderError) as raised:
        read_vocabulary(tmp_path / "vocab.txt")
    assert str(raised.value).startswith(f"{tmp_path}: the encoder folder has no vocabulary (vocab.txt is missing)")


def test_a_folder_in_the_vocabularys_place_is_named(tmp_path):
    (tmp_path / "vocab.txt").mkdir()
    with pytest.raises(EncoderError, match=r"cannot read the vocabulary: .*Is a directory"):
        read_vocabulary(tmp_path / "vocab.txt")
