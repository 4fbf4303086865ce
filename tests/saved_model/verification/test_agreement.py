"""An export agrees with the model in memory on validation texts, in the precision that was asked for or measured."""

import contextlib
import dataclasses
import re

import numpy as np
import pytest

from bert_serving.contract import Head, Precision
from bert_serving.errors import ExportError, VerificationError
from bert_serving.observer import Observer
from bert_serving.saved_model import writer
from bert_serving.saved_model.export import _known_labels, export_run
from bert_serving.saved_model.limits import AgreementLimits
from bert_serving.saved_model.manifest import Agreement, load_manifest
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.saved_model.reference import MOST_ROWS, Reference, drawn_rows
from bert_serving.saved_model.verification import agreement
from bert_serving.saved_model.verification.agreement import compare, seconds_in_turns
from bert_serving.saved_model.verification.judgment import check_agreement
from bert_serving.saved_model.verification.verify import verify


class Notes(Observer):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def export(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "verify_in_fresh_process", verify)

    def export(observer=None, **options):
        options = ExportOptions(tmp_path / "models", "tiny", **options)
        return export_run(trained.run, options, classifier=trained.classifier, observer=observer)

    return export


@pytest.fixture
def reference(trained):
    table = trained.splits.validation
    return Reference(tuple(table.texts), None, trained.classifier.predict(table.texts))


# === Comparison ===


class Answers:
    """An export that gives the probabilities it is told to."""

    def __init__(self, probabilities):
        self.probabilities = np.array(probabilities, np.float32)

    def predict(self, texts, pairs):
        return self.probabilities[: len(texts)]


@pytest.mark.parametrize(
    ("head", "expected", "found", "difference", "changed"),
    [
        (Head.SOFTMAX, [[0.5, 0.3, 0.2]], [[0.5, 0.2, 0.3]], 0.1, 0),
        (Head.SOFTMAX, [[0.6, 0.4], [0.45, 0.55]], [[0.6, 0.4], [0.55, 0.45]], 0.1, 1),
        (Head.BINARY, [[0.9, 0.1]], [[0.4, 0.6]], 0.5, 1),
        (Head.MULTILABEL, [[0.6, 0.7], [0.2, 0.1]], [[0.4, 0.3], [0.3, 0.2]], 0.4, 1),
        (Head.REGRESSION, [[100.0], [50.0]], [[101.0], [50.0]], 0.01, 0),
        (Head.REGRESSION, [[0.1]], [[0.2]], 0.1, 0),
    ],
)
def test_difference_and_changed_answers_are_those_of_the_head(head, expected, found, difference, changed):
    texts = Reference(tuple("ab"[: len(expected)]), None, np.array(expected, np.float32))
    result = compare(Answers(found), texts, head)
    assert (result.rows, result.changed_labels) == (len(expected), changed)
    assert result.max_probability_difference == pytest.approx(difference, abs=1e-6)


@pytest.mark.parametrize(
    ("found", "problems"),
    [
        (Agreement(rows=1000, max_probability_difference=0.02, changed_labels=2), []),
        (
            Agreement(rows=1000, max_probability_difference=0.0201, changed_labels=0),
            [
                "a probability of 1,000 validation texts differs from the model in memory by 0.02, limit 0.02 "
                "(--max-probability-difference, export.max_probability_difference)"
            ],
        ),
        (
            Agreement(rows=1000, max_probability_difference=0.0, changed_labels=3),
            [
                "3 of 1,000 validation texts get another label than from the model in memory, limit 0.20% "
                "(--max-label-change-rate, export.max_label_change_rate)"
            ],
        ),
    ],
)
def test_more_than_the_limits_allow_is_a_problem(found, problems):
    limits = AgreementLimits.of(Precision.BFLOAT16, max_label_change_rate=0.002)
    assert check_agreement(found, limits) == problems


