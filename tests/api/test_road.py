"""The whole road in Python: build, fit, export, load, serve, ask; tiny models with real forward passes."""

import threading

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import download_server
from support.hugging_face_folders import write_fine_tuned
from support.runs import in_process_verification

import bert_serving as bs
from bert_serving.errors import DataError, ExportError, InputError, RunFileError, RunFolderError

LABELS = ("blame", "praise")


@pytest.fixture(scope="module", autouse=True)
def _verified_here():
    with in_process_verification():
        yield


@pytest.fixture(scope="module")
def fitted(encoder_folder, rows):
    """A classifier that its own `fit` has trained."""
    classifier = bs.build_classifier(encoder_folder, LABELS, sequence_length=16)
    history = classifier.fit(rows[:40], rows[40:50], epochs=4, batch_size=4, learning_rate=0.02, seed=12)
    return classifier, history


@pytest.fixture(scope="module")
def compiled(encoder_folder, rows):
    """A classifier that Keras' own `compile` and `fit` have trained, and its data."""
    texts, labels = zip(*rows, strict=True)
    data = tf.data.Dataset.from_tensor_slices((list(texts), [LABELS.index(label) for label in labels])).batch(4)
    classifier = bs.build_classifier(str(encoder_folder), LABELS, sequence_length=16)
    optimizer = bs.create_optimizer(0.02, train_steps=60)
    classifier.model.compile(optimizer, loss=classifier.loss, metrics=["accuracy"])
    history = classifier.model.fit(data, epochs=4, verbose=0).history
    return classifier, history, data


@pytest.fixture(scope="module")
def exported(compiled, tmp_path_factory):
    """The export of the classifier that Keras trained."""
    classifier, _, data = compiled
    return bs.export(classifier, tmp_path_factory.mktemp("models"), name="mine", validation=data)


# === Fitting ===


def test_fit_learns_and_tells_the_scores_of_each_epoch(fitted, rows):
    classifier, history = fitted
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert {"loss", "val_loss", "val_accuracy", "rows_per_second"} <= history[-1].keys()
    assert classifier.evaluate(rows[50:])["accuracy"] >= 0.7


def test_the_fit_of_keras_learns_as_in_the_tutorial(compiled):
    _, history, _ = compiled
    assert history["loss"][-1] < history["loss"][0]
    assert history["accuracy"][-1] > 0.6


def test_a_fit_keeps_the_weights_of_its_best_epoch(fitted, rows):
    classifier, history = fitted
    best = max(row["val_accuracy"] for row in history)
    assert classifier.evaluate(rows[40:50])["accuracy"] == pytest.approx(best)


@pytest.mark.slow
def test_fit_with_frozen_layers_leaves_their_weights_as_they_are(encoder_folder, rows):
    classifier = bs.build_classifier(encoder_folder, LABELS, sequence_length=16, frozen_layers=1, pooling="mean")
    layers = [classifier.classifier.encoder.layer.get_layer(f"transformer/layer_{number}") for number in (0, 1)]
    before = [layer.get_weights()[0].copy() for layer in layers]
    classifier.fit(rows[:40], epochs=1, batch_size=8, learning_rate=0.01)
    after = [layer.get_weights()[0] for layer in layers]
    assert np.array_equal(before[0], after[0])
    assert not np.array_equal(before[1], after[1])
    assert len(classifier.validation) == 8


def test_a_classifier_of_windows_fits_fits_thresholds_and_is_exported(encoder_folder, rows, tmp_path):
    classifier = bs.build_classifier(
        encoder_folder,
        LABELS,
        sequence_length=16,
        long_texts="windows",
        window_overlap=4,
        max_windows=3,
        window_pooling="attention",
        reinitialized_layers=1,
    )
    options = classifier.classifier.options
    assert (options.windows.overlap, options.windows.most, options.window_pooling) == (4, 3, "attention")
    long_rows = [(f"{text} {'film ' * 30}", label) for text, label in rows[:40]]
    classifier.fit(long_rows, epochs=1, batch_size=8, thresholds="fitted")
    exported = bs.export(classifier, tmp_path / "models", name="windows")
    assert exported.manifest.max_windows == 3
    assert exported.manifest.thresholds == classifier.classifier.options.thresholds
    found, expected = (model.predict([long_rows[0][0]])[0].probabilities for model in (exported, classifier))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_a_prefix_is_put_before_every_text(encoder_folder):
    built = bs.build_classifier(encoder_folder, LABELS, sequence_length=16, prefix="not the ")
    plain = bs.build_classifier(encoder_folder, LABELS, sequence_length=16)
    found, _ = built.classifier.tokenize(["good film", ""])
    expected, _ = plain.classifier.tokenize(["not the good film", "not the "])
    np.testing.assert_array_equal(found.words, expected.words)


