"""SavedModels small enough to write during a test, for the tests of the model server and the clients.

`python tests/support/serving_models.py FOLDER` writes those of the conformance tests with a models.config, for a stock server:

    docker run -p 8500:8500 -p 8501:8501 -v FOLDER:/conformance tensorflow/serving:2.20.0 \\
        --model_config_file=/conformance/models.config --allow_version_labels_for_unavailable_models
    TF_SERVING=localhost:8500,http://localhost:8501 scripts/test tests/model_server/test_api.py
"""

import sys
import tempfile
from pathlib import Path

import tensorflow as tf

EXAMPLE_FEATURES = {"x": tf.io.FixedLenFeature([1], tf.float32)}
TEXT_FEATURES = {"text": tf.io.FixedLenFeature([], tf.string)}


class Arithmetic(tf.Module):
    """y = x / 2 + offset, and signatures of every kind around it."""

    def __init__(self, offset: float):
        super().__init__()
        self.half = tf.Variable(0.5)
        self.offset = tf.Variable(offset)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def plain(self, x):
        return {"y": self.half * x + self.offset}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def matrix(self, x):
        return {"y": tf.matmul(x, tf.ones([3, 1]))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def two_outputs(self, x):
        return {"y": self.half * x, "z": tf.stack([x, -x], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def scalar_output(self, x):
        return {"y": x, "total": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def uneven_outputs(self, x):
        return {"a": x, "b": tf.concat([x, x], axis=0)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="a"),
            tf.TensorSpec([None], tf.float32, name="b"),
        ]
    )
    def two_inputs(self, a, b):
        return {"sum": a + b}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, name="s")])
    def strings(self, s):
        return {"plain": tf.identity(s), "raw_bytes": tf.identity(s)}

    @tf.function(
        input_signature=[
            tf.TensorSpec(None, tf.int32, name="i"),
            tf.TensorSpec(None, tf.int64, name="l"),
            tf.TensorSpec(None, tf.bool, name="b"),
            tf.TensorSpec(None, tf.float64, name="d"),
            tf.TensorSpec(None, tf.uint8, name="u"),
        ]
    )
    def kinds(self, i, l, b, d, u):  # noqa: E741
        return {name: tf.identity(value) for name, value in (("i", i), ("l", l), ("b", b), ("d", d), ("u", u))}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float16, name="h")])
    def half_precision(self, h):
        return {"h": h * 2}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def half_output(self, x):
        return {"h": tf.cast(x, tf.float16)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs):
        x = tf.io.parse_example(inputs, EXAMPLE_FEATURES)["x"]
        y = self.half * x + self.offset
        return {
            "classes": tf.tile([["y", "minus y"]], [tf.shape(x)[0], 1]),
            "scores": tf.concat([y, -y], axis=1),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def scores_only(self, inputs):
        return {"scores": tf.io.parse_example(inputs, EXAMPLE_FEATURES)["x"]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def flat_scores(self, inputs):
        return {"scores": tf.io.parse_example(inputs, EXAMPLE_FEATURES)["x"][:, 0]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def double_scores(self, inputs):
        return {"scores": tf.cast(tf.io.parse_example(inputs, EXAMPLE_FEATURES)["x"], tf.float64)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def one_score_more(self, inputs):
        x = tf.io.parse_example(inputs, EXAMPLE_FEATURES)["x"]
        return {"scores": tf.concat([x, x[:1]], axis=0)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def one_class_less(self, inputs):
        x = tf.io.parse_example(inputs, EXAMPLE_FEATURES)["x"]
        return {"classes": tf.tile([["y"]], [tf.shape(x)[0], 1]), "scores": tf.concat([x, -x], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def three_outputs(self, inputs):
        x = tf.io.parse_example(inputs, EXAMPLE_FEATURES)["x"]
        return {"scores": x, "a": x, "b": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs):
        x = tf.io.parse_example(inputs, EXAMPLE_FEATURES)["x"]
        return {"outputs": self.half * x + self.offset}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def wide_regress(self, inputs):
        return {"outputs": tf.tile(tf.io.parse_example(inputs, EXAMPLE_FEATURES)["x"], [1, 2])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def neither(self, inputs):
        return {"other": tf.identity(inputs)}


class Texts(tf.Module):
    """Labels of the form of a text classifier; the probabilities come from the lengths of the texts."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def single(self, text):
        return self._answer(tf.strings.length(text, unit="UTF8_CHAR"))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec([None], tf.string, name="text_pair"),
        ]
    )
    def pair(self, text, text_pair):
        return self._answer(tf.strings.length(text) - tf.strings.length(text_pair))

    def _answer(self, length):
        logits = tf.stack([tf.cast(length, tf.float32) / 7.0, tf.ones_like(length, tf.float32)], axis=1)
        labels = tf.gather(["länger", "kurz"], tf.argmax(logits, axis=1))
        return {"label": labels, "probabilities": tf.nn.softmax(logits), "logits": logits}


class Classifier(tf.Module):
    """A classifier of texts by their bytes, with what tells the order of its labels: `classify`, `labels`, or neither."""

    def __init__(self, labels, head="softmax", *, flat=False):
        super().__init__()
        self.labels = list(labels)
        self.head = head
        self.flat = flat

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def predict(self, text):
        scores = self._scores(text)
        if self.head == "multilabel":
            names = tf.broadcast_to(tf.constant(self.labels), tf.shape(scores))
            label = tf.strings.reduce_join(tf.ragged.boolean_mask(names, scores >= 0.5), axis=1, separator=",")
        elif self.head == "regression":
            label = tf.strings.as_string(scores[:, 0])
        else:
            label = tf.gather(tf.constant(self.labels), tf.argmax(scores, axis=1))
        return {"label": label, "probabilities": scores}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs):
        scores = self._scores(tf.io.parse_example(inputs, TEXT_FEATURES)["text"])
        best = tf.math.top_k(scores, k=len(self.labels))
        return {"classes": tf.gather(tf.constant(self.labels), best.indices), "scores": best.values}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def tell(self, text):
        rows = tf.shape(text)[0]
        return {"labels": tf.tile([self.labels], [rows, 1]), "head": tf.fill([rows], self.head)}

    def _scores(self, text):
        """A logit for each text and label, as if at random; with `flat` the last two labels are always alike."""
        columns = [tf.strings.to_hash_bucket_fast(text + f" {number}", 1000) for number in range(len(self.labels))]
        logits = tf.cast(tf.stack(columns, axis=1), tf.float32) / 100.0 - 5.0
        if self.flat:
            logits = tf.concat([logits[:, :-1], logits[:, -2:-1]], axis=1)
        match self.head:
            case "softmax":
                return tf.nn.softmax(logits)
            case "multilabel":
                return tf.sigmoid(logits)
        return logits


def write_classifier(folder: Path, labels, head="softmax", *, tells=("classify",), flat=False) -> Path:
    """Writes a `Classifier`, which tells the order of its labels by the signatures `tells`."""
    module = Classifier(labels, head, flat=flat)
    others = {"classify": module.classify, "labels": module.tell}
    signatures = {"serving_default": module.predict} | {name: others[name] for name in tells}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def write_arithmetic(folder: Path, offset: float = 2.0) -> Path:
    module = Arithmetic(offset)
    names = [name for name, value in vars(Arithmetic).items() if hasattr(value, "get_concrete_function")]
    signatures = {name: getattr(module, name) for name in names if name != "plain"}
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.plain, **signatures})
    return folder


def _signatures_of_tf1(examples, x, y):
    """A signature for each method."""
    from tensorflow.compat import v1

    info, make = v1.saved_model.build_tensor_info, v1.saved_model.build_signature_def
    given = {"inputs": info(examples)}
    return {
        "serving_default": make({"x": info(x)}, {"y": info(y)}, "tensorflow/serving/predict"),
        "regress_x_to_y": make(given, {"outputs": info(y)}, "tensorflow/serving/regress"),
        "classify_x_to_y": make(given, {"scores": info(y)}, "tensorflow/serving/classify"),
    }


def write_half_plus_two_of_tf1(folder: Path) -> Path:
    """The half_plus_two of TensorFlow Serving's own tests: a graph of TensorFlow 1, with a signature for each method.

    Its Predict feeds `x`, which is no placeholder.
    """
    from tensorflow.compat import v1

    with v1.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], name="tf_example")
        x = tf.identity(tf.io.parse_example(examples, EXAMPLE_FEATURES)["x"], name="x")
        half, two = v1.Variable(0.5, name="a", use_resource=True), v1.Variable(2.0, name="b", use_resource=True)
        y = tf.add(half * x, two, name="y")
        session.run(v1.global_variables_initializer())
        signatures = _signatures_of_tf1(examples, x, y)
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    return folder


def write_half_plus_three_of_tf1(folder: Path) -> Path:
    """The half_plus_three of TensorFlow Serving's own tests: reference variables, an asset, and an initializer.

    The initializer assigns the asset's path to a variable. TensorFlow 2 imports this one; it fails on the original.
    """
    from tensorflow.compat import v1

    with tempfile.TemporaryDirectory() as assets, v1.Graph().as_default(), v1.Session() as session:
        asset = Path(assets) / "foo.txt"
        asset.write_text("asset-file-contents", "utf-8")
        examples = v1.placeholder(tf.string, name="tf_example")
        x = tf.identity(tf.io.parse_example(examples, EXAMPLE_FEATURES)["x"], name="x")
        half, three = (v1.Variable(value, name=name, use_resource=False) for name, value in (("a", 0.5), ("b", 3.0)))
        y = tf.add(tf.multiply(half, x), three, name="y")
        path = tf.constant(str(asset))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
        filename = v1.Variable(str(asset), name="filename_tensor", trainable=False, collections=[], use_resource=False)
        initializer = tf.group(filename.assign(path))
        session.run([v1.global_variables_initializer(), filename.initializer])
        signatures = _signatures_of_tf1(examples, x, y)
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signatures,
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            legacy_init_op=initializer,
        )
        builder.save()
    return folder


class HalfPlus(tf.Module):
    """y = x / 2 + offset and nothing else, for tests that load many versions."""

    def __init__(self, offset: float):
        super().__init__()
        self.half = tf.Variable(0.5)
        self.offset = tf.Variable(offset)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def predict(self, x):
        return {"y": self.half * x + self.offset}


class Tokens(tf.Module):
    """Sums and lengths of rows of ids; a negative id is refused, as a damaged request would be."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int32, name="ids"),
            tf.TensorSpec([None, None], tf.int32, name="mask"),
        ]
    )
    def total(self, ids, mask):
        with tf.control_dependencies([tf.debugging.assert_non_negative(ids, message="a negative id")]):
            return {
                "total": tf.reduce_sum(ids * mask, axis=1),
                "length": tf.reduce_sum(mask, axis=1),
                "rows": tf.fill([tf.shape(ids)[0]], tf.shape(ids)[0]),
            }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def mean(self, x):
        return {"mean": tf.reduce_mean(x)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, name="x")])
    def scalar(self, x):
        return {"y": x + 1.0}


class Windows(tf.Module):
    """Reads each ten characters as a window, of which the last one decides."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def answer(self, text):
        windows = 1 + tf.strings.length(text) // 10
        return {
            "label": tf.strings.as_string(windows),
            "probabilities": tf.tile([[0.25, 0.75]], [tf.shape(text)[0], 1]),
            "deciding_window": windows - 1,
            "windows": windows,
        }


def write_windows(folder: Path) -> Path:
    module = Windows()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.answer})
    return folder


def write_tokens(folder: Path) -> Path:
    module = Tokens()
    signatures = {"serving_default": module.total, "mean": module.mean, "scalar": module.scalar}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def write_half_plus(folder: Path, offset: float = 2.0) -> Path:
    module = HalfPlus(offset)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.predict})
    return folder


def write_texts(folder: Path) -> Path:
    module = Texts()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.single, "pair": module.pair})
    return folder


def write_conformance_models(base: Path) -> Path:
    write_arithmetic(base / "half_plus_two" / "123")
    write_arithmetic(base / "half_plus_two" / "00000124", offset=3.0)
    (base / "half_plus_two" / "1000.tmp").mkdir()
    write_texts(base / "texts" / "1")
    write_half_plus_two_of_tf1(base / "half_plus_two_tf1" / "123")
    write_half_plus_three_of_tf1(base / "half_plus_three" / "123")
    return base


CONFORMANCE_CONFIG = """
model_config_list {
  config {
    name: "half_plus_two" base_path: "/conformance/half_plus_two" model_platform: "tensorflow"
    model_version_policy { latest { num_versions: 2 } } version_labels { key: "stable" value: 123 }
  }
  config { name: "texts" base_path: "/conformance/texts" model_platform: "tensorflow" }
  config { name: "half_plus_two_tf1" base_path: "/conformance/half_plus_two_tf1" model_platform: "tensorflow" }
  config { name: "half_plus_three" base_path: "/conformance/half_plus_three" model_platform: "tensorflow" }
}
"""

if __name__ == "__main__":
    folder = write_conformance_models(Path(sys.argv[1]))
    (folder / "models.config").write_text(CONFORMANCE_CONFIG, "utf-8")
