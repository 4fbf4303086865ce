"""Two models on the same texts."""

import numpy as np

from bert_serving.publishing.rollout.comparison import compare_models


def test_changed_labels_come_with_both_distributions_the_largest_difference_first():
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
