"""Prometheus metrics: those of TensorFlow Serving by its names, and those of this server."""

import asyncio
import contextlib
import platform
import weakref
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from bert_serving.model_server.batching.executor import Executor
from bert_serving.model_server.batching.run import BatchRun
from bert_serving.model_server.models.store import ModelStore, State, VersionRecord
from bert_serving.model_server.observability.events import RequestEvent
from bert_serving.version import __version__

# servables/tensorflow/util.cc: 33 buckets of microseconds, each 1.8 times the one before.
_MICROSECONDS = [10 * 1.8**power for power in range(33)]
_ROWS = [float(2**power) for power in range(14)]

# TensorFlow Serving's runtime metrics have gRPC's names of methods over REST as well.
_METHODS = {"predict": "Predict", "classify": "Classify", "regress": "Regress"}

# TensorFlow Serving's name of its runtime for SavedModels, those of TensorFlow 2 included.
_RUNTIME = "TF1"

_BUILD = {
    "version": __version__,
    "tensorflow": metadata.version("tensorflow"),
    "tensorflow_text": metadata.version("tensorflow-text"),
    "python": platform.python_version(),
}

_MODEL = ("model_name", "version", "signature")
_LOAD = ("model_path", "status")


class Metrics:
    """Counters and histograms of a server."""

    def __init__(self, store: ModelStore, executor: Executor, log_dropped: Callable[[], int] = lambda: 0):
        """Registers the metrics; needs a running event loop.

        Args:
            store: the models, for the states and the loads of versions.
            executor: runs the requests, for those that wait.
            log_dropped: how many requests the request log has left out.
        """
        self._store = store
        self._registry = CollectorRegistry()
        self._requests = Counter(
            ":tensorflow:serving:request_count", "Requests", (*_MODEL, "status", "entrypoint"), registry=self._registry
        )
        self._latency = self._histogram(
            "request_latency", "Microseconds to answer a request", (*_MODEL, "API", "entrypoint"), _MICROSECONDS
        )
        self._runtime = self._histogram(
            "runtime_latency",
            "Microseconds in the queue and in the runtime",
            (*_MODEL, "API", "runtime"),
            _MICROSECONDS,
        )
        self._waits = self._histogram(
            "batching_session:queuing_latency", "Microseconds in the queue", _MODEL, _MICROSECONDS
        )
        self._input_rows = self._histogram("batching_session:input_batch_size", "Rows of a batch", _MODEL, _ROWS)
        self._processed_rows = self._histogram(
            "batching_session:processed_batch_size", "Rows of a batch with padding", _MODEL, _ROWS
        )
        self._padding = self._histogram(
            "batching_session:padding_size", "Padding rows of a batch", _MODEL, [0.0, *_ROWS]
        )
        self._merged = Histogram(
            ":bert_serving:batch_requests", "Requests in a batch", _MODEL, registry=self._registry, buckets=_ROWS
        )
        Gauge(":bert_serving:waiting_requests", "Requests in the queue", registry=self._registry).set_function(
            lambda: executor.waiting
        )
        Gauge(
            ":bert_serving:request_log_dropped", "Sampled requests that were not logged", registry=self._registry
        ).set_function(log_dropped)
        self._registry.register(_VersionStates(store))
        Gauge(":bert_serving:build_info", "1, with the versions in use", list(_BUILD), registry=self._registry).labels(
            **_BUILD
        ).set(1)
        # Start time, processor time, memory and open files, by the names that all of Prometheus' clients use.
        ProcessCollector(registry=self._registry)
        loads = Counter(
            ":tensorflow:cc:saved_model:load_attempt_count",
            "Attempts to load a version",
            _LOAD,
            registry=self._registry,
        )
        warmups = self._histogram("model_warmup_latency", "Microseconds of a version's warmup", _LOAD, _MICROSECONDS)
        _LoadAttempts(store, loads, warmups)

    def count_request(self, event: RequestEvent) -> None:
        """Counts a request that has ended."""
        model = self._labels(event)
        self._requests.labels(*model, event.status, event.entrypoint).inc()
        if event.status == "OK":
            self._latency.labels(*model, event.method, event.entrypoint).observe(event.seconds * 1e6)
            method = _METHODS.get(event.method, event.method)
            self._runtime.labels(*model, method, _RUNTIME).observe(event.runtime * 1e6)

    def _labels(self, event: RequestEvent) -> tuple[str, str, str]:
        if event.version is not None:
            return event.model, str(event.version), event.signature
        # Clients may send any name; only names of configured models may become labels.
        return event.model if self._store.config(event.model) is not None else "", "", ""

    def count_batch(self, run: BatchRun) -> None:
        """Counts a batch that has run."""
        model = (run.servable.name, str(run.servable.version), run.signature)
        self._merged.labels(*model).observe(len(run.waits))
        if run.servable.batching is None:
            return
        waits = self._waits.labels(*model)
        for wait in run.waits:
            waits.observe(wait * 1e6)
        self._input_rows.labels(*model).observe(run.rows)
        self._processed_rows.labels(*model).observe(run.processed_rows)
        self._padding.labels(*model).observe(run.processed_rows - run.rows)

    def text(self) -> str:
        """All metrics in Prometheus' text format."""
        return "".join(_exposition(self._registry.collect()))

    def _histogram(self, name: str, text: str, labels: tuple[str, ...], buckets: list[float]) -> Histogram:
        return Histogram(f":tensorflow:serving:{name}", text, labels, registry=self._registry, buckets=buckets)


