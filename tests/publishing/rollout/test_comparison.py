"""Two models on the same texts."""

import numpy as np
import pytest

from bert_serving.errors import InputError
from bert_serving.model.model import Model
from bert_serving.publishing.rollout.comparison import common_labels, compare_models


def test_changed_labels_are_sorted_by_difference_with_both_distributions():
    asked = []
    first = {"a": [0.9, 0.1], "b": [0.6, 0.4], "c": [0.8, 0.2], "d": [0.2, 0.8]}
    second = {"a": [0.8, 0.2], "b": [0.4, 0.6], "c": [0.1, 0.9], "d": [0.3, 0.7]}

    def answering(name, answers):
        def predict(texts, pairs):
            asked.append((name, texts[0], pairs[0]))
            return np.array([answers[text] for text in texts])

        return predict

    found = compare_models(answering("first", first), answering("second", second), list("abcd"), list("wxyz"))
    assert found.changed.tolist() == [2, 1]
    assert found.agreement == 0.5
    np.testing.assert_allclose(found.differences, [0.1, 0.2, 0.7, 0.1])
    assert [shares.tolist() for shares in found.shares] == [[0.75, 0.25], [0.25, 0.75]]
    assert found.milliseconds(0, 50) > 0
    # Who is first changes.
    assert [name for name, _, _ in asked[6:]] == ["second", "first", "first", "second"] * 2
    assert asked[6] == ("second", "a", "w")
    answer = found.to_json(["no", "yes"])
    assert answer["changed"][0] == {"text": "c", "first": {"no": 0.8, "yes": 0.2}, "second": {"no": 0.1, "yes": 0.9}}
    assert (answer["agreement"], [*answer["latency"][0]]) == (0.5, ["p50_ms", "p95_ms", "p99_ms"])


def model(name, columns, labels=None):
    return Model(name, lambda texts, pairs: np.zeros((len(texts), columns)), labels=labels)


def test_labels_are_those_given_or_known_or_numbered():
    assert common_labels((model("a", 2), model("b", 2)), "x", None) == ["class 0", "class 1"]
    assert common_labels((model("a", 2), model("b", 2, ("no", "yes"))), "x", None) == ["no", "yes"]
    assert common_labels((model("a", 2), model("b", 2)), "x", "y", ["n", "y"]) == ["n", "y"]
    with pytest.raises(InputError, match="a returns 2 probabilities, b 3; compare models with the same labels"):
        common_labels((model("a", 2), model("b", 3)), "x", None)
    with pytest.raises(InputError, match="--labels names 1 labels, the models return 2 probabilities"):
        common_labels((model("a", 2), model("b", 2)), "x", None, ["n"])
