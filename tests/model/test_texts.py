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
    assert predictions.to_json() == [{"text": "x", "probabilities": {"class 0": 0.25, "class 1": 0.75}}]


def test_a_model_of_pairs_is_refused():
    with pytest.raises(InputError, match="takes pairs of texts"):
        predict_texts(Model("m", lambda texts, pairs: np.zeros((1, 2)), pairs=True), ["x"])


def test_the_tsv_file_has_a_line_for_each_text(tmp_path):
    predictions = TextPredictions(["a\tb", "c\nd"], Head.SOFTMAX, ("x", "y"), np.array([[0.25, 0.75], [1, 0]]))
    predictions.write_tsv(tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text() == "text\tlabel\tx\ty\na b\ty\t0.25\t0.75\nc d\tx\t1\t0\n"
    with pytest.raises(DataError, match="cannot write it: Is a directory; choose another --output"):
        predictions.write_tsv(tmp_path)
