"""The whole road with a tiny encoder."""

import json

import numpy as np
import pytest
from support import tiny

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.clients.rest_client import RestClient
from bert_serving.config import DataConfig, load_run_file
from bert_serving.contract import Head
from bert_serving.data.table import LabeledTable, read_table, table_sha256
from bert_serving.errors import EncoderError, RunFolderError
from bert_serving.evaluation.predictions import Predictions
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread
from bert_serving.observer import Observer
from bert_serving.saved_model import writer
from bert_serving.saved_model.export import export_run
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.saved_model.verification.verify import verify
from bert_serving.training.loading import load_classifier
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder

AWKWARD = ["", "good \U0001f62d", "我的自行车坏了", "bad " * 5000, "tab\tnull\x00bell\x07", "the bike is not very good"]


def test_a_run_learns_its_data_and_leaves_a_whole_run_folder(trained):
    assert trained.metrics["test"]["accuracy"] >= 0.9
    names = {path.name for path in trained.run.path.iterdir()}
    assert {
        "run.toml",
        "run.json",
        "labels.txt",
        "encoder.json",
        "preprocessing",
        "weights",
        "history.json",
        "audit.json",
        "metrics.json",
        "pictures",
    } <= names
    assert "checkpoints" not in names
    assert json.loads((trained.run.path / "metrics.json").read_text())["baselines"]["majority"]["rows"] == 10


def test_an_export_answers_as_the_model_in_memory(trained, exported):
    texts = trained.splits.test.texts
    np.testing.assert_allclose(ExportedModel(exported).predict(texts), trained.classifier.predict(texts), atol=2e-6)


def test_memory_folder_saved_model_grpc_and_rest_give_the_same_answers(trained, exported):
    texts = [*AWKWARD, *trained.splits.test.texts]
    expected = trained.classifier.predict(texts)
    assert np.ptp(expected[:, 0]) > 0.05
    answers = {
        "run folder": load_classifier(RunFolder(trained.run.path)).predict(texts),
        "SavedModel": ExportedModel(exported).predict(texts),
    }
    options = ServerOptions(models=[ModelConfig("tiny", exported.parent)])
    with (
        ServerThread(options) as server,
        GrpcClient(server.grpc_address) as over_grpc,
        RestClient(server.rest_url) as over_rest,
    ):
        for name, client in (("gRPC", over_grpc), ("REST", over_rest)):
            predictions = client.predict("tiny", texts)
            answers[name] = np.array([prediction.probabilities for prediction in predictions])
            labels = [prediction.label for prediction in predictions]
            assert labels == [trained.classifier.options.labels[place] for place in expected.argmax(axis=1)]
    for name, found in answers.items():
        np.testing.assert_allclose(found, expected, atol=2e-6, err_msg=name)


def measured(trained, table):
    options = trained.classifier.options
    values = trained.classifier.predict(table.texts, table.pairs)
    return Predictions(options.head, options.labels, table, values).metrics


def test_evaluation_gives_the_figures_of_the_run(trained):
    assert measured(trained, trained.splits.test) == trained.metrics["test"]


# === Every head ===


def head_rows(head, rows):
    texts = [text for text, _ in rows]
    if head is Head.REGRESSION:
        return [(text, f"{text.count('good') - text.count('bad') / 2}") for text in texts]
    if head is Head.MULTILABEL:
        kinds = ("good", "bad", "wheel")
        return [(text, ",".join(kind for kind in kinds if kind in text)) for text in texts]
    return rows


