"""Every Python block of the docs runs, with a tiny encoder in the place of the one that they name."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from support.pages import Block, docstring_blocks, page_blocks, run_blocks
from support.paths import ROOT
from support.reader import NAMES, encoder_by_name, write_place
from support.runs import in_process_verification

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = {str(page.relative_to(ROOT)): page_blocks(page, ROOT) for page in PAGES}
REFERENCE = [name for page in PAGES for name in re.findall(r"^::: (\S+)", page.read_text("utf-8"), re.MULTILINE)]
DOCSTRINGS = {each: blocks for name in REFERENCE for each, blocks in docstring_blocks(name).items()}
# Blocks that no test can run; each says why in a comment before it.
NOT_RUN = 0


@pytest.fixture(scope="module")
def place(rows, trained, exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader") / "place"
    write_place(folder, rows, trained.run.path, exported)
    return folder


@pytest.fixture(scope="module")
def addresses(place: Path):
    """The addresses that the docs name, with those of a server that runs."""
    from bert_serving.model_server.config.options import ModelConfig, ServerOptions
    from bert_serving.model_server.server import ServerThread

    models = [ModelConfig(name, place / "models" / name) for name in NAMES]
    with ServerThread(ServerOptions(models=models)) as server:
        yield {"http://localhost:8501": server.rest_url, "localhost:8500": server.grpc_address}


@pytest.fixture(scope="module", autouse=True)
def _encoder(place: Path, tmp_path_factory: pytest.TempPathFactory):
    with encoder_by_name(place / "encoders" / "tiny", tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(autouse=True)
def _verified_in_this_process():
    with in_process_verification():
        yield


@pytest.fixture
def here(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the reader's folder, which is the current one."""
    folder = tmp_path / "place"
    shutil.copytree(place, folder)
    monkeypatch.chdir(folder)
    # Spark's workers take python3 otherwise.
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    return folder


# They train, export or start a server: from some seconds to half a minute each.
SLOW = {
    "README.md",
    "docs/quickstart.md",
    "docs/how_to/export.md",
    "docs/how_to/import.md",
    "docs/how_to/server.md",
    "docs/how_to/score.md",
    "docs/how_to/training.md",
    "docs/how_to/tune.md",
    "docs/how_to/publishing.md",
    "docs/how_to/spark.md",
    "bert_serving.Observer",
    "bert_serving.Publication",
    "bert_serving.Run.explain",
    "bert_serving.Run.report",
    "bert_serving.TextClassifier.fit",
    "bert_serving.build_classifier",
    "bert_serving.export",
    "bert_serving.beam.job.ScoredFiles",
    "bert_serving.publish",
    "bert_serving.score",
    "bert_serving.serve",
    "bert_serving.train",
    "bert_serving.tune",
    "bert_serving.Tuning",
}
# A package that the tests' own extra does not bring, and a command.
NEEDED = {"docs/how_to/spark.md": ("pyspark", "java")}


def _cases(blocks: dict[str, list[Block]]) -> list[object]:
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in blocks if blocks[name]]


@pytest.mark.parametrize("page", _cases(BLOCKS))
def test_the_python_of_a_page_runs(page: str, here: Path, addresses: dict[str, str]):
    package, command = NEEDED.get(page, ("pytest", "env"))
    pytest.importorskip(package, reason=f"needs {package}")
    if shutil.which(command) is None:
        pytest.skip(f"needs {command}")
    run_blocks(BLOCKS[page], addresses)


@pytest.mark.parametrize("name", _cases(DOCSTRINGS))
def test_the_example_of_a_docstring_runs(name: str, here: Path, addresses: dict[str, str]):
    run_blocks(DOCSTRINGS[name], addresses)


def test_everything_that_the_reference_shows_has_an_example():
    assert not [name for name in REFERENCE if not DOCSTRINGS[name]]


def test_the_reference_shows_every_public_name():
    import bert_serving

    public = {f"bert_serving.{name}" for name in bert_serving.__all__ if not name.startswith("__")}
    assert public == {name for name in REFERENCE if name.count(".") == 1}


def test_few_blocks_are_not_run():
    left_out = [block for blocks in [*BLOCKS.values(), *DOCSTRINGS.values()] for block in blocks if block.not_run]
    assert len(left_out) == NOT_RUN, left_out


def test_the_docs_have_blocks_that_run():
    assert sum(len(blocks) for blocks in BLOCKS.values()) > 5


CASES = {
    "one block": ("```python\nx = 1\n```\n", ["x = 1\n"], [""]),
    "two in order": ("```python\nx = 1\n```\nand\n```python\ny = x\n```\n", ["x = 1\n", "y = x\n"], ["", ""]),
    "one of another language": ("```\nls\n```\n```toml\nx = 1\n```\n", [], []),
    "one in a list": ("- so:\n\n  ```python\n  x = 1\n  ```\n", ["x = 1\n"], [""]),
    "one that is not run": ("<!-- not run: a bucket -->\n```python\nx\n```\n", ["x\n"], ["a bucket"]),
}


@pytest.mark.parametrize("case", list(CASES))
def test_the_blocks_of_a_page_are_found(case: str):
    from support.pages import blocks_of

    text, code, not_run = CASES[case]
    found = blocks_of(text, "page.md")
    assert ([block.code for block in found], [block.not_run for block in found]) == (code, not_run)


def test_an_example_that_fails_names_its_page_and_line():
    with pytest.raises(ZeroDivisionError) as failed:
        run_blocks([Block("page.md:3", "x = 1\n"), Block("page.md:9", "x / 0\n")], {})
    assert failed.traceback[-1].frame.code.path == "page.md:9" or "page.md:9" in str(failed.traceback[-1].path)
