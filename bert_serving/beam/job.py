"""A scoring job from its settings to its manifest: planned once, resumed after whatever ended it, complete or not at all."""

import contextlib
import json
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import grpc

from bert_serving.beam.pipeline import build_pipeline, check_reachable, pipeline_options
from bert_serving.data.reading import Reading
from bert_serving.errors import BertServingError, InputError, ScoringError
from bert_serving.observer import Observer
from bert_serving.scoring import storage
from bert_serving.scoring.answers import check_pairs
from bert_serving.scoring.model_files import find_model
from bert_serving.scoring.plan import Plan, find_inputs, make_plan
from bert_serving.scoring.records import FAILED, Receipt, Records, total
from bert_serving.scoring.settings import DIRECT_RUNNER, ScoreSettings
from bert_serving.version import __version__
from bert_serving.wording import counted

_POLL_SECONDS = 0.5
_REMOTE_POLL_SECONDS = 10.0
_LOCK = "lock"
_ENDED = "Worker subprocess exited with return code"
# The thread that waits for a worker process may tell of its end after others that lost their connection.
_SECONDS_TO_TELL = 2.0
_AGAIN = "the same command continues with the unfinished shards"
_MILLION = 1_000_000
_MANY = 100_000_000
"""texts of which the cost is told"""


@dataclass(frozen=True)
class ScoredFiles:
    """A complete scoring job.

    Attributes:
        folder: the output's folder.
        manifest: the content of its `_manifest.json`.
        rows_now: rows that this call scored; fewer than all where it continued a job.
        seconds: duration of the scoring in this call, without the look at the input.
        reading: what was repaired in the input.

    ```python
    import bert_serving as bs

    done = bs.score("models/tiny", input="reviews.csv", text="review", output="scored")
    print(done.rows, done.failed, done.folder)
    ```
    """

    folder: str
    manifest: dict[str, Any]
    rows_now: int = 0
    seconds: float = 0.0
    reading: Reading = field(default_factory=Reading)

    @property
    def rows(self) -> int:
        """Rows of the input."""
        return int(self.manifest["rows"])

    @property
    def scored(self) -> int:
        """Rows with an answer."""
        return int(self.manifest["scored"])

    @property
    def failed(self) -> int:
        """Rows in the dead letter."""
        return int(self.manifest["failed"])

    @property
    def texts_per_second(self) -> float | None:
        """Rows that this call scored a second, the start of the workers included; None if it scored none."""
        return self.rows_now / self.seconds if self.rows_now and self.seconds else None

    @property
    def processor_seconds_per_million(self) -> float:
        """Processor seconds of the workers for a million texts, their start included."""
        return float(self.manifest["processor_seconds"]) * _MILLION / max(self.rows, 1)

    @property
    def core_hours_per_100_million(self) -> float:
        """Hours of one processor core for 100 million texts."""
        return self.processor_seconds_per_million * (_MANY / _MILLION) / 3600


def run_job(settings: ScoreSettings, observer: Observer | None = None) -> ScoredFiles:
    """Scores the input files of a job; after an interruption, the same call continues.

    Args:
        settings: of the job.
        observer: told of the progress.

    Raises:
        InputError, DataError, ExportError: model, input, output or an option is wrong; nothing was scored.
        ScoringError: the job ended before all rows were scored; what was written stays, and the same call continues.
    """
    observer = observer or Observer()
    options = pipeline_options(settings)
    storage.use_options(options)
    output = settings.output.rstrip("/") or settings.output
    records = Records(output if "://" in output else str(Path(output).expanduser().absolute()))
    with observer.stage("Looking at model and input"):
        model = find_model(settings.model)
        check_pairs(model, settings.text_pair, f"--text-pair {settings.text_pair or 'COLUMN'}")
        found = find_inputs(settings)
        manifest = records.manifest()
        plan = records.plan()
        _check_output(records, manifest, plan)
    if manifest is not None and plan is None:
        _check_same(Plan.parse(_plan_of(manifest), records.folder), settings, model, found, records)
        return ScoredFiles(records.folder, manifest)
    with _locked(records):
        reading = Reading()
        if plan is None:
            with observer.stage("Counting the rows"):
                plan = make_plan(settings, model, found, reading)
            check_reachable(plan, settings, records.folder)
            records.begin(plan)
        else:
            _check_same(plan, settings, model, found, records)
        for line in reading.lines():
            observer.note(line)
        return _score(plan, settings, records, options, observer, reading)


