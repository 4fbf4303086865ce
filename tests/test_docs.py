"""The docs say what the code does."""

import re
import sys
from pathlib import Path

import pytest

from bert_serving.config import load_run_file
from bert_serving.pretraining.run_file import load_pretraining_file

PROJECT = Path(__file__).resolve().parents[1]


def test_the_page_of_run_files_is_up_to_date():
    sys.path.insert(0, str(PROJECT / "docs"))
    try:
        import generate_run_files
    finally:
        sys.path.remove(str(PROJECT / "docs"))
    assert (PROJECT / "docs" / "run_files.md").read_text("utf-8") == generate_run_files.page()
    assert (PROJECT / "docs" / "pretraining_files.md").read_text("utf-8") == generate_run_files.pretraining_page()


@pytest.mark.parametrize("path", sorted((PROJECT / "export").glob("*.toml")), ids=lambda path: path.name)
def test_every_run_file_is_valid(path: Path):
    assert load_run_file(path).export.name


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "export" / "pretraining").glob("*.toml")), ids=lambda path: path.name
)
def test_every_run_file_of_pretraining_is_valid(path: Path):
    assert load_pretraining_file(path).training.epochs


PAGES = [*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", [str(page.relative_to(PROJECT)) for page in PAGES])
def test_every_link_leads_somewhere(page: str):
    text = (PROJECT / page).read_text("utf-8")
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    missing = [target for target in targets if target and not (PROJECT / page).parent.joinpath(target).exists()]
    assert not missing
