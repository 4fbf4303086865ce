"""Where the workers of a job meet: small files in the run folder, which all of them share.

    workers/worker_0.json   written by each worker every few seconds: a new id for each start of its process, a counter that
                            shows that it lives, and what it will train
    workers/round.json      written by the chief once every worker is there: who takes part, and from which epoch on
    workers/failure_0.json  written by a worker that ends with an error, so that all others end with the same line

TensorFlow's cluster cannot lose or replace a member. When one is lost, all others leave the round, and a new round begins after
the last checkpoint once it is back. TensorFlow notices a process that was killed; a restarted one, and one that hangs, are seen
here. The folder is removed when the run is complete.
"""

import contextlib
import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from bert_serving.errors import BertServingError, InputError, TrainingError, WorkerError, WorkerLostError
from bert_serving.io.files import TEMPORARY
from bert_serving.training.cluster import Cluster

WORKERS_FOLDER = "workers"
_ROUND = "round.json"
_POLL_SECONDS = 0.5
_LONGEST_BEAT_SECONDS = 5.0
# A failing worker writes its failure before it ends, but a shared file system may show it a little later.
_SECONDS_FOR_FAILURE = 3.0
# When the run is complete, the others see it and leave within this time.
_SECONDS_TO_PART = 10.0
# The main thread leaves TensorFlow within this time, or the process ends without it.
_SECONDS_TO_LEAVE = 30.0


@dataclass(frozen=True)
class Round:
    """One life of the cluster: no worker joins or leaves it.

    Attributes:
        ids: of the workers' processes.
        epoch: the last complete one; 0 for none.
        resume: whether the run folder holds a run already.
    """

    ids: tuple[str, ...]
    epoch: int
    resume: bool


