"""Models opened by name, and their predictions for labeled rows; no command line is involved."""

import numpy as np
import pytest
from support import tiny

from bert_serving.contract import Head
from bert_serving.data.table import LabeledTable
from bert_serving.errors import DataError, InputError, ServerUnavailable
from bert_serving.model.facts import ModelFacts, check_comparable
from bert_serving.model.model import Model, check_has_gradients, is_run_folder, open_model, predict_table
from bert_serving.model.report import ReportInputs, ReportRows, check_rows_given
from bert_serving.observer import Observer

TEXTS = ["good film", "bad bike"]


@pytest.mark.slow
def test_a_run_and_its_export_open_as_the_same_model(trained, exported):
    run, saved = open_model(str(trained.run.path)), open_model(str(exported.parent))
    assert (run.head, run.labels, run.pairs) == (saved.head, saved.labels, saved.pairs)
    assert (run.head, run.labels, run.pairs) == (Head.SOFTMAX, ("blame", "praise"), False)
    np.testing.assert_allclose(run.predict(TEXTS, None), saved.predict(TEXTS, None), atol=2e-6)
    assert (run.lengths(TEXTS, None).tolist(), run.sequence_length) == ([4, 4], 16)
    assert (saved.lengths, saved.sequence_length) == (None, None)


def test_a_name_of_another_form_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such model; give a run folder, a SavedModel folder"):
        open_model("nowhere")
    with pytest.raises(InputError, match="is not an address of a model"):
        open_model("ftp://host/name")


def table(*labels):
    return LabeledTable(TEXTS[: len(labels)], None, list(labels), "rows.tsv")


def test_labels_of_a_server_are_those_given_or_those_of_the_rows():
    server = Model("grpc://host:1/m", lambda texts, pairs: np.full((len(texts), 2), 0.5, np.float32))
    assert predict_table(server, table("y", "x")).labels == ("x", "y")
    predictions = predict_table(server, table("y"), labels=["y", "x"])
    assert (predictions.head, predictions.labels) == (Head.SOFTMAX, ("y", "x"))
    with pytest.raises(InputError, match="m returns 2 probabilities, the data has 1 labels; name all in order"):
        predict_table(server, table("x"))


def test_an_unknown_label_is_reported_before_the_model_predicts():
    def predict(texts, pairs):
        raise AssertionError("predicts")

    with pytest.raises(DataError, match="the label 'z' is not among the model's: 'x', 'y'"):
        predict_table(Model("m", predict, Head.SOFTMAX, ("x", "y")), table("z"))


def test_only_a_run_folder_has_gradients_and_rows_of_its_own(trained, exported, tmp_path):
    run = str(trained.run.path)
    assert is_run_folder(run)
    check_has_gradients(run)
    check_rows_given(run, [])
    for name, problem in (
        (str(exported), "is a SavedModel, which has no gradients"),
        ("grpc://host:1/m", "is a server's address, which has no gradients"),
        (str(tmp_path), r"not a run folder \(run.toml is missing\)"),
    ):
        with pytest.raises(InputError, match=problem):
            check_has_gradients(name)
        with pytest.raises(InputError, match="only a run folder has rows of its own; give labeled text with --data"):
            check_rows_given(name, [])


def test_facts_are_read_from_the_files_of_a_model(trained, exported):
    for name in (str(trained.run.path), str(exported.parent)):
        assert ModelFacts.read(name) == ModelFacts(name, Head.SOFTMAX, ("blame", "praise"))
    with pytest.raises(ServerUnavailable, match=r"Cannot reach 127\.0\.0\.1:1"):
        ModelFacts.read("grpc://127.0.0.1:1/m")


def test_models_with_other_heads_or_labels_are_not_comparable():
    softmax = ModelFacts("a", Head.SOFTMAX, ("x", "y"))
    check_comparable(softmax, ModelFacts("b", Head.BINARY, ("y", "x")))
    check_comparable(softmax, ModelFacts("b"))
    with pytest.raises(
        InputError, match="a has a softmax head, b a regression head; compare models with the same head"
    ):
        check_comparable(softmax, ModelFacts("b", Head.REGRESSION, ()))
    with pytest.raises(InputError, match=r"a and b have different labels \('y', 'z'\); compare models with the same"):
        check_comparable(softmax, ModelFacts("b", Head.SOFTMAX, ("x", "z")))


def test_a_report_compares_a_run_with_its_export(trained, exported):
    inputs = ReportInputs.read(str(trained.run.path), ReportRows(), other=str(exported), observer=Observer())
    assert (inputs.rows, len(inputs.table), inputs.labels) == ("its own test split", 10, ("blame", "praise"))
    result = inputs.report(Observer())
    assert (result.names, result.notes) == (("tiny", "tiny/1"), ())
    assert result.report.metrics["accuracy"] == pytest.approx(trained.metrics["test"]["accuracy"])
    assert len(result.report.comparison.fixed) == len(result.report.comparison.regressed) == 0


def test_a_report_on_training_rows_has_a_note(trained, run_file):
    rows = ReportRows([run_file.parent / "train.tsv"])
    result = ReportInputs.read(str(trained.run.path), rows, observer=Observer()).report(Observer())
    assert result.rows == "train.tsv"
    assert "the model was trained on these rows" in result.notes[0]


def test_a_temperature_needs_a_run_folder(exported, rows, tmp_path):
    path = tiny.write_tsv_file(tmp_path / "rows.tsv", rows)
    inputs = ReportInputs.read(str(exported), ReportRows([path]), observer=Observer())
    with pytest.raises(InputError, match="--fit-temperature needs a run folder"):
        inputs.fit_temperature(Observer())
