"""The serving graph's tokenizer against TensorFlow Text's FastBertTokenizer.

    python benchmarks/fast_tokenizer.py --run runs/emotion

Batches of the run's validation texts; two threads; the candidates take turns. The serving graph is
the ragged one in float32; it shows the share of tokenizing in the time of a batch. Prints
milliseconds, and for how many texts both tokenizers give the same ids.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
import tensorflow_text

from bert_serving import contract
from bert_serving.contract import Graph
from bert_serving.data.splits import load_validation
from bert_serving.saved_model.signatures import build_serving_graph
from bert_serving.text.preprocessing import VOCABULARY_FILE
from bert_serving.text.vocabulary import read_vocabulary
from bert_serving.training.loading import load_classifier
from bert_serving.training.run_folder import RunFolder

BATCHES = (1, 32, 128)
ROUNDS = 30
THREADS = 2
TEXTS = 2_000

Call = Callable[[tf.Tensor], tf.Tensor]


def main() -> None:
    """Prints a row for each batch size and subject."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run", type=Path, required=True, help="a finished run whose encoder has an uncased WordPiece vocabulary"
    )
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    run = RunFolder(given.run)
    config, classifier = run.config(), load_classifier(run)
    texts = load_validation(config.data, config.head.kind, config.training.seed).texts[:TEXTS]
    vocabulary = read_vocabulary(run.preprocessing / "assets" / VOCABULARY_FILE)
    fast = tensorflow_text.FastBertTokenizer(vocab=vocabulary, lower_case_nfd_strip_accents=True)

    def compiled(call: Callable[[tf.Tensor], tf.RaggedTensor]) -> Call:
        return tf.function(
            lambda batch: call(batch).flat_values, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )

    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "labels.txt"
        labels.write_text("\n".join(classifier.options.labels), "utf-8")
        graph = build_serving_graph(classifier, Graph.RAGGED, labels)
    predict = graph.signatures[contract.SERVING_DEFAULT]
    calls: dict[str, Call] = {
        "ours": compiled(classifier.preprocessing.segment),
        "FastBertTokenizer": compiled(fast.tokenize),
        "serving graph": lambda batch: predict(**{contract.TEXT: batch})[contract.PROBABILITIES],
    }
    same = sum(
        calls["ours"](tf.constant([text])).numpy().tolist()
        == calls["FastBertTokenizer"](tf.constant([text])).numpy().tolist()
        for text in texts
    )
    print(f"the same ids for {same:,} of {len(texts):,} texts")
    print(f"{'batch':>5}  {'':<18} {'ms':>8}")
    for size in BATCHES:
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(ROUNDS + 1):
            batch = tf.constant([texts[(number * size + place) % len(texts)] for place in range(size)])
            for name, call in calls.items():
                started = time.perf_counter()
                call(batch).numpy()
                seconds[name].append(time.perf_counter() - started)
        for name, (_, *later) in seconds.items():
            print(f"{size:>5}  {name:<18} {1000 * statistics.median(later):>8.2f}", flush=True)


if __name__ == "__main__":
    main()
