"""XLA (`jit_compile`) against the same Keras network without it and against the ragged encoder.

    python benchmarks/compiled_by_xla.py --run runs/emotion

XLA needs fixed shapes. Every row has as many tokens as the shape, so that nothing is padded: the
best case for XLA. Two threads; the three take turns. Prints milliseconds, and the time of the first
call.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from bert_serving import contract
from bert_serving.classifier import Classifier
from bert_serving.saved_model.graphs.dense import FloatArithmetic
from bert_serving.saved_model.graphs.ragged import ragged_encoder
from bert_serving.training.loading import load_classifier
from bert_serving.training.run_folder import RunFolder

SHAPES = ((1, 24), (8, 24), (32, 24), (32, 48))
ROUNDS = 12
THREADS = 2
_FIRST_WORD, _WORDS = 2_000, 20_000

Call = Callable[[], tf.Tensor]


def subjects(classifier: Classifier, rows: int, length: int) -> dict[str, Call]:
    """The three candidates, for a number of rows and of tokens in each."""
    words = tf.random.uniform([rows, length], _FIRST_WORD, _WORDS, tf.int32, seed=0)
    tokens = dict(zip(contract.TOKEN_INPUTS, (words, tf.ones_like(words), tf.zeros_like(words)), strict=True))
    specification = [{name: tf.TensorSpec(each.shape, tf.int32) for name, each in tokens.items()}]

    def network(*, compiled: bool) -> Call:
        call = tf.function(
            lambda inputs: classifier.token_model(inputs, training=False),
            input_signature=specification,
            autograph=False,
            jit_compile=compiled,
        )
        return lambda: call(tokens)

    encoder = ragged_encoder(classifier, FloatArithmetic(tf.float32))
    flat = [tf.reshape(each, [-1]) for each in (words, tf.zeros_like(words), tf.range(length) + tf.zeros_like(words))]
    lengths = tf.fill([rows], length)
    return {
        "Keras": network(compiled=False),
        "compiled by XLA": network(compiled=True),
        "ragged": lambda: encoder(*flat, lengths),
    }


def main() -> None:
    """Prints a row for each shape and subject."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a finished run with a BERT encoder")
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    classifier = load_classifier(RunFolder(given.run))
    print(f"{'rows':>4} {'tokens':>6}  {'':<16} {'ms':>8} {'first, s':>9}")
    for rows, length in SHAPES:
        calls = subjects(classifier, rows, length)
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(ROUNDS + 1):
            for name, call in calls.items():
                started = time.perf_counter()
                call().numpy()
                seconds[name].append(time.perf_counter() - started)
        for name, (first, *later) in seconds.items():
            print(
                f"{rows:>4} {length:>6}  {name:<16} {1000 * statistics.median(later):>8.2f} {first:>9.1f}", flush=True
            )


if __name__ == "__main__":
    main()
