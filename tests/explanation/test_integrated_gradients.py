"""Integrated gradients: sums that must come out, and other ways to the same attributions."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf
from official.nlp.modeling import networks
from support.cases import slow_but
from support.hugging_face_folders import write_fine_tuned
from support.other_encoders import write_bag_of_words

from bert_serving import contract
from bert_serving.classifier import Classifier, ClassifierOptions, build_classifier
from bert_serving.config import EncoderConfig
from bert_serving.contract import Head, Pooling, Scaling
from bert_serving.encoders.architecture import ACTIVATIONS
from bert_serving.encoders.folder import EncoderFolder
from bert_serving.encoders.loading import LoadedEncoder, load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError, InputError
from bert_serving.explanation import integrated_gradients as attribution
from bert_serving.explanation.attribution import TOLERANCE
from bert_serving.explanation.integrated_gradients import MOST_STEPS, explain
from bert_serving.explanation.words import _split_words
from bert_serving.hugging_face import convert_classifier
from bert_serving.text.preprocessing import Preprocessing, load_preprocessing

TEXTS = ["good film", "The BIKE is not very goodly", "wheel bad?! bad, the unseen-words bad", "very " * 40]
LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def parts(encoder_folder) -> tuple[LoadedEncoder, Preprocessing]:
    folder = find_encoder_folder(EncoderConfig(path=encoder_folder))
    return load_encoder(folder, trainable=False), load_preprocessing(folder.preprocessing)


def classifier_of(parts, head=Head.SOFTMAX, pooling=Pooling.POOLER, **options) -> Classifier:
    """A classifier whose head is not as good as zero, as it is before training."""
    labels = {Head.BINARY: LABELS[:2], Head.REGRESSION: ()}.get(head, LABELS)
    built = build_classifier(
        *parts, ClassifierOptions(labels, head=head, pooling=pooling, **({"sequence_length": 16} | options))
    )
    layer = built.token_model.get_layer("head")
    random = np.random.default_rng(5)
    layer.set_weights([random.normal(size=weights.shape) for weights in layer.get_weights()])
    return built


# === The sum ===


@pytest.mark.parametrize(
    ("head", "pooling"), slow_but(itertools.product(Head, Pooling), kept=zip(Head, Pooling, strict=True))
)
def test_attributions_add_up_to_the_change_of_the_logit(head, pooling, parts):
    classifier = classifier_of(parts, head, pooling)
    for text in TEXTS[1:]:
        found = explain(classifier, text)
        logits = classifier.predict_tokens(classifier.tokenize([text])[0])[0]
        place = found.labels.index(found.label)
        expected = logits[0] * (1 if place or head is Head.REGRESSION else -1) if len(logits) == 1 else logits[place]
        assert found.logit == pytest.approx(expected, abs=1e-4)
        assert abs(found.total - (found.logit - found.baseline_logit)) <= TOLERANCE * max(abs(found.change), 0.05)
        assert found.is_complete
        np.testing.assert_allclose(found.probabilities, classifier.predict([text])[0], atol=1e-6)


def test_attributions_go_through_the_heads_own_blocks(parts):
    classifier = classifier_of(parts, pooling=Pooling.MAX, blocks=1)
    found = explain(classifier, TEXTS[1])
    logits = classifier.predict_tokens(classifier.tokenize(TEXTS[1:2])[0])[0]
    assert found.logit == pytest.approx(logits[found.labels.index(found.label)], abs=1e-4)
    assert found.is_complete


def test_attributions_of_a_trained_run_add_up(trained):
    for text in TEXTS:
        found = explain(trained.classifier, text)
        assert found.gap <= TOLERANCE, text
        assert found.label == found.labels[found.probabilities.argmax()]


def test_the_words_that_decide_are_those_that_were_learnt(trained, rows):
    """In these texts "good" and "bad" alone tell the labels apart."""
    moved = {"good": [], "bad": [], "other": []}
    for text, _ in rows[40:]:
        for word in explain(trained.classifier, text, label="praise").words:
            moved[word.text if word.text in moved else "other"].append(word.attribution)
    means = {name: np.mean(values) for name, values in moved.items()}
    assert means["good"] > 3 * abs(means["other"])
    assert means["bad"] < -3 * abs(means["other"])


@pytest.mark.slow
def test_attributions_of_a_real_encoder_add_up(minilm_folder):
    folder = find_encoder_folder(EncoderConfig(path=minilm_folder))
    parts = load_encoder(folder, trainable=False), load_preprocessing(folder.preprocessing)
    for pooling in Pooling:
        classifier = classifier_of(parts, pooling=pooling, sequence_length=128)
        for text in ("i didnt feel humiliated", "I can't believe it's unbelievably good!", "hardly any " * 70):
            assert explain(classifier, text).gap <= TOLERANCE


# === Other roads ===


def test_a_linear_model_gets_the_analytic_answer(parts, monkeypatch):
    """Where the logit is a weighted sum of embeddings, a token's share is its weights times its difference: no step can err."""
    monkeypatch.setattr(attribution, "_encode", lambda network, words, mask, types: {contract.SEQUENCE_OUTPUT: words})
    classifier = classifier_of(parts, pooling=Pooling.MEAN)
    rows, _ = classifier.tokenize(["good film is bad"])
    replaced = np.asarray([False, True, True, True, True, False])
    table = parts[0].layer.get_layer("word_embeddings").get_weights()[0]
    kernel = classifier.token_model.get_layer("head").get_weights()[0]
    expected = (table[rows.words] - table[4]) @ kernel[:, 2] / 6 * replaced  # [MASK] is token 4
    for steps in (1, 7):
        found = attribution._Path(classifier, rows, replaced, 2).attributions(steps)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_attributions_are_those_of_another_implementation(parts):
    """The second BERT encoder of tf-models takes embeddings as inputs; the integral by ten thousand equal steps."""
    encoder, _ = parts
    classifier = classifier_of(parts, pooling=Pooling.CLS)
    found = explain(classifier, "good film is not very bad", label="b", steps=256)
    architecture = encoder.architecture
    network = networks.BertEncoderV2(
        vocab_size=architecture.vocab_size,
        hidden_size=architecture.hidden_size,
        num_layers=architecture.num_hidden_layers,
        num_attention_heads=architecture.num_attention_heads,
        max_sequence_length=architecture.max_position_embeddings,
        type_vocab_size=architecture.type_vocab_size,
        inner_dim=architecture.intermediate_size,
        inner_activation=ACTIVATIONS[architecture.activation],
    )
    rows, _ = classifier.tokenize(["good film is not very bad"])
    tokens = classifier.batch(rows, [0])
    network(tokens)
    for variable, other in zip(network.variables, encoder.layer.variables, strict=True):
        assert variable.name == f"{network.name}/{other.name}"
        variable.assign(other)
    kernel, bias = classifier.token_model.get_layer("head").get_weights()
    table = network.get_embedding_table().numpy()
    masked = np.where(np.isin(rows.words, [2, 3]), rows.words, 4)  # [CLS] and [SEP] stay
    start, end = table[masked], table[rows.words]
    steps = 10_000
    total = np.zeros_like(start)
    for shares in np.array_split((np.arange(steps) + 0.5) / steps, 20):
        points = tf.constant(start + shares[:, None, None] * (end - start), tf.float32)
        inputs = {name: tf.repeat(value, len(shares), axis=0) for name, value in tokens.items()}
        with tf.GradientTape() as tape:
            tape.watch(points)
            states = network({**inputs, "input_word_embeddings": points})["sequence_output"]
            logits = (states[:, 0] @ kernel + bias)[:, 1]
        total += tape.gradient(logits, points).numpy().sum(axis=0)
    expected = (total / steps * (end - start)).sum(axis=1)
    np.testing.assert_allclose([word.attribution for word in found.words], expected[1:-1], atol=2e-4)


