"""The request log: sampled requests with their answers, as TFRecord files of PredictionLog.

    <prefix>.<when the server started>-<process>-<number>.tfrecord

Requests are written on a thread of their own. What it cannot keep up with, and what a full disk does not take, is left out and
counted: no request waits for the log, and none fails with it.
"""

import contextlib
import logging
import queue
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from os import getpid
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    predict_pb2,
    prediction_log_pb2,
    regression_pb2,
)

from bert_serving.model_server.config.request_logging import RequestLogging
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.tensors import fill_tensor_proto

_log = logging.getLogger("bert_serving.model_server")

MOST_WAITING = 1000
MOST_WAITING_BYTES = 64 << 20
SECONDS_BETWEEN_TRIES = 10.0
_FILES = 4
_CLOSING_SECONDS = 2.0

_LOG_TYPES = {
    predict_pb2.PredictRequest: "predict_log",
    classification_pb2.ClassificationRequest: "classify_log",
    regression_pb2.RegressionRequest: "regress_log",
    inference_pb2.MultiInferenceRequest: "multi_inference_log",
}


@dataclass(frozen=True)
class _Entry:
    """A request on its way to a file.

    Attributes:
        where: the log that it belongs to.
        request: the message; None for one that came as JSON.
        inference: what it came to.
        response: the answer, where it is a message.
        seconds: when it was answered, since 1970.
        size: about its bytes.
    """

    where: RequestLogging
    request: Message | None
    inference: Inference[Any]
    response: Message | None
    seconds: float
    size: int


class RequestLog:
    """Writes a share of the requests.

    Attributes:
        dropped: requests that were chosen, but could not be written.
    """

    def __init__(self, *, most_waiting: int = MOST_WAITING):
        self.dropped = 0
        self._entries: queue.Queue[_Entry | None] = queue.Queue(most_waiting)
        self._waiting_bytes = 0
        self._counting = threading.Lock()
        self._random = random.Random()
        self._files: dict[RequestLogging, _Files] = {}
        self._thread = threading.Thread(target=self._write_all, name="request-log", daemon=True)
        self._thread.start()

    def note(
        self, where: RequestLogging, request: Message | None, inference: Inference[Any], response: Message | None
    ) -> None:
        """Logs an answered request if it is its turn; never waits."""
        if self._random.random() >= where.rate:
            return
        size = _size(inference.inputs) if request is None else request.ByteSize()
        entry = _Entry(where, request, inference, response, time.time(), size)
        with self._counting:
            full = self._waiting_bytes + size > MOST_WAITING_BYTES
            self._waiting_bytes += 0 if full else size
        if full:
            self._drop(1)
            return
        try:
            self._entries.put_nowait(entry)
        except queue.Full:
            self._release(size)
            self._drop(1)

    def close(self) -> None:
        """Writes what waits, as far as that goes in a moment, and closes the files."""
        with contextlib.suppress(queue.Full):
            self._entries.put(None, timeout=_CLOSING_SECONDS)
            self._thread.join(_CLOSING_SECONDS)

    def _write_all(self) -> None:
        while (entry := self._entries.get()) is not None:
            files = self._files.setdefault(entry.where, _Files(entry.where))
            written = files.write(entry)
            if self._entries.empty():
                written = files.flush() and written
            if not written:
                self._drop(1)
            self._release(entry.size)
            del entry  # it would keep a version in memory until the next request
        for files in self._files.values():
            files.close()

    def _release(self, size: int) -> None:
        with self._counting:
            self._waiting_bytes -= size

    def _drop(self, count: int) -> None:
        with self._counting:
            self.dropped += count


class _Files:
    """The files of one log; used by one thread."""

    def __init__(self, where: RequestLogging):
        self._where = where
        self._started = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        self._number = 0
        self._writer: tf.io.TFRecordWriter | None = None
        self._path: Path | None = None
        self._written = 0
        self._try_again = 0.0
        self._complained = False

    def write(self, entry: _Entry) -> bool:
        """Writes a request; tells whether that went well."""
        if time.monotonic() < self._try_again:
            return False
        try:
            record = _prediction_log(entry).SerializeToString()
            if self._writer is None:
                self._writer = self._open()
            self._writer.write(record)
            self._written += len(record) + 16
            if self._written > self._where.most_bytes // _FILES:
                self.close()
        except Exception as error:  # whatever it is: the thread must live on for the next request
            self._give_up(error)
            return False
        return True

    def flush(self) -> bool:
        """Brings what was written to the disk; tells whether that went well."""
        if self._writer is None:
            return True
        try:
            self._writer.flush()
        except (tf.errors.OpError, OSError) as error:
            self._give_up(error)
            return False
        self._complained = False
        return True

    def close(self) -> None:
        """Ends the present file."""
        writer, self._writer, self._written = self._writer, None, 0
        if writer is not None:
            with contextlib.suppress(tf.errors.OpError, OSError):
                writer.close()

    def _open(self) -> tf.io.TFRecordWriter:
        prefix = self._where.prefix
        self._number += 1
        old = sorted(prefix.parent.glob(f"{_escaped(prefix.name)}.*.tfrecord"), key=_age)
        for path in old[: len(old) - _FILES + 1]:
            path.unlink(missing_ok=True)
        self._path = prefix.with_name(f"{prefix.name}.{self._started}-{getpid()}-{self._number:04d}.tfrecord")
        return tf.io.TFRecordWriter(str(self._path))

    def _give_up(self, error: Exception) -> None:
        self.close()
        self._remove_if_empty()
        self._try_again = time.monotonic() + SECONDS_BETWEEN_TRIES
        if not self._complained:
            text = " ".join(str(getattr(error, "message", error)).split())
            _log.error(
                "Cannot write the request log %s: %s; requests are answered all the same", self._where.prefix, text
            )
        self._complained = True

    def _remove_if_empty(self) -> None:
        # Tries on a full disk would otherwise push out the files that were written before.
        with contextlib.suppress(OSError):
            if self._path is not None and not self._path.stat().st_size:
                self._path.unlink()


def _prediction_log(entry: _Entry) -> prediction_log_pb2.PredictionLog:
    inference = entry.inference
    log = prediction_log_pb2.PredictionLog()
    spec = log.log_metadata.model_spec
    spec.name, spec.signature_name = inference.servable.name, inference.signature
    spec.version.value = inference.servable.version
    log.log_metadata.sampling_config.sampling_rate = entry.where.rate
    log.log_metadata.timestamp_secs = int(entry.seconds)
    request = _predict_request(inference) if entry.request is None else entry.request
    kind = getattr(log, _LOG_TYPES[type(request)])
    kind.request.CopyFrom(request)
    if entry.response is not None:
        kind.response.CopyFrom(entry.response)
    return log


def _predict_request(inference: Inference[Any]) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = inference.servable.name
    request.model_spec.signature_name = inference.signature
    for name, array in inference.inputs.items():
        fill_tensor_proto(request.inputs[name], array)
    return request


def _size(inputs: Mapping[str, np.ndarray]) -> int:
    return sum(
        sum(map(len, array.ravel().tolist())) if array.dtype == object else array.nbytes for array in inputs.values()
    )


def _escaped(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
