"""Long texts: head and tail, and windows, from the run file to the trained classifier."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from support.runs import EndAtBatch, Recorder, assert_same_weights, history_of, interrupted_and_resumed, no_pictures  # noqa: F401  no_pictures is a fixture
from support.tiny import WORDS, write_run_file

from bert_serving import contract
from bert_serving.classifier import Classifier, ClassifierOptions, build_classifier
from bert_serving.config import EncoderConfig, load_run_file
from bert_serving.contract import Head, LongTexts, Pooling, WindowPooling
from bert_serving.data.batches import BatchPlan, epoch_dataset, padded_batch
from bert_serving.data.windows import WindowPlan
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.errors import RunFileError
from bert_serving.observer import Observer
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training.frozen_layers import freeze, with_layer_outputs
from bert_serving.training.learning_model import learning_classifier
from bert_serving.training.run import train

LENGTH = 16
PLAN = WindowPlan(LENGTH, 2, 5)
WINDOWS = 'data.long_texts="windows"'
RANDOM = np.random.default_rng(0)
# No words, few, as many as fit, one more, and many.
TEXTS = [" ".join(RANDOM.choice(WORDS[:8], size=size)) for size in (0, 1, 14, 15, 40, 5000, 14, 27)]


@pytest.fixture(scope="module")
def folder(encoder_folder):
    return find_encoder_folder(EncoderConfig(path=encoder_folder))


@pytest.fixture(scope="module")
def long_rows():
    """Texts of 1 to 45 words, with the word that decides the label anywhere in them."""
    random = np.random.default_rng(2)
    rows = []
    for number in range(60):
        words = list(random.choice(["film", "bike", "the", "is", "very", "wheel"], size=random.integers(1, 45)))
        words.insert(int(random.integers(0, len(words) + 1)), ("good", "bad")[number % 2])
        rows.append((" ".join(words), ("praise", "blame")[number % 2]))
    return rows


@pytest.fixture
def run_file(long_rows, encoder_folder, tmp_path):
    return write_run_file(tmp_path, encoder_folder, long_rows, epochs=2)


def classifier_of(folder, **options: object) -> Classifier:
    settings = {"labels": ("a", "b", "c"), "sequence_length": LENGTH, "long_texts": LongTexts.WINDOWS, "windows": PLAN}
    classifier = build_classifier(
        load_encoder(folder), load_preprocessing(folder.preprocessing), ClassifierOptions(**(settings | options))
    )
    for variable in classifier.token_model.variables:
        if variable.name.startswith("window_pooling"):
            variable.assign(np.random.default_rng(5).normal(size=variable.shape))
    return classifier


def alone(classifier: Classifier, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Pooled vector and logits of a text by another way: each window through the encoder alone, the rest in NumPy."""
    options, special = classifier.options, classifier.preprocessing.special
    words = classifier.preprocessing.segment(tf.constant([text]))[0].flat_values.numpy()
    starts = [0]
    while starts[-1] + options.windows.inside < len(words):
        starts.append(starts[-1] + options.windows.stride)
    if len(starts) > options.windows.most:
        places = np.floor(np.linspace(0, len(starts) - 1, options.windows.most) + 0.5).astype(int)
        starts = [starts[place] for place in places]
    vectors = []
    for start in starts:
        ids = [special.start_of_sequence, *words[start : start + options.windows.inside], special.end_of_segment]
        row = {name: tf.fill([1, len(ids)], int(name == contract.MASK)) for name in contract.TOKEN_INPUTS}
        outputs = classifier.encoder.layer({**row, contract.WORD_IDS: tf.constant([ids], tf.int32)}, training=False)
        sequence = outputs[contract.SEQUENCE_OUTPUT][0].numpy()
        vectors.append(
            {
                Pooling.POOLER: outputs[contract.POOLED_OUTPUT][0].numpy(),
                Pooling.CLS: sequence[0],
                Pooling.MEAN: sequence.mean(axis=0),
                Pooling.MAX: sequence.max(axis=0),
            }[options.pooling]
        )
    windows = np.stack(vectors)
    match options.window_pooling:
        case WindowPooling.MEAN:
            pooled = windows.mean(axis=0)
        case WindowPooling.MAX:
            pooled = windows.max(axis=0)
        case WindowPooling.ATTENTION:
            powers = np.exp(windows @ classifier.token_model.get_layer("window_pooling").kernel.numpy())
            pooled = (windows * powers / powers.sum()).sum(axis=0)
    kernel, bias = classifier.token_model.get_layer("head").get_weights()
    return pooled, pooled @ kernel + bias


