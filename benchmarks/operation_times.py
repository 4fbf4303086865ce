"""Profile of a serving graph: time by kind of operation, after TensorFlow's graph optimizer.

    python benchmarks/operation_times.py models/emotion/1 --data data/emotion/validation.tsv \\
        --batches 1 32

Two threads. Prints, for each batch size, the median of a call without a trace, and from traced
calls, which take longer, the number and the total time of the operations of each kind; operations
that run in parallel both count. Constants and operations that only forward a tensor are left out.
"""

import argparse
import os
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
import tensorflow_text  # noqa: F401  its operations must be registered before a SavedModel is loaded

from bert_serving import contract
from bert_serving.data.unlabeled import read_unlabeled

THREADS = 2
WARMUPS, CALLS, TRACES = 30, 60, 10
KINDS = 16
_PASSING = {"Const", "Switch", "Merge", "Identity", "NoOp", "_Send", "_Recv", "_Arg", "_Retval"}


class Session:
    """A signature in a TensorFlow 1 session, which can be traced."""

    def __init__(self, folder: Path):
        options = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=THREADS, inter_op_parallelism_threads=THREADS)
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=options)
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, [contract.SERVING_TAG], str(folder))
        signature = loaded.signature_def[contract.SERVING_DEFAULT]
        self._text = signature.inputs[contract.TEXT].name
        self._answer = signature.outputs[contract.PROBABILITIES].name

    def seconds(self, texts: Sequence[str]) -> float:
        """Duration of a call."""
        started = time.perf_counter()
        self._session.run(self._answer, {self._text: texts})
        return time.perf_counter() - started

    def trace(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """The operations of a call: kind and seconds."""
        found = tf.compat.v1.RunMetadata()
        options = tf.compat.v1.RunOptions(trace_level=tf.compat.v1.RunOptions.FULL_TRACE)
        self._session.run(self._answer, {self._text: texts}, options=options, run_metadata=found)
        nodes = [node for device in found.step_stats.dev_stats for node in device.node_stats]
        return [(_kind(node.timeline_label), node.all_end_rel_micros / 1e6) for node in nodes]


def _kind(label: str) -> str:
    """The kind of an operation, from a label such as `name = MatMul(inputs)`."""
    return label.split(" = ")[-1].split("(")[0].strip() or "NoOp"


def main() -> None:
    """Prints a table for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path, help="folder of a version")
    parser.add_argument("--data", type=Path, required=True, help="a table with a column text")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    given = parser.parse_args()
    texts = read_unlabeled([given.data]).texts
    session = Session(given.version)
    for size in given.batches:
        batches = [
            [texts[(start + place) % len(texts)] for place in range(size)] for start in range(0, TRACES * size, size)
        ]
        for number in range(WARMUPS):
            session.seconds(batches[number % TRACES])
        median = statistics.median(session.seconds(batches[number % TRACES]) for number in range(CALLS))
        nodes = [node for batch in batches for node in session.trace(batch)]
        nodes = [(kind, seconds) for kind, seconds in nodes if kind not in _PASSING]
        counts, sums = Counter(kind for kind, _ in nodes), defaultdict[str, float](float)
        for kind, seconds in nodes:
            sums[kind] += seconds
        total = sum(sums.values())
        print(
            f"\nbatch of {size}: {1000 * median:.2f} ms; {len(nodes) // TRACES} operations, {1000 * total / TRACES:.1f} ms in all"
        )
        for kind, seconds in sorted(sums.items(), key=lambda item: -item[1])[:KINDS]:
            print(
                f"  {kind:<32} {counts[kind] / TRACES:>6.0f} times {1000 * seconds / TRACES:>8.2f} ms {seconds / total:>6.0%}"
            )


if __name__ == "__main__":
    main()
