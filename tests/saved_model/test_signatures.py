"""The signatures, for every head, for pairs, in each serving graph."""

import numpy as np
import pytest
import tensorflow as tf
from support.cases import slow_but

from bert_serving import contract
from bert_serving.classifier import ClassifierOptions, build_classifier
from bert_serving.config import EncoderConfig
from bert_serving.contract import REGRESSION_CLASS, Graph, Head
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.saved_model.signatures import build_serving_graph
from bert_serving.saved_model.verification.golden import TEXTS
from bert_serving.text.preprocessing import load_preprocessing

LENGTH = 16
LABELS = {
    Head.SOFTMAX: ("a", "b", "ü 漢"),
    Head.BINARY: ("no", "yes"),
    Head.MULTILABEL: ("a", "b", "c"),
    Head.REGRESSION: (),
}
CASES = [(head, False) for head in Head] + [(Head.SOFTMAX, True), (Head.REGRESSION, True)]

BY_GRAPH = slow_but(
    [(*case, graph) for case in CASES for graph in Graph],
    kept=[
        *((*case, Graph.RAGGED) for case in CASES[:-1]),
        (Head.SOFTMAX, False, Graph.PADDED),
        (Head.SOFTMAX, True, Graph.TRIMMED),
    ],
)

# What computes does not depend on the names of the outputs: fewer heads are enough.
COMPUTED = slow_but(
    [(*case, graph) for case in CASES for graph in Graph],
    kept=[
        (Head.SOFTMAX, False, Graph.RAGGED),
        (Head.REGRESSION, False, Graph.RAGGED),
        (Head.SOFTMAX, False, Graph.PADDED),
        (Head.SOFTMAX, True, Graph.TRIMMED),
    ],
)


@pytest.fixture(scope="module")
def make(encoder_folder, tmp_path_factory):
    """Classifiers with a random head, each built once, and their signatures, each traced once."""
    labels_file = tmp_path_factory.mktemp("labels") / "labels.txt"
    labels_file.write_text("a\n")
    folder = find_encoder_folder(EncoderConfig(path=encoder_folder))
    encoder, preprocessing = load_encoder(folder), load_preprocessing(folder.preprocessing)
    classifiers, graphs = {}, {}

    def make(head, pairs, graph):
        if (head, pairs) not in classifiers:
            options = ClassifierOptions(LABELS[head], head, LENGTH, pairs=pairs, seed=5)
            classifier = build_classifier(encoder, preprocessing, options)
            kernel = classifier.token_model.get_layer("head").kernel
            # The initial kernel is so small that all answers are nearly alike.
            kernel.assign(np.random.default_rng(7).normal(size=kernel.shape))
            classifiers[head, pairs] = classifier
        if (head, pairs, graph) not in graphs:
            graphs[head, pairs, graph] = build_serving_graph(classifiers[head, pairs], graph, labels_file)
        return classifiers[head, pairs], graphs[head, pairs, graph].signatures

    return make


def texts_of(rows, pairs):
    texts = {contract.TEXT: list(rows)}
    return texts | {contract.TEXT_PAIR: list(rows)[::-1]} if pairs else texts


def examples_of(texts):
    rows = zip(*texts.values(), strict=True)
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                    for name, value in zip(texts, row, strict=True)
                }
            )
        ).SerializeToString()
        for row in rows
    ]


def call(signature, **inputs):
    tensors = {name: tf.constant(value, tf.string, [len(value)]) for name, value in inputs.items()}
    return {name: value.numpy() for name, value in signature(**tensors).items()}


def forms(specifications):
    return {name: (value.dtype, value.shape.as_list()) for name, value in specifications.items()}


@pytest.mark.parametrize(("head", "pairs", "graph"), BY_GRAPH)
def test_names_dtypes_and_shapes_are_those_of_the_contract(head, pairs, graph, make):
    _, signatures = make(head, pairs, graph)
    classes = max(len(LABELS[head]), 1)
    units = 1 if head in (Head.BINARY, Head.REGRESSION) else classes
    texts = {name: (tf.string, [None]) for name in (("text", "text_pair") if pairs else ("text",))}
    answer = {
        "label": (tf.string, [None]),
        "probabilities": (tf.float32, [None, classes]),
        "logits": (tf.float32, [None, units]),
    }
    tokens = {name: (tf.int32, [None, None]) for name in ("input_word_ids", "input_mask", "input_type_ids")}
    expected = {
        "serving_default": (texts, answer),
        "tokens": (tokens, answer),
        "classify": (
            {"inputs": (tf.string, [None])},
            {"classes": (tf.string, [None, classes]), "scores": (tf.float32, [None, classes])},
        ),
        "embed": (texts, {"pooled_output": (tf.float32, [None, 8])}),
        "labels": (
            {"text": (tf.string, [None])},
            {"labels": (tf.string, [None, classes]), "head": (tf.string, [None])},
        ),
    }
    found = {
        name: (
            forms({value.name: value for value in function.structured_input_signature[0]}),
            forms(function.structured_outputs),
        )
        for name, function in signatures.items()
    }
    assert found == expected


