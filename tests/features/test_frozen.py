"""Frozen features: the same numbers whichever way they are computed, computed once, and logistic regression on them."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from support import tiny

from bert_serving import contract
from bert_serving.classifier import ClassifierOptions, build_classifier
from bert_serving.config import DataConfig, EncoderConfig
from bert_serving.contract import Head, Pooling
from bert_serving.data.table import LabeledTable, read_table
from bert_serving.encoders.folder import EncoderFolder
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError
from bert_serving.features.frozen import (
    REGULARIZATION,
    FrozenEncoder,
    classify_features,
    encode,
    features_of,
    majority_of,
)
from bert_serving.metrics import measure
from bert_serving.text.preprocessing import load_preprocessing

TEXTS = ["good film", "the bike is not very goodly", "", "wheel " * 20, "unseen words", "bad"]


@pytest.fixture(scope="module")
def frozen(encoder_folder) -> FrozenEncoder:
    return opened(find_encoder_folder(EncoderConfig(path=encoder_folder)), 16)


def opened(folder: EncoderFolder, sequence_length: int) -> FrozenEncoder:
    encoder, preprocessing = load_encoder(folder, trainable=False), load_preprocessing(folder.preprocessing)
    return FrozenEncoder(folder.name, folder.sha256, encoder, preprocessing, sequence_length)


def table(texts=TEXTS, pairs=None) -> LabeledTable:
    return LabeledTable(list(texts), pairs, ["praise"] * len(texts), "here")


# === The numbers ===


@pytest.mark.parametrize("pairs", [None, TEXTS[::-1]], ids=["texts", "pairs"])
@pytest.mark.parametrize("pooling", list(Pooling))
def test_features_are_what_a_classifier_of_that_pooling_sees(pooling, pairs, frozen):
    options = ClassifierOptions(("a", "b"), sequence_length=16, pooling=pooling, pairs=pairs is not None)
    classifier = build_classifier(frozen.encoder, frozen.preprocessing, options)
    rows, _ = classifier.tokenize(TEXTS, pairs)
    expected = classifier.features_model(classifier.batch(rows, range(len(TEXTS))))[contract.POOLED_OUTPUT]
    found = features_of(frozen, table(pairs=pairs), pooling)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_features_of_a_fine_tuned_encoder_are_those_of_the_export(trained, exported):
    """The signature `embed` of the SavedModel is another road to the same vectors."""
    rows, _ = trained.classifier.tokenize(TEXTS)
    found = encode(trained.classifier.encoder, rows, Pooling.POOLER)
    embed = tf.saved_model.load(str(exported)).signatures["embed"]
    np.testing.assert_allclose(found, embed(text=tf.constant(TEXTS))[contract.POOLED_OUTPUT], atol=2e-6)


def test_features_stand_in_the_order_of_the_rows_whatever_their_lengths(frozen):
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(tiny.WORDS, random.integers(0, 14))) for _ in range(150)]
    together = features_of(frozen, table(texts), Pooling.MEAN)
    for row in (0, 75, 149):
        np.testing.assert_allclose(features_of(frozen, table([texts[row]]), Pooling.MEAN)[0], together[row], atol=2e-6)


# === The cache ===


def test_features_are_computed_once(frozen, monkeypatch):
    texts = ["good wheel", "bad wheel"]
    first = features_of(frozen, table(texts), Pooling.CLS)
    # What cannot run was not run again.
    tables = SimpleNamespace(weights=frozen.encoder.layer.weights)
    broken = dataclasses.replace(frozen, encoder=dataclasses.replace(frozen.encoder, layer=tables))
    np.testing.assert_array_equal(features_of(broken, table(texts), Pooling.CLS), first)


@pytest.mark.parametrize(
    "change",
    [
        lambda frozen: (dataclasses.replace(frozen, sequence_length=4), TEXTS, None, Pooling.MEAN),
        lambda frozen: (dataclasses.replace(frozen, sha256="another"), TEXTS, None, Pooling.MEAN),
        lambda frozen: (frozen, TEXTS, None, Pooling.CLS),
        lambda frozen: (frozen, TEXTS, TEXTS, Pooling.MEAN),
        lambda frozen: (frozen, [*TEXTS[1:], TEXTS[0]], None, Pooling.MEAN),
    ],
    ids=["sequence length", "weights", "pooling", "pairs", "texts"],
)
def test_whatever_changes_the_features_is_computed_anew(change, frozen, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_SERVING_CACHE", str(tmp_path))
    features_of(frozen, table(), Pooling.MEAN)
    other, texts, pairs, pooling = change(frozen)
    features_of(other, table(texts, pairs), pooling)
    assert len(list(tmp_path.glob("features-*"))) == 2


def test_a_sequence_length_over_the_encoders_maximum_is_refused(frozen):
    with pytest.raises(
        EncoderError, match="the sequence length for tiny is 33, the encoder takes at most 32 tokens; lower it"
    ):
        dataclasses.replace(frozen, sequence_length=33)


# === Logistic regression ===


def clouds(seed: int, rows: int = 90) -> tuple[np.ndarray, LabeledTable]:
    """Three clouds in five dimensions that overlap; the first dimension is a hundred times as wide as the others."""
    random = np.random.default_rng(seed)
    places = np.arange(rows) % 3
    features = random.normal(size=(rows, 5)) + 1.2 * np.eye(5)[places]
    features[:, 0] *= 100
    return features, LabeledTable([""] * rows, None, [("x", "y", "z")[place] for place in places], "clouds")


def test_logistic_regression_is_the_minimum_of_its_loss():
    """The same regression, found by scipy's optimizer from the formula."""
    train, measured = clouds(0), clouds(1, 30)
    found = classify_features(train, measured, ("x", "y", "z"))
    mean, deviation = train[0].mean(axis=0), train[0].std(axis=0)
    inputs, targets = (train[0] - mean) / deviation, np.arange(90) % 3

    def loss(flat: np.ndarray) -> float:
        weights, bias = flat[:15].reshape(5, 3), flat[15:]
        logits = inputs @ weights + bias
        likelihood = (logits[np.arange(90), targets] - logsumexp(logits, axis=1)).sum()
        return 0.5 * (weights**2).sum() - REGULARIZATION * likelihood

    best = minimize(loss, np.zeros(18), tol=1e-10).x
    logits = (measured[0] - mean) / deviation @ best[:15].reshape(5, 3) + best[15:]
    np.testing.assert_allclose(found.values, softmax(logits, axis=1), atol=2e-3)
    assert 0.5 < found.correct.mean() < 1


