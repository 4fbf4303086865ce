"""The command line: what it answers, and one clear line for each mistake."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
import typer
from support import tiny
from support.paths import ROOT
from support.tiny import Ended

from bert_serving import console
from bert_serving.cli.main import app
from bert_serving.cli.training.encoders import _new_folder
from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.raw_table import read_raw_table
from bert_serving.data.table import read_table
from bert_serving.errors import EncoderError
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.version import __version__

CHATTER = re.compile(r"WARNING|tensorflow/|cuda|E0000|I0000|computation_placer|Traceback|Warning:", re.IGNORECASE)


@pytest.fixture(scope="module")
def served(exported):
    """The address of the export, over gRPC and over REST."""
    with ServerThread(ServerOptions(models=[ModelConfig("tiny", exported.parent)])) as server:
        yield {"grpc": f"grpc://{server.grpc_address}/tiny", "http": f"{server.rest_url}/tiny"}


@pytest.fixture
def places(tmp_path, run_file, trained, exported, hugging_face_folder, encoder_folder):
    """Everything that a mistake can be made with."""
    folder = tmp_path / "bad"
    folder.mkdir()
    tables = {
        "empty.tsv": "",
        "empty.txt": "",
        "two.csv": "a,b\ngood film,bad film\n",
        "header.tsv": "text\tlabel\n",
        "no_column.tsv": "txt\tlabel\na\tpraise\n",
        "one_class.tsv": "text\tlabel\na\tpraise\nb\tpraise\n",
        "unknown.tsv": "text\tlabel\ngood\tpraise\nbad\tother\n",
    }
    for name, content in tables.items():
        (folder / name).write_text(content)
    (folder / "no_toml.toml").write_text("[data\n")
    (folder / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (folder / "binary.txt").write_bytes(b"\xff\n")
    (folder / "keys.toml").write_text(
        '[data]\ntrain = "x.tsv"\nfoo = 1\n[encoder]\nname = "x"\n[training]\nepochs = -1\nsede = 3\n[oops]\n'
    )
    (folder / "file").write_text("a regular file")
    for name in ("no_vocabulary", "vocab_size", "corrupt"):
        shutil.copytree(hugging_face_folder, folder / name)
    (folder / "no_vocabulary" / "vocab.txt").unlink()
    with (folder / "vocab_size" / "vocab.txt").open("a") as file:
        file.write("extra\n")
    weights = folder / "corrupt" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    shutil.copytree(encoder_folder, folder / "encoder_without")
    (folder / "encoder_without" / "preprocessing" / "assets" / "vocab.txt").unlink()
    shutil.copytree(trained.run.path, folder / "incomplete")
    shutil.rmtree(folder / "incomplete" / "weights")
    shutil.copytree(trained.run.path, folder / "damaged_weights")
    (folder / "damaged_weights" / "weights" / "model.safetensors").write_bytes(b"x")
    (folder / "empty").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {
        "bad": folder,
        "run_file": run_file,
        "run": trained.run.path,
        "models": exported.parents[1],
        "model": exported,
        "hf": hugging_face_folder,
        "test": run_file.parent / "test.tsv",
        "port": port,
    }


TRAIN = "train {run_file} --out out"
EXPORT = "export {run} --to out"
MISTAKES = [
    # === train ===
    ("train nowhere.toml", "nowhere.toml: cannot read the run file: No such file or directory"),
    ("train {bad}", "cannot read the run file: Is a directory"),
    ("train {bad}/no_toml.toml", "no_toml.toml: is not valid TOML"),
    ("train {bad}/binary.toml", "binary.toml: is not valid TOML"),
    (f"{TRAIN} --set training", "--set: expected table.key=value such as training.epochs=5, got 'training'"),
    (f"{TRAIN} --set training.e[red]pochs=1", "training.e[red]pochs: unknown key"),
    (f"{TRAIN} --set data.train=/no/where.tsv", "/no/where.tsv: cannot be read: No such file or directory"),
    (f"{TRAIN} --set data.train={{bad}}/file", "bad/file: unsupported kind of file"),
    (f"{TRAIN} --set data.train={{bad}}/no_column.tsv", "no_column.tsv: has no column 'text'; its columns are 'txt'"),
    (f"{TRAIN} --set data.train={{bad}}/empty.tsv", "empty.tsv: is empty"),
    (f"{TRAIN} --set data.train={{bad}}/header.tsv", "header.tsv: has no rows"),
    (f"{TRAIN} --set data.train={{bad}}/one_class.tsv", "train holds 1 label(s): 'praise'"),
    (f"{TRAIN} --set data.validation={{bad}}/unknown.tsv", "validation has labels that train lacks: 'other'"),
    (f"{TRAIN} --set encoder.path={{bad}}/no_vocabulary", "the encoder folder has no vocabulary"),
    (f"{TRAIN} --set encoder.path={{bad}}/encoder_without", "the encoder folder has no vocabulary"),
    (f"{TRAIN} --set encoder.path={{bad}}/vocab_size", "the vocabulary has 16 tokens"),
    (f"{TRAIN} --set encoder.path={{bad}}/corrupt", "model.safetensors: not a complete safetensors file"),
    (f"{TRAIN} --set encoder.path={{bad}}/empty", "neither a Hugging Face folder"),
    (f"{TRAIN} --set encoder.path={{bad}}/nowhere", "no such encoder folder; check encoder.path"),
    (f"{TRAIN} --set encoder.sequence_length=33", "is 33, the encoder takes at most 32 tokens; lower it"),
    (f"{TRAIN} --resume", "out: nothing to resume here"),
    ("train {run_file} --out {run}", "holds a complete run; give another --out"),
    ("train {run_file} --out {bad}/incomplete", "holds an unfinished run; give another --out, or --resume"),
    ("train {run_file} --out {bad}/file/out", "bad/file/out: cannot write the run folder: Not a directory"),
    ("train {run_file} --out {bad}/file", "bad/file: cannot write the run folder"),
    ("train {run_file} --out /proc/out", "/proc/out: cannot write the run folder"),
    ("train {run_file} --out run[1]", "TensorFlow cannot read from a path with ["),
    # === export ===
    ("export nowhere --to out", "nowhere: no such file or folder; check the path"),
    ("export {bad}/empty --to out", "bad/empty: is an empty folder; "),
    ("export {model} --to out", "was exported by bert-serving already; serve it, or give the run"),
    ("export {bad}/incomplete --to out", "training is not complete (weights is missing); go on with train --resume"),
    ("export {bad}/damaged_weights --to out", "model.safetensors: not a complete safetensors file"),
    ("export {run} --to {models} --version 1", "tiny/1: version 1 exists and is never overwritten"),
    (f"{EXPORT} --version 0", "version 0 is not a positive integer"),
    (f"{EXPORT} --version -2", "version -2 is not a positive integer"),
    (f"{EXPORT} --name ../out", "'../out' cannot name a model"),
    # What needs no run is refused before it is loaded: these weights cannot be.
    ("export {bad}/damaged_weights --to out --version 0", "version 0 is not a positive integer"),
    ("export {bad}/damaged_weights --to out --name a/b", "'a/b' cannot name a model"),
    (
        "export {bad}/damaged_weights --to out --graph padded --precision int8",
        "the padded graph computes in float32 only, got int8; leave --precision (export.precision) out",
    ),
    (
        "export {bad}/damaged_weights --to out --precision int8",
        "int8 needs TensorFlow Serving 2.17, the floor is 2.12 (--minimum-tf-serving, export.minimum_tf_serving)",
    ),
    (
        "export {bad}/damaged_weights --to out --minimum-tf-serving 2.9",
        "an export needs TensorFlow Serving 2.10, the floor is 2.9 (--minimum-tf-serving, export.minimum_tf_serving)",
    ),
    ("export {run} --to {bad}/file/out", "cannot write the export: Not a directory"),
    ("export {run} --to /proc/out", "cannot write the export"),
    # === encoders ===
    ("encoders show nix", "the catalog has no encoder 'nix'"),
    ("encoders show all-minilm", "did you mean all-MiniLM-L6-v2, all-MiniLM-L12-v2?"),
    ("encoders fetch nix", "the catalog has no encoder 'nix'"),
    ("encoders convert nowhere --to out", "nowhere: no such folder; check the path"),
    (
        "encoders convert {bad}/empty --to out",
        "cannot be converted; it is none of these: a run folder (run.toml), a KerasHub",
    ),
    ("encoders fetch hf://lab", "'hf://lab' is not a Hugging Face repository"),
    (
        "encoders fetch all-MiniLM-L6-v2 --preprocessing hf://a/b",
        "must be an address, and needs an encoder given by address",
    ),
    ("encoders fetch hf://lab/mini --offline", "nothing is fetched while BERT_SERVING_OFFLINE is set"),
    ("encoders convert {hf} --to {bad}", "bad: exists; give a new folder with --to"),
    ("encoders convert {hf} --to {bad}/file/out", "bad/file/out: cannot write it"),
    ("encoders convert {bad}/corrupt --to out", "not a complete safetensors file"),
    # === predict ===
    ("predict {model}", "nothing to classify; give texts as arguments or a file with --input"),
    ("predict {model} --input {bad}/empty.tsv", "empty.tsv: is empty"),
    ("predict {model} --input nowhere", "nowhere: cannot be read: No such file or directory"),
    ("predict {model} --input {bad}/binary.toml", "binary.toml: unsupported kind of file"),
    (
        "predict {model} --input {bad}/two.csv",
        "two.csv: has several columns of texts ('a', 'b'); name the one to read with --text",
    ),
    ("predict {model} --input {bad}/two.csv --text c", "two.csv: has no column 'c'; its columns are 'a', 'b'"),
    ("predict {model} --input {bad}/two.csv --text a --text-pair b", "takes single texts; leave out --text-pair"),
    ("predict {model} x --text a", "--text and --text-pair name columns of a table; give one with --input"),
    ("predict {model} x --output {bad}/out.xlsx", "out.xlsx: cannot be written as .xlsx; end its name in"),
    ("predict {model} x --output {bad}/file/out", "bad/file/out: cannot write it: there is no folder"),
    ("predict {model} x --output {bad}", "bad: cannot write it: is a folder"),
    ("predict nowhere x", "nowhere: no such model"),
    ("predict {bad}/empty x", "neither a SavedModel nor a folder of versions"),
    ("predict grpc://127.0.0.1:{port}/tiny x", "Cannot reach 127.0.0.1:"),
    ("predict http://127.0.0.1:{port}/tiny x", "Cannot reach http://127.0.0.1:"),
    ("predict ftp://127.0.0.1/tiny x", "is not an address of a model"),
    ("predict grpc://host:abc/tiny x", "'grpc://host:abc/tiny' is not an address of a model"),
    ("predict http://[::1/tiny x", "is not an address of a model"),
    ("predict http://127.0.0.1 x", "is not an address of a model"),
    (
        "predict grpc://127.0.0.1:{port}/tiny --input {bad}/two.csv --output {bad}/no/x",
        "cannot write it: there is no folder",
    ),
    (
        "predict grpc://127.0.0.1:{port}/tiny --input {bad}/empty.txt --output {bad}/x.tsv",
        "nothing to classify; it is empty",
    ),
    (
        "predict grpc://127.0.0.1:{port}/tiny --input {bad}/binary.txt --output {bad}/x.tsv",
        "binary.txt: is not valid UTF-8",
    ),
    # === warmup ===
    ("warmup nowhere --to {bad}/empty", "not a SavedModel; give a version folder"),
    ("warmup nowhere --to {bad}/warm", "nowhere: cannot read it: No such file or directory"),
    ("warmup {bad}/empty.tsv --to {bad}/warm", "empty.tsv: no request to warm up with"),
    # === evaluate ===
    ("evaluate {model} --data {bad}/unknown.tsv", "the label 'other' is not among the model's: 'blame', 'praise'"),
    ("evaluate {run} --data {bad}/unknown.tsv", "the label 'other' is not among the model's"),
    ("evaluate {model} --data nowhere.tsv", "nowhere.tsv: cannot be read"),
    ("evaluate {model} --data {test} --label class", "has no column 'class'"),
    ("evaluate {model} --data {test} --text-pair label", "serving_default takes text, the data has text, text_pair"),
    ("evaluate {run} --data {test} --text-pair label", "this classifier takes one text for each row"),
    # === verify, inspect, demo ===
    ("verify nowhere", "nowhere: neither a SavedModel nor a folder of versions"),
    ("verify {model} --tf-serving new", "--tf-serving 'new' is not a version; give one such as 2.12"),
    ("inspect {bad}/empty", "bad/empty: neither a SavedModel nor a folder of versions"),
    ("demo --out {bad}", "bad: is not empty; give another folder with --out, or remove it"),
]


def listing(*folders):
    return {path for folder in folders for path in folder.rglob("*")}


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_one_clear_line_and_leaves_nothing_behind(line, message, places, bert_serving, tmp_path):
    folders = (tmp_path, places["models"], places["run"], places["hf"])
    before = listing(*folders)
    ended = bert_serving(*(part.format(**places) for part in line.split()))
    assert ended.status == 2, ended
    assert len(ended.err.splitlines()) == 1, ended.err
    assert ended.err.startswith("error: ")
    assert message in ended.err
    assert "Traceback" not in ended.out
    assert listing(*folders) == before


def test_all_problems_of_a_run_file_come_at_once_a_line_for_each(places, bert_serving):
    ended = bert_serving("train", places["bad"] / "keys.toml")
    lines = ended.err.splitlines()
    assert ended.status == 2
    assert len(lines) == 4
    assert {line.split(": ")[2] for line in lines} == {"data.foo", "training.epochs", "training.sede", "oops"}
    assert all(line.startswith(f"error: {places['bad']}/keys.toml: ") for line in lines)


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["train"], ["train", "a.toml", "--nonsense"], ["export", "a", "--to", "b", "--version", "x"]],
)
def test_a_wrong_use_ends_with_status_2_and_no_traceback(arguments, bert_serving):
    ended = bert_serving(*arguments)
    assert ended.status == 2
    assert ended.err
    assert "Traceback" not in ended.out + ended.err


@pytest.mark.parametrize(
    "command",
    ["", "demo", "train", "evaluate", "export", "verify", "inspect", "predict", "encoders", "encoders convert"],
)
def test_every_command_has_help(command, bert_serving):
    ended = bert_serving(*command.split(), "--help")
    assert (ended.status, ended.err) == (0, "")
    assert "Usage: bert-serving" in ended.out


def test_help_states_the_defaults_that_are_words(bert_serving):
    commands = typer.main.get_command(app).commands
    worded = {
        name: [each for each in command.params if isinstance(getattr(each, "show_default", None), str)]
        for name, command in commands.items()
    }
    assert sum(map(len, worded.values())) > 20
    for name, options in worded.items():
        shown = re.sub(r"[\s│]+", " ", bert_serving(name, "--help").out) if options else ""
        for option in options:
            assert f"[default: ({option.show_default})]" in shown, (name, option.name)
            assert "[default" not in (option.help or "")


def test_the_version_is_shown(bert_serving):
    assert bert_serving("--version") == Ended(0, f"bert-serving {__version__}\n", "")


# === The commands ===


def test_train_export_verify_inspect_and_predict_work_together(encoder_folder, rows, bert_serving, tmp_path):
    run_file = tiny.write_run_file(tmp_path, encoder_folder, rows)
    # === train ===
    ended = bert_serving("train", run_file, "--set", "training.epochs=2", "--out", "a run")
    assert (ended.status, ended.err) == (0, "")
    for shown in (
        "The data",
        "epoch 1: loss",
        "epoch 2: loss",
        "TF-IDF logistic regression (test)",
        "run folder: a run",
    ):
        assert shown in ended.out
    assert "epoch 3" not in ended.out
    # === export ===
    ended = bert_serving("export", "a run", "--to", "models", "--name", "shop", "--graph", "padded", "--version", "4")
    assert (ended.status, ended.err) == (0, "")
    assert "verified: 12 golden texts" in ended.out
    assert "export:   models/shop/4" in ended.out
    manifest = load_manifest(tmp_path / "models" / "shop" / "4")
    assert (manifest.name, manifest.version, manifest.graph) == ("shop", 4, "padded")
    # === verify ===
    ended = bert_serving("verify", "models/shop")
    assert (ended.status, ended.err) == (0, "")
    assert "passed: 12 golden texts" in ended.out
    # === inspect ===
    ended = bert_serving("inspect", "models/shop/4")
    assert (ended.status, ended.err) == (0, "")
    for shown in (
        "serving_default",
        "pooled_output",
        "assets/vocab.txt",
        "blame, praise",
        "TensorFlow Serving 2.10 and later",
    ):
        assert shown in ended.out
    # === predict ===
    ended = bert_serving("predict", "models/shop", "good film", "bad bike")
    assert (ended.status, ended.err) == (0, "")
    assert "good film" in ended.out
    assert "praise 0." in ended.out


@pytest.mark.slow
def test_train_prints_json_and_nothing_else(trained, run_file, bert_serving, tmp_path):
    """A complete run is resumed, which measures it again; training itself would take longer."""
    shutil.copytree(trained.run.path, tmp_path / "runs" / "run")
    (tmp_path / "runs" / "run" / "metrics.json").unlink()
    ended = bert_serving("train", run_file, "--resume", "--json")
    assert (ended.status, ended.err) == (0, "")
    assert json.loads(ended.out) == json.loads((tmp_path / "runs" / "run" / "metrics.json").read_text())
    assert json.loads(ended.out)["test"] == trained.metrics["test"]


def test_interrupted_training_tells_how_to_go_on(run_file, bert_serving, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bert_serving.training.run.train", interrupted)
    ended = bert_serving("train", run_file, "--set", "training.seed=4", "--out", "my run")
    assert ended.status == 130
    assert f"bert-serving train {run_file} --set training.seed=4 --out 'my run' --resume" in ended.out


def test_inspect_prints_json_and_nothing_else(exported, bert_serving):
    ended = bert_serving("inspect", exported.parent, "--json")
    assert (ended.status, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert set(found["signatures"]) == {"serving_default", "tokens", "classify", "embed", "labels"}
    assert found["operations"]["oldest_tf_serving"] == "2.10"
    assert found["manifest"]["labels"] == ["blame", "praise"]
    assert found["sizes"]["assets/labels.txt"] == 13


@pytest.mark.slow
def test_verify_prints_its_verdict_as_json_and_its_status_is_the_answer(exported, bert_serving, tmp_path):
    ended = bert_serving("verify", exported, "--json")
    assert (ended.status, ended.err) == (0, "")
    assert json.loads(ended.out)["passed"] is True
    copy = shutil.copytree(exported, tmp_path / "1")
    (copy / "assets" / "labels.txt").write_text("other\n")
    ended = bert_serving("verify", copy, "--json")
    assert (ended.status, ended.err) == (1, "")
    assert json.loads(ended.out)["problems"] == ["assets/labels.txt does not hold the manifest's labels"]
    ended = bert_serving("verify", copy)
    assert ended.status == 1
    assert ended.err == f"error: {copy}: assets/labels.txt does not hold the manifest's labels\n"
    ended = bert_serving("verify", exported, "--tf-serving", "2.1")
    assert ended.status == 1
    assert "the floor is 2.1" in ended.err


def test_evaluate_gives_the_same_figures_however_the_model_is_reached(
    trained, exported, served, run_file, bert_serving
):
    figures = {}
    for model in (trained.run.path, exported.parent, served["grpc"], served["http"]):
        ended = bert_serving("evaluate", model, "--data", run_file.parent / "test.tsv", "--json")
        assert (ended.status, ended.err) == (0, "")
        figures[model] = json.loads(ended.out)
    expected = trained.metrics["test"]
    for found in figures.values():
        assert list(found) == list(expected)
        for name, value in expected.items():
            assert found[name] == (pytest.approx(value, abs=1e-5) if isinstance(value, float) else value), name


def test_evaluate_shows_a_table(exported, run_file, bert_serving):
    ended = bert_serving("evaluate", exported, "--data", run_file.parent / "test.tsv")
    assert (ended.status, ended.err) == (0, "")
    for shown in ("accuracy", "macro F1", "Each label", "blame", "praise"):
        assert shown in ended.out


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_served_model_tells_the_labels_that_the_data_lacks(protocol, served, bert_serving, tmp_path):
    (tmp_path / "one.tsv").write_text("text\tlabel\ngood\tpraise\n")
    for options in ((), ("--labels", "blame,praise")):
        ended = bert_serving("evaluate", served[protocol], "--data", "one.tsv", *options, "--json")
        assert (ended.status, json.loads(ended.out)["rows"]) == (0, 1)
    ended = bert_serving("evaluate", served[protocol], "--data", "one.tsv", "--labels", "praise,blame")
    assert ended.status == 2
    assert "has the labels 'blame', 'praise', --labels names 'praise', 'blame'; leave out --labels" in ended.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"blame\npraise\n", ""),
        (b"\xef\xbb\xbfblame\r\npraise", ""),
        (b"", "the file is empty; give one label a line"),
        (b"blame\n\npraise\n", "label 2 is empty"),
        (b"blame\nblame\n", "names 'blame' twice"),
        (b"blame\n\xff\n", "not valid UTF-8"),
    ],
)
def test_labels_are_taken_from_a_file(content, message, exported, bert_serving, tmp_path):
    (tmp_path / "rows.tsv").write_text("text\tlabel\ngood\tpraise\n")
    (tmp_path / "labels").write_bytes(content)
    ended = bert_serving("evaluate", exported, "--data", "rows.tsv", "--labels", "labels")
    assert (ended.status, message in ended.err) == (2 if message else 0, True)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("blame, praise", ""),
        ("blame,,praise", "label 2 is empty"),
        ("blame,praise,blame", "names 'blame' twice"),
        ("labels.txt", "no such file; give a file with one label a line, or a,b,c"),
        ("no/labels", "no such file"),
        ("praise,blame", "has the labels 'blame', 'praise', --labels names 'praise', 'blame'"),
    ],
)
def test_labels_are_taken_from_a_list(labels, message, exported, bert_serving, tmp_path):
    (tmp_path / "rows.tsv").write_text("text\tlabel\ngood\tpraise\n")
    ended = bert_serving("evaluate", exported, "--data", "rows.tsv", "--labels", labels)
    assert (ended.status, message in ended.err) == (2 if message else 0, True)


# === predict ===

TEXTS = ["good film", 'say "bad"', "", "a\u2028b", "[bold]x[/bold]", "  the bike  "]


def test_predict_reads_and_writes_files(trained, exported, bert_serving, tmp_path):
    (tmp_path / "in.txt").write_bytes("\r\n".join(TEXTS).encode() + b"\r\n")
    ended = bert_serving("predict", exported, "--input", "in.txt", "--output", "out.tsv")
    assert (ended.status, ended.err) == (0, "")
    assert "predictions: out.tsv" in ended.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.tsv"]
    lines = [line.split("\t") for line in (tmp_path / "out.tsv").read_text("utf-8").split("\n")[:-1]]
    assert lines[0] == ["text", "label", "blame", "praise"]
    assert [line[0] for line in lines[1:]] == TEXTS
    expected = trained.classifier.predict(TEXTS)
    np.testing.assert_allclose(np.array([line[2:] for line in lines[1:]], float), expected, atol=3e-6)
    assert [line[1] for line in lines[1:]] == [("blame", "praise")[row.argmax()] for row in expected]


def test_what_predict_writes_can_be_read_as_labeled_text(exported, bert_serving, tmp_path):
    bert_serving("predict", exported, "tab\there\nand a line", '"', "--output", "out.tsv")
    path = tmp_path / "out.tsv"
    table = read_table([path], DataConfig(train=(path,)), Head.SOFTMAX)
    assert table.texts == ["tab here and a line", '"']


@pytest.mark.parametrize("output", ["out.tsv", "out.csv", "out.jsonl"])
def test_predict_classifies_the_rows_of_a_table(output, trained, exported, served, bert_serving, tmp_path):
    texts = ["good, very good", 'say "bad"', "two\nlines", "", "x"]
    frame = pd.DataFrame({"label": ["blame"] * 5, "id": range(5), "review": texts})
    frame.to_csv("in.csv", index=False, encoding="utf-8-sig")
    for model in (exported, served["grpc"]):
        ended = bert_serving("predict", model, "--input", "in.csv", "--output", output)
        assert (ended.status, ended.err) == (0, "")
        assert "in.csv: the texts are those of its column 'review'" in ended.out
        assert "in.csv: 1 row without a text is classified as empty" in ended.out
        assert ("tabs and line breaks in the texts of 1 row are written as blanks" in ended.out) == (
            output == "out.tsv"
        )
        table = read_raw_table(tmp_path / output)
        assert list(table.column("text")) == [
            text.replace("\n", " ") if output == "out.tsv" else text for text in texts
        ]
        expected = [("blame", "praise")[row.argmax()] for row in trained.classifier.predict(texts)]
        assert list(table.column("label")) == expected


def test_predict_reads_standard_input_and_prints_json(exported, bert_serving, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("good\n漢字\n".encode())))
    ended = bert_serving("predict", exported, "--input", "-", "--json")
    assert (ended.status, ended.err) == (0, "")
    answers = json.loads(ended.out)
    assert [answer["text"] for answer in answers] == ["good", "漢字"]
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1) for answer in answers)
    assert list(answers[0]["probabilities"]) == ["blame", "praise"]


@pytest.mark.parametrize("way", ["grpc", "http"])
def test_predict_asks_a_server(way, trained, served, bert_serving):
    texts = [f"good film {number}" for number in range(70)]
    ended = bert_serving("predict", served[way], *texts, "--json")
    assert (ended.status, ended.err) == (0, "")
    found = [list(answer["probabilities"].values()) for answer in json.loads(ended.out)]
    np.testing.assert_allclose(found, trained.classifier.predict(texts), atol=2e-6)


# === encoders ===


def test_two_that_write_the_same_encoder_folder_leave_each_other_alone(tmp_path):
    to = tmp_path / "mine"
    with _new_folder(to) as first:
        first.mkdir()
        (first / "whole").touch()
        with suppress(KeyboardInterrupt), _new_folder(to) as second:
            assert second != first
            second.mkdir()
            raise KeyboardInterrupt
        assert list(first.iterdir()) == [first / "whole"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(EncoderError, match="mine: cannot write it: Directory not empty"), _new_folder(to) as third:
        third.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "whole"]


def test_encoders_can_be_listed_shown_and_converted(hugging_face_folder, bert_serving, tmp_path):
    ended = bert_serving("encoders", "list")
    assert (ended.status, ended.err) == (0, "")
    assert "all-MiniLM-L6-v2" in ended.out
    listed = json.loads(bert_serving("encoders", "list", "--json").out)
    assert len(listed) == 66
    names = {"name", "num_hidden_layers", "hidden_size", "parameters", "languages", "license", "cached"}
    assert names <= listed[0].keys()
    ended = bert_serving("encoders", "show", "ALL-minilm-l6-V2")
    assert (ended.status, ended.err) == (0, "")
    assert "Apache-2.0" in ended.out
    shown = json.loads(bert_serving("encoders", "show", "google/bert_uncased_L-2_H-128_A-2", "--json").out)
    assert (shown["name"], shown["parameters"]) == ("small_bert/bert_en_uncased_L-2_H-128_A-2", 4_385_920)
    assert len(shown["sources"]) == 3
    assert bert_serving("encoders", "show", "hf://lab/mini").status == 0
    ended = bert_serving("encoders", "convert", hugging_face_folder, "--to", "new/encoder")
    assert (ended.status, ended.err) == (0, "")
    names = sorted(path.name for path in (tmp_path / "new" / "encoder").iterdir())
    assert names == ["encoder", "encoder.json", "preprocessing"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["encoder"]


# === What is shown ===


def test_brackets_emoji_codes_and_control_characters_are_shown_as_text(capsys):
    console.show_predictions(["[red]x[/red] :fire: \x1b[2J\\[y]"], ["[a]", ":b:"], [[0.4, 0.6]])
    shown = capsys.readouterr().out
    assert "[red]x[/red] :fire:  [2J\\[y]" in shown
    assert "[a] 0.400" in shown
    assert ":b: 0.600" in shown
    assert "\x1b" not in shown


def test_a_text_of_5000_words_is_cut_when_shown(capsys):
    console.show_predictions(["word " * 5000], ["a", "b"], [[0.4, 0.6]])
    shown = capsys.readouterr().out
    assert "(25,000 characters)" in shown
    assert len(shown) < 2000


def test_columns_of_numbers_stand_to_the_right_and_words_to_the_left(capsys):
    console.show_table("Title", ("name", "number", "word"), [["a", "1", "x"], ["b", "1,000", "yyyy"]])
    title, header, _, first, second = capsys.readouterr().out.strip("\n").split("\n")
    assert title == "Title"
    assert [cell.strip() for cell in re.split("[┃|]", header)] == ["name", "number", "word"]
    assert first.split("│")[1:] == ["      1 ", " x   "]
    assert second.split("│")[1:] == ["  1,000 ", " yyyy"]


def test_a_table_without_rows_is_shown(capsys):
    console.show_table("Nothing", ("a", "b"), [])
    assert "Nothing" in capsys.readouterr().out


# === Quiet ===


def child(*arguments, cwd):
    """The command in a process of its own, with TensorFlow at its most talkative."""
    ours = ("TF_CPP_MIN_LOG_LEVEL", "CUDA_VISIBLE_DEVICES", "GRPC_VERBOSITY", "PYTHONWARNINGS", "TF_USE_LEGACY_KERAS")
    environment = {name: value for name, value in os.environ.items() if name not in ours} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bert_serving.cli.main", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_training_in_a_process_of_its_own_prints_no_chatter(run_file, tmp_path):
    ended = child("train", run_file, "--set", "training.epochs=1", "--out", "out", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line for line in ended.stdout.splitlines() if CHATTER.search(line)] == []
    assert "epoch 1: loss" in ended.stdout


@pytest.mark.slow
def test_verifying_in_a_process_of_its_own_prints_no_chatter(exported, tmp_path):
    ended = child("verify", exported, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line for line in ended.stdout.splitlines() if CHATTER.search(line)] == []
    assert "passed: 12 golden texts" in ended.stdout
