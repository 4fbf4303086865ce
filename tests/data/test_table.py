import csv
import gzip
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from support.paths import SHARED

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.table import LabeledTable, read_table
from bert_serving.errors import DataError

REAL_DATA = SHARED / "data"
ROWS = [("a good day", "1"), ("NA", "0"), ("", "1"), ('he said "no", twice', "0"), ("天气很好 – née", "1")]


def config(**keys) -> DataConfig:
    return DataConfig(train=("unused.tsv",), **keys)


def read(path: Path, head: Head = Head.SOFTMAX, **keys) -> LabeledTable:
    return read_table([path], config(**keys), head)


def tsv(rows=ROWS) -> str:
    return "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows)


def write_csv(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *ROWS])


def json_lines(rows=ROWS, as_number: bool = True) -> str:
    return "".join(
        json.dumps({"label": int(label) if as_number else label, "text": text}) + "\n" for text, label in rows
    )


def write_parquet(path: Path, texts, labels) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"id": range(len(texts)), "text": texts, "label": labels}), path)


@pytest.fixture(params=["tsv", "tsv.gz", "csv", "csv.gz", "jsonl", "ndjson", "json", "jsonl.gz", "parquet"])
def file_with_rows(request, tmp_path) -> Path:
    path = tmp_path / f"rows.{request.param}"
    kind = request.param.split(".")[0]
    plain = tmp_path / "plain"
    if kind == "parquet":
        write_parquet(plain, [text for text, _ in ROWS], [int(label) for _, label in ROWS])
    elif kind == "csv":
        write_csv(plain)
    else:
        plain.write_text(tsv() if kind == "tsv" else json_lines(), "utf-8")
    content = plain.read_bytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def test_every_kind_of_file_gives_the_same_rows(file_with_rows):
    table = read(file_with_rows)
    assert table.texts == [text for text, _ in ROWS]
    assert table.labels == [label for _, label in ROWS]
    assert table.pairs is None
    assert len(table) == len(ROWS)
    assert table.source == str(file_with_rows)


def test_several_files_of_different_kinds_are_joined_in_order(tmp_path):
    (tmp_path / "a.tsv").write_text(tsv(ROWS[:2]), "utf-8")
    (tmp_path / "b.jsonl").write_text(json_lines(ROWS[2:]), "utf-8")
    table = read_table([tmp_path / "a.tsv", tmp_path / "b.jsonl"], config(), Head.SOFTMAX)
    assert list(zip(table.texts, table.labels, strict=True)) == ROWS


def test_a_byte_order_mark_crlf_and_blank_lines_do_not_matter(tmp_path):
    path = tmp_path / "windows.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + (tsv() + "\n").replace("\n", "\r\n").encode())
    assert read(path).texts == [text for text, _ in ROWS]
    assert read(path).labels == [label for _, label in ROWS]


def test_quotes_in_tsv_are_text(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"open\t1\nclose"\t0\n', "utf-8")
    assert read(path).texts == ['"open', 'close"']


def test_csv_fields_may_hold_line_breaks_and_be_long(tmp_path):
    path = tmp_path / "a.csv"
    limit = csv.field_size_limit()
    long = "word " * 40_000
    path.write_text(f'text,label\n"two\nlines",x\n{long},y\n', "utf-8")
    assert read(path).texts == ["two\nlines", long]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl", "parquet"])
def test_further_columns_are_kept_as_text_and_follow_their_rows(kind, tmp_path):
    path, table = (
        tmp_path / f"a.{kind}",
        {"text": ["x", "y"], "label": ["1", "0"], "age": [30, None], "from": ["web", ""]},
    )
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(table), path)
    elif kind == "jsonl":
        path.write_text(
            "".join(json.dumps({name: table[name][row] for name in table}) + "\n" for row in (0, 1)), "utf-8"
        )
    else:
        cells = [
            list(table),
            *([str("" if table[name][row] is None else table[name][row]) for name in table] for row in (0, 1)),
        ]
        path.write_text("".join(("\t" if kind == "tsv" else ",").join(row) + "\n" for row in cells), "utf-8")
    found = read_table([path, path], config(), Head.SOFTMAX, ["age", "from", "label"])
    assert found.columns == {"age": ["30", ""] * 2, "from": ["web", ""] * 2, "label": ["1", "0"] * 2}
    assert found.select([2, 1]).columns["from"] == ["web", ""]
    assert read_table([path], config(), Head.SOFTMAX).columns == {}


