"""The pipeline of a scoring job: its unfinished shards, each scored as a whole by one worker."""

import contextlib
import difflib
import io
import os
import shlex
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence

from bert_serving.errors import InputError
from bert_serving.io.quiet_import import quiet_import
from bert_serving.scoring import storage
from bert_serving.scoring.model_files import check_digest, fetched
from bert_serving.scoring.plan import Plan
from bert_serving.scoring.records import Records
from bert_serving.scoring.scorer import Scorer
from bert_serving.scoring.settings import DIRECT_RUNNER, LOCAL_RUNNERS, RUNNERS, ScoreSettings
from bert_serving.scoring.shard_work import score_shard

with quiet_import():
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment
    from apache_beam.utils.shared import Shared


def pipeline_options(settings: ScoreSettings) -> PipelineOptions:
    """Beam's options: the runner, the worker processes of the DirectRunner, and the job's own options.

    Raises:
        InputError: an option is not NAME=VALUE or NAME, or Beam knows none of that name.
    """
    if settings.runner == "DaskRunner":
        # With two outputs it wrote predictions into the dead letter and returned no good row, with exit status 0.
        raise InputError(
            "runner 'DaskRunner' loses rows without an error; use the DirectRunner, Dataflow, Flink or Spark"
        )
    if settings.runner not in RUNNERS and "." not in settings.runner:
        raise InputError(
            f"runner {settings.runner!r} is none of Apache Beam; give {', '.join(RUNNERS)}, or module.Class"
        )
    flags = [f"--runner={settings.runner}"]
    if settings.runner == DIRECT_RUNNER:
        flags += [f"--direct_num_workers={settings.processes}", "--default_sdk_harness_log_level=CRITICAL"]
    own = {option.lstrip("-").partition("=")[0]: f"--{option.lstrip('-')}" for option in settings.runner_options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = set(PipelineOptions([]).get_all_options())
    for name in own:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise InputError(
                f"runner option {name!r}: Apache Beam has no such option"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )
    try:
        with contextlib.redirect_stderr(io.StringIO()) as told:
            options = PipelineOptions([*flags, *own.values()])
            options.get_all_options()
    except SystemExit:
        # Beam's options are those of argparse, which ends the process.
        reason = told.getvalue().strip().splitlines()[-1].rpartition("error: ")[2]
        raise InputError(f"runner options {', '.join(settings.runner_options)}: {reason}") from None
    return options


def build_pipeline(
    shards: Sequence[int],
    records: Records,
    options: PipelineOptions,
    *,
    batch_tokens: int,
    threads: int | None,
) -> beam.Pipeline:
    """The pipeline that scores some shards of the plan that the output's folder holds.

    Args:
        shards: numbers of the shards.
        records: the output's folder.
        options: of the pipeline.
        batch_tokens: tokens of a batch.
        threads: threads of an operation of TensorFlow in each worker process.
    """
    pipeline = beam.Pipeline(runner=_local_runner(options), options=options)
    _ = (
        pipeline
        | "Shards" >> beam.Create(list(shards))
        | "Distribute" >> beam.Reshuffle()
        | "Score" >> beam.ParDo(ScoreShards(records.folder, batch_tokens=batch_tokens, threads=threads))
    )
    return pipeline


def _local_runner(options: PipelineOptions) -> FnApiRunner | None:
    """The DirectRunner with worker processes that write nothing to the terminal; None for another runner."""
    if options.view_as(StandardOptions).runner != DIRECT_RUNNER:
        return None
    path = shlex.quote(os.pathsep.join(filter(None, sys.path)))
    command = f"PYTHONPATH={path} exec {shlex.quote(sys.executable)} -m bert_serving.scoring.beam_worker"
    return FnApiRunner(default_environment=SubprocessSDKEnvironment.from_command_string(command))


class _Loaded:
    """What a worker process needs for a job; Beam shares it between threads by a weak reference."""

    def __init__(self, plan: Plan, scorer: Scorer):
        self.plan, self.scorer = plan, scorer
        # A model's threads would only take processors from each other.
        self.lock = threading.Lock()


class ScoreShards(beam.DoFn):
    """Scores shards by number. The plan lies in the output's folder; the model is loaded once for each process."""

    def __init__(self, folder: str, *, batch_tokens: int, threads: int | None):
        """Loads nothing yet: the object travels to the workers."""
        self._folder, self._batch_tokens, self._threads = folder, batch_tokens, threads
        self._shared = Shared()
        self._loaded: _Loaded | None = None

    def setup(self) -> None:
        """Loads plan and model, once in each process."""
        self._loaded = self._shared.acquire(self._load, tag=self._folder)

    def process(self, shard: int) -> Iterator[int]:
        """Scores a shard, unless it is done or the job is stopped."""
        records = Records(self._folder)
        if self._loaded is None or records.is_stopped or records.has_receipt(shard):
            return
        with self._loaded.lock:
            plan = self._loaded.plan
            yield score_shard(plan, plan.shards[shard], self._loaded.scorer, records).scored

    def _load(self) -> _Loaded:
        plan = Records(self._folder).plan()
        if plan is None:
            raise InputError(f"{self._folder}: the job's plan is missing; start the job again")
        with fetched(plan.model.path) as model:
            check_digest(model, plan.model.digest)
            scorer = Scorer.load(model, batch_tokens=self._batch_tokens, threads=self._threads)
        return _Loaded(plan, scorer)


def check_reachable(plan: Plan, settings: ScoreSettings, folder: str) -> None:
    """Checks that workers on other machines can read and write the job's files.

    Raises:
        InputError: a path is one of this machine.
    """
    is_here = settings.runner in LOCAL_RUNNERS or "environment_type=LOOPBACK" in "".join(settings.runner_options)
    paths = [plan.model.path, folder, *(file.path for file in plan.files)]
    if not is_here and (local := next(filter(storage.is_local, paths), None)) is not None:
        raise InputError(
            f"{local}: is a path of this machine, which workers of {settings.runner} do not see; use s3:// or gs://"
        )