def test_the_two_labels_of_a_binary_head_have_opposite_attributions(parts):
    classifier = classifier_of(parts, Head.BINARY)
    first, second = (explain(classifier, TEXTS[2], label=label, steps=64) for label in LABELS[:2])
    assert first.logit == -second.logit
    np.testing.assert_allclose(
        [word.attribution for word in first.words], [-(word.attribution or 0) for word in second.words], atol=1e-6
    )


def test_a_scaling_changes_probabilities_and_no_attribution(parts):
    plain, warm = (explain(classifier_of(parts, scaling=value), TEXTS[1]) for value in (Scaling(), Scaling(4.0)))
    assert plain.probabilities.max() > warm.probabilities.max()
    assert plain.words == warm.words


# === Steps ===


def test_steps_are_doubled_until_the_sum_comes_out(parts):
    found = explain(classifier_of(parts), TEXTS[2], steps=1)
    assert found.is_complete
    assert found.steps in [2**power for power in range(1, 12)]


def test_the_gap_is_told_where_no_number_of_steps_closes_it(parts, monkeypatch):
    monkeypatch.setattr(attribution, "MOST_STEPS", 1)
    found = explain(classifier_of(parts), TEXTS[2], steps=1)
    assert (found.steps, found.is_complete) == (1, False)
    assert found.gap > TOLERANCE