@pytest.mark.parametrize(("head", "pairs", "graph"), BY_GRAPH)
def test_a_signature_names_the_labels_in_order_and_the_head(head, pairs, graph, make):
    _, signatures = make(head, pairs, graph)
    for texts in ([], [b""], [b"x", b"y"]):
        told = call(signatures["labels"], text=texts)
        names = [label.encode() for label in LABELS[head] or (REGRESSION_CLASS,)]
        assert told["labels"].tolist() == [names] * len(texts)
        assert told["head"].tolist() == [str(head).encode()] * len(texts)


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize(("head", "pairs", "graph"), COMPUTED)
def test_every_size_of_batch_is_answered_as_the_model_in_memory_does(head, pairs, graph, size, make):
    classifier, signatures = make(head, pairs, graph)
    rows = [b"good film", b"", b"the bike is not very good", b"wheel " * 40, "漢字 good".encode(), b"bad", b"x"][:size]
    texts = texts_of(rows, pairs)
    answer = call(signatures["serving_default"], **texts)
    ranked = call(signatures["classify"], inputs=examples_of(texts))
    assert {len(value) for value in (*answer.values(), *ranked.values())} == {size}
    assert call(signatures["embed"], **texts)["pooled_output"].shape == (size, 8)
    if size:
        expected = classifier.predict(*(texts[name] for name in texts))
        np.testing.assert_allclose(answer["probabilities"], expected, atol=2e-6)


@pytest.mark.parametrize(("head", "pairs"), slow_but(CASES, kept=[(Head.MULTILABEL, False), (Head.SOFTMAX, True)]))
def test_all_graphs_answer_as_the_padded_one(head, pairs, make):
    texts = texts_of(TEXTS, pairs)
    padded, *others = (call(make(head, pairs, graph)[1]["serving_default"], **texts) for graph in Graph)
    for other in others:
        # Processors round in their own ways; logits are a few units large.
        for name, limit in (("probabilities", 1e-6), ("logits", 5e-6)):
            np.testing.assert_allclose(padded[name], other[name], atol=limit)
        if head is not Head.REGRESSION:
            assert padded["label"].tolist() == other["label"].tolist()


@pytest.mark.parametrize("graph", [Graph.TRIMMED, Graph.RAGGED])
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_awkward_text_has_the_same_answer_alone_and_in_a_batch(text, graph, make):
    """Empty, emoji, Chinese, 5,000 words, control characters, broken UTF-8: the golden texts."""
    _, signatures = make(Head.SOFTMAX, False, graph)
    alone = call(signatures["serving_default"], text=[text])["probabilities"]
    batch = call(signatures["serving_default"], text=[b"good", text, b"the film " * 9])["probabilities"]
    assert np.isfinite(alone).all()
    assert alone.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(alone[0], batch[1], atol=1e-6)


def test_the_golden_texts_hold_what_they_should():
    assert b"" in TEXTS
    assert max(len(text.split()) for text in TEXTS) >= 5000
    joined = b"".join(TEXTS)
    assert "\U0001f62d".encode() in joined
    assert "自行车".encode() in joined
    assert b"\x00" in joined
    with pytest.raises(UnicodeDecodeError):
        joined.decode()


@pytest.mark.parametrize("head", list(Head))
def test_classify_ranks_the_classes_of_serialized_examples_best_first(head, make):
    _, signatures = make(head, False, Graph.RAGGED)
    texts = texts_of([b"good film", b"bad bike", b"not very good", b""], pairs=False)
    answer = call(signatures["serving_default"], **texts)
    ranked = call(signatures["classify"], inputs=examples_of(texts))
    labels = [label.encode() for label in LABELS[head]] or [REGRESSION_CLASS.encode()]
    for row, probabilities in enumerate(answer["probabilities"]):
        order = np.argsort(-probabilities, kind="stable")
        np.testing.assert_allclose(ranked["scores"][row], probabilities[order], atol=1e-6)
        assert ranked["classes"][row].tolist() == [labels[place] for place in order]
    if head in (Head.SOFTMAX, Head.BINARY):
        assert answer["label"].tolist() == ranked["classes"][:, 0].tolist()


def test_the_label_of_a_multilabel_head_joins_all_at_or_over_one_half(make):
    _, signatures = make(Head.MULTILABEL, False, Graph.RAGGED)
    answer = call(signatures["serving_default"], text=[b"good", b"bad film", b"the wheel is bad", b"x x x"])
    expected = [
        ",".join(label for label, score in zip(LABELS[Head.MULTILABEL], row, strict=True) if score >= 0.5).encode()
        for row in answer["probabilities"]
    ]
    assert answer["label"].tolist() == expected


def test_the_label_of_a_regression_head_is_its_value(make):
    _, signatures = make(Head.REGRESSION, False, Graph.RAGGED)
    answer = call(signatures["serving_default"], text=[b"good", b"bad film"])
    np.testing.assert_allclose([float(label) for label in answer["label"]], answer["logits"][:, 0], atol=1e-5)
    np.testing.assert_array_equal(answer["probabilities"], answer["logits"])


@pytest.mark.parametrize("graph", list(Graph))
def test_the_tokens_signature_answers_as_the_texts_do(graph, make):
    classifier, signatures = make(Head.SOFTMAX, False, graph)
    texts = ["good film", "the bike is not very good"]
    rows, _ = classifier.tokenize(texts)
    tokens = classifier.batch(rows, [0, 1])
    expected = call(signatures["serving_default"], text=texts)
    for name, value in signatures["tokens"](**tokens).items():
        if name == "label":
            assert value.numpy().tolist() == expected[name].tolist()
        else:
            np.testing.assert_allclose(value, expected[name], atol=1e-6)
    empty = signatures["tokens"](**{name: tf.zeros([0, 4], tf.int32) for name in contract.TOKEN_INPUTS})
    assert empty["probabilities"].shape == (0, 3)


@pytest.mark.parametrize(
    "example",
    [
        b"no example",
        tf.train.Example().SerializeToString(),
        tf.train.Example(
            features=tf.train.Features(feature={"text": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0]))})
        ).SerializeToString(),
    ],
    ids=["no protobuf", "no feature", "another type"],
)
def test_an_example_without_the_text_is_refused(example, make):
    _, signatures = make(Head.SOFTMAX, False, Graph.TRIMMED)
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(signatures["classify"], inputs=[example])
