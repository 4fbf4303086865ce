"""Unlabeled text of every kind of file: which rows and which column are the texts, and what is told."""

import gzip
import io
import json

import pandas as pd
import pytest

from bert_serving.data.unlabeled import STANDARD_INPUT, TextColumns, TextSource, read_unlabeled
from bert_serving.errors import DataError
from bert_serving.observer import Observer

TEXTS = ["The film is good, very good.", "A bad FILM", "très bon café", "这部电影很好", "unbelievably believable"]


class Notes(Observer):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    (folder / "lines.txt").write_text("\n".join([*TEXTS[:3], "", "  "]), "utf-8")
    (folder / "packed.txt.gz").write_bytes(gzip.compress("\n".join(TEXTS[3:5]).encode()))
    (folder / "table.tsv").write_text("label\treview\na\tfirst text\nb\tsecond text\n", "utf-8")
    (folder / "two.csv").write_text("title,body,stars\nA good one,It is good,5\n", "utf-8")
    (folder / "numbers.csv").write_text("a,b\n1,2.5\n", "utf-8")
    (folder / "semicolon.csv").write_text("id;text\n1;good; film\n")
    (folder / "labels.csv").write_text("label\ngood\n")
    (folder / "reviews" / "neg").mkdir(parents=True)
    (folder / "reviews" / "neg" / "1.txt").write_text("one\nreview\n", "utf-8")
    (folder / "reviews" / "neg" / ".1.txt").touch()
    (folder / "empty.txt").touch()
    (folder / "latin.txt").write_bytes("café".encode("latin-1"))
    packed = gzip.compress("\n".join(TEXTS * 1000).encode())
    (folder / "damaged.txt.gz").write_bytes(packed[:40] + b"\xff" * 20 + packed[60:])
    return folder


def test_text_is_read_from_lines_tables_and_folders_in_order(files):
    names = ("lines.txt", "packed.txt.gz", "table.tsv", "reviews")
    notes = Notes()
    texts = read_unlabeled([files / name for name in names], TextColumns("review"), notes).texts
    assert texts == [*TEXTS, "first text", "second text", "one\nreview"]
    assert notes.lines == ["left out: 2 empty texts, 1 hidden file"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("empty.txt", "empty.txt: has no text; give another file"),
        ("latin.txt", "latin.txt: is not valid UTF-8: byte 0xe9 at offset 3"),
        ("absent.txt", "absent.txt: cannot be read: No such file"),
        ("absent.csv", "absent.csv: cannot be read: No such file"),
        ("damaged.txt.gz", "damaged.txt.gz: not an intact gzip file: "),
        ("two.csv", "two.csv: has several columns of texts ('title', 'body'); name the one to read with --text"),
        (
            "numbers.csv",
            "numbers.csv: has no column of texts; its columns are 'a', 'b'; name the one to read with --text",
        ),
        (
            "semicolon.csv",
            "has one column, 'id;text', which looks like several: quote the cells that hold the separator",
        ),
        ("labels.csv", "labels.csv: has no column of texts; its columns are 'label'; name the one to read with --text"),
        ("lines.pdf", "unsupported kind of file"),
        ("table.tab", "unsupported kind of file"),
    ],
)
def test_text_that_cannot_be_read_is_named(files, name, problem):
    with pytest.raises(DataError) as caught:
        read_unlabeled([files / name])
    assert problem in str(caught.value)


