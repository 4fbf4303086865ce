"""`bert-serving report` and `bert-serving calibrate`: what they answer, and one clear line for each mistake."""

import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from support import tiny
from support.cases import slow_but

from bert_serving.config import load_run_file
from bert_serving.contract import Scaling
from bert_serving.data.splits import load_splits
from bert_serving.metrics import measure
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread
from bert_serving.saved_model import writer
from bert_serving.saved_model.export import export_run
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.saved_model.verification.verify import verify
from bert_serving.training.loading import load_classifier
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def served(exported):
    """The address of the export, over gRPC and over REST."""
    with ServerThread(ServerOptions(models=[ModelConfig("tiny", exported.parent)])) as server:
        yield {"grpc": f"grpc://{server.grpc_address}/tiny", "http": f"{server.rest_url}/tiny"}


@pytest.fixture(scope="module")
def noisy(encoder_folder, rows, tmp_path_factory) -> Path:
    """A finished run with validation rows that no model gets all right."""
    folder = tmp_path_factory.mktemp("noisy")
    spoilt = [(text, {"praise": "blame", "blame": "praise"}[label]) for text, label in rows[40:43]]
    run_file = tiny.write_run_file(folder, encoder_folder, rows[:40] + spoilt + rows[43:], seed=11)
    train(load_run_file(run_file), folder / "noisy run")
    return folder / "noisy run"


@pytest.fixture
def run(noisy, tmp_path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(noisy, tmp_path / "copied" / "run"))


@pytest.fixture
def sliced(rows, tmp_path) -> Path:
    """The rows with a further column."""
    path = tmp_path / "sliced.tsv"
    lines = [f"{text}\t{label}\t{'phone' if row % 3 else 'web'}" for row, (text, label) in enumerate(rows)]
    path.write_text("\n".join(["text\tlabel\tsource", *lines]) + "\n")
    return path


# === report ===


def test_a_run_is_reported_on_its_own_test_split(run, bert_serving):
    ended = bert_serving("report", run)
    assert (ended.status, ended.err) == (0, "")
    for shown in (
        "Scores on its own test split, 10 rows",
        "95% interval",
        "Each label",
        "probable label errors",
        "none of ",
    ):
        assert shown in ended.out
    assert f"page: {run}/report.html" in ended.out
    page = (run / "report.html").read_text()
    assert "run on its own test split, 10 rows" in page
    assert "Confusion matrix" in page


def test_the_json_has_the_scores_of_training_and_no_page_is_written(noisy, bert_serving, tmp_path):
    ended = bert_serving("report", noisy, "--json")
    assert (ended.status, ended.err) == (0, "")
    found = json.loads(ended.out)["metrics"]
    expected = json.loads((noisy / "metrics.json").read_text())["test"]
    assert found["confusion_matrix"] == expected["confusion_matrix"]
    assert found["log_loss"] == pytest.approx(expected["log_loss"], rel=1e-5)
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.slow
def test_files_columns_and_a_second_model_are_taken(noisy, exported, sliced, bert_serving, tmp_path):
    arguments = ["report", noisy, "--data", sliced, "--slice", "source", "--compare", exported, "--out", "a page.html"]
    ended = bert_serving(*arguments)
    assert (ended.status, ended.err) == (0, "")
    assert "Scores on sliced.tsv, 60 rows" in ended.out
    assert f"{exported} minus {noisy}" in ended.out
    assert "McNemar's exact test" in ended.out
    page = (tmp_path / "a page.html").read_text()
    assert "compared with tiny/1" in page
    assert "column source" in page
    found = json.loads(bert_serving(*arguments, "--json").out)
    assert {each["name"]: each["rows"] for each in found["slices"] if each["group"] == "column source"} == {
        "phone": 40,
        "web": 20,
    }
    assert {each["name"] for each in found["slices"] if each["group"] == "cut"} <= {"read whole", "cut at 16 tokens"}


