import json
from decimal import Decimal

import pandas
import pyarrow
import pyarrow.parquet
import pytest

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.cells import BadCellError, label_cell, label_name, marked_columns
from bert_serving.data.table import read_table
from bert_serving.errors import DataError


def read(path, head=Head.SOFTMAX, **keys):
    return read_table([path], DataConfig(train=(path,), **keys), head)


def write(frame, path):
    match path.suffix:
        case ".parquet":
            frame.to_parquet(path)
        case ".jsonl":
            frame.to_json(path, orient="records", lines=True)
        case suffix:
            frame.to_csv(path, index=False, sep={".csv": ",", ".tsv": "\t"}[suffix])
    return path


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1.0", "1"),
        (" 1.00 ", "1"),
        ("-1.0", "-1"),
        (-0.0, "0"),
        ("-0.0", "0"),
        (Decimal("2.00"), "2"),
        (0.5, "0.5"),
        ("0.5", "0.5"),
        (1e17, "100000000000000000"),
        (True, "true"),
        ("TRUE", "true"),
        ("False", "false"),
        ("01.0", "01.0"),
        ("1.0.0", "1.0.0"),
        ("v1.0", "v1.0"),
        ("truely", "truely"),
    ],
)
def test_a_label_has_one_name_whatever_its_type(value, name):
    assert label_name(value) == name


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("labels", "dtype", "names"),
    [
        ([1, 0], "int64", ["1", "0"]),
        ([1, 0], "float64", ["1", "0"]),
        ([1, 0], "float32", ["1", "0"]),
        ([0.5, 1], "float32", ["0.5", "1"]),
        ([1, 0], "Int64", ["1", "0"]),
        ([1, 0], "Float64", ["1", "0"]),
        ([1, 0], "uint8", ["1", "0"]),
        ([True, False], "bool", ["true", "false"]),
        ([True, False], "boolean", ["true", "false"]),
        (["joy", "fear"], "category", ["joy", "fear"]),
        (["joy", "fear"], "string", ["joy", "fear"]),
        (["1", "0"], "object", ["1", "0"]),
    ],
)
def test_pandas_types_give_the_same_labels_in_all_formats(suffix, labels, dtype, names, tmp_path):
    frame = pandas.DataFrame({"text": ["a", "b"], "label": pandas.Series(labels, dtype=dtype)})
    assert read(write(frame, tmp_path / f"a{suffix}")).labels == names


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("dtype", ["Int64", "float64", "boolean", "string"])
def test_a_missing_label_is_refused_in_all_formats(suffix, dtype, tmp_path):
    frame = pandas.DataFrame({"text": ["a", "b"], "label": pandas.Series([1, None], dtype="Int64").astype(dtype)})
    with pytest.raises(DataError, match=r"'label' is (missing|empty); give a label or remove the row"):
        read(write(frame, tmp_path / f"a{suffix}"))


def write_dataset(path, feature, labels):
    """A Parquet file as Hugging Face `datasets` writes it."""
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": feature}
    table = pyarrow.table({"text": [f"text {number}" for number in range(len(labels))], "label": labels})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


CLASSES = {"names": ["neg", "pos", "1.0"], "_type": "ClassLabel"}


@pytest.mark.parametrize(
    ("feature", "labels", "head", "expected"),
    [
        (CLASSES, [1, 0, 2], Head.SOFTMAX, ["pos", "neg", "1"]),
        (CLASSES, [1, 0], Head.REGRESSION, [1.0, 0.0]),
        ({"feature": CLASSES, "_type": "Sequence"}, [[1, 0], []], Head.MULTILABEL, [("neg", "pos"), ()]),
        ({"feature": CLASSES, "_type": "List"}, [[2]], Head.MULTILABEL, [("1",)]),
        ([CLASSES], [[1]], Head.MULTILABEL, [("pos",)]),
        ({"dtype": "int64", "_type": "Value"}, [1, 0], Head.SOFTMAX, ["1", "0"]),
        ({"num_classes": 2, "_type": "ClassLabel"}, [1, 0], Head.SOFTMAX, ["1", "0"]),
    ],
)
def test_class_names_of_a_dataset_are_taken_from_the_schema(feature, labels, head, expected, tmp_path):
    table = read(write_dataset(tmp_path / "a.parquet", feature, labels), head)
    assert table.labels == expected


def test_class_names_are_told(tmp_path):
    table = read(write_dataset(tmp_path / "a.parquet", CLASSES, [1, 0]))
    assert table.reading.repairs == ["a.parquet: 'label' takes the names of its classes from the file: neg, pos, 1.0"]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (-1, "is -1, which Hugging Face datasets write for no label"),
        (3, "one of 3 classes (neg, pos, 1.0), got 3"),
    ],
)
def test_a_class_without_a_name_is_refused(label, message, tmp_path):
    with pytest.raises(DataError) as caught:
        read(write_dataset(tmp_path / "a.parquet", CLASSES, [0, label]))
    assert "row 2" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("metadata", [b"no JSON", b"[]", b'{"info": null}', b'{"info": {"features": []}}'])
