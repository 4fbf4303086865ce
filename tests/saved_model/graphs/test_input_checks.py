"""What the signatures of every graph refuse, and with which words."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support.other_encoders import write_bag_of_words
from support.tiny import POSITIONS, VOCABULARY

from bert_serving import contract
from bert_serving.classifier import ClassifierOptions, build_classifier
from bert_serving.config import EncoderConfig
from bert_serving.contract import Graph
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.saved_model import signatures as signatures_module
from bert_serving.saved_model.graphs.input_checks import TokenLimits
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.saved_model.signatures import build_serving_graph
from bert_serving.saved_model.verification.refusals import check_refusals
from bert_serving.text.preprocessing import load_preprocessing

SEQUENCE_LENGTH = 16
PAIRS = "trimmed, pairs, tables unknown"
MODELS = {
    "ragged": ("bert", Graph.RAGGED, False),
    "padded, a hub layer": ("hub", Graph.PADDED, False),
    # A small encoder, for what does not depend on the encoder.
    PAIRS: ("other", Graph.TRIMMED, True),
}
SHAPES = "expected one shape [rows, tokens]"
MASK = "of them at its start; expected all of them, and at least 1"


@pytest.fixture(scope="module")
def make(encoder_folder, tmp_path_factory):
    """Writes and loads SavedModels, each once; a loaded one takes any shape, as a server does."""
    folder = find_encoder_folder(EncoderConfig(path=encoder_folder))
    bag = tmp_path_factory.mktemp("bag") / "bag"
    write_bag_of_words(bag)
    other = find_encoder_folder(EncoderConfig(path=bag, preprocessing=folder.preprocessing))
    encoders = {
        "bert": load_encoder(folder),
        "hub": load_encoder(folder, rebuild=False),
        "other": load_encoder(other),
    }
    preprocessing = load_preprocessing(folder.preprocessing)
    labels_file = tmp_path_factory.mktemp("labels") / "labels.txt"
    labels_file.write_text("a\nb\n")
    models = {}

    def classifier_of(name):
        encoder, _, pairs = MODELS[name]
        options = ClassifierOptions(("a", "b"), sequence_length=SEQUENCE_LENGTH, pairs=pairs)
        return build_classifier(encoders[encoder], preprocessing, options)

    def write(name):
        graph = build_serving_graph(classifier_of(name), MODELS[name][1], labels_file)
        path = tmp_path_factory.mktemp("models") / "1"
        tf.saved_model.save(graph.module, str(path), signatures=graph.signatures)
        return path

    def make(name):
        if name not in models:
            models[name] = ExportedModel(write(name))
        return models[name]

    make.classifier_of, make.write = classifier_of, write
    return make


def rows(ids, mask=None, types=None):
    ids = np.array(ids, np.int32)
    return {
        contract.WORD_IDS: ids,
        contract.MASK: np.ones_like(ids) if mask is None else np.array(mask, np.int32),
        contract.TYPE_IDS: np.zeros_like(ids) if types is None else np.array(types, np.int32),
    }


def refusal(model, signature, **inputs):
    with pytest.raises(tf.errors.InvalidArgumentError) as refused:
        model.call(signature, **inputs)
    return refused.value.message


WRONG_TOKENS = {
    "a token too many": (
        lambda most: rows([[5] * (most + 1)]),
        "rows have {more} tokens, the encoder takes 1 to {most}",
    ),
    "twice too many": (lambda most: rows([[5] * 2 * most]), "rows have {twice} tokens, the encoder takes 1 to {most}"),
    "no token": (lambda most: rows(np.zeros([2, 0])), "rows have 0 tokens"),
    "a negative id": (lambda most: rows([[2, -1]]), "input_word_ids has the value -1, expected 0 to 14"),
    "an id beyond": (lambda most: rows([[2, 15]]), "input_word_ids has the value 15, expected 0 to 14"),
    "a negative type": (
        lambda most: rows([[2, 5]], types=[[0, -1]]),
        "input_type_ids has the value -1, expected 0 to 1",
    ),
    "a type beyond": (lambda most: rows([[2, 5]], types=[[2, 0]]), "input_type_ids has the value 2, expected 0 to 1"),
    "a mask of 2": (lambda most: rows([[2, 5]], [[1, 2]]), "input_mask has the value 2, expected 0 to 1"),
    "a mask of -1": (lambda most: rows([[2, 5]], [[1, -1]]), "input_mask has the value -1, expected 0 to 1"),
    "a gap": (lambda most: rows([[2, 5, 3]] * 2, [[1] * 3, [1, 0, 1]]), f"input_mask of row 1 has 2 ones, 1 {MASK}"),
    "padding first": (lambda most: rows([[0, 2, 3]], [[0, 1, 1]]), f"input_mask of row 0 has 2 ones, 0 {MASK}"),
    "only padding": (lambda most: rows([[2, 3], [0, 0]], [[1, 1], [0, 0]]), f"row 1 has 0 ones, 0 {MASK}"),
    "a short mask": (
        lambda most: rows([[2, 5]], [[1]]),
        f"input_mask has shape [1 1], input_type_ids has shape [1 2], {SHAPES}",
    ),
    "long types": (lambda most: rows([[2, 5]], types=[[0] * 3]), f"input_type_ids has shape [1 3], {SHAPES}"),
    "a mask of fewer rows": (
        lambda most: rows([[2], [3]], [[1]]),
        f"input_mask has shape [1 1], input_type_ids has shape [2 1], {SHAPES}",
    ),
    "no row dimension": (lambda most: rows([2, 3]), "input_word_ids has shape [2], input_mask has shape [2]"),
    "one of another rank": (lambda most: rows([[2, 3]], [1, 1]), "input_mask has shape [2]"),
    "three dimensions": (lambda most: rows([[[2, 3]]]), "input_word_ids has shape [1 1 2]"),
    "a scalar": (lambda most: rows(2), "input_word_ids has shape []"),
}


def most_tokens(name):
    return SEQUENCE_LENGTH if MODELS[name][0] == "other" else POSITIONS


@pytest.mark.parametrize("what", list(WRONG_TOKENS))
@pytest.mark.parametrize("name", list(MODELS))
def test_wrong_tokens_are_refused_with_value_and_limit(name, what, make):
    inputs, message = WRONG_TOKENS[what]
    most = most_tokens(name)
    expected = message.format(more=most + 1, most=most, twice=2 * most) if "{" in message else message
    assert f"{expected}" in refusal(make(name), "tokens", **inputs(most))


@pytest.mark.parametrize("name", list(MODELS))
def test_tokens_up_to_each_limit_are_answered(name, make):
    most, last = most_tokens(name), len(VOCABULARY) - 1
    for inputs in (rows([[2] + [last] * (most - 1)], types=[[1] * most]), rows([[2]]), rows([[2, last]], [[1, 0]])):
        assert np.isfinite(make(name).call("tokens", **inputs)["logits"]).all()
    assert make(name).call("tokens", **rows(np.zeros([0, 3])))["logits"].shape == (0, 2)


def test_a_row_has_one_text(make):
    model = make("ragged")
    message = refusal(model, "serving_default", text=[["good", "bad"]])
    assert "text has shape [1 2], expected one string for each row" in message
    expected = model.call("serving_default", text=["good", "bad film"])["logits"]
    column = model.call("serving_default", text=[["good"], ["bad film"]])["logits"]
    np.testing.assert_allclose(column, expected, atol=1e-6)


@pytest.mark.parametrize("signature", ["serving_default", "embed"])
@pytest.mark.parametrize(("first", "second"), [(2, 1), (1, 2), (3, 2), (2, 0), (0, 2)])
def test_both_texts_of_a_pair_have_as_many_rows(first, second, signature, make):
    texts = {"text": np.array(["good"] * first, object), "text_pair": np.array(["bad"] * second, object)}
    message = refusal(make(PAIRS), signature, **texts)
    assert f"unequal numbers of rows: text has {first}, text_pair has {second}" in message


@pytest.mark.parametrize("name", ["text", "text_pair"])
@pytest.mark.parametrize("signature", ["serving_default", "embed"])
def test_each_text_of_a_pair_has_one_string_for_a_row(signature, name, make):
    texts = {"text": ["good"], "text_pair": ["bad"]} | {name: [["good", "bad"]]}
    assert f"{name} has shape [1 2], expected one string" in refusal(make(PAIRS), signature, **texts)


def example(**values):
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[each.encode() for each in texts]))
        for name, texts in values.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.mark.parametrize(
    ("examples", "problem"),
    [
        (
            [example(text=["a"], text_pair=["b"]), example(text=["a"])],
            "example 1 has 0 values of the feature text_pair",
        ),
        ([example(text=["a", "b"], text_pair=["b"])], "example 0 has 2 values of the feature text, expected 1"),
        ([example(text=[], text_pair=["b"])], "example 0 has 0 values of the feature text, expected 1"),
        ([example(text=["a"], text_pair=["b", "c"])], "example 0 has 2 values of the feature text_pair, expected 1"),
        ([b""], "example 0 has 0 values of the feature text, expected 1"),
        ([b"no example"], "Could not parse example input"),
    ],
)
def test_an_example_has_one_value_of_each_feature(examples, problem, make):
    assert problem in refusal(make(PAIRS), "classify", inputs=examples)


def test_examples_are_a_row_each(make):
    assert "inputs has shape [1 2], expected one string" in refusal(make(PAIRS), "classify", inputs=[[b"", b""]])


def test_a_session_as_in_tensorflow_serving_gives_the_message_too(make):
    """TensorFlow Serving runs a version in a session, with an optimizer that believes the signature's shapes."""
    path = str(make("ragged").folder)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def["tokens"]
        fetches = [output.name for output in signature.outputs.values()]

        def run(inputs):
            # Session.run would check the shapes itself, which a server does not do.
            feeds = {
                session.graph.get_tensor_by_name(signature.inputs[name].name).ref(): inputs[name] for name in inputs
            }
            tensors = [session.graph.get_tensor_by_name(name) for name in fetches]
            return session._do_run(None, [], tensors, feeds, None, None)

        assert len(run(rows([[2, 5, 3]]))) == len(fetches)
        for inputs, _ in WRONG_TOKENS.values():
            with pytest.raises(tf.errors.InvalidArgumentError) as refused:
                run(inputs(POSITIONS))
            assert "assertion failed: [" in refused.value.message
            assert "stack traces unavailable" not in refused.value.message