# === The same answers as window by window ===


@pytest.mark.parametrize(
    ("pooling", "window_pooling", "head"),
    [
        (Pooling.POOLER, WindowPooling.MEAN, Head.SOFTMAX),
        (Pooling.MEAN, WindowPooling.ATTENTION, Head.MULTILABEL),
        pytest.param(Pooling.CLS, WindowPooling.MAX, Head.REGRESSION, marks=pytest.mark.slow),
        pytest.param(Pooling.MAX, WindowPooling.ATTENTION, Head.BINARY, marks=pytest.mark.slow),
    ],
)
def test_a_text_is_its_windows_encoded_alone_and_pooled(pooling, window_pooling, head, folder):
    labels = {Head.REGRESSION: (), Head.BINARY: ("a", "b")}.get(head, ("a", "b", "c"))
    classifier = classifier_of(folder, pooling=pooling, window_pooling=window_pooling, head=head, labels=labels)
    pooled, expected = (np.stack(values) for values in zip(*(alone(classifier, text) for text in TEXTS), strict=True))
    rows, lengths = classifier.tokenize(TEXTS)
    np.testing.assert_allclose(classifier.predict_tokens(rows), expected, rtol=1e-4, atol=1e-5)
    features = classifier.features_model(classifier.batch(rows, range(len(TEXTS))), training=False)
    np.testing.assert_allclose(features[contract.POOLED_OUTPUT], pooled, rtol=1e-4, atol=1e-5)
    # The whole model and the one that learns take the same windows.
    np.testing.assert_allclose(classifier.model(tf.constant(TEXTS)), expected, rtol=1e-4, atol=1e-5)
    learning = learning_classifier(classifier)
    np.testing.assert_allclose(learning.predict_tokens(rows), expected, rtol=1e-4, atol=1e-5)
    assert lengths.tolist() == [2, 3, 16, 17, 42, 5002, 16, 29]


def test_a_text_of_one_window_has_the_logits_of_a_truncated_one(folder):
    windows = classifier_of(folder)
    plain = classifier_of(folder, long_texts=LongTexts.TRUNCATE, windows=None)
    plain.token_model.set_weights(windows.token_model.get_weights())
    texts = [text for text in TEXTS if len(text.split()) <= PLAN.inside]
    np.testing.assert_allclose(windows.predict(texts), plain.predict(texts), rtol=1e-5)


def test_only_the_chosen_texts_are_computed(folder):
    classifier = classifier_of(folder)
    rows, _ = classifier.tokenize(TEXTS)
    whole, part = classifier.predict_tokens(rows), classifier.predict_tokens(rows, only=np.array([4, 1]))
    np.testing.assert_allclose(part[[1, 4]], whole[[1, 4]], rtol=1e-5, atol=1e-6)
    assert not part[[0, 2, 3, 5, 6, 7]].any()
    assert classifier.predict([]).shape == (0, 3)


def test_frozen_layers_keep_the_outputs_of_each_window(folder, tmp_path):
    classifier = classifier_of(folder, window_pooling=WindowPooling.MAX)
    freeze(classifier.encoder, 1)
    rows, _ = classifier.tokenize(TEXTS)
    kept = with_layer_outputs(classifier, {"train": rows}, 1, tmp_path, Observer())["train"]
    np.testing.assert_allclose(
        learning_classifier(classifier, 1).predict_tokens(kept), classifier.predict_tokens(rows), rtol=1e-4, atol=1e-5
    )


