"""Exports of classifiers that read long texts by head and tail or in windows: every graph, precision and signature."""

import numpy as np
import pytest
import tensorflow as tf
from support.cases import slow_but
from support.runs import in_process_verification
from support.tiny import WORDS

from bert_serving import contract
from bert_serving.classifier import Classifier, ClassifierOptions, build_classifier
from bert_serving.config import EncoderConfig
from bert_serving.contract import Graph, Head, LongTexts, Pooling, Precision, WindowPooling
from bert_serving.data.table import LabeledTable
from bert_serving.data.windows import WindowPlan
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.model.model import open_model, predict_table
from bert_serving.saved_model.export import export_classifier
from bert_serving.saved_model.manifest import EncoderOrigin, load_manifest
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.saved_model.signatures import build_serving_graph
from bert_serving.scoring.scorer import Scorer
from bert_serving.text.preprocessing import load_preprocessing

LENGTH = 16
PLAN = WindowPlan(LENGTH, 2, 5)
RANDOM = np.random.default_rng(0)
# No words, few, as many as fit, one more, and many.
TEXTS = [" ".join(RANDOM.choice(WORDS[:8], size=size)) for size in (0, 1, 14, 15, 40, 5000, 14, 27)]
CASES = slow_but(
    [(graph, pooling) for graph in Graph for pooling in (*WindowPooling, None)],
    kept=[
        (Graph.RAGGED, WindowPooling.ATTENTION),
        (Graph.RAGGED, None),
    ],
)


@pytest.fixture(scope="module")
def folder(encoder_folder):
    return find_encoder_folder(EncoderConfig(path=encoder_folder))


def classifier_of(folder, over_windows: WindowPooling | None, **options: object) -> Classifier:
    """Reads long texts in windows, without a pooling of them by head and tail; with random weights above the encoder."""
    if over_windows is None:
        rule = {"long_texts": LongTexts.HEAD_AND_TAIL}
    else:
        rule = {"long_texts": LongTexts.WINDOWS, "windows": PLAN, "window_pooling": over_windows}
    settings = {"labels": ("a", "b", "c"), "sequence_length": LENGTH, **rule, **options}
    classifier = build_classifier(
        load_encoder(folder), load_preprocessing(folder.preprocessing), ClassifierOptions(**settings)
    )
    for variable in classifier.token_model.variables:
        if variable.name.startswith(("window_pooling", "head/kernel")):
            variable.assign(np.random.default_rng(5).normal(size=variable.shape))
    return classifier


def signatures_of(classifier: Classifier, graph: Graph, folder):
    labels_file = folder / "labels.txt"
    labels_file.write_text("a\n")
    built = build_serving_graph(classifier, graph, labels_file)
    return built, built.signatures


def call(signature, texts):
    return {name: value.numpy() for name, value in signature(text=tf.constant(texts, tf.string, [len(texts)])).items()}


@pytest.mark.parametrize(("graph", "pooling"), CASES)
def test_every_graph_answers_as_the_model_in_memory(graph, pooling, folder, tmp_path):
    classifier = classifier_of(folder, pooling)
    _kept, signatures = signatures_of(classifier, graph, tmp_path)
    logits = classifier.predict_tokens(classifier.tokenize(TEXTS)[0])
    answer = call(signatures[contract.SERVING_DEFAULT], TEXTS)
    np.testing.assert_allclose(answer[contract.LOGITS], logits, rtol=1e-4, atol=1e-5)
    # The other texts of a batch change nothing.
    for row, text in enumerate(TEXTS):
        alone = call(signatures[contract.SERVING_DEFAULT], [text])[contract.LOGITS]
        np.testing.assert_allclose(alone[0], logits[row], rtol=1e-4, atol=1e-5)
    pooled = call(signatures[contract.EMBED], TEXTS)[contract.POOLED_OUTPUT]
    kernel, bias = classifier.token_model.get_layer("head").get_weights()
    np.testing.assert_allclose(pooled @ kernel + bias, logits, rtol=1e-4, atol=1e-5)
    assert call(signatures[contract.SERVING_DEFAULT], [])[contract.LOGITS].shape == (0, 3)


@pytest.mark.parametrize(
    ("graph", "pooling", "head"),
    slow_but(
        [
            (graph, pooling, head)
            for graph in (Graph.RAGGED, Graph.TRIMMED)
            for pooling in WindowPooling
            for head in Head
        ],
        kept=[(Graph.RAGGED, WindowPooling.MEAN, Head.BINARY), (Graph.TRIMMED, WindowPooling.ATTENTION, Head.SOFTMAX)],
    ),
)
def test_an_answer_tells_the_window_that_decided(graph, pooling, head, folder, tmp_path):
    labels = {Head.BINARY: ("a", "b"), Head.REGRESSION: ()}.get(head, ("a", "b", "c"))
    thresholds = (0.2, 0.3, 0.9) if head is Head.MULTILABEL else ()
    classifier = classifier_of(folder, pooling, labels=labels, head=head, thresholds=thresholds)
    _kept, signatures = signatures_of(classifier, graph, tmp_path)
    answer = call(signatures[contract.SERVING_DEFAULT], TEXTS)
    rows, _ = classifier.tokenize(TEXTS)
    np.testing.assert_array_equal(answer[contract.WINDOWS], rows.window_counts)
    # Each window as a text of its own, and what NumPy makes of it.
    kernel, bias = (value.numpy() for value in classifier.token_model.get_layer("head").variables)
    tokens = [classifier.batch(rows.windows, [number]) for number in range(len(rows.windows))]
    vectors = np.concatenate([embedding_of(classifier, each) for each in tokens])
    if pooling is WindowPooling.ATTENTION:
        scores = vectors @ classifier.token_model.get_layer("window_pooling").kernel.numpy()[:, 0]
        scores = np.tile(scores[:, np.newaxis], max(len(labels), 1))
    else:
        scores = vectors @ kernel + bias
        scores = np.concatenate([-scores, scores], axis=1) if head is Head.BINARY else scores
    likeliest = (answer[contract.PROBABILITIES] / (thresholds or 1.0)).argmax(axis=1)
    ends = np.cumsum(rows.window_counts)
    expected = [
        int(scores[end - count : end, label].argmax())
        for end, count, label in zip(ends, rows.window_counts, likeliest, strict=True)
    ]
    assert answer[contract.DECIDING_WINDOW].tolist() == expected
    assert len(set(expected)) > 1
    probabilities, windows = classifier.predict_windows(TEXTS)
    np.testing.assert_allclose(probabilities, answer[contract.PROBABILITIES], atol=1e-5)
    np.testing.assert_array_equal(windows, np.stack([expected, rows.window_counts], axis=1))