def _score(
    plan: Plan, settings: ScoreSettings, records: Records, options: Any, observer: Observer, reading: Reading
) -> ScoredFiles:
    records.clean()
    records.go_on()
    before = dict(records.receipts())
    _check_failed(settings, before)
    pending = [shard.number for shard in plan.shards if shard.number not in before]
    if before:
        observer.note(f"continues: {len(before):,} of {counted(len(plan.shards), 'shard')} are done")
    started = time.monotonic()
    if pending:
        threads = _threads_of_worker(settings)
        pipeline = build_pipeline(pending, records, options, batch_tokens=settings.batch_tokens, threads=threads)
        with observer.scoring(plan.rows) as progress, _quiet_beam():
            _watch(_Running(pipeline), settings, records, progress)
    seconds = time.monotonic() - started
    receipts = records.receipts()
    _check_failed(settings, receipts)
    if len(receipts) < len(plan.shards):
        missing = len(plan.shards) - len(receipts)
        raise ScoringError(f"{records.folder}: {counted(missing, 'shard')} were not scored; {_AGAIN}")
    manifest = _manifest(plan, list(receipts.values()), settings)
    records.complete(manifest)
    now = sum(receipt.scored + receipt.failed for number, receipt in receipts.items() if number not in before)
    return ScoredFiles(records.folder, manifest, now, seconds, reading)


# === Checks ===


def _check_output(records: Records, manifest: dict[str, Any] | None, plan: Plan | None) -> None:
    if manifest is None and plan is None and records.has_other_files():
        raise InputError(f"{records.folder}: exists and holds no scoring job; give a new folder as output")


def _check_same(plan: Plan, settings: ScoreSettings, model: Any, found: Any, records: Records) -> None:
    if difference := plan.difference(settings, model, found):
        raise InputError(
            f"{records.folder}: holds the scores of another job: {difference}; give another output, or remove the folder"
        )


def _check_failed(settings: ScoreSettings, receipts: dict[int, Receipt]) -> None:
    failed = int(total(list(receipts.values()), "failed"))
    if settings.max_failed_rows is not None and failed > settings.max_failed_rows:
        done = int(total(list(receipts.values()), "scored")) + failed
        raise ScoringError(
            f"{counted(failed, 'row')} of {done:,} failed, more than max_failed_rows {settings.max_failed_rows:,} allows; "
            f"{FAILED}/ in {settings.output} says why; raise the limit, and {_AGAIN}"
        )


@contextlib.contextmanager
def _locked(records: Records) -> Iterator[None]:
    """Keeps a second process on this machine from the same output; object stores have no locks."""
    if not storage.is_local(records.folder):
        yield
        return
    path = Path(storage.joined(records.folder, "_job", _LOCK))
    is_new = not Path(records.folder).exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path, blocking=False)
        lock.acquire()
    except filelock.Timeout:
        raise InputError(f"{records.folder}: another process is scoring into this folder; wait for it") from None
    except OSError as error:
        raise InputError(f"{records.folder}: cannot write there: {error.strerror}; give another output") from None
    try:
        yield
    except BaseException:
        lock.release()
        if is_new:
            _remove_empty(path, Path(records.folder))
        raise
    lock.release()


def _remove_empty(lock: Path, folder: Path) -> None:
    """Removes a new folder in which nothing but the lock was written."""
    with contextlib.suppress(OSError):
        if [path.name for path in lock.parent.iterdir()] == [_LOCK]:
            lock.unlink()
            lock.parent.rmdir()
            folder.rmdir()


def _threads_of_worker(settings: ScoreSettings) -> int | None:
    """Threads of TensorFlow in each worker process of this machine, which together take its processors."""
    if settings.runner != DIRECT_RUNNER:
        return None
    return max(len(os.sched_getaffinity(0)) // settings.processes, 1)


# === Running ===


@contextlib.contextmanager
def _quiet_beam() -> Iterator[None]:
    """Silences Beam's log: what matters of it ends the job and is told by the error."""
    logger = logging.getLogger("apache_beam")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


class _BeamThreads:
    """Keeps what ends threads of Beam off the terminal, and tells the running job of it.

    The DirectRunner waits for ever for a worker process that was killed; the thread that started it knows. Others, which read
    what the worker sent, end with tracebacks, some of them after the job. So the hook stays for as long as the process runs;
    what ends other threads goes to the former one.
    """

    def __init__(self) -> None:
        self.listener: Callable[[BaseException], None] | None = None
        self._former: Callable[[Any], object] | None = None

    def listen(self, listener: Callable[[BaseException], None] | None) -> None:
        """Tells a job from now on; None tells nobody."""
        self.listener = listener
        if self._former is None:
            self._former, threading.excepthook = threading.excepthook, self._hook

    def _hook(self, arguments: Any) -> None:
        files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(arguments.exc_traceback)]
        if not any("apache_beam" in file for file in files):
            if self._former is not None:
                self._former(arguments)
        elif self.listener is not None:
            self.listener(arguments.exc_value)


_beam_threads = _BeamThreads()