def test_the_limits_are_those_of_the_encoders_tables_where_it_has_any(make):
    of = {name: TokenLimits.of(make.classifier_of(name)) for name in ("ragged", "padded, a hub layer")}
    assert set(of.values()) == {TokenLimits(tokens=32, vocabulary=15, types=2)}
    unknown = TokenLimits.of(make.classifier_of(PAIRS))
    assert unknown == TokenLimits(tokens=SEQUENCE_LENGTH, vocabulary=15, types=2)


def test_verification_finds_a_graph_without_checks(make, monkeypatch):
    assert check_refusals(make("ragged"), POSITIONS) == []
    monkeypatch.setattr(signatures_module, "checked_tokens", lambda tokens, limits: tokens)
    problems = check_refusals(ExportedModel(make.write(PAIRS)), SEQUENCE_LENGTH)
    for what in ("input_mask with a 1 after a 0", "a row of 17 tokens"):
        assert f"signature tokens answers {what} instead of refusing it; export again" in problems


def is_right(inputs):
    """The rules once more, in Python."""
    sizes = zip(contract.TOKEN_INPUTS, (15, 2, 2), strict=True)
    in_tables = all(((inputs[name] >= 0) & (inputs[name] < size)).all() for name, size in sizes)
    mask = inputs[contract.MASK].tolist()
    return in_tables and all(row[0] == 1 and row == sorted(row, reverse=True) for row in mask)


