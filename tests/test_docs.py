"""The docs say what the code does."""

import re
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

from bert_serving.config import load_run_file
from bert_serving.pretraining.run_file import load_pretraining_file

ROOT = ROOT


def test_the_page_of_run_files_is_up_to_date():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import generate_run_files
    finally:
        sys.path.remove(str(ROOT / "docs"))
    assert (ROOT / "docs" / "run_files.md").read_text("utf-8") == generate_run_files.page()
    assert (ROOT / "docs" / "pretraining_files.md").read_text("utf-8") == generate_run_files.pretraining_page()


@pytest.mark.parametrize("path", sorted((ROOT / "export").glob("*.toml")), ids=lambda path: path.name)
def test_every_run_file_is_valid(path: Path):
    assert load_run_file(path).export.name


@pytest.mark.parametrize("path", sorted((ROOT / "export" / "pretraining").glob("*.toml")), ids=lambda path: path.name)
def test_every_run_file_of_pretraining_is_valid(path: Path):
    assert load_pretraining_file(path).training.epochs


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_leads_somewhere(page: str):
    text = (ROOT / page).read_text("utf-8")
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    missing = [target for target in targets if target and not (ROOT / page).parent.joinpath(target).exists()]
    assert not missing
