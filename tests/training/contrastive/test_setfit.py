"""Contrastive training against SetFit itself, on the same rows of TREC-6."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from support.paths import ROOT

pytestmark = pytest.mark.peers

SEEDS = 3


@pytest.fixture(scope="module")
def interpreter() -> str:
    """An interpreter that has SetFit: that of SETFIT_PYTHON, or this one."""
    python = os.environ.get("SETFIT_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import setfit"], capture_output=True, check=False).returncode:
        pytest.skip(f"needs setfit, which {python} lacks; name an interpreter that has it in SETFIT_PYTHON")
    return python


@pytest.mark.timeout(7200)
def test_accuracy_is_that_of_setfit_or_better_but_for_noise(interpreter, shared_data, minilm_folder, tmp_path):
    options = ["--rows-per-label", "16", "--seeds", str(SEEDS), "--methods", "contrastive", "SetFit"]
    options += ["--setfit-iterations", "20", "--torch-python", interpreter, "--results", str(tmp_path / "results.json")]
    command = [sys.executable, str(ROOT / "benchmarks" / "few_labels.py"), *options]
    command += ["--data", str(shared_data / "trec6"), "--model", str(minilm_folder)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    found = json.loads((tmp_path / "results.json").read_text("utf-8"))["trec6"]["16 rows a label"]
    ours, theirs = (np.asarray(found[name]["by_seed"]) for name in ("contrastive", "SetFit"))
    noise = 2 * np.std(ours - theirs, ddof=1) / np.sqrt(SEEDS)
    assert ours.mean() >= theirs.mean() - noise - 0.01