WRITERS = {
    "a.csv": lambda path, frame: frame.to_csv(path, index=False, encoding="utf-8-sig"),
    "a.CSV.gz": lambda path, frame: frame.to_csv(path, index=False, compression="gzip"),
    "a.tsv": lambda path, frame: frame.to_csv(path, index=False, sep="\t"),
    "a.jsonl": lambda path, frame: frame.to_json(path, orient="records", lines=True),
    "a.parquet": lambda path, frame: frame.to_parquet(path),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("column", ["text", "review"])
def test_a_table_is_read_by_its_only_column_of_texts(tmp_path, name, column):
    texts = ["good, very good", 'say "no"', "", "7"]
    others = {
        "id": range(4),
        "stars": [1.5, 2, 3, 4],
        "day": ["2020-01-02", "2020-01-03T10:00:00Z"] * 2,
        "is new": [True] * 4,
    }
    frame = pd.DataFrame({**others, "label": ["a", "b", "a", "b"], column: texts})
    WRITERS[name](tmp_path / name, frame)
    source = TextSource(tmp_path / name)
    assert [row.text for row in source] == texts
    told = f"{name}: the texts are those of its column 'review'"
    assert (told in source.reading.repairs) == (column == "review")


def test_a_named_column_may_hold_anything_that_is_a_string(files, tmp_path):
    assert [row.text for row in TextSource(files / "numbers.csv", TextColumns("a"))] == ["1"]
    assert [row.text for row in TextSource(files / "two.csv", TextColumns("body"))] == ["It is good"]
    with pytest.raises(DataError, match=r"has no column 'bdy'; its columns are 'title', 'body', 'stars'"):
        TextSource(files / "two.csv", TextColumns("bdy"))
    (tmp_path / "capitals.csv").write_text("Label,Text\ngood,a film\n")
    assert [row.text for row in TextSource(tmp_path / "capitals.csv")] == ["a film"]
    (tmp_path / "one.csv").write_text("n\n1\n2\n")
    assert [row.text for row in TextSource(tmp_path / "one.csv")] == ["1", "2"]


@pytest.mark.parametrize(
    ("value", "problem"), [(5, "'text' must be a string, got 5"), ("\ud83d", "'text' holds half a surrogate pair")]
)
def test_a_cell_that_is_no_text_is_named_by_its_line(tmp_path, value, problem):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x"}\n' + json.dumps({"text": value}) + "\n")
    with pytest.raises(DataError, match=rf"a\.jsonl, line 2: {problem}"):
        TextSource(path)


def test_rows_stay_aligned_where_a_text_is_missing(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x"}\n\n{"id": 1}\n{"text": null}\n{"text": "y"}\n')
    rows = list(TextSource(path))
    assert [(row.position, row.text) for row in rows] == [
        ("line 1", "x"),
        ("line 3", ""),
        ("line 4", ""),
        ("line 5", "y"),
    ]
    notes = Notes()
    assert read_unlabeled([path], observer=notes).texts == ["x", "y"]
    assert notes.lines == ["left out: 2 empty texts, 1 blank line"]


def test_pairs_of_texts_stay_together_where_a_row_lacks_one(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("text\ttext_pair\na\tb\n\tno first\nno second\t \nc\td\n", "utf-8")
    pairs = TextColumns(text_pair="text_pair")
    found = read_unlabeled([path, path], pairs)
    assert (found.texts, found.pairs) == (["a", "c", "a", "c"], ["b", "d", "b", "d"])
    assert [row.pair for row in TextSource(path, pairs)] == ["b", "no first", " ", "d"]
    path.write_text("text\ttext_pair\na\t\n", "utf-8")
    with pytest.raises(DataError, match="has no text in text and text_pair; give another file"):
        read_unlabeled([path], pairs)
    path.write_text("premise\thypothesis\na\tb\n", "utf-8")
    assert [(row.text, row.pair) for row in TextSource(path, TextColumns(text_pair="hypothesis"))] == [("a", "b")]


def test_lines_and_folders_hold_no_pairs(files):
    for name in ("lines.txt", "reviews"):
        with pytest.raises(DataError, match=f"{name}: .* single texts; give pairs of texts as a table"):
            TextSource(files / name, TextColumns(text_pair="b"))


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\r", ["a", "b"]),
        ("\ufeffa\u2028still a\x0b\x85\rb\n".encode(), ["a\u2028still a\x0b\x85\rb"]),
        ("a\n漢\n".encode("utf-16"), ["a", "漢"]),
    ],
)
def test_lines_end_at_line_feeds_only(tmp_path, monkeypatch, content, lines):
    for name, written in (("lines.txt", content), ("lines", content), ("lines.txt.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        assert [row.text for row in TextSource(tmp_path / name)] == lines
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert [row.text for row in TextSource(STANDARD_INPUT)] == lines


def test_a_first_line_that_looks_like_data_is_no_header(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("7,good film\n8,bad film\n")
    with pytest.raises(DataError, match="has no header line: its first line looks like data"):
        TextSource(path)
