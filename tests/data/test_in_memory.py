"""Labeled rows that a program holds, in every form that the interface takes."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from bert_serving.contract import Head
from bert_serving.data.in_memory import labeled_table
from bert_serving.errors import DataError

LABELS = ("neg", "pos")
TEXTS = ["so good", "so bad", "süß"]
NUMBERS = [1, 0, 1]
NAMES = ["pos", "neg", "pos"]


class Dataset:
    """What `datasets.Dataset` offers, which is not installed here."""

    def __init__(self, columns, names=None):
        self._columns = columns
        feature = type("ClassLabel", (), {"names": names})()
        self.features = {name: feature if name == "label" else object() for name in columns}
        self.column_names = list(columns)

    def __getitem__(self, name):
        return self._columns[name]


Dataset.__module__ = "datasets.arrow_dataset"
DatasetDict = type("DatasetDict", (dict,), {"__module__": "datasets.dataset_dict"})


def batches(labels, size=2):
    return tf.data.Dataset.from_tensor_slices((TEXTS, labels)).batch(size)


FORMS = {
    "a list of rows": lambda: list(zip(TEXTS, NAMES, strict=True)),
    "a list of rows with class numbers": lambda: list(zip(TEXTS, NUMBERS, strict=True)),
    "a list of dicts": lambda: [{"label": name, "text": text} for text, name in zip(TEXTS, NAMES, strict=True)],
    "a dict of columns": lambda: {"text": TEXTS, "label": NAMES},
    "a dict of NumPy arrays": lambda: {"text": np.array(TEXTS), "label": np.array(NUMBERS)},
    "a DataFrame": lambda: pd.DataFrame({"label": NAMES, "text": TEXTS}),
    "a DataFrame of class numbers": lambda: pd.DataFrame({"text": TEXTS, "label": NUMBERS}, index=[7, 8, 9]),
    "a DataFrame of categories": lambda: pd.DataFrame({"text": TEXTS, "label": pd.Categorical(NAMES)}),
    "a Dataset": lambda: Dataset({"text": TEXTS, "label": NUMBERS}, names=["neg", "pos"]),
    "a Dataset whose classes have another order": lambda: Dataset({"text": TEXTS, "label": [0, 1, 0]}, names=["pos", "neg"]),
    "tf.data in batches": lambda: batches(NUMBERS),
    "tf.data without batches": lambda: batches(NUMBERS).unbatch(),
    "tf.data of names": lambda: batches(NAMES),
    "tf.data of floats in a column": lambda: batches([[1.0], [0.0], [1.0]]),
    "tf.data of one mark for each class": lambda: batches([[0, 1], [1, 0], [0, 1]]),
    "tf.data of features by name": lambda: batches(NUMBERS).map(lambda text, label: ({"text": text}, label)),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_the_same_rows_are_the_same_table(form):
    table = labeled_table(FORMS[form](), Head.SOFTMAX, LABELS)
    assert (table.texts, table.labels, table.pairs) == (TEXTS, NAMES, None)


def test_paths_are_read_as_a_run_file_names_them(tmp_path):
    (tmp_path / "rows.tsv").write_text("text\tlabel\nso good\tpos\n", "utf-8")
    for data in (tmp_path / "rows.tsv", str(tmp_path / "rows.tsv"), [tmp_path / "rows.tsv"]):
        assert labeled_table(data, Head.SOFTMAX, LABELS).labels == ["pos"]


PAIRS = {
    "a list": lambda: [("a", "b", 1)],
    "a dict": lambda: {"text": ["a"], "other": ["b"], "label": [1]},
    "tf.data": lambda: tf.data.Dataset.from_tensors((("a", "b"), 1)),
    "tf.data by name": lambda: tf.data.Dataset.from_tensors(({"text": "a", "other": "b"}, 1)),
}


@pytest.mark.parametrize("form", PAIRS)
def test_pairs_of_texts_keep_their_order(form):
    table = labeled_table(PAIRS[form](), Head.SOFTMAX, LABELS, text_pair="other")
    assert (table.texts, table.pairs, table.labels) == (["a"], ["b"], ["pos"])


@pytest.mark.parametrize(
    ("head", "data", "labels"),
    [
        (Head.MULTILABEL, [("a", ["pos", "neg"]), ("b", [])], [("neg", "pos"), ()]),
        (Head.MULTILABEL, [("a", [1, 0]), ("b", [0])], [("neg", "pos"), ("neg",)]),
        (Head.MULTILABEL, tf.data.Dataset.from_tensors((["a", "b"], [[1, 1], [0, 0]])), [("neg", "pos"), ()]),
        (Head.REGRESSION, [("a", 0.5), ("b", 2)], [0.5, 2.0]),
        (Head.REGRESSION, tf.data.Dataset.from_tensors((["a", "b"], [[0.5], [2.0]])), [0.5, 2.0]),
    ],
    ids=["names", "numbers", "marks", "numbers of a regression", "tf.data of a regression"],
)
def test_labels_of_other_heads_are_read_as_meant(head, data, labels):
    assert labeled_table(data, head, () if head is Head.REGRESSION else LABELS).labels == labels


def test_integers_are_names_where_a_label_is_a_number():
    assert labeled_table([("a", 1), ("b", 2)], Head.SOFTMAX, ("2", "1")).labels == ["1", "2"]


def test_columns_have_other_names_where_these_are_given():
    frame = pd.DataFrame({"review": TEXTS, "stars": NAMES})
    assert labeled_table(frame, Head.SOFTMAX, LABELS, text="review", label="stars").texts == TEXTS


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"text": ["a", "b"], "neg": [1, 0], "pos": [1, 0]}),
        [{"text": "a", "neg": True, "pos": True}, {"text": "b", "neg": False, "pos": False}],
        [("a", ["neg", "pos"]), ("b", [])],
        tf.data.Dataset.from_tensors((["a", "b"], [[1, 1], [0, 0]])),
    ],
    ids=["a DataFrame", "dicts", "rows", "tf.data"],
)
def test_a_column_for_each_label_is_read_where_the_rows_have_names(data):
    table = labeled_table(data, Head.MULTILABEL, LABELS, label=["neg", "pos"])
    assert table.labels == [("neg", "pos"), ()]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((TEXTS, NAMES), "cannot read labeled rows from a tuple of list, list; give a path, a pandas DataFrame"),
        (7, "cannot read labeled rows from a builtins int"),
        ([], "the list: has no rows"),
        ([("a",)], r"the list, row 1: expected \(text, label\), got \('a',\)"),
        ([("a", "pos"), ("b", 2.5, 3)], r"the list, row 2: expected \(text, label\)"),
        ([("a", 2)], "the list, row 1: 'label' must be a number of one of 2 classes"),
        ([("a", None)], "the list, row 1: 'label' is missing"),
        ([(b"a", "pos")], "the list, row 1: 'text' must be a string, got b'a'"),
        ({"text": ["a"], "label": []}, "its columns differ in length: 'text' 1, 'label' 0"),
        ({"text": ["a"], "lab": [1]}, "the dict: has no column 'label'"),
        (pd.DataFrame({"text": ["a", None], "label": NAMES[:2]}, index=["x", "y"]), "the DataFrame, row 'y': 'text' is missing"),
        (pd.DataFrame([["a", "b", "pos"]], columns=["text", "text", "label"]), "more than one column 'text'"),
        (DatasetDict(train=1, test=2), r"a DatasetDict has several splits \(train, test\); give one of them, such as data\['train'\]"),
        (tf.data.Dataset.from_tensors("a"), r"elements that are not \(text, label\)"),
        (tf.data.Dataset.from_tensors((b"\xff", 1)), "a text that is not UTF-8"),
        (tf.data.Dataset.from_tensors((("a", "b"), 1)), "has 2 texts in a row, the classifier takes 1"),
        (tf.data.Dataset.from_tensors(({"review": "a"}, 1)), "has no feature 'text'; its features are 'review'"),
        (tf.data.Dataset.from_tensors((["a"], [[0.5, 0.5]])), "give 0 or 1 for each of the 2 labels"),
        (tf.data.Dataset.from_tensors((["a"], [[1, 1]])), "a row without exactly one label, which a softmax head needs"),
        (tf.data.Dataset.from_tensors((["a"], [[1, 0, 0]])), "labels of shape"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_meant_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        labeled_table(data, Head.SOFTMAX, LABELS)