@pytest.mark.slow
def test_a_prefix_is_part_of_the_export(encoder_folder, tmp_path):
    built = bs.build_classifier(encoder_folder, LABELS, sequence_length=16, prefix="not the ", pooling="mean")
    plain = bs.build_classifier(encoder_folder, LABELS, sequence_length=16, pooling="mean")
    exported = bs.export(built, tmp_path / "models", name="prefixed")
    found = [each.probabilities for each in exported.predict(["good film", "", "bad " * 20])]
    expected = plain.predict(["not the good film", "not the ", "not the " + "bad " * 20])
    np.testing.assert_allclose(found, [each.probabilities for each in expected], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"epochs": 0}, RunFileError, "training.epochs: input should be greater than 0, got 0"),
        ({"patience": 2}, RunFileError, "training.patience: unknown key"),
        ({"best_metric": "spearman"}, RunFileError, "not measured for a softmax head"),
        ({"strategy": "mirrored"}, InputError, "fit trains on one device in float32, got strategy='mirrored'"),
        ({"validation_fraction": 2}, RunFileError, "data.validation_fraction: input should be less than 1, got 2"),
        ({"data": [("a", "other"), ("b", "praise")]}, DataError, "the label 'other' is not among the model's"),
        ({"data": []}, DataError, "the list: has no rows"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_fit_refuses_a_mistake_before_it_trains(fitted, rows, arguments, error, message):
    with pytest.raises(error, match=message):
        fitted[0].fit(**{"data": rows[:40], **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": ["a"]}, "a softmax head needs at least 2 labels, got 1"),
        ({"labels": "ab"}, "labels is 'ab'; give a list of names"),
        ({"labels": ["a", "b"], "long_texts": "all"}, "long_texts is 'all'; give one of truncate, head_and_tail, windows"),
        ({"labels": ["a", "b"], "max_windows": 4}, 'data.max_windows is 4, which is for data.long_texts = "windows"'),
        ({"labels": ["a", "b"], "long_texts": "windows", "pairs": True}, 'data.long_texts = "windows" is for single texts'),
        ({"labels": ["a", "b"], "reinitialized_layers": 9}, "encoder.reinitialized_layers is 9, the encoder has 2 layers"),
        ({"labels": ["a", "a"]}, "labels names one twice: a, a"),
        ({"labels": ["a", ""]}, "labels has ''; give names"),
        ({"labels": ["a", "b", "c"], "head": "binary"}, "a binary head needs 2 labels, got 3"),
        ({"labels": ["a"], "head": "regression"}, "a regression head needs no labels, got 1"),
        ({"labels": ["a", "b"], "head": "sigmoid"}, "head is 'sigmoid'; give one of softmax, binary, multilabel, regression"),
        ({"labels": ["a", "b"], "pooling": "first"}, "pooling is 'first'; give one of pooler, cls, mean, max"),
        ({"labels": ["a", "b"], "encoder": "nowhere"}, "the catalog has no encoder 'nowhere'"),
        ({"labels": ["a", "b"], "encoder": "./nowhere"}, "nowhere: no such encoder folder"),
        ({"labels": ["a", "b"], "sequence_length": 2}, "sequence_length: input should be greater than or equal to 4, got 2"),
        ({"labels": ["a", "b"], "sequence_length": 64}, "64, the encoder takes at most 32 tokens"),
        ({"labels": ["a", "b"], "prefix": 3}, "prefix: input should be a valid string, got 3"),
    ],
)  # fmt: skip
def test_a_classifier_that_cannot_be_built_is_refused(encoder_folder, arguments, message):
    with pytest.raises(InputError, match=message):
        bs.build_classifier(**{"encoder": encoder_folder, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": 0.0, "train_steps": 3}, "learning_rate: input should be greater than 0"),
        ({"learning_rate": 1e-3, "train_steps": 0}, "train_steps is 0"),
        (
            {"learning_rate": 1e-3, "train_steps": 3, "warmup_steps": 3},
            "warmup_steps is 3; give a number from 0 to below",
        ),
    ],
)
def test_an_optimizer_with_wrong_numbers_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        bs.create_optimizer(**arguments)


def test_the_optimizer_warms_up_and_decays_to_zero():
    optimizer = bs.create_optimizer(0.5, train_steps=10, warmup_steps=2)
    rates = [float(optimizer.learning_rate(step)) for step in (0, 1, 9, 10)]
    assert rates == pytest.approx([0, 0.25, 0.05, 0])


# === Export ===


def test_the_answers_of_an_export_equal_those_of_the_keras_model(compiled, exported, rows):
    classifier, _, _ = compiled
    texts = [text for text, _ in rows]
    logits = classifier.model.predict(tf.constant(texts), verbose=0)
    answers = exported.saved_model.call("serving_default", text=texts)
    assert np.abs(answers["logits"] - logits).max() < 1e-5
    assert [prediction.label for prediction in exported.predict(texts)] == [LABELS[i] for i in logits.argmax(axis=1)]


def test_an_export_tells_what_it_is_and_what_it_was_verified_with(exported):
    assert exported.manifest.verification.passed
    assert exported.manifest.verification.agreement.rows == 60
    assert (exported.name, exported.version, exported.labels) == ("mine", 1, LABELS)
    assert "fitted by a program" in (exported.path / "assets.extra" / "README.md").read_text("utf-8")
    assert repr(exported) == f"Export({str(exported.path)!r}, graph='ragged', precision='float32')"


@pytest.mark.slow
def test_a_run_is_exported_by_its_folder(trained, tmp_path):
    exported = bs.export(trained.run.path, tmp_path, graph="padded")
    texts = ["a good film", "very bad wheel"]
    values = [[row.probabilities for row in model.predict(texts)] for model in (exported, bs.Run(trained.run, trained))]
    assert np.ptp(values, axis=0).max() < 1e-5
    assert (exported.name, exported.manifest.graph) == ("tiny", "padded")


@pytest.mark.slow
def test_a_hugging_face_classifier_is_exported_by_its_folder(tmp_path):
    write_fine_tuned(tmp_path / "tiny bert", "bert")
    exported = bs.export(tmp_path / "tiny bert", tmp_path / "models", sequence_length=16)
    assert exported.name == "tiny-bert"
    assert len(exported.predict(["a good film"])[0].scores) == len(exported.labels)


@pytest.mark.slow
def test_a_hugging_face_classifier_is_exported_by_its_address(tmp_path, monkeypatch):
    write_fine_tuned(tmp_path / "tiny", "bert")
    with download_server.DownloadServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        for path in (tmp_path / "tiny").iterdir():
            server.files[f"/lab/mini/resolve/main/{path.name}"] = path.read_bytes()
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        exported = bs.export("hf://lab/mini", tmp_path / "models", sequence_length=16)
        server.shutdown()
    assert (exported.name, exported.labels) == ("mini", ("praise", "blame", "neither"))
    assert exported.manifest.encoder.name == "hf://lab/mini"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": "nowhere"}, ExportError, "nowhere: no such file or folder; check the path"),
        ({"graph": "round"}, RunFileError, "graph: input should be 'padded', 'trimmed' or 'ragged', got 'round'"),
        ({"texts": ["a.txt"]}, InputError, "texts are for a classifier from elsewhere"),
        ({"name": "a/b"}, RunFileError, "name: "),
        ({"version": 0}, ExportError, "version 0 is not a positive integer"),
        ({"max_error": 1}, RunFileError, "max_error: unknown key"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_export_that_cannot_be_made_is_refused(compiled, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        bs.export(**{"source": compiled[0], "to": tmp_path, **arguments})


def test_validation_rows_of_a_run_are_not_replaced_in_silence(trained, rows, tmp_path):
    with pytest.raises(InputError, match="validation is for a TextClassifier"):
        bs.export(bs.Run(trained.run), tmp_path, validation=rows)


# === Runs ===


def test_a_run_has_scores_history_predictions_and_explanations(trained, rows):
    run = bs.load(trained.run.path)
    assert isinstance(run, bs.Run)
    assert run.scores == trained.metrics["test"]
    assert len(run.history) == 4
    assert run.predict("a good film")[0].label == "praise"
    assert run.explain("a good film").ranking[0].text == "good"
    assert run.evaluate(rows[50:])["accuracy"] == run.scores["accuracy"]


@pytest.mark.slow
def test_training_takes_a_run_file_a_dict_or_a_configuration(run_file, encoder_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = {
        "data": {"folder": str(run_file.parent), "train": "train.tsv", "validation": "validation.tsv"},
        "encoder": {"path": str(encoder_folder), "sequence_length": 16},
        "training": {"epochs": 1, "batch_size": 8},
        "export": {"name": "by-dict"},
    }
    run = bs.train(content)
    assert run.path.as_posix() == "runs/by-dict"
    assert run.config.data.train == (run_file.parent / "train.tsv",)
    with pytest.raises(RunFolderError, match="holds a complete run"):
        bs.train(bs.RunConfig.model_validate(content))
    with pytest.raises(RunFileError, match=r"data\.train: missing; add it; encoder: missing; add it"):
        bs.train({"data": {}})
    with pytest.raises(RunFileError, match=r"training.epochs: input should be greater than 0, got 0"):
        bs.train(run_file, overrides=["training.epochs=0"])
    with pytest.raises(InputError, match="overrides are for a path of a run file"):
        bs.train(content, overrides=["training.epochs=1"])


def test_a_report_is_written_as_a_page_and_shows_its_intervals(trained, tmp_path):
    report = bs.Run(trained.run).report(to=tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert "95% intervals" in report._repr_html_()


# === Opening and asking ===


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such model"):
        bs.load("nowhere")
    with pytest.raises(ExportError, match="neither a SavedModel nor a folder of versions"):
        bs.load(tmp_path)
    with pytest.raises(InputError, match="is not an address of a model"):
        bs.Client("localhost:8500")


@pytest.mark.parametrize(
    ("texts", "pairs", "message"),
    [
        ([1], None, "text 1 is 1; give strings"),
        (["a", None], None, "text 2 is None; give strings"),
        (7, None, "expected a list of strings, got 7"),
        (["a"], ["b"], "takes texts alone, got text_pairs, too"),
        (["a"], ["b", "c"], "got 1 texts and 2 second texts"),
    ],
)
def test_texts_that_cannot_be_meant_are_refused(trained, texts, pairs, message):
    with pytest.raises(InputError, match=message):
        bs.Run(trained.run, trained).predict(texts, pairs)


def test_no_texts_have_no_predictions(trained):
    assert bs.Run(trained.run, trained).predict([]) == []


@pytest.mark.parametrize("kind", ["run", "classifier", "export", "predictions", "scores", "explanation"])
def test_objects_show_themselves_in_a_notebook(trained, fitted, exported, kind):
    run = bs.Run(trained.run, trained)
    shown = {
        "run": lambda: run,
        "classifier": lambda: fitted[0],
        "export": lambda: exported,
        "predictions": lambda: exported.predict(["<b>good</b>"]),
        "scores": lambda: run.scores,
        "explanation": lambda: run.explain("a <b> good film"),
    }[kind]()._repr_html_()
    words = {
        "run": ["accuracy", "test", "majority"],
        "classifier": ["blame, praise", "sequence length"],
        "export": ["serving_default", "12 golden texts"],
        "predictions": ["&lt;b&gt;good&lt;/b&gt;", "width:"],
        "scores": ["macro_f1", "precision"],
        "explanation": ["good", "rgba("],
    }[kind]
    assert all(word in shown for word in words)
    assert "<script" not in shown


def test_a_model_of_another_keras_is_refused_by_keras_itself(fitted):
    with pytest.raises(ValueError, match="optimizer"):
        fitted[0].model.compile(optimizer=object(), loss=fitted[0].loss)
    assert isinstance(fitted[0].model, tf_keras.Model)
