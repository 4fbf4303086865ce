"""A SavedModel of TensorFlow 1 answers in a session, where a server falls back to one."""

import pytest
import tensorflow as tf
from support import serving_models

from bert_serving.model_server.inference.session import load_in_session


@pytest.mark.parametrize(
    ("write", "expected"),
    [(serving_models.write_half_plus_two_of_tf1, 3.0), (serving_models.write_half_plus_three_of_tf1, 4.0)],
)
def test_a_model_of_tensorflow_1_answers_in_a_session(write, expected, tmp_path):
    _, functions = load_in_session(write(tmp_path / "1"), ["serve"])
    # The graph's own shape of x is [rows, 1]; TensorFlow Serving does not check it, either.
    assert functions["serving_default"](x=tf.constant([2.0]))["y"].numpy().tolist() == [expected]
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(2.0)
    found = functions["regress_x_to_y"](inputs=tf.constant([example.SerializeToString()]))
    assert found["outputs"].numpy().tolist() == [[expected]]
