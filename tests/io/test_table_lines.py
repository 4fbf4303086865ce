"""Written tables are read back equal: by this project, by csv and by pandas, whatever the cells hold."""

import csv
import io
import json
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_serving.data.raw_table import read_raw_table
from bert_serving.errors import InputError
from bert_serving.io.json_text import json_text
from bert_serving.io.table_lines import TableFormat, distinct

# What breaks tables, more often than in texts drawn from all characters.
CELLS = st.text(
    st.sampled_from("a\"',;\t\n\r\0\x85\u2028\\ \ufeff[]=😭") | st.characters(exclude_categories=["Cs"]), max_size=12
)
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.tuples(
        st.lists(CELLS, min_size=width, max_size=width),
        st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=4),
    )
)


def written(table: TableFormat, names: list[str], rows: list[list[str]]) -> str:
    return table.header(names) + "".join(table.line(dict(zip(names, row, strict=True))) for row in rows)


def cleaned(text: str) -> str:
    """What TSV keeps of a text."""
    return text.replace("\r\n", " ").translate(dict.fromkeys(map(ord, "\t\r\n\0"), " "))


def read_back(content: str, suffix: str) -> tuple[list[str], list[list[str]]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"table{suffix}")
        path.write_bytes(content.encode())
        table = read_raw_table(path)
    return table.names, [list(row) for row in zip(*table.columns, strict=True)]


def check_tsv(names: list[str], rows: list[list[str]]) -> None:
    columns = distinct(["text", *names])
    cells = [["x", *row] for row in rows]
    content = written(TableFormat.TSV, columns, cells)
    expected = [list(map(cleaned, row)) for row in cells]
    assert [len(line.split("\t")) for line in content.split("\n")[:-1]] == [len(columns)] * (len(rows) + 1)
    assert list(csv.reader(io.StringIO(content, newline=""), delimiter="\t", strict=True)) == [columns, *expected]
    frame = pd.read_csv(io.BytesIO(content.encode()), sep="\t", header=None, dtype=str, keep_default_na=False)
    assert frame.to_numpy().tolist() == [columns, *expected]
    assert read_back(content, ".tsv") == (columns, expected)


def check_csv(names: list[str], rows: list[list[str]]) -> None:
    columns = distinct(["text", *names])
    cells = [["x", *row] for row in rows]
    content = written(TableFormat.CSV, columns, cells)
    assert list(csv.reader(io.StringIO(content, newline=""), strict=True)) == [columns, *cells]
    frame = pd.read_csv(io.BytesIO(content.encode()), header=None, dtype=str, keep_default_na=False)
    assert frame.to_numpy().tolist() == [columns, *cells]
    assert read_back(content, ".csv") == (columns, cells)


def check_json_lines(names: list[str], rows: list[list[str]]) -> None:
    columns = distinct(["text", *names])
    cells = [["x", *row] for row in rows]
    content = written(TableFormat.JSON_LINES, columns, cells)
    expected = [dict(zip(columns, row, strict=True)) for row in cells]
    assert [json.loads(line) for line in content.splitlines()] == expected
    assert read_back(content, ".jsonl") == (columns, cells)


@pytest.mark.parametrize("check", [check_tsv, check_csv, check_json_lines])
@settings(max_examples=60, deadline=None)
@given(table=TABLES)
def test_written_tables_are_read_back_equal(check, table):
    check(*table)


@pytest.mark.slow
@pytest.mark.parametrize("check", [check_tsv, check_csv, check_json_lines])
@settings(max_examples=3000, deadline=None)
@given(table=TABLES)
def test_thousands_of_written_tables_are_read_back_equal(check, table):
    check(*table)


@pytest.mark.parametrize(
    ("cell", "tsv", "csv_"),
    [
        ("a\tb", "a b", "a\tb"),
        ("a\r\nb\nc\rd", "a b c d", '"a\r\nb\nc\rd"'),
        ('"quoted" word', '"""quoted"" word"', '"""quoted"" word"'),
        ('say "no"', 'say "no"', '"say ""no"""'),
        ("a, b", "a, b", '"a, b"'),
        ("half \ud83d", "half \ufffd", "half \ufffd"),
        (0.123456789, "0.123457", "0.123457"),
        ("=1+1", "=1+1", "=1+1"),
    ],
)
def test_cells_are_quoted_or_cleaned(cell, tsv, csv_):
    assert TableFormat.TSV.line({"a": cell, "b": 1}) == f"{tsv}\t1\n"
    assert TableFormat.CSV.line({"a": cell, "b": 1}) == f"{csv_},1\n"


def test_json_lines_are_valid_json_on_one_line():
    row = {"a": float("nan"), "b": [float("inf"), 1.5], "c": "x\u2028\x85\ud83d\n"}
    line = TableFormat.JSON_LINES.line(row)
    assert json.loads(line) == {"a": None, "b": [None, 1.5], "c": "x\u2028\x85\ud83d\n"}
    assert len(line.splitlines()) == 1
    assert line.encode()
    assert json_text({"é": (1,)}, indent=2) == '{\n  "é": [\n    1\n  ]\n}'


def test_a_line_begins_with_its_first_values():
    first, whole = {"a": 'x"\ty'}, {"a": 'x"\ty', "b": {"c": 1}}
    for table in TableFormat:
        assert table.line(whole).startswith(table.beginning(first))


def test_columns_that_a_reader_would_confuse_get_numbers():
    assert distinct(["text", "label", "text", "a\tb", "a b", "text"]) == [
        "text",
        "label",
        "text_2",
        "a b",
        "a b_2",
        "text_3",
    ]


@pytest.mark.parametrize(
    ("name", "table"),
    [("a.tsv", "TSV"), ("a", "TSV"), ("a.CSV", "CSV"), ("a.jsonl", "JSON lines"), ("a.ndjson", "JSON lines")],
)
def test_the_suffix_names_the_format(name, table):
    assert TableFormat.of(Path(name)) == table
    with pytest.raises(
        InputError, match=r"a\.xlsx: cannot be written as \.xlsx; end its name in \.tsv, \.csv or \.jsonl"
    ):
        TableFormat.of(Path("a.xlsx"))
