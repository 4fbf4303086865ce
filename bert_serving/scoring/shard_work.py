"""The work on one shard: read, score, write, sign. Done again, it writes the same bytes."""

import hashlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from bert_serving.scoring import storage
from bert_serving.scoring.answers_table import AnswersTable, encode_failures
from bert_serving.scoring.plan import Plan, Shard
from bert_serving.scoring.records import OutputFile, Receipt, Records, failures_name, output_name
from bert_serving.scoring.rows import Row, read_rows
from bert_serving.scoring.scorer import Scorer
from bert_serving.scoring.settings import OutputFormat

_PAGE = os.sysconf("SC_PAGE_SIZE")


class _ProcessorClock:
    """Processor time of this process, each second of it told once, whichever of its threads asks."""

    def __init__(self) -> None:
        self._lock, self._told = threading.Lock(), 0.0

    def seconds(self) -> float:
        """Processor seconds since the last call, at first since the process began."""
        with self._lock:
            now = time.process_time()
            passed, self._told = now - self._told, now
        return passed


_clock = _ProcessorClock()


def score_shard(plan: Plan, shard: Shard, scorer: Scorer, records: Records) -> Receipt:
    """Scores a shard and writes its files and its receipt.

    Raises:
        DataError: the input cannot be read, or the output not be written.
    """
    began, started = time.time(), time.monotonic()
    file = plan.files[shard.file]
    found = read_rows(file, shard.piece, plan.columns)
    readable = [row for row in found.rows if not row.fault]
    pairs = [row.pair or "" for row in readable] if plan.model.pairs else None
    scores = scorer.score([row.text or "" for row in readable], pairs)
    for number, reason in scores.failures.items():
        readable[number].fault = reason
    kept = [number for number, row in enumerate(readable) if not row.fault]
    scored, failed = [readable[number] for number in kept], [row for row in found.rows if row.fault]
    outputs = [_write_scores(plan, shard, scored, scores.values[kept], found.types, records)]
    if failed:
        content = encode_failures([_key(file.path, row) for row in failed], failed)
        outputs.append(_written(records, failures_name(shard.number, len(plan.shards)), content, len(failed)))
    receipt = Receipt(
        shard=shard.number,
        outputs=tuple(outputs),
        scored=len(scored),
        failed=len(failed),
        began=round(began, 3),
        seconds=round(time.monotonic() - started, 3),
        processor_seconds=round(_clock.seconds(), 3),
        memory_mb=_resident_mb(),
        worker=f"{socket.gethostname()}:{os.getpid()}",
    )
    records.write_receipt(receipt)
    return receipt


def _write_scores(
    plan: Plan, shard: Shard, rows: list[Row], values: np.ndarray, types: dict[str, Any], records: Records
) -> OutputFile:
    settings, columns = plan.settings, plan.columns
    table = AnswersTable(
        plan.model,
        columns.id or "row",
        columns.keep,
        OutputFormat(settings["output_format"]),
        settings["all_probabilities"],
    )
    path = plan.files[shard.file].path
    keys = [_key(path, row) if columns.id is None else row.id for row in rows]
    name = output_name(shard.number, len(plan.shards), table.format)
    return _written(records, name, table.encode(keys, rows, values, types), len(rows))


def _written(records: Records, name: str, content: bytes, rows: int) -> OutputFile:
    storage.write_file(storage.joined(records.folder, name), content)
    return OutputFile(name, rows, hashlib.sha256(content).hexdigest())


def _key(path: str, row: Row) -> str:
    return f"{path}:{row.number}"


def _resident_mb() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE >> 20
