"""Variables of a foreign classifier to our network: how its last layers are recognized, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf
from support.cases import slow_but

from bert_serving import contract
from bert_serving.classifier import pool
from bert_serving.config import EncoderConfig
from bert_serving.contract import Head, Pooling
from bert_serving.encoders.architecture import POOLER_ACTIVATIONS
from bert_serving.encoders.folder import PREPROCESSING
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import BertServingError, ExportError
from bert_serving.imported.head import OUTPUT_ACTIVATIONS, check_labels, choose_head
from bert_serving.imported.options import ImportOptions
from bert_serving.imported.original import Original
from bert_serving.imported.rebuilding import rebuild
from bert_serving.text.preprocessing import load_preprocessing

LENGTH, WIDTH = 16, 8
TWO, THREE = ("neg", "pos"), ("praise", "blame", "neither")


@pytest.fixture(scope="module")
def encoder(encoder_folder):
    return load_encoder(find_encoder_folder(EncoderConfig(path=encoder_folder)))


@pytest.fixture(scope="module")
def preprocessing(encoder_folder):
    return load_preprocessing(encoder_folder / PREPROCESSING)


def original(encoder, outputs=3, activation="linear", *, pooled=None, prefix="", **more) -> Original:
    """A model of this encoder and a dense layer; `pooled` is its input, of the encoder's outputs and the mask."""
    random = np.random.default_rng(11)
    kernel, bias = random.normal(size=(WIDTH, outputs)), random.normal(size=outputs)
    vector = pooled or (lambda given, mask: given[contract.POOLED_OUTPUT])

    def ask(sample):
        tokens = {name: tf.constant(value) for name, value in sample.tokens.items()}
        logits = tf.matmul(vector(encoder.layer(tokens), tokens[contract.MASK]), tf.constant(kernel, tf.float32)) + bias
        return OUTPUT_ACTIVATIONS[activation](tf.cast(logits, tf.float32)).numpy()

    weights = {f"{prefix}{variable.name}": variable.numpy() for variable in encoder.layer.variables}
    head = {"classifier/kernel:0": kernel.astype(np.float32), "classifier/bias:0": bias.astype(np.float32)}
    return Original("model", ask, weights | head | more)


HEADS = [
    (1, "linear", TWO, None, Head.BINARY),
    (1, "linear", (), Head.REGRESSION, Head.REGRESSION),
    (1, "sigmoid", TWO, None, Head.BINARY),
    (1, "sigmoid", ("spam",), None, Head.MULTILABEL),
    (3, "linear", THREE, None, Head.SOFTMAX),
    (3, "linear", THREE, Head.MULTILABEL, Head.MULTILABEL),
    (3, "softmax", THREE, None, Head.SOFTMAX),
    (3, "sigmoid", THREE, None, Head.MULTILABEL),
]
"""outputs of the last layer, its activation, the labels and the head that the user gives; the head"""


@pytest.mark.parametrize(("outputs", "activation", "labels", "told", "head"), HEADS)
def test_a_head_is_chosen_by_the_last_layers_activation(outputs, activation, labels, told, head):
    assert choose_head("model", activation, outputs, ImportOptions(labels=labels, head=told)) is head


@pytest.mark.parametrize(
    ("outputs", "activation", "labels", "told", "head"), slow_but(HEADS, kept=[HEADS[0], HEADS[4]])
)
def test_the_head_is_told_by_the_last_layers_activation(
    encoder, preprocessing, outputs, activation, labels, told, head
):
    options = ImportOptions(labels=labels, head=told)
    rebuilt = rebuild(original(encoder, outputs, activation), preprocessing, options, length=LENGTH)
    assert rebuilt.classifier.options.head is head
    assert rebuilt.classifier.options.pooling is Pooling.POOLER
    assert rebuilt.difference < 1e-6
    ambiguous = outputs > 1 and activation == "linear" and told is None
    assert any("export with --head multilabel" in note for note in rebuilt.notes) == ambiguous


def test_another_sequence_length_holds_after_the_comparison(encoder, preprocessing):
    options = ImportOptions(labels=THREE, sequence_length=6)
    rebuilt = rebuild(original(encoder), preprocessing, options, length=LENGTH)
    assert rebuilt.classifier.options.sequence_length == 6
    found = rebuilt.classifier.predict(["good bad film bike the", "good bad film bike"])
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)  # cut after four words