class _Running:
    """A pipeline that runs in a thread of its own, so that this one can tell of its progress.

    Attributes:
        error: what ended it; None while it runs and after success.
    """

    def __init__(self, pipeline: Any):
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(pipeline,), daemon=True)
        _beam_threads.listen(self._note)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Waits for the end, at most so long; returns whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive() or self.error is not None

    def close(self) -> None:
        """Waits for what tells most of an error."""
        deadline = time.monotonic() + _SECONDS_TO_TELL
        while self.error is not None and _ENDED not in str(self.error) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS / 5)
        _beam_threads.listen(None)

    def _run(self, pipeline: Any) -> None:
        try:
            state = pipeline.run().wait_until_finish()
        except BaseException as error:  # noqa: BLE001  told by the thread that waits
            self._note(error)
            return
        if state != "DONE":
            self._note(ScoringError(f"the pipeline ended as {state}; {_AGAIN}"))

    def _note(self, error: BaseException) -> None:
        if self.error is None or _ENDED in str(error):
            self.error = error


def _watch(running: _Running, settings: ScoreSettings, records: Records, progress: Callable[[int, int], None]) -> None:
    """Tells of the progress until the pipeline has ended; stops it when too many rows fail.

    Raises:
        ScoringError: it ended by an error.
    """
    interval = _POLL_SECONDS if storage.is_local(records.folder) else _REMOTE_POLL_SECONDS
    is_stopped = False
    try:
        has_ended = False
        while not has_ended:
            has_ended = running.wait(interval)
            receipts = list(records.receipts().values())
            failed = int(total(receipts, "failed"))
            progress(int(total(receipts, "scored")) + failed, failed)
            if not is_stopped and settings.max_failed_rows is not None and failed > settings.max_failed_rows:
                records.stop()
                is_stopped = True
    except KeyboardInterrupt:
        with contextlib.suppress(BertServingError):
            records.stop()
        raise
    finally:
        running.close()
    if running.error is not None:
        with contextlib.suppress(BertServingError):
            records.stop()
        raise ScoringError(_told(running.error)) from None


def _told(error: BaseException) -> str:
    """One line for what ended a pipeline."""
    if isinstance(error, ScoringError):
        return str(error)
    text = str(error)
    if _ENDED in text:
        status = text.rpartition(" ")[2]
        how = f"was killed by signal {status[1:]}" if status.startswith("-") else f"ended with status {status}"
        return f"a worker process {how}, perhaps for lack of memory; {_AGAIN}"
    if isinstance(error, grpc.RpcError):
        return f"the connection to a worker process was lost, which was killed, perhaps for lack of memory; {_AGAIN}"
    lines = [line.strip() for line in text.splitlines() if line.strip() and "Error" in line] or [repr(error)]
    reason = lines[-1].partition(" [while running")[0]
    reason = reason.removeprefix("bert_serving.errors.").strip()
    return f"a worker failed: {reason[:500]}; {_AGAIN}"


# === Manifest ===


def _manifest(plan: Plan, receipts: list[Receipt], settings: ScoreSettings) -> dict[str, Any]:
    """What `_manifest.json` holds."""
    receipts = sorted(receipts, key=lambda receipt: receipt.shard)
    outputs = [output for receipt in receipts for output in receipt.outputs]
    processor = round(total(receipts, "processor_seconds"), 1)
    hours = processor / max(plan.rows, 1) * _MANY / 3600
    manifest: dict[str, Any] = {
        "rows": plan.rows,
        "scored": int(total(receipts, "scored")),
        "failed": int(total(receipts, "failed")),
        "began": _utc(min(receipt.began for receipt in receipts)),
        "ended": _utc(max(receipt.began + receipt.seconds for receipt in receipts)),
        "processor_seconds": processor,
        "core_hours_per_100_million_texts": round(hours, 1),
        "workers": _workers(receipts),
        "bert_serving": __version__,
        "outputs": [vars(output) for output in outputs],
        "plan": json.loads(plan.to_json()),
    }
    if settings.price_per_core_hour is not None:
        manifest["price_per_100_million_texts"] = round(hours * settings.price_per_core_hour, 2)
    return manifest


def _workers(receipts: list[Receipt]) -> list[dict[str, Any]]:
    """What each worker process did, and its memory after its first and its last shard, and at most."""
    found: dict[str, list[Receipt]] = {}
    for receipt in sorted(receipts, key=lambda receipt: receipt.began):
        found.setdefault(receipt.worker, []).append(receipt)
    return [
        {
            "worker": name,
            "shards": len(own),
            "seconds": round(total(own, "seconds"), 1),
            "memory_mb": [own[0].memory_mb, own[-1].memory_mb, max(receipt.memory_mb for receipt in own)],
        }
        for name, own in found.items()
    ]


def _plan_of(manifest: dict[str, Any]) -> bytes:
    return json.dumps(manifest.get("plan")).encode()


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