@pytest.mark.slow
@pytest.mark.parametrize("protocol", slow_but(["grpc", "http"], kept=["http"]))
def test_a_server_is_reported_as_the_export_behind_it(protocol, served, exported, run_file, bert_serving, tmp_path):
    test = run_file.parent / "test.tsv"
    ended = bert_serving("report", served[protocol], "--data", test, "--labels", "blame,praise")
    assert (ended.status, ended.err) == (0, "")
    assert (tmp_path / "report.html").is_file()
    found, expected = (
        json.loads(bert_serving("report", model, "--data", test, "--json").out)["metrics"]
        for model in (served[protocol], exported)
    )
    assert found["confusion_matrix"] == expected["confusion_matrix"]
    assert found["log_loss"] == pytest.approx(expected["log_loss"], rel=1e-4)


def test_a_run_without_test_rows_is_reported_on_its_validation_rows(run, bert_serving):
    lines = (run / "run.toml").read_text().splitlines()
    (run / "run.toml").write_text("\n".join(line for line in lines if not line.startswith(("test =", "validation ="))))
    ended = bert_serving("report", run)
    assert (ended.status, ended.err) == (0, "")
    assert "Scores on its own validation split, 8 rows" in ended.out  # a fifth of the training rows


def test_training_rows_are_told_to_be_no_measure(noisy, bert_serving, tmp_path):
    ended = bert_serving("report", noisy, "--data", noisy.parent / "train.tsv", "--out", "page.html")
    assert ended.status == 0
    assert "the model was trained on these rows" in ended.out
    assert "the model was trained on these rows" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("head", "label"),
    [
        pytest.param("regression", "{}", marks=pytest.mark.slow),
        pytest.param("multilabel", "a,b{}", marks=pytest.mark.slow),
    ],
)
def test_other_heads_are_reported_too(head, label, encoder_folder, rows, bert_serving, tmp_path):
    labels = {"praise": label.format(2 if head == "regression" else ""), "blame": label.format(1)}
    run_file = tiny.write_run_file(tmp_path, encoder_folder, [(text, labels[name]) for text, name in rows], epochs=1)
    run_file.write_text(run_file.read_text() + f'[head]\nkind = "{head}"\n')
    train(load_run_file(run_file), Path("run"))
    ended = bert_serving("report", "run", "--compare", "run")
    assert (ended.status, ended.err) == (0, "")
    assert (tmp_path / "run" / "report.html").is_file()


# === calibrate ===


@pytest.mark.slow
def test_a_temperature_is_fitted_written_and_carried_into_every_answer(run, bert_serving, monkeypatch, tmp_path):
    folder = RunFolder(run)
    texts = ["good film", "bad bike", "the wheel is not very good"]
    before = load_classifier(folder).predict(texts)
    metrics = (run / "metrics.json").read_text()
    ended = bert_serving("calibrate", run)
    assert (ended.status, ended.err) == (0, "")
    written = json.loads((run / "calibration.json").read_text())
    assert f"Temperature {written['temperature']:.3f}, fitted on 10 validation rows" in ended.out
    assert written["log_loss_after"] < written["log_loss_before"]
    assert written["rows"] == 10
    assert (run / "metrics.json").read_text() == metrics
    # === predict, evaluate and report ===
    classifier = load_classifier(folder)
    assert classifier.options.scaling == Scaling(written["temperature"])  # so few rows give no exponent
    after = classifier.predict(texts)
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    scaled = before ** (1 / written["temperature"])
    np.testing.assert_allclose(after, scaled / scaled.sum(axis=1, keepdims=True), atol=1e-6)
    validation = load_splits(folder.config().data, classifier.options.head, 0).validation
    labels = [classifier.options.labels.index(label) for label in validation.labels]
    measured = measure(classifier.options.head, classifier.options.labels, labels, classifier.predict(validation.texts))
    assert measured["log_loss"] == pytest.approx(written["log_loss_after"], rel=1e-5)
    assert measured["expected_calibration_error"] == pytest.approx(written["calibration_error_after"], abs=1e-6)
    assert "temperature" in bert_serving("report", run, "--out", "page.html").out or (tmp_path / "page.html").is_file()
    assert f"{written['temperature']:.3f}" in (tmp_path / "page.html").read_text()
    # === export ===
    monkeypatch.setattr(writer, "verify_in_fresh_process", verify)
    exported = export_run(folder, ExportOptions(tmp_path / "models", "tiny"))
    assert load_manifest(exported).scaling == classifier.options.scaling
    np.testing.assert_allclose(ExportedModel(exported).predict(texts), after, atol=2e-6)