def test_a_schema_with_other_metadata_is_read_without_names(metadata, tmp_path):
    table = pyarrow.table({"text": ["a"], "label": [1]}).replace_schema_metadata({"huggingface": metadata})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").labels == ["1"]


def test_a_short_float_of_parquet_is_named_as_it_is_written(tmp_path):
    labels = pyarrow.array([0.1, 0.7], pyarrow.float32())
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": labels}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").labels == ["0.1", "0.7"]


def test_strings_that_parquet_calls_binary_are_texts(tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"text": ["é".encode()], "label": [b"x"]}), tmp_path / "a.parquet")
    table = read(tmp_path / "a.parquet")
    assert (table.texts, table.labels) == (["é"], ["x"])


def test_labels_that_are_renamed_in_reading_are_told(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na, 1.0\nb,True\nc,1\n", "utf-8")
    table = read(tmp_path / "a.csv")
    assert table.labels == ["1", "true", "1"]
    assert table.reading.lines() == [
        "a.csv: 1 label lost the blanks around it",
        "a.csv: labels have one name in all formats: '1.0' is '1', 'True' is 'true'",
    ]


# === Several labels ===


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("['b', 'a']", ("a", "b")), ("[]", ()), ('["a", 1.0]', ("1", "a")), ("0,1", ("0", "1")), ([0, 1], ("0", "1"))],
)
def test_a_list_of_labels_is_read_as_json_or_python_write_it(cell, expected):
    assert label_cell(cell, "label", Head.MULTILABEL) == expected


@pytest.mark.parametrize("cell", [[0, 1, 1], [0.0, 0.0], "0,1,0", "[1, 0, 0]", [True, False, False]])
def test_a_cell_with_a_mark_for_each_label_is_refused(cell):
    with pytest.raises(BadCellError, match=r"looks like one 0 or 1 for each label, got .* a column of its own"):
        label_cell(cell, "label", Head.MULTILABEL)


@pytest.mark.parametrize("cells", [("1", "0"), (1, 0), (1.0, 0.0), ("TRUE", "False"), (True, False), (" 1.0", "0.0 ")])
def test_columns_of_marks_give_the_labels_of_a_row(cells):
    assert marked_columns([*cells, cells[0]], ["b", "c", "a"]) == ("a", "b")


@pytest.mark.parametrize("cell", ["-1", "yes", "2", 0.5, "1,0", [1], 7, "nan"])
def test_a_mark_that_is_neither_0_nor_1_is_refused(cell):
    with pytest.raises(BadCellError) as caught:
        marked_columns(["1", cell], ["a", "b"])
    assert f"'b' must be 0 or 1, got {cell!r}" in str(caught.value)


@pytest.mark.parametrize("cell", ["", None, float("nan")])
def test_an_empty_mark_is_refused(cell):
    with pytest.raises(BadCellError, match=r"'b' is empty; .* give 1 or true where the text has the label"):
        marked_columns(["1", cell], ["a", "b"])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("dtype", ["int64", "float64", "bool", "Int64"])
def test_columns_of_marks_are_read_from_all_formats(suffix, dtype, tmp_path):
    frame = pandas.DataFrame({"text": ["x", "y"], "b": [1, 0], "a": [1, 0]}).astype({"a": dtype, "b": dtype})
    table = read(write(frame, tmp_path / f"a{suffix}"), Head.MULTILABEL, label=("b", "a"))
    assert (table.labels, table.label_columns) == ([("a", "b"), ()], ("b", "a"))
    assert table.select([1]).label_columns == ("b", "a")


def test_a_bad_mark_is_named_with_its_row(tmp_path):
    (tmp_path / "a.csv").write_text("text,a,b\nx,0,1\ny,-1,0\n", "utf-8")
    with pytest.raises(DataError, match=r"a\.csv, line 3: 'a' must be 0 or 1, got '-1'"):
        read(tmp_path / "a.csv", Head.MULTILABEL, label=("a", "b"))


def test_several_columns_are_for_a_multilabel_head(tmp_path):
    (tmp_path / "a.csv").write_text("text,a,b\nx,0,1\n", "utf-8")
    with pytest.raises(
        DataError, match=r"names 2 columns \(a, b\) of 0 and 1, .* not for a softmax head; set head\.kind"
    ):
        read(tmp_path / "a.csv", label=("a", "b"))
