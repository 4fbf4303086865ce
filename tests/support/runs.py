"""What tests of training look at."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bert_serving.config import RunConfig
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.observer import Observer
from bert_serving.training.run_folder import RunFolder

# What differs from run to run without meaning anything.
_CLOCK = ("seconds", "rows_per_second")


class Recorder(Observer):
    """Keeps what it is told."""

    def __init__(self):
        self.notes, self.batches, self.epochs = [], [], []

    def note(self, line: str) -> None:
        self.notes.append(line)

    def batch(self, **facts: object) -> None:
        self.batches.append(facts)

    def epoch(self, row) -> None:
        self.epochs.append(row)


@contextlib.contextmanager
def in_process_verification() -> Iterator[None]:
    """Verifies exports in this process; what a fresh process sees is tested in one."""
    from bert_serving.saved_model import writer
    from bert_serving.saved_model.verification import verify

    with pytest.MonkeyPatch.context() as patch:
        for module in (writer, verify):
            patch.setattr(module, "verify_in_fresh_process", verify.verify)
        yield


def interrupt() -> None:
    raise KeyboardInterrupt


def history_of(run: RunFolder) -> list[dict]:
    rows = run.read_json("history.json")
    return [{name: value for name, value in row.items() if name not in _CLOCK} for row in rows]


def assert_same_weights(one: RunFolder, other: RunFolder) -> None:
    mine, theirs = read_safetensors(one.weights), read_safetensors(other.weights)
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)


@pytest.fixture(autouse=True, scope="module")
def no_pictures() -> Iterator[None]:
    """For modules that import it: pictures have tests of their own, and take longer than the training there."""
    from bert_serving.training import run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_draw", lambda *arguments: None)
        yield


def interrupted_and_resumed(config: RunConfig, folder: Path, observer: Observer | None = None) -> RunFolder:
    """A run that `observer` interrupts, by default after its first epoch, and that is then resumed."""
    from bert_serving.training.run import train

    with pytest.raises(KeyboardInterrupt):
        train(config, folder, observer=observer or EndAt(1))
    return train(config, folder, resume=True).run


class EndAt(Observer):
    """Presses Ctrl-C after an epoch."""

    def __init__(self, number):
        self.left = number

    def epoch(self, row):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


class EndAtBatch(Observer):
    """Presses Ctrl-C after a batch of an epoch."""

    def __init__(self, epoch: int, done: int):
        self.place = (epoch, done)

    def batch(self, *, epoch: int, done: int, **_: object) -> None:
        if (epoch, done) == self.place:
            raise KeyboardInterrupt