@pytest.mark.slow
def test_a_calibrated_run_is_calibrated_again_from_its_logits(run, bert_serving):
    first = json.loads(bert_serving("calibrate", run, "--json").out)
    assert json.loads(bert_serving("calibrate", run, "--json").out) == first
    ended = bert_serving("report", run, "--fit-temperature")
    assert (ended.status, ended.err) == (0, "")
    assert f"Temperature {first['temperature']:.3f}" in ended.out
    assert json.loads((run / "calibration.json").read_text()) == first


@pytest.mark.slow
def test_an_exponent_is_carried_into_every_answer(run, monkeypatch, tmp_path):
    texts = ["good film", "bad bike", "the wheel is not very good"]
    folder = RunFolder(run)
    before = load_classifier(folder).predict(texts)
    folder.write_json("calibration.json", {"temperature": 0.8, "exponent": 1.7})
    after = load_classifier(folder).predict(texts)
    ratio = np.log(before.max(axis=1) / before.min(axis=1))
    np.testing.assert_allclose(np.log(after.max(axis=1) / after.min(axis=1)), ratio**1.7 / 0.8, rtol=1e-4)
    monkeypatch.setattr(writer, "verify_in_fresh_process", verify)
    exported = export_run(folder, ExportOptions(tmp_path / "models", "tiny"))
    assert load_manifest(exported).scaling == Scaling(0.8, 1.7)
    np.testing.assert_allclose(ExportedModel(exported).predict(texts), after, atol=2e-6)


def test_an_export_without_calibration_leaves_its_logits_alone(exported):
    assert load_manifest(exported).scaling == Scaling()


# === Mistakes ===


@pytest.fixture
def places(tmp_path, noisy, trained, exported, run_file, sliced, encoder_folder, rows):
    """Everything that a mistake can be made with."""
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "unknown.tsv").write_text("text\tlabel\ngood\tpraise\nbad\tother\n")
    (bad / "numbers.tsv").write_text("text\tlabel\ngood\tx\n")
    (bad / "folder").mkdir()
    shutil.copytree(noisy, bad / "incomplete")
    shutil.rmtree(bad / "incomplete" / "weights")
    for name, content in (("damaged", "{"), ("negative", '{"temperature": -1}'), ("no_temperature", "{}")):
        shutil.copytree(noisy, bad / name)
        (bad / name / "calibration.json").write_text(content)
    shutil.copytree(noisy, bad / "other_labels")
    (bad / "other_labels" / "labels.txt").write_text("worse\nbetter\n")
    shutil.copytree(noisy, bad / "changed")
    facts = json.loads((bad / "changed" / "run.json").read_text())
    facts["data_sha256"]["validation"] = "0"
    (bad / "changed" / "run.json").write_text(json.dumps(facts))
    for name, old, new in (("regression", "softmax", "regression"), ("no_data", str(noisy.parent), "/nowhere")):
        shutil.copytree(noisy, bad / name)
        path = bad / name / "run.toml"
        path.write_text(path.read_text().replace(old, new))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {
        "bad": bad,
        "run": noisy,
        "right": trained.run.path,
        "model": exported,
        "test": run_file.parent / "test.tsv",
        "sliced": sliced,
        "port": port,
    }