# === Words ===


def words_of(classifier: Classifier, *texts: str) -> list[tuple[str, bool, int]]:
    return [(word.text, word.after_space, word.segment) for word in explain(classifier, *texts).words]


def test_words_stand_as_in_the_text_and_their_pieces_are_joined(parts):
    assert words_of(classifier_of(parts), "The\tGoodly  BIKE, isn't it-Ünseen 好film") == [
        *[("The", True, 0), ("Goodly", True, 0), ("BIKE", True, 0), (",", False, 0), ("isn", True, 0), ("'", False, 0)],
        *[("t", False, 0), ("it", True, 0), ("-", False, 0), ("Ünseen", False, 0), ("好", True, 0), ("film", False, 0)],
    ]


def test_a_word_of_pieces_gets_the_sum_of_its_pieces(parts):
    classifier = classifier_of(parts)
    rows, _ = classifier.tokenize(["goodly film"])
    assert len(rows.words) == 5  # [CLS] good ##ly film [SEP]
    found = explain(classifier, "goodly film", label="a", steps=64)
    tokens = attribution._Path(classifier, rows, np.asarray([False, True, True, True, False]), 0).attributions(64)
    np.testing.assert_allclose([word.attribution for word in found.words], [tokens[1:3].sum(), tokens[3]])
    assert tokens[[0, 4]].tolist() == [0, 0]


def test_words_beyond_the_sequence_length_have_no_attribution(parts):
    found = explain(classifier_of(parts, sequence_length=6), "good film is bad wheel bike")
    assert [word.attribution is None for word in found.words] == [False] * 4 + [True] * 2
    assert found.cut_at == 6
    assert found.weights[4:] == (None, None)
    assert len(found.ranking) == 4
    assert explain(classifier_of(parts), "good film").cut_at is None


def test_both_texts_of_a_pair_have_their_words(parts):
    classifier = classifier_of(parts, pairs=True, sequence_length=9)
    found = explain(classifier, "good film", "bad bike is the wheel")
    assert [(word.text, word.segment) for word in found.words][1:4] == [("film", 0), ("bad", 1), ("bike", 1)]
    assert [word.attribution is None for word in found.words] == [False] * 6 + [True]
    assert found.is_complete


def test_where_nothing_is_left_of_a_word_the_pieces_themselves_are_shown(parts):
    """An uncased tokenizer takes accents away; of a word of accents alone nothing stays."""
    assert words_of(classifier_of(parts), "Goodly \u0301\u0301 film") == [("goodly", True, 0), ("film", True, 0)]


def test_the_words_of_real_texts_are_those_of_the_tokenizer(shared_data, parts):
    """For nine languages and six scripts: as many words as the tokenizer finds, so that each shows as it stands."""
    for path in sorted((shared_data / "sib200").glob("*/test.tsv")):
        texts = [line.split("\t")[0] for line in path.read_text("utf-8").splitlines()[1:5]]
        counts = parts[1].segment(tf.constant(texts)).row_lengths().numpy()
        words = [_split_words(text) for text in texts]
        assert [len(each) for each in words] == counts.tolist(), path.parent.name
        joined = ["".join(" " * after_space + word for word, after_space in each) for each in words]
        assert [text.split() for text in joined] == [text.split() for text in texts]