def test_not_a_number_is_a_problem():
    limits = AgreementLimits(max_probability_difference=1.0, max_label_change_rate=1.0)
    assert (
        len(check_agreement(Agreement(rows=1, max_probability_difference=float("nan"), changed_labels=0), limits)) == 1
    )


def test_of_many_rows_a_sample_is_drawn_without_repetition():
    assert drawn_rows(3) == [0, 1, 2]
    rows = drawn_rows(10 * MOST_ROWS)
    assert len(set(rows)) == len(rows) == MOST_ROWS
    assert rows == sorted(rows) == drawn_rows(10 * MOST_ROWS)


@pytest.mark.parametrize("labels", [None, ("good", "bad"), (("bad", "good"), ()), (1.5, 2.0)])
def test_a_reference_comes_back_as_it_was_written(labels, tmp_path):
    written = Reference(("ü", "b\n"), ("c", "d"), np.array([[0.1, 0.9], [1 / 3, 2 / 3]], np.float32), labels)
    written.save(tmp_path / "reference.json")
    found = Reference.load(tmp_path / "reference.json")
    assert (found.texts, found.pairs, found.labels) == (written.texts, written.pairs, labels)
    np.testing.assert_array_equal(found.probabilities, written.probabilities)
    assert found.part(1, 5).labels == (None if labels is None else labels[1:])


def test_labels_that_the_model_lacks_do_not_judge(trained):
    table, notes = trained.splits.validation, Notes()
    assert _known_labels(trained.classifier, table, notes) == table.labels
    assert notes.notes == []
    changed = dataclasses.replace(table, labels=["other", *table.labels[1:]])
    assert _known_labels(trained.classifier, changed, notes) is None
    assert notes.notes[0].startswith(
        "the labels of the validation texts do not judge the export: the label 'other' is not among"
    )


# === Export ===


def test_an_export_records_its_agreement_on_validation_texts(exported):
    found = load_manifest(exported).verification.agreement
    assert (found.rows, found.changed_labels) == (10, 0)
    assert found.mean_probability_difference <= found.max_probability_difference < 1e-6
    assert (found.metric.score, found.metric.loss, found.metric.low < 0 < found.metric.high) == ("accuracy", 0.0, True)


def test_no_training_data_is_published(exported, rows):
    texts = [text.encode() for text, _ in rows if len(text) > 20]
    files = [path.read_bytes() for path in exported.rglob("*") if path.is_file()]
    assert not [text for text in texts for file in files if text in file]


@pytest.mark.slow
def test_an_export_beyond_the_limits_of_the_run_file_is_not_published(export, tmp_path):
    with pytest.raises(VerificationError, match=r"differ from the model in memory by .*, limit 1e-12"):
        export(precision=Precision.BFLOAT16, max_probability_difference=1e-12)
    assert list((tmp_path / "models" / "tiny").iterdir()) == []


@pytest.mark.slow
def test_changed_answers_beyond_the_limit_stop_an_export(export, monkeypatch, tmp_path):
    monkeypatch.setattr(agreement, "predicted_labels", lambda head, values: np.random.default_rng().random(len(values)))
    with pytest.raises(VerificationError, match="10 of 10 validation texts get another label"):
        export()
    assert list((tmp_path / "models" / "tiny").iterdir()) == []


@pytest.mark.slow
def test_limits_travel_with_the_export(export):
    folder = export(max_probability_difference=0.5, max_label_change_rate=0.25)
    assert load_manifest(folder).limits == AgreementLimits(max_probability_difference=0.5, max_label_change_rate=0.25)


def test_int8_without_texts_is_refused_before_the_run_is_loaded(trained, tmp_path):
    validation = trained.run.config().data.folder / "validation.tsv"
    hidden = validation.rename(validation.with_suffix(".hidden"))
    options = ExportOptions(tmp_path, "tiny", precision=Precision.INT8, minimum_tf_serving="2.17")
    try:
        with pytest.raises(ExportError, match="int8 measures its ranges on texts, and there are none"):
            export_run(trained.run, options, observer=Stages())
    finally:
        hidden.rename(validation)