def test_a_further_column_that_is_missing_is_named(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(tsv(), "utf-8")
    with pytest.raises(DataError, match=r"has no column 'age'; its columns are 'text', 'label': set .* \(.*--slice\)"):
        read_table([path], config(), Head.SOFTMAX, ["age"])
    (tmp_path / "folder" / "good").mkdir(parents=True)
    with pytest.raises(DataError, match="a folder of label folders holds single texts and no column 'age'"):
        read_table([tmp_path / "folder"], config(), Head.SOFTMAX, ["age"])


def test_pairs_come_from_the_named_columns(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("id\ttext_b\tlabel\ttext_a\n7\tsecond\tyes\tfirst\n", "utf-8")
    table = read(path, text="text_a", text_pair="text_b")
    assert (table.texts, table.pairs, table.labels) == (["first"], ["second"], ["yes"])


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (1, "1"),
        (-3, "-3"),
        (2.0, "2"),
        (0.5, "0.5"),
        (True, "true"),
        ("1.0", "1"),
        (" joy ", "joy"),
        ("null", "null"),
    ],
)
def test_labels_of_any_json_type_become_strings(tmp_path, label, expected):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "x", "label": label}), "utf-8")
    assert read(path).labels == [expected]


def test_whole_numbers_in_a_float_column_of_parquet_lose_their_point(tmp_path):
    write_parquet(tmp_path / "a.parquet", ["x", "y"], [0.0, 1.0])
    assert read(tmp_path / "a.parquet").labels == ["0", "1"]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("b,a", ("a", "b")),
        (" a , b ", ("a", "b")),
        ('["b", "a", "b"]', ("a", "b")),
        ("", ()),
        ("[]", ()),
        ("a", ("a",)),
        ("[1, 2]", ("1", "2")),
    ],
)
def test_multilabel_cells_are_lists_or_joined_by_commas(tmp_path, label, expected):
    path = tmp_path / "a.tsv"
    path.write_text(f"text\tlabel\nx\t{label}\n", "utf-8")
    assert read(path, Head.MULTILABEL).labels == [expected]


def test_multilabel_lists_of_parquet_and_json_are_read(tmp_path):
    write_parquet(tmp_path / "a.parquet", ["x", "y"], [["b", "a"], []])
    (tmp_path / "b.jsonl").write_text('{"text": "z", "label": [2, 10]}\n', "utf-8")
    table = read_table([tmp_path / "a.parquet", tmp_path / "b.jsonl"], config(), Head.MULTILABEL)
    assert table.labels == [("a", "b"), (), ("10", "2")]


def test_regression_labels_are_numbers(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(tsv([("x", "2.500"), ("y", "-1e3"), ("z", "4")]), "utf-8")
    assert read(path, Head.REGRESSION).labels == [2.5, -1000.0, 4.0]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "high", "", "1_000", "1,5"])
def test_a_regression_label_that_is_no_finite_number_is_refused(tmp_path, value):
    path = tmp_path / "a.tsv"
    path.write_text(f"text\tlabel\nx\t1\ny\t{value}\n", "utf-8")
    with pytest.raises(DataError, match=r"a\.tsv, line 3: 'label' must be a finite number.*got") as caught:
        read(path, Head.REGRESSION)
    assert repr(value) in str(caught.value)


def test_label_folders_are_read_in_the_order_of_their_names(tmp_path):
    for name, text in {
        "pos/2": "fine\n",
        "pos/10": "two\nlines\r\n",
        "neg/1": "bad",
        "unsup/0": "?",
        ".cache/0": "?",
    }.items():
        file = tmp_path / f"{name}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"\xef\xbb\xbf" + text.encode() if name == "neg/1" else text.encode())
    (tmp_path / "pos" / "notes.md").write_text("no text", "utf-8")
    (tmp_path / "vocabulary.feat").write_text("no folder", "utf-8")
    table = read(tmp_path)
    assert table.texts == ["bad", "two\nlines", "fine"]
    assert table.labels == ["neg", "pos", "pos"]


def test_select_keeps_rows_together():
    table = LabeledTable(["a", "b", "c"], ["x", "y", "z"], ["0", "1", "0"], "s")
    chosen = table.select([2, 0])
    assert chosen == LabeledTable(["c", "a"], ["z", "x"], ["0", "0"], "s")


