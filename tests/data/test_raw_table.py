import codecs
import gzip
import json

import pytest

from bert_serving.data.raw_table import read_raw_table
from bert_serving.errors import DataError

CELLS = {"text": ("good, film", "bad"), "label": ("1", "0")}


@pytest.mark.parametrize(
    ("name", "content", "repair"),
    [
        ("a.csv", 'text,label\n"good, film",1\nbad,0\n', None),
        ("a.csv", "text;label\ngood, film;1\nbad;0\n", "cells are separated by a semicolon, not by a comma"),
        ("a.csv", "text\tlabel\ngood, film\t1\nbad\t0\n", "cells are separated by a tab, not by a comma"),
        ("a.csv", "text|label\ngood, film|1\nbad|0\n", "cells are separated by a vertical bar, not by a comma"),
        ("a.tsv", 'text,label\n"good, film",1\nbad,0\n', "cells are separated by a comma, not by a tab"),
        ("a.tsv", "text;label\ngood, film;1\nbad;0\n", "cells are separated by a semicolon, not by a tab"),
        ("a.csv", "sep=;\r\ntext;label\r\ngood, film;1\r\nbad;0\r\n", "'sep=;', names the separator"),
        ("a.csv", '"sep=,"\ntext,label\n"good, film",1\nbad,0', "names the separator"),
        ("a.csv", 'text,label\r"good, film",1\rbad,0\r', None),
        ("a.tsv", "text\tlabel\rgood, film\t1\rbad\t0\r", None),
        ("a.tsv", '"text"\t"label"\n"good, film"\t1\n"bad"\t0\n', "its header is quoted"),
    ],
)
@pytest.mark.parametrize("columns", [None, ["label", "text"]])
def test_any_separator_is_read_and_another_one_is_told(tmp_path, name, content, repair, columns):
    path = tmp_path / name
    path.write_bytes(content.encode())
    table = read_raw_table(path, columns)
    assert dict(zip(table.names, table.columns, strict=True)) == CELLS
    assert (repair is None) == (not table.reading.repairs)
    assert repair is None or repair in table.reading.repairs[0]


def test_lines_are_counted_in_the_file_with_excels_line_and_blank_lines(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('sep=;\n\ntext;label\n"two\nlines";1\n\nx;0\n\n', "utf-8")
    table = read_raw_table(path)
    assert table.positions == ["line 4", "line 7"]
    assert table.reading.lines()[-1] == "left out: 3 blank lines"


def test_the_header_wanted_decides_between_separators(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id;text,label;x\n1;good,1;2\n", "utf-8")
    assert read_raw_table(path, ["text,label"]).column("text,label") == ("good,1",)
    assert read_raw_table(path, ["id;text"]).column("id;text") == ("1;good",)


def test_one_column_of_text_with_separators_in_it_stays_one(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text\n"one, two; three"\n"a|b"\nfour\n', "utf-8")
    assert read_raw_table(path).columns == [("one, two; three", "a|b", "four")]


@pytest.mark.parametrize(
    ("mark", "encoding", "name"),
    [
        (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
        (codecs.BOM_UTF8, "utf-8", None),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl.gz"])
def test_an_encoding_is_taken_from_its_byte_order_mark(tmp_path, mark, encoding, name, suffix):
    path = tmp_path / f"a.{suffix}"
    text = "text\ncafé\n" if suffix == "csv" else '{"text": "café"}\n'
    content = mark + text.encode(encoding)
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    table = read_raw_table(path)
    assert list(table.column("text")) == ["café"]
    assert table.reading.repairs == ([f"{path.name}: was decoded as {name}, by its byte order mark"] if name else [])


def test_one_json_list_is_read_as_its_objects(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"text": "a", "label": 1}, {"text": "b"}], indent=2), "utf-8")
    table = read_raw_table(path)
    assert (table.names, table.columns) == (["text", "label"], [["a", "b"], [1, None]])
    assert table.positions == ["item 1", "item 2"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "good film,joy\nbad film,fear\nfine,joy\n", "has no header line: its first line looks like data"),
        ("a.csv", "good film,1\nbad film,0\n", "('good film', '1'); add a first line that names the columns"),
        ("a.tsv", "0\tgood film\n1\tbad film\n", "has no header line"),
        ("a.csv", "a;0,5\nb;1\n", "has no header line"),
        ("a.csv", "Text,Label\na,b\n", "has no column 'text' (did you mean 'Text'?); its columns are 'Text', 'Label'"),
        ("a.csv", "0,1\nnot named,1\n", "has no column 'text'; its columns are '0', '1'"),
        ("a.csv", "text,text\na,b\n", "has more than one column 'text'"),
        ("a.jsonl", '{"text": "a", "text": "b"}\n', "line 1: is not valid JSON: the key 'text' occurs twice"),
        ("a.jsonl", "null\n", "line 1: expected a JSON object, got 'null'"),
        ("a.json", "[]", "line 1: expected a JSON object, got '[]'"),
        (
            "a.csv",
            "text,label\na,b,c\n",
            "has 3 columns, the header has 2; look for a comma or line break that is missing",
        ),
        ("a.csv", 'text,label\n"a "b" c",1\n', "line 2: is not valid CSV"),
        (
            "a.csv",
            "text,label\ncafé,1\n".encode("cp1252"),
            "byte 0xe9 at offset 14, line 2 ('é' if the file is Windows-1252",
        ),
        ("a.csv", "text,label\na,1\n".encode("utf-16-le"), "is not valid UTF-8 but UTF-16 without a byte order mark"),
        ("a.csv", b"\xff\xfet\x00\x00\xd8", "is not valid UTF-16: byte"),
        ("a.xlsx", b"PK\x03\x04", "unsupported kind of file; save the sheet as CSV (UTF-8)"),
        (
            "a.csv",
            b"PK\x03\x04...",
            "is an Excel workbook or a zip archive, not a table as text; save the sheet as CSV",
        ),
        (
            "a.tsv",
            gzip.compress(b"text\na\n", mtime=0),
            "is compressed with gzip, not a table as text; rename it to end in .gz",
        ),
        ("a.jsonl", b"PAR1....PAR1", "is Parquet, not a table as text; rename it to end in .parquet"),
        ("a.csv", "\n<!DOCTYPE html><html>", "is an HTML page, not a table as text; download the file itself"),
        ("a.csv", "version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    ],
)
def test_a_file_that_is_not_what_was_meant_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        read_raw_table(path, ["text"]).column("text")
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_a_joined_name_of_existing_columns_brings_up_the_list(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,a,b\nx,0,1\n", "utf-8")
    with pytest.raises(DataError, match=r'name several columns as a list, such as data\.label = \["a", "b"\]'):
        read_raw_table(path, ["a, b"]).column("a, b")
