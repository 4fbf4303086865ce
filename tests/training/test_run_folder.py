"""The run folder: read with clear errors, written in one step, held by one process."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

from bert_serving.config import parse_run_config
from bert_serving.contract import Scaling
from bert_serving.errors import RunFileError, RunFolderError
from bert_serving.training.run_folder import RunFolder

CONFIG = parse_run_config({"data": {"train": "a.tsv"}, "encoder": {"name": "n"}})

HOLDER = """
import sys
from pathlib import Path
from bert_serving.training.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path) -> RunFolder:
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path / "run")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusal(action) -> str:
    with pytest.raises(RunFolderError) as raised:
        action()
    assert "\n" not in str(raised.value)
    return str(raised.value)


# === Reading ===


def test_what_a_run_starts_with_can_be_read_again(run):
    labels = ("bad", "good, or so", "好", "with space ", "")
    run.start(CONFIG, labels, {"rows": {"train": 3}})
    assert run.config() == CONFIG
    assert run.labels() == labels
    assert run.read_json("run.json") == {"rows": {"train": 3}}
    assert names(run.path) == ["labels.txt", "run.json", "run.toml"]


def test_a_regression_has_no_labels(run):
    run.start(CONFIG, (), {})
    assert run.labels() == ()


def test_a_folder_without_a_run_is_named(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        expected = f"{folder}: not a run folder (run.toml is missing); give the folder that train wrote"
        assert refusal(RunFolder(folder).config) == expected


@pytest.mark.parametrize(("content", "problem"), [("[data", "damaged: "), ("", "data: missing; add it")])
def test_a_damaged_run_file_is_named(run, content, problem):
    (run.path / "run.toml").write_text(content)
    with pytest.raises((RunFolderError, RunFileError)) as raised:
        run.config()
    assert str(raised.value).startswith(f"{run.path}/run.toml: {problem}")


def test_missing_and_damaged_files_are_named(run):
    assert refusal(run.labels) == f"{run.path}: labels.txt is missing; train again"
    assert refusal(lambda: run.read_json("metrics.json")) == f"{run.path}: metrics.json is missing; train again"
    (run.path / "metrics.json").write_text("{")
    assert refusal(lambda: run.read_json("metrics.json")).startswith(f"{run.path}/metrics.json: damaged: ")


def test_a_run_is_complete_when_its_weights_are_there(run):
    assert not run.is_complete
    with run.new_folder(run.weights.parent) as folder:
        (folder / run.weights.name).write_bytes(b"weights")
        assert not run.is_complete
    assert run.is_complete


def test_the_last_epoch_is_that_of_the_last_checkpoint(run):
    assert run.last_epoch() == 0
    for epoch in (2, 10, 9):
        run.checkpoint(epoch).mkdir(parents=True)
    assert run.checkpoint(2).name == "epoch_002"
    assert run.last_epoch() == 10
    run.keep_epochs({9, 10, 11})
    assert names(run.path / "checkpoints") == ["epoch_009", "epoch_010"]
    run.drop_checkpoints()
    assert run.last_epoch() == 0
    assert names(run.path) == []


def test_a_name_that_is_no_epochs_is_passed_over(run):
    run.checkpoint(3).mkdir(parents=True)
    (run.path / "checkpoints/epoch_003_copy").mkdir()
    assert run.last_epoch() == 3
    run.keep_epochs({3})
    assert names(run.path / "checkpoints") == ["epoch_003", "epoch_003_copy"]


# === Writing ===


def test_a_file_is_old_or_new_but_never_half(run, monkeypatch):
    run.write_json("history.json", [1])

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    message = refusal(lambda: run.write_json("history.json", [1, 2]))
    assert message == (
        f"{run.path}: cannot write the run folder: No space left on device; free space or use another --out"
    )
    assert run.read_json("history.json") == [1]
    assert names(run.path) == ["history.json"]


def test_text_is_written_as_it_is(run):
    run.write_json("audit.json", {"text": "好\n"})
    assert (run.path / "audit.json").read_text("utf-8") == '{\n  "text": "好\\n"\n}\n'
    assert json.loads((run.path / "audit.json").read_text("utf-8")) == {"text": "好\n"}


def _write_half(folder: Path) -> None:
    (folder / "half").write_text("a")
    raise KeyboardInterrupt


def test_a_folder_appears_when_it_is_whole(run):
    with pytest.raises(KeyboardInterrupt), run.new_folder(run.checkpoint(1)) as folder:
        _write_half(folder)
    assert names(run.path / "checkpoints") == []
    with run.new_folder(run.checkpoint(1)) as folder:
        (folder / "whole").write_text("a")
        assert not run.checkpoint(1).exists()
    assert names(run.checkpoint(1)) == ["whole"]
    with run.new_folder(run.checkpoint(1)) as folder:
        (folder / "newer").write_text("a")
    assert names(run.checkpoint(1)) == ["newer"]


def test_a_file_that_grows_too_large_for_the_disk_gives_one_line(run):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        message = refusal(lambda: run.write_text("labels.txt", "x" * 5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert message.startswith(f"{run.path}: cannot write the run folder: File too large; ")
    assert names(run.path) == []


@pytest.mark.parametrize("path", ["/proc/nowhere/run", "file/run"])
def test_a_place_that_cannot_be_written_gives_one_line(tmp_path, path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / path

    def lock() -> None:
        with RunFolder(folder).locked():
            pass

    assert refusal(lock).startswith(f"{folder}: cannot write the run folder: ")


# === One process ===


def test_of_two_processes_one_is_refused(run):
    command = [sys.executable, "-c", HOLDER, str(run.path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environment) as holder:
        assert holder.stdout.readline() == "held\n"

        def lock() -> None:
            with run.locked():
                pass

        expected = f"{run.path}: another process is training into this folder; use another --out"
        assert refusal(lock) == expected
        holder.kill()
        holder.wait()
        # A killed process leaves no lock behind.
        lock()


def test_what_a_killed_process_left_is_removed_by_the_next(run):
    (run.path / ".tmp-weights").mkdir()
    (run.path / ".tmp-weights/half").write_text("a")
    (run.path / ".tmp-history.json").write_text("[")
    (run.path / "checkpoints/.tmp-epoch_002").mkdir(parents=True)
    run.checkpoint(1).mkdir()
    with run.locked():
        assert names(run.path) == [".lock", "checkpoints"]
        assert names(run.path / "checkpoints") == ["epoch_001"]


def test_a_lock_is_free_again_after_an_error(run):
    for _ in range(2):
        with pytest.raises(ValueError, match="oops"), run.locked():
            raise ValueError("oops")


# === The scaling ===


def test_a_run_that_was_not_calibrated_leaves_its_logits_alone(run):
    assert run.scaling() == Scaling(1.0, 1.0)
    run.write_json("calibration.json", {"temperature": 2.5})
    assert run.scaling() == Scaling(2.5, 1.0)
    run.write_json("calibration.json", {"temperature": 2.5, "exponent": 1.5})
    assert run.scaling() == Scaling(2.5, 1.5)


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "{}", '{"exponent": 1}', '{"temperature": 1, "exponent": 0}'),
        *(f'{{"temperature": {bad}}}' for bad in ("null", "0", "-1", "NaN", "1e999", '"x"', "[1]")),
    ],
)
def test_a_damaged_calibration_is_refused(content, run):
    run.calibration.write_text(content)
    assert (
        refusal(run.scaling) == f"{run.calibration}: damaged: holds no temperature over 0; calibrate again or remove it"
    )