@pytest.mark.slow
def test_any_tokens_are_answered_if_and_only_if_they_are_right(make):
    model = make("ragged")
    values = st.integers(0, 14) | st.sampled_from([-1, 0, 14, 15, 2**31 - 1, -(2**31)])
    bits = st.integers(0, 1) | st.sampled_from([0, 1, -1, 2])

    @given(st.data(), st.integers(1, 3), st.integers(1, 6), st.booleans())
    @settings(max_examples=2000, deadline=None)
    def check(data, height, width, mostly_right):
        size = height * width
        pool = [st.integers(0, 14), st.integers(0, 1)] if mostly_right else [values, bits]
        ids, types = (np.array(data.draw(st.lists(each, min_size=size, max_size=size))) for each in pool)
        lengths = data.draw(
            st.lists(st.integers(0 if not mostly_right else 1, width), min_size=height, max_size=height)
        )
        mask = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int32)
        if not mostly_right:
            mask[0, data.draw(st.integers(0, width - 1))] = data.draw(bits)
        inputs = rows(ids.reshape(height, width), mask, types.reshape(height, width))
        if is_right(inputs):
            assert np.isfinite(model.call("tokens", **inputs)["logits"]).all()
        else:
            assert "expected" in refusal(model, "tokens", **inputs)

    check()
