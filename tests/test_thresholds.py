"""Fitted thresholds on the whole road: one rule decides the label in the run, the export, servers, clients and scoring."""

import json
import shutil

import numpy as np
import pytest
from support.runs import in_process_verification, no_pictures  # noqa: F401  no_pictures is a fixture
from support.tiny import write_run_file, write_tsv_file

from bert_serving.answers import answer_texts, predicted_labels
from bert_serving.classifier import label_of
from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.clients.rest_client import RestClient
from bert_serving.config import load_run_file
from bert_serving.contract import Head
from bert_serving.errors import InputError, RunFolderError
from bert_serving.explanation.integrated_gradients import explain
from bert_serving.model.model import open_model, predict_table
from bert_serving.model.remote import check_answers
from bert_serving.model.texts import predict_texts
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread
from bert_serving.publishing.rollout.comparison import compare_models
from bert_serving.saved_model.export import export_run
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.saved_model.verification.verify import verify
from bert_serving.scoring.answers import answers_to
from bert_serving.scoring.answers_table import AnswersTable
from bert_serving.scoring.model_files import ModelFiles, find_model
from bert_serving.scoring.rows import Row
from bert_serving.scoring.scorer import Scorer
from bert_serving.scoring.settings import OutputFormat
from bert_serving.training.calibrate import calibrate
from bert_serving.training.loading import load_classifier
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder

LABELS = ("often", "rare", "third")
HEADS = [Head.BINARY, *(pytest.param(head, marks=pytest.mark.slow) for head in (Head.MULTILABEL, Head.SOFTMAX))]


