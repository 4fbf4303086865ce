"""What is installed, what importing it costs, and which module may import which."""

import email
import json
import os
import re
import statistics
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from support.paths import ROOT
from support.wheels import build_wheel

from bert_serving.version import __version__

HEAVY = ("tensorflow", "tf_keras", "keras", "pandas", "sklearn", "matplotlib", "pyarrow", "grpc")


def python(code, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120, **options
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("module", ["bert_serving", "bert_serving.contract", "bert_serving.errors"])
def test_the_light_modules_bring_nothing_heavy_and_take_no_time(module):
    code = (
        "import sys, time, json; start = time.perf_counter()\n"
        f"import {module}\n"
        "print(json.dumps([time.perf_counter() - start, sorted(sys.modules)]))"
    )
    results = [json.loads(python(code)) for _ in range(3)]
    assert not set(HEAVY) & set(results[0][1])
    assert statistics.median(seconds for seconds, _ in results) < 0.1


@pytest.mark.parametrize(
    ("module", "client"),
    [("grpc_client", "GrpcClient('localhost:8500')"), ("rest_client", "RestClient('http://localhost:8501')")],
)
def test_a_client_is_imported_in_no_time_and_made_without_tensorflow(module, client):
    code = (
        "import sys, time, json; start = time.perf_counter()\n"
        f"from bert_serving.clients import {module}\n"
        "took = time.perf_counter() - start\n"
        f"{module}.{client}\n"
        "print(json.dumps([took, sorted(sys.modules)]))"
    )
    results = [json.loads(python(code)) for _ in range(3)]
    assert min(seconds for seconds, _ in results) < 0.3
    assert not {"tensorflow", "numpy"} & set(results[0][1])


@pytest.mark.parametrize(
    "module",
    [
        "bert_serving.config",
        "bert_serving.cli.main",
        "bert_serving.saved_model.manifest",
        "bert_serving.clients.rest_client",
        "bert_serving.clients.grpc_client",
    ],
)
def test_modules_that_a_mistake_is_found_with_do_without_tensorflow(module):
    loaded = python(f"import sys, {module}; print(*sys.modules)").split()
    assert module in loaded
    assert not set(HEAVY) & set(loaded)


def test_help_comes_at_once_and_without_tensorflow():
    code = (
        "import sys\nfrom bert_serving.cli.main import main\nsys.argv = ['bert-serving', '--help']\n"
        "try:\n    main()\nfinally:\n    print('TENSORFLOW' if 'tensorflow' in sys.modules else 'LIGHT')"
    )
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        printed = python(code)
        seconds.append(time.monotonic() - started)
        assert "From labeled text to a BERT classifier" in printed
        assert printed.endswith("LIGHT\n")
    assert min(seconds) < 3  # with TensorFlow it would be ten, on a machine that does nothing else


def test_the_modules_import_in_one_direction_only():
    pytest.importorskip("importlinter")
    program = Path(sys.executable).with_name("lint-imports")
    command = [program, "--config", ROOT / ".importlinter", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_the_demo_of_the_export_folder_is_the_one_in_the_package():
    from bert_serving.cli.demo import sample_run_file
    from bert_serving.config import load_run_file

    config, packaged = load_run_file(ROOT / "export" / "demo.toml"), load_run_file(sample_run_file())
    assert config.model_copy(update={"data": packaged.data}) == packaged
    for split in ("train", "validation", "test"):
        (here,), (there,) = getattr(config.data, split), getattr(packaged.data, split)
        assert here.samefile(there)
    for path in (*config.data.train, *config.data.validation, *config.data.test):
        assert path.is_file()


@pytest.mark.parametrize("path", sorted((ROOT / "export").glob("*.toml")), ids=lambda path: path.name)
def test_every_run_file_of_the_export_folder_loads(path):
    from bert_serving.config import load_run_file

    assert load_run_file(path).export.name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_one_package_with_its_types_and_its_sample(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (top,) = [name for name in names if name.endswith("top_level.txt")]
        assert archive.read(top).decode() == "bert_serving\n"
        (entry,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "bert-serving = bert_serving.cli.main:main" in archive.read(entry).decode()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"bert_serving"}
    sample = "bert_serving/data/sample"
    wanted = [
        "bert_serving/py.typed",
        *(f"{sample}/{name}" for name in ("demo.toml", "train.tsv", "validation.tsv", "test.tsv")),
    ]
    assert [name for name in wanted if name not in names] == []
    manifests = {path.relative_to(ROOT / "k8s").as_posix() for path in (ROOT / "k8s").rglob("*") if path.is_file()}
    copies = "bert_serving/publishing/kubernetes/kustomize/"
    assert {name.removeprefix(copies) for name in names if name.startswith(copies)} == manifests
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "bert_serving").rglob("*.py")}
    assert sorted(modules - set(names)) == []
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_tells_what_it_is_and_where_it_runs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        told = email.message_from_bytes(archive.read(name))
    assert (told["Version"], told["Requires-Python"]) == (__version__, ">=3.11")
    assert told["Author"]
    assert {url.partition(",")[0] for url in told.get_all("Project-URL")} >= {"Documentation", "Source", "Changelog"}
    classifiers = told.get_all("Classifier")
    for wanted in (
        "Development Status",
        "Intended Audience",
        "Programming Language :: Python :: 3.13",
        "Typing :: Typed",
    ):
        assert [each for each in classifiers if each.startswith(wanted)], wanted
    extras = set(told.get_all("Provides-Extra"))
    assert extras >= {"tensorflow", "server", "report", "map", "hub", "publish", "all"}
    # Without an extra, nothing that trains or draws.
    needed = {re.match(r"[\w.-]+", each)[0] for each in told.get_all("Requires-Dist") if "extra ==" not in each}
    assert needed == {"filelock", "grpcio", "httpx", "protobuf", "pydantic", "rich", "typer"}


def test_the_wheel_works_from_an_empty_folder(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import bert_serving; from bert_serving.cli.demo import sample_run_file\n"
        "from bert_serving.config import load_run_file\n"
        "config = load_run_file(sample_run_file())\n"
        "print(bert_serving.__file__, all(path.is_file() for path in config.data.train))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "empty", capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(tmp_path / "site" / "bert_serving" / "__init__.py"), "True"]