MISTAKES = [
    ("report nowhere", "nowhere: only a run folder has rows of its own; give labeled text with --data"),
    ("report {bad}/folder", "only a run folder has rows of its own"),
    ("report {model}", "only a run folder has rows of its own"),
    ("report nowhere --data {test}", "nowhere: no such model; give a run folder"),
    ("report {bad}/incomplete", "training is not complete"),
    ("report {run} --data nowhere.tsv", "nowhere.tsv: cannot be read"),
    ("report {run} --data {test} --slice source", "has no column 'source'; its columns are 'text', 'label'"),
    ("report {run} --slice source", "has no column 'source'; its columns are 'text', 'label'"),
    ("report {run} --data {test} --text words", "has no column 'words'"),
    ("report {run} --data {test} --label class", "has no column 'class'"),
    ("report {run} --data {bad}/unknown.tsv", "the label 'other' is not among the model's: 'blame', 'praise'"),
    ("report {model} --data {bad}/unknown.tsv", "the label 'other' is not among the model's"),
    ("report {bad}/folder --data {test}", "bad/folder: neither a SavedModel nor a folder of versions"),
    ("report {run} --data {test} --text-pair label", "this classifier takes one text for each row"),
    ("report {run} --compare nowhere", "nowhere: no such model"),
    (
        "report {run} --compare {bad}/other_labels",
        "have different labels ('better', 'blame', 'praise', 'worse'); compare",
    ),
    ("report {run} --compare {bad}/regression", "run has a softmax head, "),
    ("report {bad}/no_data", "/nowhere/test.tsv: cannot be read"),
    ("report {run} --out {bad}/folder", "cannot write the page: is a folder"),
    ("report {run} --out nowhere/page.html", "cannot write the page: there is no folder 'nowhere'"),
    ("report {run} --out /proc/page.html", "/proc/page.html: cannot write the page"),
    ("report grpc://127.0.0.1:{port}/tiny --data {test}", "Cannot reach 127.0.0.1:"),
    ("report http://127.0.0.1:{port}/tiny --data {test}", "Cannot reach http://127.0.0.1:"),
    ("report ftp://127.0.0.1/tiny --data {test}", "is not an address of a model"),
    ("report {model} --data {test} --fit-temperature", "--fit-temperature needs a run folder"),
    ("report {bad}/damaged", "calibration.json: damaged: holds no temperature over 0; calibrate again or remove it"),
    ("report {bad}/negative", "calibration.json: damaged"),
    ("report {bad}/no_temperature", "calibration.json: damaged"),
    ("calibrate nowhere", "nowhere: not a run folder (run.toml is missing)"),
    ("calibrate {model}", "not a run folder"),
    ("calibrate {bad}/incomplete", "training is not complete"),
    ("calibrate {bad}/regression", "a regression head has no probabilities to calibrate"),
    ("calibrate {bad}/changed", "the validation data changed since this run was trained; restore it"),
    ("calibrate {bad}/no_data", "/nowhere/validation.tsv: cannot be read"),
    (
        "calibrate {right}",
        "no temperature fits these 10 rows, of which 0 are predicted wrong; give the run more validation rows",
    ),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_one_clear_line_and_leaves_nothing_behind(line, message, places, bert_serving, tmp_path):
    folders = (tmp_path, places["run"], places["right"])
    before = {path for folder in folders for path in folder.rglob("*")}
    ended = bert_serving(*(part.format(**places) for part in line.split()))
    assert ended.status == 2, ended
    assert len(ended.err.splitlines()) == 1, ended.err
    assert message in ended.err
    assert "Traceback" not in ended.out
    assert {path for folder in folders for path in folder.rglob("*")} == before


@pytest.mark.parametrize("command", ["report", "calibrate"])
def test_the_commands_have_help(command, bert_serving):
    ended = bert_serving(command, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert f"Usage: bert-serving {command}" in ended.out


def test_labels_that_a_server_contradicts_are_refused_with_both(served, tmp_path, bert_serving):
    (tmp_path / "one.tsv").write_text("text\tlabel\ngood\tpraise\n")
    ended = bert_serving("report", served["grpc"], "--data", "one.tsv", "--labels", "praise,blame")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert "has the labels 'blame', 'praise', --labels names 'praise', 'blame'; leave out --labels" in ended.err
