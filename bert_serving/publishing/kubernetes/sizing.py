"""How much of a cluster a model needs: memory from its size, pods from its throughput and the wanted rate."""

import math
from dataclasses import dataclass

from bert_serving.errors import PublishError

MEBI = 1 << 20

# benchmarks/memory_of_versions.py: the embedded server with ragged exports of all-MiniLM-L6-v2, all four signatures warm: 666 MiB with a
# model of nothing, 2,240 with a version of 93 MB (float32), 3,357 with two of them, 1,739 with one of 47 MB (bfloat16). TensorFlow
# optimizes the graph, in which the weights lie, anew for each signature. A line through both sizes; the stock server needs less.
SERVER_BYTES = 670 * MEBI
"""of a server without a model"""
VERSION_BYTES = 560 * MEBI
"""of a version, however small"""
BYTES_PER_BYTE = 11.0
"""memory of a loaded version that answers, for each byte of its files"""

# A pod at its limit has no room for a peak, nor for the requests of a pod that goes.
_USABLE_SHARE = 0.6
_FEWEST_PODS = 2
_LABELLED = 2
_PROBE_SECONDS = 3
_PROBE_MARGIN = 10
_DEFAULT_LOAD_SECONDS = 12.0


@dataclass(frozen=True)
class Need:
    """What is known of a model and wanted of it.

    Attributes:
        size: bytes of a version's files.
        rate: wanted texts per second; None where nobody said.
        throughput: measured texts per second of one pod; None where nobody measured.
        load_seconds: measured seconds until the model answers; None where nobody measured.
        processors: of one pod.
        kept: versions that a pod keeps on its disk.
    """

    size: int
    rate: float | None = None
    throughput: float | None = None
    load_seconds: float | None = None
    processors: int = 2
    kept: int = 3

    def __post_init__(self) -> None:
        for name in ("rate", "throughput", "load_seconds", "processors", "kept"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise PublishError(f"--{name.replace('_', '-')} {value}: give a number over 0")


@dataclass(frozen=True)
class Sizing:
    """What the manifests ask for.

    Attributes:
        memory: MiB of a server, request and limit.
        disk: MiB for the versions of a pod.
        processors: of a server, request and limit.
        threads: for REST, and for gRPC.
        pods: the fewest.
        most_pods: the most.
        probe_failures: how often the startup probe may fail.
    """

    memory: int
    disk: int
    processors: int
    threads: int
    pods: int
    most_pods: int
    probe_failures: int


def size(need: Need) -> Sizing:
    """Computes requests and limits.

    Two versions are in memory during a swap. A disk holds the versions that are kept, two older ones that labels may hold, and one
    that is being fetched.
    """
    memory = SERVER_BYTES + 2 * (VERSION_BYTES + BYTES_PER_BYTE * need.size)
    pods = _FEWEST_PODS
    if need.rate and need.throughput:
        pods = max(_FEWEST_PODS, math.ceil(need.rate / (_USABLE_SHARE * need.throughput)))
    budget = _PROBE_MARGIN * (need.load_seconds or _DEFAULT_LOAD_SECONDS)
    return Sizing(
        memory=_rounded(memory, 256),
        disk=_rounded((need.kept + _LABELLED + 1) * need.size + 64 * MEBI, 256),
        processors=need.processors,
        threads=4 * need.processors,
        pods=pods,
        most_pods=max(10, 3 * pods),
        probe_failures=max(10, math.ceil(budget / _PROBE_SECONDS)),
    )


def _rounded(count: float, step: int) -> int:
    """MiB, up to the next step."""
    return step * math.ceil(count / MEBI / step)