@pytest.mark.parametrize(
    ("head", "pairs"),
    [
        pytest.param(Head.BINARY, False, marks=pytest.mark.slow),
        pytest.param(Head.MULTILABEL, False, marks=pytest.mark.slow),
        pytest.param(Head.REGRESSION, True, marks=pytest.mark.slow),
    ],
)
def test_every_head_goes_the_whole_road_in_silence(head, pairs, encoder_folder, rows, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(writer, "verify_in_fresh_process", verify)
    rows = head_rows(head, rows)
    run_file = tiny.write_run_file(tmp_path, encoder_folder, rows, epochs=1)
    overrides = [f"head.kind={head.value}", "encoder.sequence_length=12"]
    if pairs:
        overrides.append("data.text_pair=second")
        for name, part in (("train", rows[:40]), ("validation", rows[40:50]), ("test", rows[50:])):
            triples = [(text, label, text[::2]) for text, label in part]
            tiny.write_tsv_file(tmp_path / f"{name}.tsv", triples, ("text", "label", "second"))
    trained = train(load_run_file(run_file, overrides), tmp_path / "run")
    exported = export_run(trained.run, ExportOptions(tmp_path / "models", "m"), classifier=trained.classifier)
    test = trained.splits.test
    expected = trained.classifier.predict(test.texts, test.pairs)
    model = ExportedModel(exported)
    np.testing.assert_allclose(model.predict(test.texts, test.pairs), expected, rtol=2e-6, atol=2e-6)
    assert (model.manifest.head, model.manifest.pairs) == (head, pairs)
    assert measured(trained, test) == trained.metrics["test"]
    pictures = {path.name for path in trained.run.pictures.iterdir()}
    assert {"history.png", "token_lengths.png"} <= pictures
    assert ("confusion_matrix.png" in pictures) == (head in (Head.SOFTMAX, Head.BINARY))
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


# === Resuming and refusing ===


class Interrupter(Observer):
    """Presses Ctrl-C after an epoch."""

    def __init__(self, after):
        self.after = after

    def epoch(self, row):
        if row["epoch"] == self.after:
            raise KeyboardInterrupt


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(trained, run_file, tmp_path):
    config, out = load_run_file(run_file), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(config, out, observer=Interrupter(after=2))
    # === What else can be asked of an unfinished run ===
    with pytest.raises(RunFolderError, match="holds an unfinished run; give another --out, or --resume"):
        train(config, out)
    with pytest.raises(RunFolderError, match=r"not complete \(weights is missing\); go on with train --resume"):
        export_run(RunFolder(out), ExportOptions(tmp_path / "models", "m"))
    with pytest.raises(RunFolderError, match="not complete"):
        load_classifier(RunFolder(out))
    with pytest.raises(RunFolderError, match=r"run file changed since this run began \(batch_size\)"):
        train(load_run_file(run_file, ["training.batch_size=5"]), out, resume=True)
    assert not (tmp_path / "models").exists()
    # === Going on, to be exported in another way ===
    resumed = train(load_run_file(run_file, ["export.name=other"]), out, resume=True)
    assert resumed.run.config().export.name == "other"
    histories = [run.read_json("history.json") for run in (trained.run, resumed.run)]
    assert [row["epoch"] for row in histories[1]] == [1, 2, 3, 4]
    for name in ("loss", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(*([row[name] for row in history] for history in histories), rtol=1e-5, err_msg=name)
    texts = trained.splits.test.texts
    np.testing.assert_allclose(resumed.classifier.predict(texts), trained.classifier.predict(texts), atol=1e-5)


@pytest.mark.slow
def test_a_run_whose_data_changed_cannot_be_resumed(encoder_folder, rows, tmp_path):
    run_file = tiny.write_run_file(tmp_path, encoder_folder, rows)
    with pytest.raises(KeyboardInterrupt):
        train(load_run_file(run_file), tmp_path / "run", observer=Interrupter(after=1))
    tiny.write_tsv_file(tmp_path / "train.tsv", rows[1:41])
    with pytest.raises(RunFolderError, match="the train data changed since this run began; train it anew"):
        train(load_run_file(run_file), tmp_path / "run", resume=True)


def test_a_complete_run_is_not_trained_over(trained, run_file):
    weights = trained.run.weights.read_bytes()
    with pytest.raises(RunFolderError, match=r"holds a complete run; give another --out$"):
        train(load_run_file(run_file), trained.run.path)
    assert trained.run.weights.read_bytes() == weights


@pytest.mark.parametrize(
    ("overrides", "options", "error", "message"),
    [
        ([], {"resume": True}, RunFolderError, "nothing to resume here"),
        (["encoder.sequence_length=33"], {}, EncoderError, "is 33, the encoder takes at most 32 tokens; lower it"),
        (["encoder.path=nowhere"], {}, EncoderError, "no such encoder folder"),
    ],
)
def test_a_run_that_cannot_begin_leaves_no_folder(overrides, options, error, message, run_file, tmp_path):
    with pytest.raises(error, match=message):
        train(load_run_file(run_file, overrides), tmp_path / "run", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(run_file, tmp_path):
    with pytest.raises(RunFolderError):
        train(load_run_file(run_file), tmp_path, resume=True)
    assert tmp_path.is_dir()


@pytest.mark.parametrize("name", ["run[1]", "run*"])
def test_a_folder_that_tensorflow_takes_for_a_pattern_is_refused(name, run_file, tmp_path):
    with pytest.raises(RunFolderError, match=r"TensorFlow cannot read from a path with [\[*]; use another --out"):
        train(load_run_file(run_file), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pairs", "labels", "expected"),
    [
        (None, ["b", "a"], "e5c0b63c5e5486bc64dda9159911874da0f29c238cbcf10cd3dcc8c23d9a17f2"),
        (["it's", ""], [("a", "b"), ()], "aac8420c2d3e50a9546d914b922b9c640932ea9536385ccdd0d1110e0e1f4085"),
        (["it's", ""], [1.0, -0.5], "a781d2bda4f2d8ac48f6ea690a3914652c92128ebcbdcabd2c42c7b9ee5310d6"),
    ],
)
def test_a_digest_of_data_is_what_it_was_in_the_runs_of_old(pairs, labels, expected):
    """A run that was trained by an earlier release still knows its data; quotes and half a character are the hard texts."""
    table = LabeledTable(['say "it\'s"', "caf\u00e9 \ud83d\n"], pairs, labels, "")
    assert table_sha256(table) == expected


def test_a_digest_of_data_depends_on_its_rows_alone(rows, write_tsv):
    def digest(name, rows):
        path = write_tsv(name, rows)
        return table_sha256(read_table([path], DataConfig(train=(path,)), Head.SOFTMAX))

    first = digest("a.tsv", rows)
    assert first == digest("b.tsv", rows)
    changed = [("good", "praise"), *rows[1:]]
    assert len({first, digest("c.tsv", rows[::-1]), digest("d.tsv", rows[:-1]), digest("e.tsv", changed)}) == 4