# === Batches of bounded tokens ===


@pytest.mark.parametrize("length_step", [1, 8])
def test_batches_have_at_most_so_many_padded_tokens(length_step, folder):
    rows, _ = classifier_of(folder).tokenize(TEXTS * 20)
    plan = BatchPlan(8, max_tokens=100, length_step=length_step, longest=LENGTH)
    batches = plan.batches(rows, 1)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(rows)))
    for batch in batches:
        padded = padded_batch(rows, batch, length_step=length_step, longest=LENGTH)
        assert padded[contract.WORD_IDS].size <= 100 or len(batch) == 1
        assert len(batch) <= 8
        assert padded[contract.WINDOW_COUNTS].sum() == len(padded[contract.MASK])
    assert max(map(len, batches)) == 8


def test_every_text_has_the_same_share_in_batches_of_any_size(folder):
    rows, _ = classifier_of(folder).tokenize(TEXTS * 5)
    plan, targets = BatchPlan(8, max_tokens=100), np.arange(len(rows))
    weights = np.linspace(1, 2, len(rows)).astype(np.float32)
    sizes = []
    for _, numbers, scales in epoch_dataset(rows, targets, weights, plan, 1):
        np.testing.assert_array_equal(scales[:, 0], weights[numbers])
        np.testing.assert_allclose(scales[:, 1], len(plan.batches(rows, 1)) / len(rows), rtol=1e-6)
        sizes.append(len(numbers))
    assert min(sizes) < max(sizes)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [[], ["training.adversarial_epsilon=0.5"]], ids=["plain", "adversarial"])
def test_a_bound_that_binds_nothing_changes_no_weight(settings, long_rows, encoder_folder, tmp_path):
    # 40 rows in batches of 8: all batches have one size, and so one share.
    run_file = write_run_file(tmp_path, encoder_folder, long_rows, epochs=1, batch_size=8)
    free = train(load_run_file(run_file, settings), tmp_path / "free").run
    bounded = train(load_run_file(run_file, [*settings, "training.max_batch_tokens=128"]), tmp_path / "bounded").run
    mine, theirs = read_safetensors(bounded.weights), read_safetensors(free.weights)
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-3, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(history_of(bounded)[0]["loss"], history_of(free)[0]["loss"], rtol=1e-4)


# === Runs ===


@pytest.mark.slow
def test_a_resumed_run_of_windows_ends_with_the_same_weights(run_file, tmp_path):
    config = load_run_file(run_file, [WINDOWS, 'head.window_pooling="attention"', "training.max_batch_tokens=160"])
    whole = train(config, tmp_path / "whole").run
    stopped = interrupted_and_resumed(config, tmp_path / "stopped", EndAtBatch(2, 5))
    assert history_of(stopped) == history_of(whole)
    assert_same_weights(stopped, whole)


@pytest.mark.slow
def test_windows_find_the_word_that_truncation_cuts_off(encoder_folder, tmp_path):
    # The deciding word stands at the end of each text, where truncated texts do not reach.
    random = np.random.default_rng(3)
    words = [
        " ".join(random.choice(["film", "the", "bike", "is"], size=size)) for size in random.integers(16, 24, size=60)
    ]
    rows = [(f"{text} {('good', 'bad')[i % 2]}", ("a", "b")[i % 2]) for i, text in enumerate(words)]
    run_file = write_run_file(tmp_path, encoder_folder, rows, epochs=8)
    scores = {}
    for rule in (LongTexts.TRUNCATE, LongTexts.WINDOWS):
        config = load_run_file(run_file, [f'data.long_texts="{rule}"', 'head.pooling="mean"'])
        scores[rule] = train(config, tmp_path / rule).metrics["test"]["accuracy"]
    assert scores[LongTexts.TRUNCATE] < 0.8
    assert scores[LongTexts.WINDOWS] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ["training.gradual_unfreezing=1", 'head.window_pooling="max"'],
        ["training.adversarial_epsilon=0.5"],
        ["encoder.frozen_layers=1", "training.average_last_epochs=2"],
        ["head.blocks=1", 'head.pooling="mean"', "encoder.trainable=false"],
        ['training.mixed_precision="bfloat16"', "encoder.cache_tokens=true", 'training.padding="fixed"'],
        ["training.class_weights=true", 'head.kind="binary"'],
    ],
)
def test_windows_learn_with_other_settings(settings, run_file, tmp_path):
    trained = train(load_run_file(run_file, [WINDOWS, *settings]), tmp_path / "run")
    assert np.isfinite([row["loss"] for row in history_of(trained.run)]).all()
    again = Classifier.predict(trained.classifier, trained.splits.test.texts)
    assert again.shape == (10, 2)


