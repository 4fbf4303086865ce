"""Worker processes of the DirectRunner: the same answers, and every row once, however the job is killed."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

ROWS = 20_000
# Fifty were run for the documentation.
KILLS = int(os.environ.get("BERT_SERVING_KILLED_JOBS", "3"))
WORDS = "film bike the is very wheel good bad".split()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    choose = np.random.default_rng(6)
    path = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    lines = [f"{number},{' '.join(choose.choice(WORDS, size=choose.integers(1, 20)))}\n" for number in range(ROWS)]
    path.write_text("id,text\n" + "".join(lines))
    return path


def started(exported: Path, reviews: Path, output: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "bert_serving.cli.main", "score", str(exported), "--input", str(reviews)]
    return subprocess.Popen(
        [*command, "--output", str(output), "--id", "id", "--workers", "2", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.parquet"))}


def workers_of(job: int) -> list[int]:
    """The worker processes that a job started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, parent = path.parent.name, path.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if int(parent) == job:
            found.append(int(number))
    return found


@pytest.fixture(scope="module")
def undisturbed(exported: Path, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "scored"
    began = time.monotonic()
    output = finished(started(exported, reviews, folder))
    (folder.parent / "seconds").write_text(str(time.monotonic() - began))
    assert f"scored: {ROWS:,} of {ROWS:,} rows" in output
    assert "WARNING" not in output
    return folder


def test_two_worker_processes_score_every_row_once(undisturbed: Path):
    ids = pyarrow.parquet.read_table(undisturbed, columns=["id"]).column("id").to_pylist()
    assert sorted(map(int, ids)) == list(range(ROWS))


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_job_killed_at_any_moment_ends_as_an_undisturbed_one(
    seed: int, exported: Path, reviews: Path, undisturbed: Path, tmp_path: Path
):
    choose = random.Random(seed)
    process = started(exported, reviews, tmp_path / "scored")
    time.sleep(choose.uniform(0.5, float((undisturbed.parent / "seconds").read_text())))
    if process.poll() is None and choose.random() < 0.5 and (workers := workers_of(process.pid)):
        # The job itself notices, and ends with one line.
        os.kill(choose.choice(workers), signal.SIGKILL)
        output, _ = process.communicate(timeout=120)
        assert process.returncode in (0, 1), output
        assert process.returncode == 0 or "the same command continues" in output
        assert "Traceback" not in output
    elif process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL) if choose.random() < 0.5 else process.kill()
        process.wait()
    visible = [path.name for path in (tmp_path / "scored").glob("*.parquet")]
    expected = digests(undisturbed)
    for name in visible:
        assert hashlib.sha256((tmp_path / "scored" / name).read_bytes()).hexdigest() == expected[name], "half-written"
    finished(started(exported, reviews, tmp_path / "scored"))
    ids = Counter(pyarrow.parquet.read_table(tmp_path / "scored", columns=["id"]).column("id").to_pylist())
    assert set(ids.values()) == {1}
    assert len(ids) == ROWS
    assert digests(tmp_path / "scored") == expected
    assert sorted(path.name for path in (tmp_path / "scored").glob(".*")) == []
