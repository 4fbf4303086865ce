"""A label that training takes comes out of every file the same; any other is refused with its row."""

import csv
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_serving.config import DataConfig
from bert_serving.contract import Head, label_fault, labels_of, labels_text
from bert_serving.data.splits import label_array
from bert_serving.data.table import read_table
from bert_serving.errors import DataError
from bert_serving.model.texts import TextPredictions

NAMES = st.text(
    st.sampled_from("ab ,;|\"'\t\n\r\0\x0b\x1c\x85\u2028\xa0\ufeff[]{}#=\\😭é")
    | st.characters(exclude_categories=["Cs"]),
    max_size=8,
)


def read(folder: Path, labels: list[str], head: Head = Head.SOFTMAX):
    path = folder / "train.jsonl"
    values = [[label] for label in labels] if head is Head.MULTILABEL else labels
    path.write_text("".join(json.dumps({"text": "x", "label": value}) + "\n" for value in values))
    return read_table([path], DataConfig(train=(path,)), head)


def check_a_label(folder: Path, name: str, head: Head) -> None:
    refusal = ""
    try:
        label = read(folder, [name], head).labels[0]
    except DataError as error:
        refusal = str(error)
    if refusal:
        assert "line 1: 'label' " in refusal
        assert len(refusal.splitlines()) == 1
        return
    label = label[0] if head is Head.MULTILABEL else label
    labels = tuple(dict.fromkeys([label, "text", "label", f"{label}, {label}"]))
    assert label_fault(label) == ""
    assert labels_of(labels_text(labels).encode()) == labels
    assert labels_text(labels).splitlines() == list(labels)
    values = np.eye(len(labels))[[0, -1]]
    values[0, -1] = 1  # a second label of a multilabel answer
    predictions = TextPredictions(["x", '"\t'], None, head, labels, values)
    for suffix in (".tsv", ".csv", ".jsonl"):
        path = folder / f"out{suffix}"
        predictions.write(path)
        answered = read_table([path], DataConfig(train=(path,)), head).labels
        assert label_array(answered, labels, head).tolist() == predictions_of(predictions).tolist()
    rows = list(
        csv.reader(io.StringIO((folder / "out.tsv").read_text("utf-8"), newline=""), delimiter="\t", strict=True)
    )
    assert rows[0][:3] == ["text", "label", label if label not in ("text", "label") else f"{label}_2"]
    assert [len(row) for row in rows] == [2 + len(labels)] * 3
    assert [row[1] for row in rows[1:]] == predictions.predicted
    objects = [json.loads(line) for line in (folder / "out.jsonl").read_text("utf-8").splitlines()]
    assert [list(found["probabilities"]) for found in objects] == [list(labels)] * 2
    assert [found["label"] for found in objects] == predictions.predicted


def predictions_of(predictions: TextPredictions) -> np.ndarray:
    return predictions.values if predictions.head is Head.MULTILABEL else predictions.values.argmax(axis=1)


@pytest.mark.parametrize("head", [Head.SOFTMAX, Head.MULTILABEL])
@settings(max_examples=60, deadline=None)
@given(name=NAMES)
def test_a_label_comes_out_the_same_or_is_refused(head, name):
    with tempfile.TemporaryDirectory() as folder:
        check_a_label(Path(folder), name, head)


@pytest.mark.slow
@pytest.mark.parametrize("head", [Head.SOFTMAX, Head.MULTILABEL])
@settings(max_examples=2500, deadline=None)
@given(name=NAMES)
def test_thousands_of_labels_come_out_the_same_or_are_refused(head, name):
    with tempfile.TemporaryDirectory() as folder:
        check_a_label(Path(folder), name, head)


@pytest.mark.parametrize(
    ("name", "read_as"),
    [
        ("tab\there", "tab here"),
        ("\ufeffgood", "good"),
        (" a\t", "a"),
        ("a, b", "a, b"),
        ('"a"', '"a"'),
        ("a  b", "a  b"),
    ],
)
def test_a_tab_in_a_label_is_a_blank_and_this_is_told(tmp_path, name, read_as):
    table = read(tmp_path, [name, "other"])
    assert table.labels == [read_as, "other"]
    assert bool(table.reading.repairs) == (name != read_as)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "is empty"),
        ("\t", "is empty"),
        ("\ufeff", "is empty"),
        ("a\nb", "must be one line"),
        ("a\rb", "must be one line"),
        ("a\x85b", "must be one line"),
        ("a\u2028b", "must be one line"),
        ("a\0b", "must hold no control character"),
        ("a\x1b[31m", "must hold no control character"),
        ("a\ud83d", "holds half a surrogate pair"),
    ],
)
def test_a_label_that_files_cannot_hold_is_refused(tmp_path, name, fault):
    with pytest.raises(DataError, match=f"train.jsonl, line 1: 'label' {fault}"):
        read(tmp_path, [name])
