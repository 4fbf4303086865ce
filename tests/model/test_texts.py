"""Predicted labels for texts: as the export's signature gives them, and the columns of models that do not name their labels."""

import numpy as np
import pytest

from bert_serving.classifier import label_of
from bert_serving.contract import Head
from bert_serving.errors import DataError, InputError
from bert_serving.model.model import Model
from bert_serving.model.texts import TextPredictions, predict_texts


@pytest.mark.parametrize("head", list(Head))
def test_the_predicted_label_is_that_of_the_signature(head):
    scores = {
        Head.SOFTMAX: [[0.2, 0.7, 0.1], [0.5, 0.2, 0.3]],
        Head.BINARY: [[0.4, 0.6], [0.51, 0.49]],
        Head.MULTILABEL: [[0.5, 0.9, 0.1], [0.1, 0.2, 0.3], [0.9, 0.1, 0.6]],
        Head.REGRESSION: [[1.5], [-0.25], [300.0]],
    }[head]
    values = np.array(scores, np.float32)
    labels = () if head is Head.REGRESSION else ("a", "b", "c")[: values.shape[1]]
    predictions = predict_texts(Model("m", lambda texts, pairs: values, head, labels), ["x"] * len(values))
    assert predictions.labels == (labels or ("value",))
    expected = [label.decode() for label in label_of(head, labels, values).numpy()]
    assert predictions.predicted == (
        [f"{float(label):.6g}" for label in expected] if head is Head.REGRESSION else expected
    )


def test_labels_of_a_server_that_does_not_name_them_are_numbered():
    values = np.array([[0.25, 0.75]], np.float32)
    predictions = predict_texts(Model("m", lambda texts, pairs: values), ["x"])
    assert predictions.labels == ("class 0", "class 1")
    probabilities = {"class 0": 0.25, "class 1": 0.75}
    assert predictions.to_json() == [{"text": "x", "label": "class 1", "probabilities": probabilities}]


def test_a_model_of_pairs_is_given_pairs_and_another_is_not():
    def predict(texts, pairs):
        return np.array([[len(text), len(pair)] for text, pair in zip(texts, pairs or texts, strict=True)], np.float32)

    with pytest.raises(InputError, match="m takes pairs of texts; give them as a table with --input and --text-pair"):
        predict_texts(Model("m", predict, pairs=True), ["x"])
    with pytest.raises(InputError, match="m takes single texts; leave out --text-pair"):
        predict_texts(Model("m", predict, pairs=False), ["x"], ["y"])
    predictions = predict_texts(Model("m", predict, pairs=True, labels=("a", "b")), ["x"], ["yy"])
    probabilities = {"a": 1.0, "b": 2.0}
    assert predictions.to_json() == [{"text": "x", "text_pair": "yy", "label": "b", "probabilities": probabilities}]


VALUES = np.array([[0.25, 0.75], [1, 0]], np.float32)
PREDICTIONS = TextPredictions(["a\tb", "c\nd"], ["=1", '"'], Head.SOFTMAX, ("x, y", "label"), VALUES)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("out.tsv", 'text\ttext_pair\tlabel\tx, y\tlabel_2\na b\t=1\tlabel\t0.25\t0.75\nc d\t""""\tx, y\t1\t0\n'),
        ("out.csv", 'text,text_pair,label,"x, y",label_2\na\tb,=1,label,0.25,0.75\n"c\nd","""","x, y",1,0\n'),
        (
            "out.jsonl",
            '{"text": "a\\tb", "text_pair": "=1", "label": "label", "probabilities": {"x, y": 0.25, "label": 0.75}}\n'
            '{"text": "c\\nd", "text_pair": "\\"", "label": "x, y", "probabilities": {"x, y": 1.0, "label": 0.0}}\n',
        ),
    ],
)
def test_the_file_has_a_row_for_each_text(tmp_path, name, content):
    assert PREDICTIONS.write(tmp_path / name) == (2 if name == "out.tsv" else 0)
    assert (tmp_path / name).read_text() == content


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot write it: Is a directory; choose another --output"):
        PREDICTIONS.write(tmp_path)
    with pytest.raises(InputError, match=r"end its name in \.tsv, \.csv or \.jsonl"):
        PREDICTIONS.write(tmp_path / "out.parquet")