def embedding_of(classifier: Classifier, tokens) -> np.ndarray:
    """The pooled vector of one window, float32 [1, H]."""
    inputs = {**tokens, contract.WINDOW_COUNTS: tf.constant([1])}
    return classifier.features_model(inputs, training=False)[contract.POOLED_OUTPUT].numpy()


@pytest.mark.slow
@pytest.mark.parametrize("graph", [Graph.RAGGED, Graph.TRIMMED])
def test_a_row_of_tokens_is_a_text_of_one_window(graph, folder, tmp_path):
    classifier = classifier_of(folder, WindowPooling.ATTENTION)
    _kept, signatures = signatures_of(classifier, graph, tmp_path)
    texts = [text for text in TEXTS if len(text.split()) <= PLAN.inside]
    tokens = classifier.batch(classifier.tokenize(texts)[0].windows, range(len(texts)))
    answer = signatures[contract.TOKENS](**tokens)[contract.PROBABILITIES]
    np.testing.assert_allclose(answer, classifier.predict(texts), rtol=1e-4, atol=1e-6)


def test_the_work_of_the_ragged_graph_grows_with_the_tokens(folder, tmp_path):
    """Windows of short texts are not padded to those of the longest one."""
    classifier = classifier_of(folder, WindowPooling.MEAN)
    rows, _ = classifier.tokenize(["good"] * 50 + [TEXTS[5]])
    assert len(rows.windows) == 50 + PLAN.most
    assert len(rows.words) == 50 * 3 + PLAN.most * LENGTH - (LENGTH - int(rows.windows.lengths[-1]))


@pytest.mark.parametrize(
    ("graph", "precision", "pooling"),
    slow_but(
        [
            *((graph, Precision.FLOAT32, WindowPooling.MEAN) for graph in Graph),
            (Graph.RAGGED, Precision.FLOAT32, WindowPooling.ATTENTION),
            (Graph.RAGGED, Precision.BFLOAT16, WindowPooling.MAX),
            (Graph.RAGGED, Precision.INT8, WindowPooling.MEAN),
            *((graph, Precision.FLOAT32, None) for graph in Graph),
            (Graph.RAGGED, Precision.INT8, None),
        ],
        kept=[],
    ),
)
def test_an_export_is_verified_and_says_how_it_reads_long_texts(graph, precision, pooling, folder, tmp_path):
    classifier = classifier_of(folder, pooling, labels=("a", "b"), head=Head.BINARY, pooling=Pooling.MEAN)
    options = ExportOptions(tmp_path, "tiny", graph=graph, precision=precision, minimum_tf_serving="2.17")
    labels = [("a", "b")[int(row.argmax())] for row in classifier.predict(TEXTS)]
    table = LabeledTable(TEXTS, None, labels, "validation")
    with in_process_verification():
        exported = export_classifier(classifier, options, encoder=EncoderOrigin(name="t", sha256="0"), validation=table)
    manifest = load_manifest(exported)
    assert manifest.verification.passed
    assert manifest.graph is graph
    is_windowed = pooling is not None
    assert manifest.long_texts is classifier.options.long_texts
    assert (manifest.window_overlap, manifest.max_windows) == ((2, 5) if is_windowed else (None, None))
    # A text of several windows that differ is among the golden ones.
    assert manifest.verification.golden_texts == 12 + is_windowed
    limit = 1e-5 if precision is Precision.FLOAT32 else 0.1
    np.testing.assert_allclose(ExportedModel(exported).predict(TEXTS), classifier.predict(TEXTS), atol=limit)
    if is_windowed and precision is Precision.FLOAT32:
        found = predict_table(open_model(str(exported)), table).windows
        np.testing.assert_array_equal(found, classifier.predict_windows(TEXTS)[1])
    card = (exported / contract.CARD_FILE).read_text("utf-8")
    assert ("read in windows of 16 tokens" if is_windowed else "the first quarter and the last three quarters") in card


@pytest.mark.slow
def test_scoring_counts_the_tokens_of_all_windows(folder, tmp_path):
    classifier = classifier_of(folder, WindowPooling.MEAN)
    with in_process_verification():
        exported = export_classifier(
            classifier, ExportOptions(tmp_path, "tiny"), encoder=EncoderOrigin(name="t", sha256="0")
        )
    scores = Scorer.load(exported, batch_tokens=200).score(TEXTS)
    np.testing.assert_allclose(scores.values, classifier.predict(TEXTS), atol=1e-5)