@pytest.mark.parametrize(
    ("model_type", "text", "expected"),
    [
        ("roberta", "caf\u00e9's  the \u6211", [("caf\u00e9", 0), ("'s", 0), ("\u2423", 1), ("the", 1), ("\u6211", 1)]),
        ("albert", "good verygood film", [("good", 1), ("verygood", 1), ("film", 1)]),
        pytest.param(
            "xlm-roberta",
            "good verygood film",
            [("good", 1), ("verygood", 1), ("film", 1)],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_words_of_other_tokenizers_are_shown_as_text(tmp_path, model_type, text, expected):
    write_fine_tuned(tmp_path / "it", model_type)
    classifier = convert_classifier(tmp_path / "it", tmp_path / "out", sequence_length=24, pairs=False).classifier
    found = explain(classifier, text)
    assert [(word.text, word.after_space) for word in found.words] == expected
    total = sum(word.attribution for word in found.words)
    assert total == pytest.approx(found.logit - found.baseline_logit, rel=TOLERANCE, abs=1e-3)


# === Mistakes ===


@pytest.mark.parametrize(
    ("head", "arguments", "options", "message"),
    [
        (Head.SOFTMAX, ("good",), {"label": "d"}, "the model has no label 'd'; it has a, b, c"),
        (
            Head.REGRESSION,
            ("good",),
            {"label": "a"},
            "a regression model has one value and no labels, got the label 'a'",
        ),
        (Head.SOFTMAX, ("good", "bad"), {}, "this classifier takes 1 text, got 2"),
        (Head.SOFTMAX, ("",), {}, "the text '' has no words to explain"),
        (Head.SOFTMAX, (" \n\u0301",), {}, "has no words to explain"),
        (Head.SOFTMAX, ("a\udcff",), {}, "is not valid Unicode; give it in UTF-8"),
        (Head.SOFTMAX, ("good",), {"steps": 0}, f"the number of steps must be from 1 to {MOST_STEPS}, got 0"),
        (Head.SOFTMAX, ("good",), {"steps": MOST_STEPS + 1}, f"must be from 1 to {MOST_STEPS}, got {MOST_STEPS + 1}"),
    ],
)
def test_a_mistake_is_said_in_one_line(head, arguments, options, message, parts):
    with pytest.raises(InputError) as raised:
        explain(classifier_of(parts, head), *arguments, **options)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_classifier_of_pairs_needs_both_texts(parts):
    with pytest.raises(InputError, match="this classifier takes 2 texts, got 1"):
        explain(classifier_of(parts, pairs=True), "good")


def test_an_encoder_that_shows_no_embeddings_is_refused(encoder_folder, parts, tmp_path):
    write_bag_of_words(tmp_path / "encoder")
    folder = EncoderFolder("bag", tmp_path / "encoder", encoder_folder / "preprocessing", "")
    classifier = classifier_of((load_encoder(folder), parts[1]), sequence_length=16)
    with pytest.raises(
        EncoderError, match="without access to its embeddings; explain needs an encoder of the BERT family"
    ):
        explain(classifier, "good film")


def test_an_encoder_whose_layers_are_joined_otherwise_is_refused(parts, monkeypatch):
    """Better no answer than one about another model: the network run from its embeddings must give the classifier's logits."""
    right = attribution._encode

    def without_types(network, words, mask, types):
        return right(network, words, mask, tf.ones_like(types))

    monkeypatch.setattr(attribution, "_encode", without_types)
    with pytest.raises(EncoderError, match="not connected as in BERT"):
        explain(classifier_of(parts), "good film")


def test_an_explanation_cannot_be_changed(trained):
    with pytest.raises(dataclasses.FrozenInstanceError):
        explain(trained.classifier, "good").steps = 3
