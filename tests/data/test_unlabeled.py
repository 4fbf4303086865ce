import gzip

import pytest

from bert_serving.data.unlabeled import read_lines, read_pairs, read_texts
from bert_serving.errors import DataError

TEXTS = ["The film is good, very good.", "A bad FILM", "très bon café", "这部电影很好", "unbelievably believable"]


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
    packed = gzip.compress("\n".join(TEXTS * 1000).encode())
    (folder / "damaged.txt.gz").write_bytes(packed[:40] + b"\xff" * 20 + packed[60:])
    return folder


def test_text_is_read_from_lines_tables_and_folders_in_order(files):
    texts = read_texts([files / name for name in ("lines.txt", "packed.txt.gz", "table.tsv", "reviews")], "review")
    assert texts == [*TEXTS, "first text", "second text", "one review"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("empty.txt", "empty.txt: has no text; give another file"),
        ("latin.txt", "latin.txt: is not valid UTF-8: byte 0xe9 at offset 3"),
        ("absent.txt", "absent.txt: cannot be read: No such file"),
        ("damaged.txt.gz", "damaged.txt.gz: not an intact gzip file: "),
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


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("", []),
        ("\n", [""]),
        ("a\n\nb", ["a", "", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("\ufeffa\u2028still a\x0b\x85\rb\n", ["a\u2028still a\x0b\x85\rb"]),
    ],
)
def test_lines_end_at_line_feeds_only(tmp_path, content, lines):
    path = tmp_path / "lines.txt"
    path.write_bytes(content.encode())
    assert read_lines(path) == lines
