"""Tables of random texts and labels, written in every format, are read back equal."""

import contextlib
import csv
import gzip
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.cells import label_name
from bert_serving.data.table import read_table
from bert_serving.errors import DataError

# A file full of zero bytes is taken for UTF-16; a lone surrogate is no text.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30) | st.sampled_from(
    ["", "NA", "null", '"', '""', "a,b;c|d", "sep=;", "tab\tand\r\nlines", "\ufeffmark", "\u2028", "'", "\\", "text"]
)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12).filter(str.strip)
LABELS = st.one_of(
    st.lists(NAMES, min_size=1),
    st.lists(st.integers(-(10**9), 10**9), min_size=1),
    st.lists(st.booleans(), min_size=1),
    st.lists(st.integers(-(10**6), 10**6).map(lambda number: number / 4), min_size=1),
)
FORMATS = (
    "tsv",
    "csv",
    "csv;",
    "csv\t",
    "csv|",
    "tsv,",
    "csv sep=;",
    "csv utf-16",
    "jsonl",
    "json",
    "parquet",
    "tsv.gz",
)


def write(folder: Path, form: str, columns: dict[str, list]) -> Path:
    suffix = {"tsv.gz": "tsv.gz"}.get(form, form.split(" ")[0].rstrip(",;|\t"))
    path = folder / f"a.{suffix}"
    rows = list(zip(*columns.values(), strict=True))
    if suffix == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    elif suffix.startswith("json"):
        objects = [dict(zip(columns, row, strict=True)) for row in rows]
        lines = [json.dumps(item, ensure_ascii=False) for item in objects]
        path.write_text("\n".join(lines) if suffix == "jsonl" else json.dumps(objects, indent=1), "utf-8", newline="")
    elif form in ("tsv", "tsv.gz"):
        content = "".join("\t".join(map(str, row)) + "\n" for row in [tuple(columns), *rows]).encode()
        path.write_bytes(gzip.compress(content) if form == "tsv.gz" else content)
    else:
        separator = form[-1] if form[-1] in ",;\t|" else ","
        with path.open("w", encoding="utf-16" if "utf-16" in form else "utf-8", newline="") as file:
            if "sep=" in form:
                file.write("sep=;\r\n")
            csv.writer(file, delimiter=separator).writerows([tuple(columns), *rows])
    return path


def plain(text: str) -> str:
    """The text without what an unquoted TSV file cannot hold."""
    return text.translate({ord(character): " " for character in "\t\r\n"})


def check_labels_are_read_back(folder, form, labels, data):
    texts = data.draw(st.lists(TEXTS, min_size=len(labels), max_size=len(labels)))
    if form in ("tsv", "tsv.gz"):
        texts = list(map(plain, texts))
    path = write(folder, form, {"text": texts, "label": labels})
    table = read_table([path], DataConfig(train=(path,)), Head.SOFTMAX)
    assert (table.texts, table.labels) == (texts, list(map(label_name, labels)))
    assert not table.reading.left_out


def check_marks_are_read_back(folder, form, marks, data):
    names = data.draw(
        st.lists(
            NAMES.filter(lambda name: label_name(name) not in ("text",)), min_size=2, max_size=4, unique_by=label_name
        )
    )
    path = write(folder, form, {"text": ["x"] * len(marks), **dict.fromkeys(names, marks)})
    table = read_table([path], DataConfig(train=(path,), label=tuple(names)), Head.MULTILABEL)
    everything = tuple(sorted(map(label_name, names)))
    assert table.labels == [everything if mark else () for mark in marks]


MARKS = st.lists(st.booleans(), min_size=1) | st.lists(st.sampled_from([0, 1]), min_size=1)
CHECKS = [
    pytest.param(check_labels_are_read_back, LABELS, id="labels"),
    pytest.param(check_marks_are_read_back, MARKS, id="marks"),
]


@pytest.mark.parametrize("examples", [40, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("check", "values"), CHECKS)
def test_random_tables_are_read_back_equal_from_every_format(examples, check, values, tmp_path):
    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(form=st.sampled_from(FORMATS), values=values, data=st.data())
    def run(form, values, data):
        check(tmp_path, form, values, data)

    run()


@pytest.mark.parametrize("examples", [20, pytest.param(2000, marks=pytest.mark.slow)])
def test_random_bytes_end_in_a_table_or_in_one_line(examples, tmp_path):
    @settings(max_examples=examples, deadline=None)
    @given(
        suffix=st.sampled_from(["tsv", "csv", "jsonl", "json", "parquet", "csv.gz"]),
        content=st.binary() | st.text().map(str.encode),
    )
    def run(suffix, content):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
        with contextlib.suppress(DataError):
            assert len(read_table([path], DataConfig(train=(path,)), Head.MULTILABEL))

    run()