class Meeting:
    """One worker's view of the job. A context: inside it, the worker shows that it lives, and watches the others.

    Args:
        run: path of the run folder.
        cluster: the workers.
        facts: what all workers must have in common, by name.
        timeout: seconds to wait for the others, and after which a worker without a sign of life is lost.
        is_complete: whether the run is complete; then nobody is needed any more.
        abort: makes TensorFlow give up waiting for the others.
        end: ends the process, with a reason, where the main thread does not leave TensorFlow.
    """

    def __init__(
        self,
        run: Path,
        cluster: Cluster,
        facts: Mapping[str, str],
        *,
        timeout: float,
        is_complete: Callable[[], bool],
        abort: Callable[[str], None],
        end: Callable[[str], None],
    ):
        """Names the worker's process; writes nothing yet."""
        self.cluster = cluster
        self.lost: str | None = None
        self._folder = run / WORKERS_FOLDER
        self._id = uuid.uuid4().hex
        self._facts = dict(facts)
        self._timeout = timeout
        self._is_complete, self._abort, self._end = is_complete, abort, end
        self._round: Round | None = None
        self._is_told = False
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._beat, self._watch)]

    def __enter__(self) -> Self:
        """Shows that the worker lives."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path("failure", self.cluster.index).unlink(missing_ok=True)
        self._announce(0)
        self._threads[0].start()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """Stops watching; leaves a note for the others when the worker ends with an error of its own."""
        self._halt()
        if isinstance(error, BertServingError) and not isinstance(error, WorkerError) and not self._is_told:
            self._leave_failure(error)
        if error is None and not self.cluster.is_chief:
            self._path("worker", self.cluster.index).unlink(missing_ok=True)

    # === Meeting ===

    def join(self, epoch: int, *, resume: bool) -> Round | None:
        """Waits until all workers are there, and starts to watch them.

        Args:
            epoch: for the chief: the last complete epoch.
            resume: for the chief: whether the run folder holds a run.

        Returns:
            The round; None where the chief has completed the run meanwhile.

        Raises:
            InputError: workers differ in run file, data or versions; or one ended with an error.
            WorkerError: not all workers came in time.
        """
        found = self._gather(epoch, resume=resume) if self.cluster.is_chief else self._await_round()
        if found is not None:
            self._round = found
            self._threads[1].start()
        return found

    def wait_for(self, is_there: Callable[[], bool], what: str) -> None:
        """Waits for something that the chief writes, as long as the chief lives.

        Raises:
            InputError, TrainingError: another worker ended with an error.
            WorkerLostError: a worker was lost.
            WorkerError: there was no sign of life from the chief for longer than the timeout.
        """
        beat, since = None, time.monotonic()
        while not is_there():
            self.check()
            state = self._read_worker(0) or {}
            if (found := (state.get("id"), state.get("beat"))) != beat:
                beat, since = found, time.monotonic()
            if time.monotonic() - since > self._timeout:
                raise WorkerError(f"waited {self._timeout:g} s for {what} of worker 0; start worker 0 again")
            time.sleep(_POLL_SECONDS)

    def check(self, *, patient: bool = False) -> None:
        """Raises what ended the round, if anything did.

        Args:
            patient: something did: give the note of a failing worker time to appear.

        Raises:
            InputError, TrainingError: another worker ended with an error.
            WorkerLostError: a worker was lost.
        """
        deadline = time.monotonic() + (_SECONDS_FOR_FAILURE if patient else 0)
        while True:
            self._raise_failure()
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_SECONDS)
        if self.lost is not None:
            raise WorkerLostError(self.lost)

    def close(self) -> None:
        """Removes the folder, for the chief: when all is written that the others wait for."""
        deadline = time.monotonic() + _SECONDS_TO_PART
        while any(self._read_worker(number) for number in self.cluster.others) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self._halt()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _gather(self, epoch: int, *, resume: bool) -> Round:
        before = self._read(_ROUND)
        former = set(before["ids"]) if before else set()
        first: dict[int, tuple[str, int]] = {}
        deadline = time.monotonic() + self._timeout
        while True:
            self._raise_failure()
            there = {}
            for number in self.cluster.others:
                state = self._read_worker(number)
                if state is None or state["id"] in former:
                    continue
                # A file may be that of a process that has ended: only one that changes is alive.
                seen = first.setdefault(number, (state["id"], state["beat"]))
                if seen[0] != state["id"]:
                    first[number] = (state["id"], state["beat"])
                elif seen[1] != state["beat"]:
                    there[number] = state
            if len(there) == len(self.cluster.others):
                break
            if time.monotonic() > deadline:
                missing = ", ".join(str(number) for number in self.cluster.others if number not in there)
                raise WorkerError(
                    f"waited {self._timeout:g} s for worker {missing} of {len(self.cluster.addresses)}; start all workers with "
                    "the same --out, on a file system that they share"
                )
            time.sleep(_POLL_SECONDS)
        self._check_facts(there)
        ids = tuple(self._id if number == 0 else there[number]["id"] for number in range(len(self.cluster.addresses)))
        found = Round(ids, epoch, resume)
        self._write(self._folder / _ROUND, asdict(found))
        return found

    def _check_facts(self, there: Mapping[int, Mapping[str, Any]]) -> None:
        for number, state in there.items():
            differing = [name for name, value in self._facts.items() if state["facts"].get(name) != value]
            if state["facts"].get("workers") != self._facts.get("workers"):
                differing = ["list of workers"]
            if differing:
                names = ", ".join(differing)
                raise InputError(
                    f"worker {number} differs from worker 0 in: {names}; start all workers with the same run file, data and versions"
                )

    def _await_round(self) -> Round | None:
        deadline = time.monotonic() + self._timeout
        while not self._is_complete():
            self._raise_failure()
            content = self._read(_ROUND)
            if content is not None and self._id in content["ids"]:
                return Round(tuple(content["ids"]), content["epoch"], content["resume"])
            if time.monotonic() > deadline:
                raise WorkerError(
                    f"waited {self._timeout:g} s for worker 0 to begin; start all workers with the same --out, on a file system "
                    "that they share"
                )
            time.sleep(_POLL_SECONDS)
        return None

    def _halt(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    # === Failures ===

    def _leave_failure(self, error: BertServingError) -> None:
        states = {number: self._read_worker(number) for number in self.cluster.others}
        ids = [state["id"] for state in states.values() if state]
        with contextlib.suppress(OSError):
            self._write(
                self._path("failure", self.cluster.index),
                {"ids": ids, "status": error.exit_status, "message": str(error)},
            )

    def _raise_failure(self) -> None:
        for number in self.cluster.others:
            note = self._read(self._path("failure", number).name)
            if note is not None and self._id in note["ids"]:
                self._is_told = True
                error = TrainingError if note["status"] == TrainingError.exit_status else InputError
                raise error(f"worker {number}: {note['message']}")

    # === Signs of life ===

    def _beat(self) -> None:
        beat = 0
        while not self._stop.wait(_POLL_SECONDS if self._round is None else self._pause):
            beat += 1
            # A full disk shows itself where something is written that matters.
            with contextlib.suppress(OSError):
                self._announce(beat)

    @property
    def _pause(self) -> float:
        return min(_LONGEST_BEAT_SECONDS, self._timeout / 4)

    def _announce(self, beat: int) -> None:
        state = {"id": self._id, "beat": beat, "facts": self._facts}
        self._write(self._path("worker", self.cluster.index), state)

    def _watch(self) -> None:
        last: dict[int, tuple[Any, float]] = {}
        while not self._stop.wait(_POLL_SECONDS):
            reason = self._loss(last)
            if reason is None or self._is_complete():
                continue
            self.lost = reason
            self._abort(reason)
            if not self._stop.wait(_SECONDS_TO_LEAVE) and not self._is_complete():
                self._end(reason)
            return

    def _loss(self, last: dict[int, tuple[Any, float]]) -> str | None:
        """Why the round is over; None while it is not."""
        assert self._round is not None
        content = self._read(_ROUND)
        if content is not None and content["ids"] != list(self._round.ids):
            return "the job began again without this worker"
        now = time.monotonic()
        for number in self.cluster.others:
            if (note := self._read(self._path("failure", number).name)) and self._id in note["ids"]:
                return f"worker {number} failed"
            state = self._read_worker(number)
            if state is not None and state["id"] != self._round.ids[number]:
                return f"worker {number} was started again"
            beat, since = last.get(number, (None, now))
            if state is not None and state["beat"] != beat:
                last[number] = (state["beat"], now)
            elif now - since > self._timeout:
                return f"no sign of life from worker {number} for {self._timeout:g} s"
            else:
                last[number] = (beat, since)
        return None

    # === Files ===

    def _path(self, kind: str, number: int) -> Path:
        return self._folder / f"{kind}_{number}.json"

    def _read_worker(self, number: int) -> dict[str, Any] | None:
        return self._read(self._path("worker", number).name)

    def _read(self, name: str) -> dict[str, Any] | None:
        """A file's content; None where it is missing, or not to be read just now."""
        try:
            content: dict[str, Any] = json.loads((self._folder / name).read_bytes())
        except (OSError, ValueError):
            return None
        return content

    def _write(self, path: Path, content: Mapping[str, Any]) -> None:
        # Processes of several machines can have the same number, so the worker's own id is in the temporary name.
        temporary = path.with_name(f"{TEMPORARY}{self._id}-{threading.get_ident()}")
        temporary.write_text(json.dumps(content))
        temporary.replace(path)