@pytest.mark.parametrize(
    "pooling",
    [
        pytest.param(Pooling.CLS, marks=pytest.mark.slow),
        Pooling.MEAN,
        pytest.param(Pooling.MAX, marks=pytest.mark.slow),
    ],
)
def test_the_pooling_is_found_by_its_outputs(encoder, preprocessing, pooling):
    model = original(encoder, pooled=lambda outputs, mask: pool(pooling, outputs, mask), prefix="bert/")
    rebuilt = rebuild(model, preprocessing, ImportOptions(labels=THREE), length=LENGTH)
    assert rebuilt.classifier.options.pooling is pooling
    assert rebuilt.difference < 1e-6


@pytest.mark.parametrize("activation", ["relu", pytest.param("tanh", marks=pytest.mark.slow)])
def test_a_hidden_layer_on_the_first_token_is_the_pooler(encoder, preprocessing, activation):
    random = np.random.default_rng(2)
    kernel, bias = (random.normal(size=shape).astype(np.float32) for shape in ((WIDTH, WIDTH), (WIDTH,)))

    def hidden(outputs, mask):
        return POOLER_ACTIVATIONS[activation](tf.matmul(outputs[contract.SEQUENCE_OUTPUT][:, 0], kernel) + bias)

    model = original(encoder, pooled=hidden, **{"hidden/kernel:0": kernel, "hidden/bias:0": bias})
    rebuilt = rebuild(model, preprocessing, ImportOptions(labels=THREE), length=LENGTH)
    assert rebuilt.classifier.encoder.architecture.pooler_activation == activation
    assert rebuilt.difference < 1e-6


def unmasked_mean(outputs, mask):
    return tf.reduce_mean(outputs[contract.SEQUENCE_OUTPUT], axis=1)


@pytest.mark.parametrize(
    ("outputs", "activation", "options", "problem"),
    [
        (1, "linear", {}, "its one output is a score for the second of two labels, so name two, such as --labels neg"),
        (1, "linear", {"labels": ("a", "b", "c")}, "got 3: a, b, c"),
        (1, "linear", {"labels": TWO, "head": Head.REGRESSION}, "a regression has no labels, leave --labels out"),
        (1, "linear", {"labels": TWO, "head": Head.SOFTMAX}, "--head softmax does not fit its last layer, which has 1"),
        (3, "linear", {"labels": TWO}, "its last layer has 3 outputs, so name 3 labels in their order with --labels"),
        (3, "linear", {"labels": ("a", "a", "b")}, "--labels names one label twice: a, a, b"),
        (
            3,
            "linear",
            {"labels": ("a", "b\n", "c")},
            "--labels has 'b\\n', which cannot be a label: it must be one line",
        ),
        (3, "softmax", {"labels": THREE, "head": Head.MULTILABEL}, "give softmax, or leave --head out"),
        (1, "softmax", {"labels": TWO}, "1 output with softmax, which is no classifier: its answer never changes"),
    ],
)
def test_labels_and_heads_that_do_not_fit_are_told(outputs, activation, options, problem):
    told = ImportOptions(**options)
    with pytest.raises(ExportError) as raised:
        check_labels("model", choose_head("model", activation, outputs, told), outputs, told.labels)
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda encoder: original(encoder, pooled=unmasked_mean), "answers otherwise: a probability differs by"),
        (
            lambda encoder: original(encoder, **{"wide/kernel:0": np.zeros((8, 5), np.float32)}),
            "has after its encoder classifier/kernel:0 8x3; classifier/bias:0 3; wide/kernel:0 8x5; supported is an encoder",
        ),
        (
            lambda encoder: original(encoder, **{"lstm/recurrent:0": np.zeros((8, 8, 2), np.float32)}),
            "lstm/recurrent:0 8x8x2; supported is an encoder of TF Hub",
        ),
        (
            lambda encoder: Original("model", None, {"dense/kernel:0": np.zeros((2, 2))}),
            "holds no BERT encoder, and no",
        ),
    ],
)
def test_what_cannot_be_rebuilt_is_refused_with_its_layers(encoder, preprocessing, change, problem):
    with pytest.raises(BertServingError) as raised:
        rebuild(change(encoder), preprocessing, ImportOptions(labels=THREE), length=LENGTH)
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)
