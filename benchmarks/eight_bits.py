"""Accuracy of int8 quantization, by SmoothQuant's share of the kernels and by the float32 columns.

    python benchmarks/eight_bits.py --run runs/emotion [--kernels whole|half]

Ranges are measured on the first 512 of the run's validation texts, as in an export, and the
predictions for all of these texts, at most 2,000, are compared with those of the model in memory.
Prints a row for each choice; nothing is timed. `--kernels` scales kernels to the whole range, which
is correct with VNNI only, or to half of it.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from bert_serving import contract
from bert_serving.classifier import Classifier
from bert_serving.contract import Graph
from bert_serving.data.splits import load_validation
from bert_serving.saved_model.graphs import quantized
from bert_serving.saved_model.graphs.calibration import MOST_TEXTS, measured_ranges
from bert_serving.saved_model.graphs.quantized import QuantizedArithmetic
from bert_serving.saved_model.reference import Reference, drawn_rows
from bert_serving.saved_model.signatures import build_serving_graph
from bert_serving.training.loading import load_classifier
from bert_serving.training.run_folder import RunFolder

SHARES = (0.0, 0.35, 0.5, 0.65, 0.8)
WIDE_COLUMNS = (1 / 1536, 1 / 384, 1 / 192, 1 / 96, 1 / 48)
BATCH = 32
KERNEL_RANGES = {
    "whole": lambda kernel: np.abs(kernel).max(axis=0),
    "half": lambda kernel: 2 * np.abs(kernel).max(axis=0),
}


def reference_of(run: RunFolder, classifier: Classifier) -> Reference:
    """Validation texts with the predictions of the model in memory."""
    config = run.config()
    table = load_validation(config.data, config.head.kind, config.training.seed)
    table = table.select(drawn_rows(len(table)))
    pairs = None if table.pairs is None else tuple(table.pairs)
    return Reference(tuple(table.texts), pairs, classifier.predict(table.texts, pairs))


def answers(classifier: Classifier, arithmetic: QuantizedArithmetic, reference: Reference, folder: Path) -> np.ndarray:
    """Probabilities of a serving graph, float32 [N, C]."""
    labels = folder / "labels.txt"
    labels.write_text("\n".join(classifier.options.labels), "utf-8")
    predict = build_serving_graph(classifier, Graph.RAGGED, labels, arithmetic).signatures[contract.SERVING_DEFAULT]
    found = []
    for start in range(0, len(reference.texts), BATCH):
        part = reference.part(start, BATCH)
        inputs = {contract.TEXT: tf.constant(part.texts)}
        if part.pairs is not None:
            inputs[contract.TEXT_PAIR] = tf.constant(part.pairs)
        found.append(predict(**inputs)[contract.PROBABILITIES].numpy())
    return np.concatenate(found)


def main() -> None:
    """Prints a row for each share, then for each number of columns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a finished run")
    parser.add_argument("--kernels", choices=list(KERNEL_RANGES), help="how kernels are scaled; absent: as in exports")
    given = parser.parse_args()
    if given.kernels:
        quantized.largest_pair = KERNEL_RANGES[given.kernels]
    run = RunFolder(given.run)
    classifier = load_classifier(run)
    reference = reference_of(run, classifier)
    ranges = measured_ranges(classifier, reference.part(0, MOST_TEXTS))
    plain = QuantizedArithmetic(ranges)
    choices = [QuantizedArithmetic(ranges, share=share) for share in SHARES]
    choices += [QuantizedArithmetic(ranges, wide_columns=part) for part in WIDE_COLUMNS if part != plain.wide_columns]
    print(f"{'share':>6} {'columns':>9} {'other labels':>13} {'mean difference':>16} {'largest':>9}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for choice in choices:
            found = answers(classifier, choice, reference, Path(folder))
            differences = np.abs(found - reference.probabilities).max(axis=1)
            changed = int((found.argmax(axis=1) != reference.probabilities.argmax(axis=1)).sum())
            columns = f"1/{round(1 / choice.wide_columns)}"
            print(
                f"{choice.share:>6} {columns:>9} {changed:>6} of {len(found):>4}"
                f" {differences.mean():>15.5f} {differences.max():>9.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