class Stages(Observer):
    @contextlib.contextmanager
    def stage(self, name):
        raise AssertionError(f"{name} came before the refusal")
        yield


@pytest.mark.slow
def test_without_validation_data_golden_texts_decide_and_a_note_says_so(export, monkeypatch, trained):
    notes = Notes()
    validation = trained.run.config().data.folder / "validation.tsv"
    hidden = validation.rename(validation.with_suffix(".hidden"))
    try:
        folder = export(notes)
    finally:
        hidden.rename(validation)
    assert load_manifest(folder).verification.agreement is None
    assert len(notes.notes) == 1
    assert notes.notes[0].startswith("the export is compared on golden texts only: ")
    assert "validation.tsv" in notes.notes[0]


# === Precision ===

LEFT_OUT = (
    "precision int8 is left out: int8 needs TensorFlow Serving 2.17, the floor is 2.12 "
    "(--minimum-tf-serving, export.minimum_tf_serving)"
)
TOO_FEW = (
    "10 labeled validation texts are too few to tell a loss of 0.01 in accuracy from chance: "
    "0.0000 (95% interval -0.1633 to 0.1633)"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "precision"),
    [([0.002, 0.001], Precision.BFLOAT16), ([0.001, 0.002], Precision.FLOAT32)],
)
def test_auto_takes_the_precision_that_was_faster(seconds, precision, export, monkeypatch):
    monkeypatch.setattr(writer, "seconds_in_turns", lambda reference, folders: seconds)
    notes = Notes()
    folder = export(notes, precision=Precision.AUTO)
    manifest = load_manifest(folder)
    assert (manifest.precision, folder.name) == (precision, "1")
    assert manifest.verification.passed
    assert notes.notes == [
        LEFT_OUT,
        f"precision {precision}: a batch of validation texts takes float32 {seconds[0] * 1000:.1f} ms, bfloat16 {seconds[1] * 1000:.1f} ms",
        *([] if precision is Precision.FLOAT32 else [TOO_FEW]),
    ]
    assert ExportedModel(folder).predict(["good film"]).shape == (1, 2)


@pytest.mark.slow
def test_auto_tries_int8_where_every_server_has_its_operation(export, monkeypatch):
    monkeypatch.setattr(writer, "seconds_in_turns", lambda reference, folders: [0.003, 0.002, 0.001])
    notes = Notes()
    folder = export(notes, precision=Precision.AUTO, minimum_tf_serving="2.17")
    assert load_manifest(folder).precision is Precision.INT8
    assert notes.notes == [
        "precision int8: a batch of validation texts takes float32 3.0 ms, bfloat16 2.0 ms, int8 1.0 ms",
        TOO_FEW,
    ]


@pytest.mark.slow
def test_auto_leaves_out_a_precision_that_is_refused_and_says_why(export):
    notes = Notes()
    folder = export(notes, precision=Precision.AUTO, max_mean_probability_difference=1e-5)
    assert load_manifest(folder).precision is Precision.FLOAT32
    assert notes.notes[0] == LEFT_OUT
    assert re.fullmatch(
        "precision bfloat16 is left out: the probabilities of 10 validation texts differ from the model in memory by .* on average, "
        r"limit 1e-05 \(--max-mean-probability-difference, export\.max_mean_probability_difference\)",
        notes.notes[1],
    )
    assert len(notes.notes) == 2


@pytest.mark.slow
def test_auto_measures_in_turns_in_a_fresh_process(exported, reference, tmp_path):
    reference.save(tmp_path / "reference.json")
    seconds = seconds_in_turns(tmp_path / "reference.json", [exported, exported])
    assert len(seconds) == 2
    assert all(0 < each < 10 for each in seconds)


@pytest.mark.slow
def test_a_measuring_process_that_fails_says_why(exported, tmp_path):
    with pytest.raises(VerificationError, match=r"the measuring process ended with status 1: .*reference\.json"):
        seconds_in_turns(tmp_path / "reference.json", [exported])
