"""What the base package does alone, and which extra it names for the rest; modules and setup.cfg agree."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata

import pytest
from support import base_package
from support.paths import ROOT

from bert_serving.cli import main
from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.errors import BertServingError, MissingExtraError
from bert_serving.extras import MODULES, naming_extras
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread

HELP = [[], *[[command] for command in sorted({c for panel in main._PANELS.values() for c in panel})]]
HELP += [["encoders"], ["encoders", "new"], ["k8s"], ["k8s", "render"]]
ENCODER = "encoders new --vocabulary vocab.txt --num-hidden-layers 1 --hidden-size 8 --num-attention-heads 2".split()
DATA = ("--data", "data.tsv")
# Complete calls, so that nothing but the missing extra can be told.
NEEDED = {
    ("demo",): "tensorflow",
    ("explore", "data.tsv"): "report",
    ("vocabulary", "data.tsv", "--size", "50", "--to", "vocabulary"): "tensorflow",
    ("map", "run"): "report",
    ("map", "run", "--method", "umap"): "report",
    ("train", "run.toml", "--out", "new"): "tensorflow",
    ("tune", "run.toml", "--out", "new"): "tune",
    ("pretrain", "pretraining.toml", "--out", "new"): "tensorflow",
    ("evaluate", "run", *DATA): "tensorflow",
    ("evaluate", "{grpc}", *DATA): "tensorflow",
    ("calibrate", "run"): "tensorflow",
    ("export", "run", "--to", "new"): "tensorflow",
    ("verify", "models"): "tensorflow",
    ("inspect", "models"): "tensorflow",
    ("share", "run", "--to", "new"): "tensorflow",
    ("warmup", "data.tsv", "--to", "models/1"): "tensorflow",
    ("serve", "--model_base_path=models"): "server",
    ("predict", "run", "good film"): "tensorflow",
    ("predict", "models", "good film"): "tensorflow",
    ("predict", "models/1", "--input", "data.tsv", "--output", "out.tsv"): "tensorflow",
    ("predict", "{grpc}", "--input", "data.parquet"): "tensorflow",
    ("compare", "{grpc}", "{http}", *DATA): "tensorflow",
    ("publish", "models", "--to", "new"): "publish",
    ("versions", "models"): "publish",
    ("versions", "s3://bucket/models"): "publish",
    ("label", "stable=1", "--server", "localhost:1"): "publish",
    ("rollback", "--server", "localhost:1"): "publish",
    ("prune", "models"): "publish",
    ("report", "run", *DATA): "report",
    ("explain", "run", "good film"): "tensorflow",
    ("encoders", "list"): "tensorflow",
    ("encoders", "fetch", "all-MiniLM-L6-v2"): "tensorflow",
    (*ENCODER, "--to", "new"): "tensorflow",
    ("k8s", "render", "--model", "tiny", "--url", "s3://bucket/models", "--out", "new"): "tensorflow",
}
ANSWERED = [
    ("predict", "{grpc}", "good film", "bad bike"),
    ("predict", "{http}", "good film", "bad bike", "--json"),
    ("predict", "{grpc}", "--input", "data.tsv", "--output", "out.tsv"),
    ("predict", "{http}", "--input", "data.tsv", "--output", "out.jsonl", "--json"),
]


@pytest.fixture(scope="module")
def served(exported):
    with ServerThread(ServerOptions(models=[ModelConfig("tiny", exported.parent)])) as server:
        yield {"grpc": f"grpc://{server.grpc_address}/tiny", "http": f"{server.rest_url}/tiny"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, trained, exported, run_file):
    folder = tmp_path_factory.mktemp("base")
    shutil.copytree(trained.run.path, folder / "run")
    shutil.copytree(exported, folder / "models" / "1")
    shutil.copy(run_file, folder / "run.toml")
    (folder / "data.tsv").write_text("text\tlabel\ngood film\tpraise\nbad bike\tblame\n")
    (folder / "data.parquet").write_bytes(b"PAR1")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\n")
    (folder / "pretraining.toml").write_text('[data]\ntrain = "data.tsv"\n[encoder]\nname = "run"\n')
    return folder


@pytest.fixture(scope="module")
def ended(served, folder):
    """Exit status, output and error output of each command in one process with the base package alone."""
    commands = [*((*words, "--help") for words in HELP), *NEEDED, *ANSWERED]
    result = subprocess.run(
        [sys.executable, base_package.__file__],
        input=json.dumps([[word.format(**served) for word in words] for words in commands]),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert not {module for modules in MODULES.values() for module in modules} & set(answer["modules"])
    return dict(zip(map(tuple, commands), answer["results"], strict=True))


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_the_base_package_shows_the_help_of_every_command(ended, words):
    status, out, err = ended[(*words, "--help")]
    assert (status, err) == (0, "")
    assert "sage" in out


@pytest.mark.parametrize(("words", "extra"), NEEDED.items(), ids=map(" ".join, NEEDED))
def test_a_command_names_the_extra_that_it_needs_in_one_line(ended, words, extra):
    status, _, err = ended[words]
    assert status == 2
    (line,) = err.splitlines()
    assert re.fullmatch(rf"error: .*(is not installed|missing: .*); pip install 'bert-serving\[{extra}\]'", line), line


def test_a_server_is_asked_with_the_base_package_alone(ended, folder, served):
    expected = GrpcClient(served["grpc"].removeprefix("grpc://").removesuffix("/tiny")).predict(
        "tiny", ["good film", "bad bike"]
    )
    for words in ANSWERED:
        status, _, err = ended[words]
        assert (status, err) == (0, ""), words
    labels = [each.label for each in expected]
    shown = ended[ANSWERED[0]][1]
    assert all(f"{each.label} {max(each.probabilities):.3f}" in shown for each in expected)
    assert [row["label"] for row in json.loads(ended[ANSWERED[1]][1])] == labels
    rows = [line.split("\t") for line in (folder / "out.tsv").read_text().splitlines()]
    assert rows[0][:2] == ["text", "label"]
    assert [row[1] for row in rows[1:]] == labels
    # The file has six digits.
    assert [float(cell) for cell in rows[1][2:]] == pytest.approx(expected[0].probabilities, abs=5e-7)
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [line["label"] for line in lines] == labels


@pytest.mark.slow
def test_the_extra_of_the_server_serves_without_what_trains(exported):
    brought_by_tensorflow = {"ml_dtypes"}
    others = {module for extra in MODULES for module in MODULES[extra]} - {*MODULES["server"]} - brought_by_tensorflow
    code = f"""
