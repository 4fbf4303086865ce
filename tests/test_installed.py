"""The wheel in new environments: the base package alone, and beside bert-as-service, which installs bert_serving/, too."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from support.paths import RECORDED, ROOT
from support.wheels import Environment, build_wheel

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread

OTHERS = json.loads((RECORDED / "bert_as_service.json").read_text())
REPLACED = "bert_serving/__init__.py is missing or that of another package"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def served(exported):
    with ServerThread(ServerOptions(models=[ModelConfig("tiny", exported.parent)])) as server:
        yield server


@pytest.mark.slow
def test_the_base_package_is_small_and_asks_a_server(wheel, served, tmp_path):
    environment = Environment(tmp_path / "base")
    before = environment.megabytes()
    environment.install(wheel)
    assert environment.megabytes() - before < 60
    installed = {path.name for path in environment.site.iterdir()}
    assert not {"tensorflow", "numpy", "matplotlib", "pandas", "pyarrow", "sklearn"} & installed
    assert "bert_serving" in installed
    code = (
        "import time; start = time.perf_counter()\n"
        "import bert_serving as bs; bs.Client, bs.AsyncClient\n"
        "import bert_serving.clients.grpc_client, bert_serving.clients.rest_client\n"
        "print(time.perf_counter() - start)"
    )
    assert min(float(environment.run("python", "-c", code).stdout) for _ in range(5)) < 0.3
    texts = ["good film", "bad bike"]
    expected = [each.label for each in GrpcClient(served.grpc_address).predict("tiny", texts)]
    for address in (f"grpc://{served.grpc_address}/tiny", f"{served.rest_url}/tiny"):
        ended = environment.run("bert-serving", "predict", address, *texts, "--json")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert [row["label"] for row in json.loads(ended.stdout)] == expected
    ended = environment.run("bert-serving", "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    ended = environment.run("bert-serving", "serve", f"--model_base_path={tmp_path}")
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "error: bert-serving serve needs tensorflow, which is not installed; pip install 'bert-serving[server]'"
    ]
    ended = environment.run("python", "-c", "import bert_serving as bs; bs.train")
    assert ended.stderr.splitlines()[-1] == (
        "bert_serving.errors.MissingExtraError: bert_serving.train needs numpy, which is not installed; "
        "pip install 'bert-serving[tensorflow]'"
    )


PUBLIC = "import bert_serving as bs; print(bs.Client.__name__, bs.__version__)"
OURS = "from bert_serving.clients.grpc_client import GrpcClient; print(GrpcClient.__name__)"
THEIRS = "from bert_serving.client import BertClient; print(BertClient.__name__)"


@pytest.mark.slow
def test_bert_as_service_is_installed_beside_it_in_either_order(wheel, tmp_path):
    environment = Environment(tmp_path / "both")

    def works(code):
        return environment.run("python", "-c", code).returncode == 0

    environment.install("bert-serving-client==1.10.0")
    environment.install(wheel)
    assert all(map(works, (PUBLIC, OURS, THEIRS)))
    assert environment.run("bert-serving", "--version").stderr == ""
    environment.uninstall("bert-serving-client")  # which takes bert_serving/__init__.py along
    assert [works(code) for code in (PUBLIC, OURS, THEIRS)] == [False, True, False]
    assert REPLACED in environment.run("bert-serving", "--version").stderr
    environment.install("bert-serving-client==1.10.0")
    assert [works(code) for code in (PUBLIC, OURS, THEIRS)] == [False, True, True]
    assert REPLACED in environment.run("bert-serving", "--version").stderr
    environment.install("--force-reinstall", "--no-deps", wheel)
    assert all(map(works, (PUBLIC, OURS, THEIRS)))
    environment.uninstall("bert-serving")
    assert works(THEIRS)


@pytest.mark.parametrize("package", ["bert-serving-client", "bert-serving-server"])
def test_bert_as_service_has_no_file_of_ours_but_the_first_one(package):
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "bert_serving").rglob("*.py")}
    assert ours & set(OTHERS[package]) == {"bert_serving/__init__.py"}
    folders = {name.split("/")[1] for name in OTHERS[package]} - {"__init__.py"}
    assert not [name for name in folders if (ROOT / "bert_serving" / name).exists()]


@pytest.mark.parametrize("init", [OTHERS["init"], None], ids=["replaced", "removed"])
def test_commands_and_clients_do_without_the_first_file(init, tmp_path):
    skipped = shutil.ignore_patterns("__pycache__", "templates", "sample")
    shutil.copytree(ROOT / "bert_serving", tmp_path / "bert_serving", ignore=skipped)
    first = tmp_path / "bert_serving" / "__init__.py"
    first.unlink() if init is None else first.write_text(init)
    code = (
        "import sys, bert_serving.clients.grpc_client, bert_serving.clients.rest_client, bert_serving.config\n"
        "from bert_serving.cli.main import main\nsys.argv = ['bert-serving', '--version']\nmain()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("bert-serving 0.")
    assert "pip install --force-reinstall --no-deps bert-serving" in result.stderr


def test_nothing_in_the_package_needs_its_first_file():
    """`from bert_serving import x` is for modules; a name of `__init__.py` is not there beside bert-as-service."""
    modules = {path.stem for path in (ROOT / "bert_serving").iterdir()}
    used = [
        (path.name, name.strip())
        for path in (ROOT / "bert_serving").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("from bert_serving import ")
        for name in line.removeprefix("from bert_serving import ").partition("#")[0].split(",")
    ]
    assert used
    assert [each for each in used if each[1].split(" as ")[0] not in modules] == []