def test_a_label_without_training_rows_keeps_probability_0():
    found = classify_features(clouds(0), clouds(1), ("w", "x", "y", "z"))
    assert (found.values[:, 0] == 0).all()
    assert found.labels == ("w", "x", "y", "z")
    np.testing.assert_allclose(found.values.sum(axis=1), 1)


def test_the_majority_answers_with_the_shares_of_the_training_rows():
    train = LabeledTable([""] * 4, None, ["b", "b", "b", "a"], "train")
    found = majority_of(train, LabeledTable([""] * 2, None, ["a", "b"], "test"), ("a", "b", "c"))
    np.testing.assert_array_equal(found.values, [[0.25, 0.75, 0], [0.25, 0.75, 0]])
    assert found.correct.tolist() == [False, True]


@pytest.mark.slow
def test_features_of_a_real_encoder_part_six_emotions(minilm_folder, shared_data):
    """The book's features of DistilBERT reach 0.633 on the validation rows, the majority 0.352."""
    frozen = opened(find_encoder_folder(EncoderConfig(path=minilm_folder)), 128)
    tables = {}
    for split in ("train", "validation"):
        path = shared_data / "emotion" / f"{split}.tsv"
        tables[split] = read_table([path], DataConfig(train=(path,)), Head.SOFTMAX)
    features = {split: features_of(frozen, rows, Pooling.MEAN) for split, rows in tables.items()}
    labels = sorted(set(tables["train"].labels))
    train, measured = ((features[split], tables[split]) for split in ("train", "validation"))
    for found, least, most in (
        (classify_features(train, measured, labels), 0.69, 0.72),
        (majority_of(train[1], measured[1], labels), 0.35, 0.3525),
    ):
        assert least < measure(Head.SOFTMAX, labels, found.y_true, found.values)["accuracy"] < most
