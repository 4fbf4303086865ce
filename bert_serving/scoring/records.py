"""A job's output folder.

    scores-00000-of-00040.parquet       the answers of a shard
    _failed/failed-00000-of-00040.jsonl its rows that could not be scored, if there are any
    _manifest.json                      counts, digests, model, time; written last
    _job/plan.json                      the shards; removed at the end, as is all of _job/
    _job/shard-00000.json               receipt of a shard: written after its files
    _job/stop                           tells workers to begin no further shard

Readers of data sets pass over names that begin with an underscore. A shard without a receipt is scored again, and its files are
replaced as a whole by files with the same content.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bert_serving.errors import DataError
from bert_serving.scoring import storage
from bert_serving.scoring.plan import Plan

MANIFEST = "_manifest.json"
FAILED = "_failed"
_JOB = "_job"
_PLAN = "plan.json"
_STOP = "stop"


@dataclass(frozen=True)
class OutputFile:
    """A file that was written.

    Attributes:
        name: relative to the output's folder.
        rows: number of rows.
        sha256: of its content.
    """

    name: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Receipt:
    """What was done for a shard.

    Attributes:
        shard: number of the shard.
        outputs: the files that were written.
        scored: rows with an answer.
        failed: rows in the dead letter.
        began: when its worker began, seconds since 1970.
        seconds: duration.
        processor_seconds: processor time of its worker process since its last receipt.
        memory_mb: memory of its worker process at the end, resident, in MB.
        worker: the worker process.
    """

    shard: int
    outputs: tuple[OutputFile, ...]
    scored: int
    failed: int
    began: float
    seconds: float
    processor_seconds: float
    memory_mb: int
    worker: str


class Records:
    """The records in a job's output folder.

    Attributes:
        folder: path or URL of the folder.
    """

    def __init__(self, folder: str):
        """Reads and writes nothing yet."""
        self.folder = folder.rstrip("/") or folder
        self._receipts: dict[int, Receipt] = {}

    # === Before and after ===

    def plan(self) -> Plan | None:
        """The plan of the job that began here; None where none did.

        Raises:
            DataError: it is damaged.
        """
        path = self._path(_PLAN)
        return Plan.parse(storage.read_file(path), path) if storage.exists(path) else None

    def begin(self, plan: Plan) -> None:
        """Keeps the plan, before the first shard."""
        storage.write_file(self._path(_PLAN), plan.to_json())

    def manifest(self) -> dict[str, Any] | None:
        """The manifest of a complete job; None for one that is not.

        Raises:
            DataError: it is damaged.
        """
        path = storage.joined(self.folder, MANIFEST)
        if not storage.exists(path):
            return None
        try:
            content: dict[str, Any] = json.loads(storage.read_file(path))
        except ValueError as error:
            raise DataError(f"{path}: damaged: {error}; remove the folder and score anew") from None
        return content

    def has_other_files(self) -> bool:
        """Whether the folder holds anything but the records of an unfinished job."""
        return storage.has_files(self.folder, other_than=_JOB)

    def clean(self) -> None:
        """Removes what killed workers left of files that they were writing."""
        for folder in (self.folder, storage.joined(self.folder, FAILED), self._path()):
            storage.remove_unfinished(folder)

    def complete(self, manifest: dict[str, Any]) -> None:
        """Writes the manifest, then removes the records that only an unfinished job needs."""
        self.clean()
        content = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        storage.write_file(storage.joined(self.folder, MANIFEST), content.encode())
        self.clear()

    def clear(self) -> None:
        """Removes the records of an unfinished job, the plan last."""
        names = sorted(storage.file_names(storage.joined(self.folder, _JOB)), key=lambda name: name == _PLAN)
        for name in names:
            storage.delete_files([self._path(name)])
        if storage.is_local(self.folder) and Path(self._path()).is_dir():
            Path(self._path()).rmdir()

    # === Stopping ===

    def stop(self) -> None:
        """Tells workers to begin no further shard."""
        storage.write_file(self._path(_STOP), b"")

    def go_on(self) -> None:
        """Takes back `stop`."""
        storage.delete_files([self._path(_STOP)])

    @property
    def is_stopped(self) -> bool:
        """Whether workers are to begin no further shard."""
        return storage.exists(self._path(_STOP))

    # === Shards ===

    def write_receipt(self, receipt: Receipt) -> None:
        """Writes the receipt of a shard, after its files."""
        storage.write_file(self._path(_receipt_name(receipt.shard)), (json.dumps(asdict(receipt)) + "\n").encode())

    def has_receipt(self, shard: int) -> bool:
        """Whether a shard is done."""
        return storage.exists(self._path(_receipt_name(shard)))

    def receipts(self) -> dict[int, Receipt]:
        """The receipts by shard; those that were read before are not read again."""
        for name in storage.file_names(storage.joined(self.folder, _JOB)):
            if not name.startswith("shard-") or int(name[len("shard-") : -len(".json")]) in self._receipts:
                continue
            values = json.loads(storage.read_file(self._path(name)))
            outputs = tuple(OutputFile(**each) for each in values.pop("outputs"))
            self._receipts[values["shard"]] = Receipt(outputs=outputs, **values)
        return self._receipts

    def _path(self, *names: str) -> str:
        return storage.joined(self.folder, _JOB, *names)


def output_name(shard: int, shards: int, suffix: str) -> str:
    """Name of the file with the answers of a shard."""
    return f"scores-{shard:05}-of-{shards:05}.{suffix}"


def failures_name(shard: int, shards: int) -> str:
    """Name of the file with the failed rows of a shard."""
    return f"{FAILED}/failed-{shard:05}-of-{shards:05}.jsonl"


def total(receipts: Sequence[Receipt], name: str) -> float:
    """The sum of one of the numbers of receipts."""
    return float(sum(getattr(receipt, name) for receipt in receipts))


def _receipt_name(shard: int) -> str:
    return f"shard-{shard:05}.json"