class _LoadAttempts:
    """Counts loads of versions by their outcome, from the version records of the store."""

    def __init__(self, store: ModelStore, counter: Counter, warmups: Histogram):
        self._store = store
        self._counter = counter
        self._warmups = warmups
        # A new record is a new attempt. Weak references: a record holds the model in memory.
        self._counted: dict[tuple[str, int], tuple[weakref.ref[VersionRecord], int]] = {}
        loop = asyncio.get_running_loop()

        def on_change() -> None:
            # Called on the threads that load and free versions.
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._count_new)

        store.listen(on_change)

    def _count_new(self) -> None:
        counted = {}
        for name in self._store.names():
            for record in self._store.versions(name):
                key = name, record.version
                before, state = self._counted.get(key, (None, State.START))
                if before is None or before() is not record:
                    self._count(record, state)
                counted[key] = weakref.ref(record), record.state
        self._counted = counted

    def _count(self, record: VersionRecord, before: int) -> None:
        if record.state not in (State.AVAILABLE, State.END) or before == State.UNLOADING:
            return
        if record.error_code != "OK":
            self._counter.labels(str(record.folder), "fail").inc()
        elif record.state == State.AVAILABLE:
            self._counter.labels(str(record.folder), "success").inc()
            seconds = None if record.servable is None else record.servable.warmup_seconds
            if seconds is not None:
                self._warmups.labels(str(record.folder), "OK").observe(seconds * 1e6)


class _VersionStates(Collector):
    """The state of each version at the time of a scrape."""

    def __init__(self, store: ModelStore):
        self._store = store

    def collect(self) -> Iterable[Metric]:
        states = Metric(":bert_serving:version_state", "1 for the state that a version is in", "gauge")
        for name in self._store.names():
            for record in self._store.versions(name):
                labels = {"model_name": name, "version": str(record.version), "state": State.Name(record.state)}
                states.add_sample(":bert_serving:version_state", labels, 1.0)
        yield states


def _exposition(metrics: Iterable[Metric]) -> Iterator[str]:
    for metric in metrics:
        # prometheus_client ends counters in _total; TensorFlow Serving's, and dashboards of them, do not.
        total = "_total" if metric.type == "counter" and not metric.name.startswith(":tensorflow:") else ""
        yield f"# HELP {metric.name}{total} {metric.documentation}\n# TYPE {metric.name}{total} {metric.type}\n"
        for sample in metric.samples:
            if sample.name.endswith("_created"):
                continue
            name = metric.name + total if metric.type == "counter" else sample.name
            labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in sample.labels.items())
            yield f"{name}{{{labels}}} {_number(sample.value)}\n" if labels else f"{name} {_number(sample.value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
