"""The notebooks of the docs: complete, small, and without an error; the slow tests execute them with a tiny encoder."""

import base64
import json
import os
import re
import sys
from pathlib import Path

import pytest
from support.paths import ROOT, SHARED
from support.reader import encoder_by_name, write_place

NOTEBOOKS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
CELLS = {path.stem: json.loads(path.read_text("utf-8"))["cells"] for path in NOTEBOOKS}
LARGEST_PICTURE = 50_000


def _code(name: str) -> list[dict]:
    return [cell for cell in CELLS[name] if cell["cell_type"] == "code"]


def _outputs(name: str) -> list[dict]:
    return [output for cell in _code(name) for output in cell["outputs"]]


def _scripts(name: str):
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(ROOT / "scripts"))


def test_there_are_three_notebooks():
    assert len(NOTEBOOKS) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_was_executed_in_order(name: str):
    assert [cell["execution_count"] for cell in _code(name)] == list(range(1, len(_code(name)) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_no_output_is_an_error_or_a_log(name: str):
    kinds = [output["output_type"] for output in _outputs(name)]
    assert kinds
    assert "error" not in kinds
    assert not [output for output in _outputs(name) if re.match(r"(INFO|WARNING)\b", "".join(output.get("text", "")))]


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_there_and_small(name: str):
    pictures = [
        base64.b64decode("".join(output["data"]["image/png"])) for output in _outputs(name) if _is_picture(output)
    ]
    assert pictures
    assert max(map(len, pictures)) < LARGEST_PICTURE


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_names_no_place_of_this_machine(name: str):
    assert not re.search(r"/(?:tmp|root|home|work)/", json.dumps(CELLS[name]))


@pytest.mark.parametrize("name", NAMES)
def test_prose_of_a_notebook_wraps(name: str):
    lines = "".join(line for cell in CELLS[name] if cell["cell_type"] == "markdown" for line in [*cell["source"], "\n"])
    assert not [line for line in lines.splitlines() if len(line) > 110]


def _is_picture(output: dict) -> bool:
    return "image/png" in output.get("data", {})


# --- From a notebook to a page ---

OUTPUTS = {
    "printed text": (
        {"output_type": "stream", "name": "stdout", "text": ["a\n", "b\n"]},
        "```{ .text .output }\na\nb\n```",
    ),
    "a progress bar": (
        {"output_type": "stream", "name": "stdout", "text": "1%\r50%\r100%\n"},
        "```{ .text .output }\n100%\n```",
    ),
    "a value": ({"output_type": "execute_result", "data": {"text/plain": "4"}}, "```{ .text .output }\n4\n```"),
    "html before text": (
        {"output_type": "execute_result", "data": {"text/plain": "x", "text/html": ["<b>x</b>\n", "\n", "<i>y</i>"]}},
        '<div class="output">\n<b>x</b>\n<i>y</i>\n</div>',
    ),
    "html with a style": (
        {"output_type": "execute_result", "data": {"text/html": "<style scoped>\nb {}\n</style>\n<b>x</b>"}},
        '<div class="output">\n<b>x</b>\n</div>',
    ),
    "a picture": (
        {
            "output_type": "display_data",
            "data": {"image/png": base64.b64encode(b"png").decode(), "text/plain": "<Figure>"},
        },
        "![output of the cell above](page_1.png){ .output }",
    ),
}


@pytest.mark.parametrize("case", list(OUTPUTS))
def test_an_output_is_shown_in_the_site(case: str):
    output, expected = OUTPUTS[case]
    cells = [{"cell_type": "code", "source": ["x\n"], "outputs": [output]}]
    page, pictures = _scripts("site_hooks").page_of({"cells": cells}, "page")
    assert page == f"```python\nx\n```\n\n{expected}\n"
    assert pictures == ({"page_1.png": b"png"} if case == "a picture" else {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](tutorials/a.ipynb)", "[a](tutorials/a.md)"),
        ("[a](a.ipynb#part)", "[a](a.md#part)"),
        ("`a.ipynb`", "`a.ipynb`"),
    ],
)
def test_links_to_notebooks_lead_to_pages(text: str, expected: str):
    assert _scripts("site_hooks").on_page_markdown(text) == expected


# --- Execution ---


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_with_a_tiny_encoder(
    name: str, rows, trained, exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip(f"needs real data in {data}")
    write_place(tmp_path / "place", rows, trained.run.path, exported)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "data").symlink_to(data)
    (folder / "demo").symlink_to(tmp_path / "place" / "demo")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    with encoder_by_name(tmp_path / "place" / "encoders" / "tiny", tmp_path / "cache"):
        executed = _scripts("run_notebooks").execute(ROOT / "docs" / "tutorials" / f"{name}.ipynb", folder)
    assert all(cell.execution_count for cell in executed.cells if cell.cell_type == "code")
    assert [output for cell in executed.cells for output in cell.get("outputs", []) if _is_picture(output)]
