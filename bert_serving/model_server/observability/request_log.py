"""The request log: sampled requests with their answers, as TFRecord files of PredictionLog.

    <prefix>.<start of the server>-<process id>-<number>.tfrecord

A thread of its own writes. Requests that it cannot keep up with, or that a full disk does not take,
are left out and counted: no request waits for the log, and none fails because of it.
"""

import contextlib
import glob
import logging
import os
import queue
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
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

from bert_serving.model_server.config.request_logging import RequestLogConfig
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.tensors import fill_tensor_proto
from bert_serving.model_server.observability.events import RequestEvent

_log = logging.getLogger("bert_serving.model_server")

MAX_QUEUED_BYTES = 64 << 20
RETRY_SECONDS = 10.0
_MAX_QUEUED = 1000
_FILES = 4
_CLOSING_SECONDS = 2.0

_LOG_FIELDS = {
    predict_pb2.PredictRequest: "predict_log",
    classification_pb2.ClassificationRequest: "classify_log",
    regression_pb2.RegressionRequest: "regress_log",
    inference_pb2.MultiInferenceRequest: "multi_inference_log",
}


@dataclass(frozen=True)
class _Entry:
    """A request to write; `time` in seconds since 1970, `size` in approximate bytes."""

    config: RequestLogConfig
    request: Message | None
    inference: Inference[Any]
    response: Message | None
    time: float
    size: int


class RequestLog:
    """Writes a fraction of the requests.

    Attributes:
        dropped: requests that were sampled, but not written.
    """

    def __init__(self) -> None:
        """Makes a log; its thread starts with the first request."""
        self.dropped = 0
        self._entries: queue.Queue[_Entry | None] = queue.Queue(_MAX_QUEUED)
        self._queued_bytes = 0
        self._counting = threading.Lock()
        self._random = random.Random()
        self._files: dict[RequestLogConfig, _Files] = {}
        self._thread: threading.Thread | None = None

    def log(self, config: RequestLogConfig, event: RequestEvent, response: object) -> None:
        """Logs an answered request if it is sampled; never waits. Called on one thread.

        Args:
            config: the log, and its sampling rate.
            event: the request.
            response: its answer; logged when it is a message.
        """
        inference = event.inference
        if inference is None or self._random.random() >= config.sampling_rate:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="request-log", daemon=True)
            self._thread.start()
        request = event.request if inference.request is None else inference.request
        size = _size(inference.inputs) if request is None else request.ByteSize()
        message = response if isinstance(response, Message) else None
        entry = _Entry(config, request, inference, message, time.time(), size)
        with self._counting:
            if self._queued_bytes + size > MAX_QUEUED_BYTES:
                self.dropped += 1
                return
            self._queued_bytes += size
        try:
            self._entries.put_nowait(entry)
        except queue.Full:
            self._release(size, written=False)

    def close(self) -> None:
        """Writes the queued requests, as far as that goes within seconds, and closes the files."""
        if self._thread is not None:
            with contextlib.suppress(queue.Full):
                self._entries.put(None, timeout=_CLOSING_SECONDS)
                self._thread.join(_CLOSING_SECONDS)

    def _write_all(self) -> None:
        while (entry := self._entries.get()) is not None:
            files = self._files.setdefault(entry.config, _Files(entry.config))
            written = files.write(entry)
            if self._entries.empty():
                written = files.flush() and written
            self._release(entry.size, written=written)
            del entry  # it would keep a version in memory until the next request
        for files in self._files.values():
            files.close()

    def _release(self, size: int, *, written: bool) -> None:
        with self._counting:
            self._queued_bytes -= size
            self.dropped += not written


class _Files:
    """The files of one log; used by one thread."""

    def __init__(self, config: RequestLogConfig):
        self._config = config
        self._started = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        self._number = 0
        self._writer: tf.io.TFRecordWriter | None = None
        self._path: Path | None = None
        self._written = 0
        self._retry_at = 0.0
        self._reported = False

    def write(self, entry: _Entry) -> bool:
        """Writes a request; returns whether that succeeded."""
        if time.monotonic() < self._retry_at:
            return False
        try:
            record = _prediction_log(entry).SerializeToString()
            if self._writer is None:
                self._writer = self._open()
            self._writer.write(record)
            self._written += len(record) + 16
            if self._written > self._config.max_bytes // _FILES:
                self.close()
        except Exception as error:  # noqa: BLE001  the thread must go on with the next request
            self._give_up(error)
            return False
        return True

    def flush(self) -> bool:
        """Flushes to the disk; returns whether that succeeded."""
        if self._writer is None:
            return True
        try:
            self._writer.flush()
        except (tf.errors.OpError, OSError) as error:
            self._give_up(error)
            return False
        self._reported = False
        return True

    def close(self) -> None:
        """Closes the current file."""
        writer, self._writer, self._written = self._writer, None, 0
        if writer is not None:
            with contextlib.suppress(tf.errors.OpError, OSError):
                writer.close()

    def _open(self) -> tf.io.TFRecordWriter:
        prefix = self._config.prefix
        self._number += 1
        old = sorted(prefix.parent.glob(f"{glob.escape(prefix.name)}.*.tfrecord"), key=_age)
        for path in old[: len(old) - _FILES + 1]:
            path.unlink(missing_ok=True)
        self._path = prefix.with_name(f"{prefix.name}.{self._started}-{os.getpid()}-{self._number:04d}.tfrecord")
        return tf.io.TFRecordWriter(str(self._path))

    def _give_up(self, error: Exception) -> None:
        self.close()
        self._remove_if_empty()
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if not self._reported:
            text = " ".join(str(getattr(error, "message", error)).split())
            _log.error(
                "Cannot write the request log %s: %s; requests are answered all the same", self._config.prefix, text
            )
        self._reported = True

    def _remove_if_empty(self) -> None:
        # Retries on a full disk would otherwise displace the files that were written before.
        with contextlib.suppress(OSError):
            if self._path is not None and not self._path.stat().st_size:
                self._path.unlink()


def _prediction_log(entry: _Entry) -> prediction_log_pb2.PredictionLog:
    inference = entry.inference
    log = prediction_log_pb2.PredictionLog()
    spec = log.log_metadata.model_spec
    spec.name, spec.signature_name = inference.servable.name, inference.signature
    spec.version.value = inference.servable.version
    log.log_metadata.sampling_config.sampling_rate = entry.config.sampling_rate
    log.log_metadata.timestamp_secs = int(entry.time)
    request = _predict_request(inference) if entry.request is None else entry.request
    kind = getattr(log, _LOG_FIELDS[type(request)])
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


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