def test_a_run_tells_of_windows_and_learns_their_weights(run_file, tmp_path):
    config = load_run_file(
        run_file, [WINDOWS, "data.max_windows=2", 'head.window_pooling="attention"', "training.epochs=1"]
    )
    told = Recorder()
    trained = train(config, tmp_path / "run", observer=told)
    assert trained.classifier.options.reach == 28
    warnings = trained.run.read_json("audit.json")["warnings"]
    assert any("longer than 28 tokens and are read in evenly spaced windows" in line for line in warnings)
    assert any(line.startswith("windows: ") for line in told.notes)
    # It begins with zeros.
    assert np.abs(read_safetensors(trained.run.weights)["window_pooling/kernel:0"]).max() > 0


# === What does not go together ===


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ([WINDOWS, 'data.text_pair="other"'], "windows.*data.text_pair"),
        (['data.long_texts="head_and_tail"', 'data.text_pair="other"'], "head_and_tail.*data.text_pair"),
        ([WINDOWS, "encoder.cache_features=true", "encoder.trainable=false"], "encoder.cache_features = false"),
        (
            ['data.long_texts="head_and_tail"', "encoder.cache_features=true", "encoder.trainable=false"],
            "cache_features reads truncated texts",
        ),
        ([WINDOWS, 'training.strategy="mirrored"'], 'training.strategy = "one_device", got "mirrored"'),
        ([WINDOWS, 'training.strategy="multi_worker"'], 'training.strategy = "one_device"'),
        ([WINDOWS, 'training.strategy="tpu"'], 'training.strategy = "one_device"'),
        ([WINDOWS, "training.xla=true"], "training.xla = false"),
        ([WINDOWS, "data.window_overlap=14"], "data.window_overlap is 14.*14 tokens of the text"),
        (["data.window_overlap=4"], 'data.window_overlap is 4, which is for data.long_texts = "windows"'),
        (["data.max_windows=4"], "data.max_windows is 4"),
        (['head.window_pooling="max"'], 'head.window_pooling is "max"'),
        (["training.max_batch_tokens=15"], "less than one text of encoder.sequence_length 16"),
        (["training.max_batch_tokens=150", 'training.strategy="tpu"'], "a TPU needs one"),
        ([WINDOWS, "data.max_windows=1"], "data.max_windows"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, problem, run_file):
    with pytest.raises(RunFileError, match=problem):
        load_run_file(run_file, settings)


@pytest.mark.slow
def test_a_token_cache_keeps_the_rules_apart(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_SERVING_CACHE", str(tmp_path))
    classifiers = [
        classifier_of(folder, long_texts=rule, windows=PLAN if rule is LongTexts.WINDOWS else None)
        for rule in LongTexts
    ]
    for _ in range(2):
        for classifier in classifiers:
            cached, _ = classifier.tokenize(TEXTS, cache=True)
            fresh, _ = classifier.tokenize(TEXTS)
            for field in dataclasses.fields(fresh):
                np.testing.assert_array_equal(getattr(cached, field.name), getattr(fresh, field.name))
