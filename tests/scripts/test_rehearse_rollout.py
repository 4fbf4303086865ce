"""The rollout rehearsal: no request fails while labels and versions change."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("nginx") is None and not Path("/usr/sbin/nginx").exists(),
        reason="needs nginx (Debian: nginx-light)",
    ),
]


def test_a_rollout_under_load_fails_no_request(tmp_path):
    from support import serving_models

    saved = serving_models.write_texts(tmp_path / "saved" / "1")
    command = [sys.executable, "scripts/rehearse_rollout.py", "--export", str(saved), "--rate", "200", "--seconds", "5"]
    command += ["--picture", str(tmp_path / "rehearsal.png")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_USE_LEGACY_KERAS": "1"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=580)
    print(result.stdout, result.stderr)
    assert result.returncode == 0, result.stdout + result.stderr
    requests, failed = re.search(r"([\d,]+) requests in .*, (\d+) failed", result.stdout).groups()
    assert int(requests.replace(",", "")) > 1000
    assert failed == "0"
    shares = [
        float(share) for share in re.findall(r"\d+ +(\d+\.\d)% .* 10% of the requests to the canary", result.stdout)
    ]
    assert len(shares) == 1
    assert 5 < shares[0] < 16
    assert (tmp_path / "rehearsal.png").stat().st_size > 10_000
