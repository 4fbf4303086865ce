"""Heads, probabilities, answers and targets; the whole classifier as one Keras model."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from bert_serving import contract
from bert_serving.answers import answer_texts
from bert_serving.classifier import (
    Classifier,
    ClassifierOptions,
    build_classifier,
    label_of,
    loss_of,
    probabilities,
    targets_of,
)
from bert_serving.config import DataConfig, EncoderConfig
from bert_serving.contract import Head, Pooling
from bert_serving.data.table import read_table
from bert_serving.encoders.architecture import build_network
from bert_serving.encoders.loading import LoadedEncoder, load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import DataError, EncoderError, InputError
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training.strategy import mixed_precision

LABELS = {
    Head.SOFTMAX: ("a", "b", "c"),
    Head.BINARY: ("no", "yes"),
    Head.MULTILABEL: ("a", "b", "c"),
    Head.REGRESSION: (),
}
OUTPUTS = {Head.SOFTMAX: 3, Head.BINARY: 1, Head.MULTILABEL: 3, Head.REGRESSION: 1}
TEXTS = ["good film", "", "the bike is very very bad", "good wheel " * 20, "not"]
PAIRS = ["bad", "the film", "good " * 30, "", ""]


@pytest.fixture(scope="module")
def folder(encoder_folder):
    return find_encoder_folder(EncoderConfig(path=encoder_folder))


@pytest.fixture(scope="module")
def build(folder):
    """Builds a classifier on the tiny encoder, which is loaded once."""
    encoder, preprocessing = load_encoder(folder), load_preprocessing(folder.preprocessing)

    def build(head: Head = Head.SOFTMAX, **options: object) -> Classifier:
        chosen = {"labels": LABELS[head], "sequence_length": 16} | options
        return build_classifier(encoder, preprocessing, ClassifierOptions(head=head, **chosen))

    return build


# === Shapes ===


@pytest.mark.parametrize("head", Head)
def test_each_head_has_its_own_shape(build, head):
    classifier = build(head)
    rows, _ = classifier.tokenize(TEXTS)
    logits = classifier.predict_tokens(rows)
    assert logits.shape == (5, OUTPUTS[head])
    assert logits.dtype == np.float32
    predicted = classifier.predict(TEXTS)
    assert predicted.shape == (5, max(len(LABELS[head]), 1))
    assert predicted.dtype == np.float32
    if head is Head.REGRESSION:
        np.testing.assert_array_equal(predicted, logits)
    else:
        assert ((predicted > 0) & (predicted < 1)).all()
    if head in (Head.SOFTMAX, Head.BINARY):
        np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("pairs", [False, True])
def test_the_keras_model_of_strings_equals_tokens_predicted_apart(build, pairs):
    classifier = build(pairs=pairs)
    columns = (TEXTS, PAIRS) if pairs else (TEXTS,)
    inputs = [tf.constant(column) for column in columns]
    logits = classifier.model(inputs if pairs else inputs[0])
    rows, _ = classifier.tokenize(*columns)
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, classifier.predict_tokens(rows, batch_size=2), atol=2e-6)


def test_predictions_stay_in_the_order_of_the_texts(build):
    classifier = build()
    texts = ["very " * (number % 9) + "good film bike wheel".split()[number % 4] for number in range(30)]
    rows, _ = classifier.tokenize(texts)
    one_by_one = [classifier.predict([text])[0] for text in texts[:8]]
    together = probabilities(Head.SOFTMAX, tf.constant(classifier.predict_tokens(rows, batch_size=7))).numpy()
    np.testing.assert_allclose(together[:8], one_by_one, atol=1e-6)


def test_the_features_model_gives_the_pooled_output_beside_the_logits(build):
    classifier = build()
    rows, _ = classifier.tokenize(TEXTS)
    batch = classifier.batch(rows, range(len(rows)))
    answer = classifier.features_model(batch)
    expected = classifier.encoder.layer(batch)[contract.POOLED_OUTPUT]
    np.testing.assert_allclose(answer[contract.POOLED_OUTPUT], expected, atol=1e-6)
    np.testing.assert_allclose(answer[contract.LOGITS], classifier.token_model(batch), atol=1e-6)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        (Pooling.POOLER, lambda outputs, length: outputs["pooled_output"][0]),
        (Pooling.CLS, lambda outputs, length: outputs["sequence_output"][0, 0]),
        (Pooling.MEAN, lambda outputs, length: tf.reduce_mean(outputs["sequence_output"][0, :length], axis=0)),
    ],
)
def test_the_head_sees_what_pooling_names_whatever_the_padding(build, pooling, expected):
    classifier = build(pooling=pooling)
    rows, _ = classifier.tokenize(TEXTS[:1])
    alone = classifier.batch(rows, [0])
    padded = {name: tf.pad(value, [[0, 0], [0, 5]]) for name, value in alone.items()}
    outputs = classifier.encoder.layer(alone)
    for tokens in (alone, padded):
        found = classifier.features_model(tokens)[contract.POOLED_OUTPUT][0]
        np.testing.assert_allclose(found, expected(outputs, int(rows.lengths[0])), atol=1e-5)


def test_the_head_starts_from_its_seed(build):
    kernels = [build(seed=seed).token_model.get_layer("head").kernel.numpy() for seed in (1, 1, 2)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.allclose(kernels[0], kernels[2])
    assert np.abs(kernels[0]).max() <= 0.04


def test_some_rows_alone_are_predicted_as_with_all_others(build):
    classifier = build()
    rows, _ = classifier.tokenize(TEXTS)
    whole, some = classifier.predict_tokens(rows), classifier.predict_tokens(rows, only=np.array([3, 0]))
    np.testing.assert_allclose(some[[0, 3]], whole[[0, 3]], atol=2e-6)
    assert not some[[1, 2, 4]].any()
    assert not classifier.predict_tokens(rows, only=np.array([], int)).any()


def test_no_texts_have_no_predictions(build):
    assert build().predict([]).shape == (0, 3)


# === What is refused ===


@pytest.mark.parametrize(
    ("sizes", "pairs", "problem"),
    [
        ({"vocab_size": 14}, False, "the preprocessing makes 15 token ids, the encoder has embeddings for 14"),
        ({"type_vocab_size": 1}, True, "pairs need two token types, the encoder has embeddings for 1"),
    ],
)
def test_an_encoder_with_too_small_tables_is_refused(sizes, pairs, problem, folder):
    architecture = dataclasses.replace(load_encoder(folder).architecture, **sizes)
    encoder = LoadedEncoder(build_network(architecture), architecture)
    with pytest.raises(EncoderError, match=problem):
        build_classifier(
            encoder,
            load_preprocessing(folder.preprocessing),
            ClassifierOptions(("a", "b"), pairs=pairs, sequence_length=16),
        )


@pytest.mark.parametrize(("length", "refused"), [(32, False), (33, True), (512, True)])
def test_a_sequence_length_over_the_encoders_maximum_is_refused(build, length, refused):
    if not refused:
        assert build(sequence_length=length).predict(["good " * 100]).shape == (1, 3)
        return
    with pytest.raises(EncoderError) as raised:
        build(sequence_length=length)
    assert str(raised.value) == (f"encoder.sequence_length is {length}, the encoder takes at most 32 tokens; lower it")


@pytest.mark.parametrize(
    ("pairs", "second", "problem"),
    [
        (True, None, "this classifier takes two texts for each row"),
        (False, ["b"], "this classifier takes one text for each row"),
        (True, ["b", "c"], "1 texts, but 2 second texts"),
    ],
)
def test_texts_that_do_not_fit_the_task_are_refused(build, pairs, second, problem):
    with pytest.raises(InputError, match=problem):
        build(pairs=pairs).predict(["a"], second)


# === Precision ===


def test_under_mixed_precision_the_head_stays_float32(folder):
    with mixed_precision("bfloat16"):
        encoder = load_encoder(folder)
        options = ClassifierOptions(labels=("a", "b"), sequence_length=16)
        classifier = build_classifier(encoder, load_preprocessing(folder.preprocessing), options)
    rows, _ = classifier.tokenize(TEXTS)
    batch = classifier.batch(rows, range(len(rows)))
    assert classifier.token_model.get_layer("dropout").input.dtype == tf.bfloat16
    assert classifier.token_model(batch).dtype == tf.float32
    assert {variable.dtype for variable in classifier.token_model.trainable_variables} == {tf.float32}
    full = build_classifier(load_encoder(folder), load_preprocessing(folder.preprocessing), options)
    difference = np.abs(classifier.predict(TEXTS) - full.predict(TEXTS)).max()
    assert 0 < difference < 0.05
    assert classifier.features_model(batch)[contract.POOLED_OUTPUT].dtype == tf.float32


# === Answers ===


@pytest.mark.parametrize(
    ("head", "logits", "expected"),
    [
        (Head.SOFTMAX, [[0.0, np.log(3), 0.0]], [[0.2, 0.6, 0.2]]),
        (Head.SOFTMAX, [[1000.0, 0.0, -1000.0]], [[1.0, 0.0, 0.0]]),
        (Head.BINARY, [[np.log(4)], [-1000.0]], [[0.2, 0.8], [1.0, 0.0]]),
        (Head.MULTILABEL, [[np.log(4), 0.0, -1000.0]], [[0.8, 0.5, 0.0]]),
        (Head.REGRESSION, [[-3.25], [1e6]], [[-3.25], [1e6]]),
    ],
)
def test_logits_become_probabilities(head, logits, expected):
    found = probabilities(head, tf.constant(logits, tf.float32))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == tf.float32


@pytest.mark.parametrize(
    ("head", "scores", "expected"),
    [
        (Head.SOFTMAX, [[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]], ["b", "a"]),
        (Head.BINARY, [[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]], ["yes", "no", "no"]),
        (Head.MULTILABEL, [[0.5, 0.49, 0.9], [0.1, 0.2, 0.3], [1.0, 1.0, 1.0]], ["a,c", "", "a,b,c"]),
        (Head.REGRESSION, [[2.5], [-0.125]], ["2.5", "-0.125"]),
        (Head.SOFTMAX, np.zeros((0, 3)), []),
        (Head.MULTILABEL, np.zeros((0, 3)), []),
        (Head.REGRESSION, np.zeros((0, 1)), []),
    ],
)
def test_the_answer_is_the_likeliest_label_or_all_that_are_likely(head, scores, expected):
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32)])
    def answer(scores):
        return label_of(head, LABELS[head], scores)

    found = answer(tf.constant(scores, tf.float32)).numpy()
    if head is Head.REGRESSION:
        np.testing.assert_allclose([float(value) for value in found], [float(value) for value in expected])
    else:
        assert [value.decode() for value in found] == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("billing, refunds", 'a "b"', "ü"), ['["billing, refunds","ü"]', "[]"]),
        (("[urgent]", "a", "b"), ['["[urgent]","b"]', "[]"]),
        (("a;b", "c|d", "e"), ["a;b,e", ""]),
    ],
)
def test_joined_labels_have_one_meaning_and_are_read_back(labels, expected, tmp_path):
    scores = np.array([[0.9, 0.1, 0.5], [0.1, 0.1, 0.1]], np.float32)
    found = [value.decode() for value in label_of(Head.MULTILABEL, labels, tf.constant(scores)).numpy()]
    assert found == expected == answer_texts(Head.MULTILABEL, labels, scores)
    path = tmp_path / "answers.csv"
    pd.DataFrame({"text": ["x", "y"], "label": found}).to_csv(path, index=False)
    table = read_table([path], DataConfig(train=(path,)), Head.MULTILABEL)
    assert table.labels == [tuple(sorted((labels[0], labels[2]))), ()]


# === Targets and losses ===


@pytest.mark.parametrize(
    ("head", "values", "expected"),
    [
        (Head.SOFTMAX, ["c", "a"], np.array([2, 0], np.int32)),
        (Head.BINARY, ["yes", "no"], np.array([[1], [0]], np.float32)),
        (Head.MULTILABEL, [("a", "c"), (), ("b",)], np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], np.float32)),
        (Head.REGRESSION, [2.5, -1.0], np.array([[2.5], [-1.0]], np.float32)),
    ],
)
def test_labels_become_targets(head, values, expected):
    found = targets_of(head, LABELS[head], values)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_an_unknown_label_is_named():
    with pytest.raises(DataError, match="'d'"):
        targets_of(Head.SOFTMAX, ("a", "b"), ["a", "d"])


@pytest.mark.parametrize(
    ("head", "targets", "logits", "expected"),
    [
        (Head.SOFTMAX, np.array([1], np.int32), [[0.0, np.log(3), 0.0]], -np.log(0.6)),
        (Head.BINARY, [[1.0]], [[np.log(4)]], -np.log(0.8)),
        (Head.MULTILABEL, [[1.0, 0.0]], [[np.log(4), 0.0]], (-np.log(0.8) - np.log(0.5)) / 2),
        (Head.REGRESSION, [[1.0], [2.0]], [[3.0], [2.0]], 2.0),
    ],
)
def test_the_loss_is_between_targets_and_logits(head, targets, logits, expected):
    loss = loss_of(head)(tf.constant(targets), tf.constant(logits, tf.float32))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
