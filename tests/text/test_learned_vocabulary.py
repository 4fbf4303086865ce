"""Vocabularies learnt from text, and the text that they are learnt from."""

import gzip
from collections import Counter

import pytest
import tensorflow as tf

from bert_serving.data.unlabeled import read_pairs, read_texts
from bert_serving.errors import DataError, InputError
from bert_serving.text.learned_vocabulary import count_words, learn_vocabulary
from bert_serving.text.preprocessing import load_preprocessing, write_preprocessing
from bert_serving.text.vocabulary import SPECIAL_TOKENS, read_vocabulary

TEXTS = ["The film is good, very good.", "A bad FILM", "très bon café", "这部电影很好", "unbelievably believable"] * 20


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    (folder / "lines.txt").write_text("\n".join([*TEXTS[:3], "", "  "]), "utf-8")
    (folder / "packed.txt.gz").write_bytes(gzip.compress("\n".join(TEXTS[3:5]).encode()))
    (folder / "table.tsv").write_text("label\treview\na\tfirst text\nb\tsecond text\n", "utf-8")
    (folder / "reviews" / "neg").mkdir(parents=True)
    (folder / "reviews" / "neg" / "1.txt").write_text("one\nreview", "utf-8")
    (folder / "empty.txt").touch()
    (folder / "latin.txt").write_bytes("café".encode("latin-1"))
    packed = gzip.compress("\n".join(TEXTS * 50).encode())
    (folder / "damaged.txt.gz").write_bytes(packed[:40] + b"\xff" * 20 + packed[60:])
    return folder


def test_text_is_read_from_lines_tables_and_folders_in_order(files):
    found = read_texts([files / name for name in ("lines.txt", "packed.txt.gz", "table.tsv", "reviews")], "review")
    assert found == [*TEXTS[:5], "first text", "second text", "one review"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("empty.txt", "empty.txt: holds no text; give another file"),
        ("latin.txt", "latin.txt: is not UTF-8 at byte 3"),
        ("absent.txt", "absent.txt: cannot be read: No such file"),
        ("damaged.txt.gz", "damaged.txt.gz: cannot be read: "),
        ("table.tsv", "has no column 'text'"),
        ("lines.pdf", "unsupported kind of file"),
    ],
)
def test_text_that_cannot_be_read_is_named(files, name, problem):
    with pytest.raises(DataError, match=problem.replace("(", r"\(")):
        read_texts([files / name])


def test_pairs_of_texts_stay_together_where_a_row_lacks_one(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("text\ttext_pair\na\tb\n\tno first\nno second\t \nc\td\n", "utf-8")
    assert read_pairs([path, path]) == (["a", "c", "a", "c"], ["b", "d", "b", "d"])
    path.write_text("text\ttext_pair\na\t\n", "utf-8")
    with pytest.raises(DataError, match="has no row with text and text_pair; give another file"):
        read_pairs([path])


def test_words_that_the_preprocessing_does_not_cut_do_not_count():
    words = ["ก" * 100, "ข" * 101]
    assert count_words([" ".join(words)], lower_case=True) == Counter({words[0]: 1})


def test_words_are_counted_as_the_preprocessing_splits_them():
    counts = count_words(TEXTS, lower_case=True)
    assert counts["good"] == counts["film"] == 40
    assert (counts["tres"], counts["cafe"], counts[","]) == (20, 20, 20)
    assert counts["电"] == counts["影"] == 20
    assert count_words(TEXTS, lower_case=False)["FILM"] == 20


def test_a_vocabulary_has_special_tokens_first_and_no_word_of_its_text_is_unknown(tmp_path):
    counts = count_words(TEXTS, lower_case=True)
    tokens = learn_vocabulary(counts, 130)
    assert tokens[:5] == list(SPECIAL_TOKENS)
    assert len(tokens) <= 130
    assert "good" in tokens
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), "utf-8")
    assert read_vocabulary(tmp_path / "vocab.txt") == tokens
    write_preprocessing(tmp_path / "vocab.txt", tmp_path / "preprocessing", lower_case=True)
    pieces = load_preprocessing(tmp_path / "preprocessing").segment(tf.constant(TEXTS[:5])).flat_values.numpy()
    assert tokens.index("[UNK]") not in pieces


@pytest.mark.parametrize("size", [100, 110, 130, 200])
def test_characters_stay_whatever_has_to_go(size):
    """The generator makes 100 to 250 pieces of such words, between two thresholds that lie far apart."""
    counts = Counter({f"{first}{second}": 7 for first in "abcdefghijklmno" for second in "pqrstuvwxyz"})
    counts["中" * 60] = 1
    tokens = learn_vocabulary(counts, size)
    assert len(tokens) == len(set(tokens)) <= size
    for character in "abcdefghijklmnopqrstuvwxyz中":
        assert {character, f"##{character}"} <= set(tokens)


@pytest.mark.parametrize(
    ("counts", "size", "problem"),
    [
        ({}, 500, "the files hold no words"),
        ({"good": 3}, 20, "--size 20 is too small: 3 characters, each at a word's start and inside"),
        ({chr(0x4E00 + i): 1 for i in range(300)}, 500, "5 special tokens need 605; raise it"),
    ],
)
def test_a_vocabulary_that_cannot_be_learnt_is_refused(counts, size, problem):
    with pytest.raises(InputError, match=problem):
        learn_vocabulary(Counter(counts), size)


def test_the_command_writes_a_vocabulary_or_nothing(files, bert_serving, tmp_path):
    ended = bert_serving("vocabulary", files / "lines.txt", files / "packed.txt.gz", "--size", 120)
    assert (ended.status, ended.err) == (0, "")
    ended = bert_serving("vocabulary", files / "lines.txt", files / "packed.txt.gz", "--size", 120, "--to", "a/b/c.txt")
    assert (ended.status, ended.err) == (0, "")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == (tmp_path / "vocab.txt").read_bytes()
    tokens = read_vocabulary(tmp_path / "vocab.txt")
    assert f"{len(tokens)} word pieces: a/b/c.txt" in ended.out
    for arguments, message in (
        ((files / "lines.txt", "--size", 120), "vocab.txt: exists; give a new file with --to"),
        ((files / "lines.txt", "--size", 9, "--to", "new.txt"), "--size 9 is too small"),
        ((files / "empty.txt", "--size", 120, "--to", "new.txt"), "holds no text"),
        ((files / "lines.txt", "--size", 120, "--to", "vocab.txt/new.txt"), "there is no folder 'vocab.txt'"),
    ):
        ended = bert_serving("vocabulary", *arguments)
        assert ended.status == 2
        assert message in ended.err
        assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "new.txt").exists()