def made_rows(head: Head, count: int, seed: int) -> list[tuple[str, str]]:
    """Of the texts with "good" less than a half has the label "rare", so that it is never likelier than not."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        words = list(random.choice(["film", "the", "is", "very"], size=random.integers(0, 3)))
        is_good = number % 2 == 0
        words.append("good" if is_good else "bad")
        label = "rare" if is_good and random.random() < 0.38 else "often"
        if head is Head.SOFTMAX and number % 7 == 1:
            words, label = [*words[:-1], "wheel"], "third"
        if head is Head.MULTILABEL:
            label = ",".join(["often", *(["rare"] if label == "rare" else [])] if number % 5 else [label])
        rows.append((" ".join(words), label))
    return rows


def run_of(head: Head, encoder_folder, folder, *overrides: str):
    path = write_run_file(folder, encoder_folder, [("a", "b")] * 60, epochs=2, batch_size=8, best_metric="loss")
    for name, count, seed in (("train", 240, 1), ("validation", 240, 2), ("test", 240, 3)):
        write_tsv_file(folder / f"{name}.tsv", made_rows(head, count, seed))
    config = load_run_file(path, [f"head.kind={head}", "head.thresholds=fitted", *overrides])
    return train(config, folder / "run")


@pytest.fixture(scope="module")
def fitted(request, encoder_folder, tmp_path_factory):
    """A run with fitted thresholds, and its export, by head."""
    trained = run_of(request.param, encoder_folder, tmp_path_factory.mktemp("fitted"))
    with in_process_verification():
        version = export_run(trained.run, ExportOptions(tmp_path_factory.mktemp("models") / "fitted", "fitted"))
    return request.param, trained, version


@pytest.mark.parametrize("fitted", HEADS, indirect=True)
def test_the_run_decides_by_thresholds_that_help(fitted):
    head, trained, _ = fitted
    fit = json.loads((trained.run.path / "thresholds.json").read_text())
    options = trained.classifier.options
    assert "rare" in fit["kept"]
    assert options.thresholds == trained.run.thresholds() == load_classifier(trained.run).options.thresholds != ()
    assert trained.metrics["validation"]["macro_f1"] == pytest.approx(fit["macro_f1_fitted"])
    assert fit["macro_f1_fixed"] + 0.05 < fit["macro_f1_cross_fitted"]
    model = open_model(str(trained.run.path))
    predictions = predict_table(model, trained.splits.test)
    assert predictions.metrics == trained.metrics["test"]
    plain = predict_table(open_model(str(trained.run.path)), trained.splits.test).values
    without = predicted_labels(head, plain)
    assert trained.metrics["test"]["macro_f1"] > 0.05 + _macro_f1(predictions.y_true, without, len(options.labels))


def _macro_f1(y_true, y_pred, classes) -> float:
    from sklearn.metrics import f1_score

    labels = None if y_true.ndim == 2 else range(classes)
    return float(f1_score(y_true, y_pred, average="macro", labels=labels, zero_division=0))


@pytest.mark.slow
@pytest.mark.parametrize("fitted", HEADS, indirect=True)
def test_every_place_that_names_a_label_names_the_same_one(fitted):
    head, trained, version = fitted
    options, texts = trained.classifier.options, sorted({*trained.splits.test.texts})
    values = trained.classifier.predict(texts)
    expected = answer_texts(head, options.labels, values, options.thresholds)
    assert expected != answer_texts(head, options.labels, values), "thresholds change labels here"
    manifest = load_manifest(version)
    assert manifest.thresholds == options.thresholds
    assert verify(version).passed
    found = {"graph": [label.decode() for label in label_of(head, options.labels, values, options.thresholds).numpy()]}
    found["serving_default"] = [
        label.decode() for label in ExportedModel(version).call("serving_default", text=texts)["label"]
    ]
    for name in (str(trained.run.path), str(version.parent)):
        found[name] = predict_texts(open_model(name), texts).predicted
    files, scorer = find_model(str(version)), Scorer.load(version)
    found["scoring"] = [answer.label for answer in answers_to(texts, files, scorer)]
    server_options = ServerOptions(models=[ModelConfig("fitted", version.parent)])
    with ServerThread(server_options) as server:
        for client_class, address, name in (
            (GrpcClient, server.grpc_address, f"grpc://{server.grpc_address}/fitted"),
            (RestClient, server.rest_url, f"{server.rest_url}/fitted"),
        ):
            with client_class(address) as client:
                told = client.describe("fitted")
                assert (told.head, told.labels, told.thresholds) == (head, options.labels, options.thresholds)
                found[name] = [each.label for each in client.predict("fitted", texts)]
            model = open_model(name)
            found[f"{name}, predict"] = predict_texts(model, texts).predicted
            assert predict_table(model, trained.splits.test).metrics["macro_f1"] == pytest.approx(
                trained.metrics["test"]["macro_f1"], abs=1e-6
            )
    assert [name for name, labels in found.items() if labels != expected] == []


@pytest.mark.parametrize("fitted", HEADS, indirect=True)
def test_probabilities_stay_what_they_are_and_the_explained_label_is_the_predicted_one(fitted):
    head, trained, version = fitted
    options, texts = trained.classifier.options, trained.splits.test.texts[:9]
    logits = trained.classifier.predict_tokens(trained.classifier.tokenize(texts)[0])
    np.testing.assert_array_equal(trained.classifier.predict(texts), trained.classifier.probabilities(logits).numpy())
    answer = ExportedModel(version).call("serving_default", text=texts)
    np.testing.assert_allclose(answer["probabilities"], trained.classifier.predict(texts), atol=1e-5)
    text = texts[0]
    [expected] = answer_texts(head, options.labels, trained.classifier.predict([text]), options.thresholds)
    assert explain(trained.classifier, text).label in (expected, *expected.split(","))


@pytest.mark.slow
@pytest.mark.parametrize("fitted", [HEADS[0]], indirect=True)
def test_calibration_fits_the_thresholds_anew_for_the_same_labels(fitted, encoder_folder, tmp_path):
    head, trained, _ = fitted
    texts = trained.splits.test.texts
    before = load_classifier(trained.run)
    run = run_of(head, encoder_folder, tmp_path).run
    calibrate(run)
    after = load_classifier(run)
    assert after.options.scaling != before.options.scaling
    assert after.options.thresholds != before.options.thresholds
    labels = [
        answer_texts(head, each.options.labels, each.predict(texts), each.options.thresholds)
        for each in (before, after)
    ]
    assert labels[0] == labels[1]
    written = json.loads(run.calibration.read_text())
    run.calibration.write_text(json.dumps({"temperature": written["temperature"]}))
    with pytest.raises(RunFolderError, match=r"calibration.json: damaged: holds no thresholds .* calibrate again"):
        load_classifier(run)
    calibrate(run)
    assert load_classifier(run).options == after.options
    run.calibration.unlink()
    assert load_classifier(run).options == before.options


# === Each place by itself ===


@pytest.mark.parametrize(
    ("head", "values", "thresholds", "answer"),
    [
        (Head.BINARY, [0.75, 0.25], (0.8125, 0.1875), "rare"),
        (Head.BINARY, [0.75, 0.25], (), "often"),
        (Head.SOFTMAX, [0.5, 0.25, 0.25], (0.5, 0.125, 0.375), "rare"),
        (Head.SOFTMAX, [0.5, 0.25, 0.25], (0.5, 0.25, 0.25), "often"),  # of equals the first
        (Head.MULTILABEL, [0.25, 0.25, 0.75], (0.25, 0.5, 0.875), "often"),
        (Head.MULTILABEL, [0.25, 0.25, 0.75], (), "third"),
    ],
)
def test_graph_arrays_and_scoring_decide_alike(head, values, thresholds, answer):
    names = LABELS[: len(values)]
    rows = np.array([values], np.float32)
    assert answer_texts(head, names, rows, thresholds) == answer_texts(head, names, [values], thresholds) == [answer]
    assert label_of(head, names, rows, thresholds).numpy().tolist() == [answer.encode()]
    files = ModelFiles("models/tiny/1", "tiny", 1, "", names, head, False, 32, thresholds)
    table = AnswersTable(files, "id", (), OutputFormat.JSON_LINES, all_probabilities=False)
    [line] = table.encode(["0"], [Row(1, "a")], rows, {}).decode().splitlines()
    assert json.loads(line)["label"] == answer
    if head is not Head.MULTILABEL:
        assert json.loads(line)["probability"] == values[names.index(answer)]
    check_answers("it", head, names, rows, [answer], thresholds=thresholds)


def test_a_server_that_answers_against_its_thresholds_is_found_out():
    with pytest.raises(InputError, match="answers 'often' where the order of labels"):
        check_answers("it", Head.BINARY, LABELS[:2], [[0.75, 0.25]], ["often"], thresholds=(0.8125, 0.1875))


def test_models_are_compared_by_what_each_of_them_decides():
    values = np.array([[0.75, 0.25], [0.9, 0.1], [0.2, 0.8]], np.float32)

    def predict(texts, pairs):
        return values[[int(text) for text in texts]]

    found = compare_models(predict, predict, ["0", "1", "2"], None, head=Head.BINARY, thresholds=((), (0.8125, 0.1875)))
    assert found.changed.tolist() == [0]
    np.testing.assert_allclose(found.shares[1], [1 / 3, 2 / 3])


@pytest.mark.parametrize("damage", [b"{}", b'{"labels": [], "kept": ["rare"], "temperature": 1, "exponent": 1}', b"["])
def test_damaged_thresholds_end_in_one_line(damage, trained, tmp_path):
    shutil.copytree(trained.run.path, tmp_path / "run")
    (tmp_path / "run" / "thresholds.json").write_bytes(damage)
    with pytest.raises(RunFolderError, match=r"thresholds.json: damaged: .*train again"):
        RunFolder(tmp_path / "run").thresholds()