# === Refusals ===


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"x", "unsupported kind of file"),
        ("a.parquet.gz", b"x", "unsupported kind of file"),
        ("a.tsv", b"", "is empty"),
        ("a.tsv", b"text\tlabel\n", "has no rows"),
        ("a.tsv", b"\n\n", "has no header line"),
        ("a.csv", b"text,label\r\n\r\n", "has no rows"),
        ("a.jsonl", b"\n", "has no rows"),
        ("a.tsv", b"text\tlabel\nx\t1\nab\xff\t1\n", "not valid UTF-8: byte 0xff at offset 17"),
        ("a.tsv", b"\xef\xbb\xbftext\tlabel\n\xe9\t1\n", "not valid UTF-8: byte 0xe9 at offset 14"),
        ("a.tsv", b"sentence\tclass\nx\t1\n", "has no column 'text'; its columns are 'sentence', 'class'"),
        ("a.tsv", b"text\tlabel\ttext\nx\t1\ty\n", "more than one column 'text'"),
        ("a.tsv", b"text\tlabel\nx\t1\ny\n", "line 3: has 1 column, the header has 2"),
        ("a.tsv", b"text\tlabel\n\nx\t1\t2\n", "line 3: has 3 columns, the header has 2"),
        ("a.csv", b'text,label\n"x\ny",1\nz\n', "line 4: has 1 column"),
        ("a.csv", b'text,label\n"x,1\ny,2\n', "line 2: is not valid CSV"),
        ("a.tsv", b"text\tlabel\nx\t\n", "line 2: 'label' is empty"),
        ("a.tsv", b"text\tlabel\nx\t  \n", "line 2: 'label' is empty"),
        ("a.jsonl", b'{"text": "x", "label": 1}\nnonsense\n', "line 2: is not valid JSON"),
        ("a.jsonl", b'["x", 1]\n', "line 1: expected a JSON object"),
        ("a.jsonl", b'{"text": "x", "label": 1}\n{"text": "y"}\n', "line 2: 'label' is missing"),
        ("a.jsonl", b'{"text": null, "label": 1}\n', "line 1: 'text' is missing"),
        ("a.jsonl", b'{"text": 5, "label": 1}\n', "line 1: 'text' must be a string, got 5"),
        ("a.jsonl", b'{"text": "\\ud83d", "label": 1}\n', "line 1: 'text' holds half a surrogate pair"),
        ("a.jsonl", b'{"text": "x", "label": NaN}\n', "line 1: 'label' is missing; give a label or remove the row"),
        ("a.jsonl", b'{"text": "x", "label": {"a": 1}}\n', "line 1: 'label' must be a string or a number"),
        ("a.jsonl", b'{"text": "x", "label": "a\\nb"}\n', "line 1: 'label' must be one line"),
        ("a.jsonl", b'{"body": "x", "label": 1}\n', "has no column 'text'; its columns are 'body', 'label'"),
        ("a.parquet", b"PAR1 but not really PAR1", "not a readable Parquet file"),
        ("a.tsv.gz", b"text\tlabel\n", "not an intact gzip file"),
        ("a.tsv.gz", gzip.compress(b"text\tlabel\nx\t1\n", mtime=0)[:-6], "not an intact gzip file"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_file_and_place(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_missing_value_in_parquet_names_its_row(tmp_path):
    write_parquet(tmp_path / "a.parquet", ["x", None], ["0", "1"])
    with pytest.raises(DataError, match=r"a\.parquet, row 2: 'text' is missing"):
        read(tmp_path / "a.parquet")


def test_a_column_that_parquet_lacks_is_named(tmp_path):
    write_parquet(tmp_path / "a.parquet", ["x"], ["0"])
    with pytest.raises(DataError, match="has no column 'stars'; its columns are 'id', 'text', 'label'"):
        read(tmp_path / "a.parquet", label="stars")


def test_a_list_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "a.tsv").write_text("text\tlabel\nx\t[a, b]\n", "utf-8")
    with pytest.raises(DataError, match="line 2: 'label' is not a valid JSON list"):
        read(tmp_path / "a.tsv", Head.MULTILABEL)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.tsv: cannot be read: No such file or directory"):
        read(tmp_path / "none.tsv")


def test_a_folder_without_label_folders_is_refused(tmp_path):
    with pytest.raises(DataError, match="has no label folders"):
        read(tmp_path)
    (tmp_path / "pos").mkdir()
    with pytest.raises(DataError, match=r"pos: this label folder has no \.txt files"):
        read(tmp_path)


def test_a_folder_cannot_hold_pairs(tmp_path):
    with pytest.raises(DataError, match="holds single texts"):
        read(tmp_path, text_pair="other")


def test_a_text_in_a_label_folder_that_is_no_utf8_is_named(tmp_path):
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "7.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"7\.txt: is not valid UTF-8: byte 0xe9 at offset 3"):
        read(tmp_path)


# === Real data ===


def real_files() -> list[Path]:
    # The two large ones are left to people: reading them takes seconds.
    return [file for file in sorted(REAL_DATA.rglob("*.tsv*")) if "imdb" not in file.parts]


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the folder of real data, ../shared/data, is absent")
def test_real_files_are_read_whole():
    assert real_files()
    for path in real_files():
        paired = path.parent.name in ("mrpc", "stsb")
        columns = {"text": "text_a", "text_pair": "text_b"} if paired else {}
        head = Head.REGRESSION if path.parent.name == "stsb" else Head.SOFTMAX
        table = read(path, head, **columns)
        assert len(table) == path.read_bytes().count(b"\n") - 1, path
        assert len(table.labels) == len(table.texts) == len(table.pairs or table.texts)
        assert all(table.texts), path