from support.base_package import Hidden
Hidden({sorted(others)!r})
from pathlib import Path
from bert_serving.api import server
from bert_serving.clients.addressed import Client
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread
with ServerThread(ServerOptions(models=[ModelConfig("tiny", Path({str(exported.parent)!r}))])) as running:
    for address in (f"grpc://{{running.grpc_address}}/tiny", f"{{running.rest_url}}/tiny"):
        print(Client(address).predict("good film")[0].label)
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    first, second = result.stdout.split()
    assert first == second
    assert first in ("praise", "blame")


def required(text):
    """Names of distributions in a list of requirements, with those of the extras that it includes."""
    names = set()
    for line in text.splitlines():
        if match := re.fullmatch(r"bert-serving\[(.*)\]", line):
            names |= {name for extra in match[1].split(",") for name in of_extra(extra)}
        elif match := re.match(r"[\w.-]+", line):
            names.add(match[0].lower().replace("_", "-"))
    return names


def setup():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def of_extra(name):
    return required(setup()["options.extras_require"][name])


def test_the_modules_of_the_extras_are_those_of_setup_cfg():
    base = required(setup()["options"]["install_requires"])
    distributions = metadata.packages_distributions()
    for extra, modules in MODULES.items():
        for module in modules:
            if module in distributions:  # those of the map and of Spark are not installed here
                found = {name.lower().replace("_", "-") for name in distributions[module]}
                assert found & of_extra(extra), f"{module} of {extra}"
                assert not found & base, module
    named = {
        name.lower() for modules in MODULES.values() for module in modules for name in distributions.get(module, [])
    }
    wanted = {name for extra in MODULES for name in of_extra(extra) if extra not in ("map", "spark")} - base
    # httpx of the base package brings h11; each of the map's packages is in another extra, too, but UMAP.
    missing = wanted - {name.replace("_", "-") for name in named} - {"h11"}
    assert sorted(missing) == []


def test_all_has_every_extra_that_a_user_needs():
    # A cluster has a Spark of its own, of which pyspark must have the version.
    assert of_extra("all") == {name for extra in MODULES if extra != "spark" for name in of_extra(extra)}
    assert "tensorflow" not in required(setup()["options"]["install_requires"])
    for extra in ("report", "map", "hub", "publish"):
        assert of_extra(extra) > of_extra("tensorflow")


@pytest.mark.parametrize(
    ("error", "extra", "message"),
    [
        (
            ModuleNotFoundError("No module named 'umap'", name="umap"),
            None,
            "the map needs umap, which is not installed; pip install 'bert-serving[map]'",
        ),
        (
            ModuleNotFoundError("x", name="tensorflow_serving.apis"),
            "server",
            "the map needs tensorflow_serving, which is not installed; pip install 'bert-serving[server]'",
        ),
        (ModuleNotFoundError("x", name="fsspec"), "server", "pip install 'bert-serving[publish]'"),
        (ModuleNotFoundError("x", name="sklearn"), "server", "pip install 'bert-serving[tensorflow]'"),
        (ModuleNotFoundError("x", name="sklearn"), "publish", "pip install 'bert-serving[publish]'"),
    ],
)
def test_an_import_that_fails_becomes_advice(monkeypatch, error, extra, message):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=re.escape(message)) as caught, naming_extras("the map", extra):
        raise error
    assert isinstance(caught.value, BertServingError)
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize(
    "error", [ImportError("cannot import name 'x'", name="numpy"), ModuleNotFoundError("y", name="y")]
)
def test_another_fault_of_an_import_stays_as_it_is(error):
    @naming_extras()
    def fails():
        raise error

    with pytest.raises(ImportError) as caught:
        fails()
    assert caught.value is error
