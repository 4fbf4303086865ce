"""Resources of a Kubernetes deployment, computed from a model's size, throughput and rate."""

import math
from dataclasses import dataclass

from bert_serving.errors import PublishError

MEBI = 1 << 20

# benchmarks/memory_of_versions.py: the embedded server with ragged exports of all-MiniLM-L6-v2, all
# signatures warm, on an Intel Xeon: 669 MiB with an empty model; 1,001, 1,195 and 1,400 with one,
# two and three versions of 89 MiB (float32); 933 with one of 45 (bfloat16), 1,038 with one of 59
# (int8). A line above all of these; TensorFlow Serving needs less.
SERVER_BYTES = 670 * MEBI
"""memory of a server without a model"""
VERSION_BYTES = 260 * MEBI
"""memory of a version of any size"""
BYTES_PER_BYTE = 2.0
"""further memory of a loaded and warm version for each byte of its files"""

# A pod at full load has no room for peaks, nor for the requests of a pod that terminates.
USABLE_SHARE = 0.6
"""share of the measured throughput that is planned for"""
# k8s/base/config/start/batching_parameters.txt
_BATCH_ROWS = 32
_WAITING_BATCHES = 14
# For requests that are not batched: status, metadata, health, reload.
_RESERVED_THREADS = 64
_MIN_PODS = 2
_LABELED = 2
PROBE_SECONDS = 3
"""period of the startup probe in k8s/base/deployment.yaml"""
_PROBE_MARGIN = 10
_DEFAULT_LOAD_SECONDS = 12.0


@dataclass(frozen=True)
class Workload:
    """Size of a model and requirements on its deployment.

    Attributes:
        size: size of a version's files in bytes.
        rate: required texts per second of all pods together; None if unknown.
        throughput: measured texts per second of one pod; None if unknown.
        load_seconds: measured seconds until a version answers; None if unknown.
        processors: CPUs of one pod.
        kept: versions that a pod keeps on its disk.
    """

    size: int
    rate: float | None = None
    throughput: float | None = None
    load_seconds: float | None = None
    processors: int = 2
    kept: int = 3

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            PublishError: one is not positive and finite.
        """
        for name in ("rate", "throughput", "load_seconds", "processors", "kept"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise PublishError(f"--{name.replace('_', '-')} {value}: give a number over 0")


@dataclass(frozen=True)
class Sizing:
    """Resources that the manifests request.

    Attributes:
        memory: MiB of a server, request and limit.
        disk: MiB for the versions of a pod.
        processors: CPUs of a server, request and limit.
        rest_threads: REST requests that are answered at the same time; more wait.
        grpc_threads: gRPC requests that may run or wait at the same time; more are refused.
        min_pods: smallest number of pods.
        max_pods: largest number of pods.
        probe_failures: failureThreshold of the startup probe.
    """

    memory: int
    disk: int
    processors: int
    rest_threads: int
    grpc_threads: int
    min_pods: int
    max_pods: int
    probe_failures: int


def compute_sizing(workload: Workload) -> Sizing:
    """Computes requests and limits.

    TensorFlow Serving runs as many batches in parallel as there are processors, and each request in
    flight holds a thread. During a swap two versions are in memory. The disk holds the versions that are kept, up to two
    older ones that have labels, and one that is being fetched.
    """
    memory = SERVER_BYTES + 2 * (VERSION_BYTES + BYTES_PER_BYTE * workload.size)
    pods = _MIN_PODS
    if workload.rate and workload.throughput:
        pods = max(_MIN_PODS, math.ceil(workload.rate / (USABLE_SHARE * workload.throughput)))
    startup_seconds = _PROBE_MARGIN * (workload.load_seconds or _DEFAULT_LOAD_SECONDS)
    return Sizing(
        memory=_mebibytes(memory, 256),
        disk=_mebibytes((workload.kept + _LABELED + 1) * workload.size + 64 * MEBI, 256),
        processors=workload.processors,
        rest_threads=_BATCH_ROWS * workload.processors,
        grpc_threads=_BATCH_ROWS * (workload.processors + _WAITING_BATCHES) + _RESERVED_THREADS,
        min_pods=pods,
        max_pods=max(10, 3 * pods),
        probe_failures=max(10, math.ceil(startup_seconds / PROBE_SECONDS)),
    )


def _mebibytes(count: float, step: int) -> int:
    """Bytes in MiB, rounded up to a multiple of `step`."""
    return step * math.ceil(count / MEBI / step)
