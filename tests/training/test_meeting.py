"""Workers that meet in a folder: who takes part, and how each learns that another is gone."""

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from bert_serving.errors import InputError, RunFolderError, TrainingError, WorkerError, WorkerLostError
from bert_serving.training.cluster import Cluster
from bert_serving.training.meeting import Meeting, Round

FACTS = {"training.epochs": "3", "train data": "abc"}
ADDRESSES = ("a:1", "b:1", "c:1")


@pytest.fixture
def make(tmp_path):
    """Makes the meeting of a worker; `ended` has the reasons for which processes would have ended."""

    def make(number: int, size: int = 2, facts=FACTS, timeout: float = 5, aborted: list | None = None) -> Meeting:
        return Meeting(
            tmp_path / "run",
            Cluster(ADDRESSES[:size], number),
            facts,
            timeout=timeout,
            is_complete=lambda: (tmp_path / "complete").exists(),
            abort=(aborted if aborted is not None else []).append,
            end=lambda reason: None,
        )

    return make


def together(*joins: Callable[[], object]) -> list[object]:
    """What each returns or raises, all at the same time."""
    results: list[object] = [None] * len(joins)

    def run(position: int) -> None:
        try:
            results[position] = joins[position]()
        except Exception as error:
            results[position] = error

    threads = [threading.Thread(target=run, args=(position,)) for position in range(len(joins))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def join(meeting: Meeting, epoch: int = 0, *, resume: bool = False) -> Callable[[], object]:
    return lambda: meeting.join(epoch, resume=resume)


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_all_workers_go_on_after_the_epoch_of_the_chief(make):
    with contextlib.ExitStack() as stack:
        meetings = [stack.enter_context(make(number, 3)) for number in range(3)]
        first, *others = together(join(meetings[0], 4, resume=True), *map(join, meetings[1:]))
    assert isinstance(first, Round)
    assert (first.epoch, first.resume, len(set(first.ids))) == (4, True, 3)
    assert others == [first, first]


@pytest.mark.slow
def test_the_file_of_a_process_that_has_ended_is_nobody(make):
    with make(1):
        pass  # says goodbye
    dead = make(1)
    dead.__enter__()
    dead._halt()
    with (
        make(0, timeout=2) as chief,
        pytest.raises(WorkerError, match="waited 2 s for worker 1 of 2; start all workers"),
    ):
        chief.join(0, resume=False)


@pytest.mark.slow
def test_a_worker_without_a_chief_waits_no_longer_than_it_is_told(make):
    with make(1, timeout=1) as worker, pytest.raises(WorkerError, match="waited 1 s for worker 0 to begin"):
        worker.join(0, resume=False)
    assert not isinstance(WorkerError(""), InputError)
    assert WorkerError.exit_status == WorkerLostError.exit_status == 75


@pytest.mark.slow
@pytest.mark.parametrize(
    ("facts", "named"),
    [
        (FACTS | {"train data": "abd"}, "worker 1 differs from worker 0 in: train data; start all workers"),
        ({"train data": "abc"}, "worker 1 differs from worker 0 in: training.epochs; start all workers"),
    ],
)
def test_workers_that_differ_are_told_of_it_both(make, facts, named):
    def run(meeting: Meeting) -> object:
        with meeting:
            return meeting.join(0, resume=False)

    chief, worker = together(lambda: run(make(0)), lambda: run(make(1, facts=facts)))
    assert type(chief) is type(worker) is InputError
    assert str(chief).startswith(named)
    assert str(worker) == f"worker 0: {chief}"


@pytest.mark.slow
def test_a_worker_that_was_started_again_ends_the_round(make):
    aborted: list[str] = []
    with make(0, aborted=aborted) as chief, make(1) as worker:
        together(join(chief), join(worker))
        chief.check()
        worker._halt()
        with make(1) as again:
            until(lambda: aborted)
            assert aborted == ["worker 1 was started again"]
            with pytest.raises(WorkerLostError, match="worker 1 was started again"):
                chief.check()
            # Those of the old round are not taken for members of the next one.
            with make(0) as second:
                found = together(join(second, 2, resume=True), join(again))
    assert isinstance(found[0], Round)
    assert found[0] == found[1]
    assert found[0].epoch == 2


@pytest.mark.slow
def test_a_worker_that_shows_no_life_ends_the_round(make):
    aborted: list[str] = []
    with make(0, timeout=1.5, aborted=aborted) as chief, make(1, timeout=1.5) as worker:
        together(join(chief), join(worker))
        worker._halt()
        until(lambda: aborted)
    assert aborted == ["no sign of life from worker 1 for 1.5 s"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "kind"),
    [(RunFolderError("no space; free some"), InputError), (TrainingError("the loss is nan"), TrainingError)],
)
def test_the_error_of_one_worker_ends_all_with_the_same_line(make, error, kind):
    aborted: list[str] = []
    with make(1, aborted=aborted) as worker:
        with contextlib.suppress(type(error)), make(0) as chief:
            together(join(chief), join(worker))
            raise error
        until(lambda: aborted)
        with pytest.raises(kind) as raised:
            worker.check(patient=True)
    assert str(raised.value) == f"worker 0: {error}"


@pytest.mark.slow
def test_nobody_is_missed_when_the_run_is_complete(make, tmp_path):
    aborted: list[str] = []
    with make(0, timeout=1, aborted=aborted) as chief:
        with make(1) as worker:
            together(join(chief), join(worker))
            (tmp_path / "complete").touch()
        time.sleep(2.5)
        chief.close()
    assert aborted == []
    assert not (tmp_path / "run" / "workers").exists()
