"""A classifier of TensorFlow's tutorial as `model.save` wrote it, beside the export that is made of it.

    python benchmarks/imported_saved_model.py --encoder models/all-MiniLM-L6-v2 \\
        --reviews data/imdb/train.tsv.gz --texts data/emotion/test.tsv --folder /tmp/imdb

Fine-tunes with the code of the tutorial "Classify text with BERT" (one epoch of the first 2,000
reviews, 128 tokens), saves the model, and takes it in with one command, `bert-serving export`. Then
compares the probabilities of short texts and of reviews, and lets both answer batches of 32 short
texts in turns, each in its own process. `--folder` keeps the models; a model that is there already
is not trained again. Writes benchmarks/results/imported_saved_model.json.
"""

import argparse
import csv
import gzip
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import interleaved

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

RESULTS = Path(__file__).parent / "results" / "imported_saved_model.json"
REVIEWS, BATCH, TEXTS, COMPARED = 2_000, 32, 640, 500
ORIGINAL, NAME = "imdb_bert", "imdb"


def read(path: Path) -> list[tuple[str, int]]:
    """Texts, and 1 for those whose label is "pos"."""
    content = path.read_bytes()
    lines = (gzip.decompress(content) if path.suffix == ".gz" else content).decode().splitlines()
    rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    return [(row[0], int(row[1] == "pos")) for row in rows]


def train(encoder: Path, rows: list[tuple[str, int]], folder: Path) -> None:
    """The tutorial: https://www.tensorflow.org/text/tutorials/classify_text_with_bert."""
    import tensorflow as tf
    import tensorflow_hub as hub
    import tf_keras
    from official.nlp import optimization

    from bert_serving.encoders.conversion.formats import convert_folder

    if not (folder / "encoder").exists():
        convert_folder(encoder, folder / "encoder")
    # === define your model ===
    text_input = tf_keras.layers.Input(shape=(), dtype=tf.string, name="text")
    preprocessing_layer = hub.KerasLayer(str(folder / "encoder/preprocessing"), name="preprocessing")
    encoder_inputs = preprocessing_layer(text_input)
    encoder_layer = hub.KerasLayer(str(folder / "encoder/encoder"), trainable=True, name="BERT_encoder")
    outputs = encoder_layer(encoder_inputs)
    net = outputs["pooled_output"]
    net = tf_keras.layers.Dropout(0.1)(net)
    net = tf_keras.layers.Dense(1, activation=None, name="classifier")(net)
    model = tf_keras.Model(text_input, net)
    # === model training ===
    texts, labels = zip(*rows, strict=True)
    train_ds = tf.data.Dataset.from_tensor_slices((list(texts), list(labels))).shuffle(len(rows), seed=42).batch(BATCH)
    epochs = 1
    steps_per_epoch = tf.data.experimental.cardinality(train_ds).numpy()
    num_train_steps = steps_per_epoch * epochs
    optimizer = optimization.create_optimizer(
        init_lr=3e-5,
        num_train_steps=num_train_steps,
        num_warmup_steps=int(0.1 * num_train_steps),
        optimizer_type="adamw",
    )
    model.compile(
        optimizer=optimizer,
        loss=tf_keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=tf_keras.metrics.BinaryAccuracy(),
    )
    model.fit(x=train_ds, epochs=epochs, verbose=2)
    # === export for inference ===
    model.save(str(folder / ORIGINAL), include_optimizer=False)


def positive_of(model: Path) -> Callable[[list[str]], Any]:
    """A function from texts to the probability of the second label."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  its operations

    tf.config.threading.set_intra_op_parallelism_threads(2)
    loaded = tf.saved_model.load(str(model))
    function = loaded.signatures["serving_default"]

    def positive(texts: list[str]) -> Any:
        outputs = function(text=tf.constant(texts))
        if "probabilities" in outputs:
            return outputs["probabilities"].numpy()[:, 1]
        (logits,) = outputs.values()
        return tf.sigmoid(logits).numpy()[:, 0]

    positive.loaded = loaded  # type: ignore[attr-defined]  its variables live as long as it does
    return positive


def work(model: Path, texts: list[str]) -> None:
    """Worker: all texts in batches."""

    def prepare() -> Callable[[], int]:
        positive = positive_of(model)
        batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        for batch in batches:  # every length once
            positive(batch)

        def once() -> int:
            for batch in batches:
                positive(batch)
            return len(texts)

        return once

    interleaved.work(prepare)


def probabilities(model: Path, texts: list[str]) -> list[float]:
    """Of the second label, in batches."""
    positive = positive_of(model)
    return [float(value) for start in range(0, len(texts), BATCH) for value in positive(texts[start : start + BATCH])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", type=Path, help="Hugging Face folder")
    parser.add_argument("--reviews", type=Path, help="TSV file of IMDB's reviews")
    parser.add_argument("--texts", type=Path, required=True, help="TSV file of short texts")
    parser.add_argument("--folder", type=Path, required=True, help="for encoder, model and exports")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    short = [text for text, _ in read(given.texts)[:TEXTS]]
    if given.worker:
        work(given.worker, short)
        return
    reviews = read(given.reviews)
    given.folder.mkdir(parents=True, exist_ok=True)
    if not (given.folder / ORIGINAL).exists():
        train(given.encoder, reviews[:REVIEWS], given.folder)
    original = given.folder / ORIGINAL
    command = ["export", str(original), "--labels", "neg,pos", "--to", str(given.folder / "models"), "--name", NAME]
    print("bert-serving", *command, flush=True)
    program = "from bert_serving.cli.main import main; main()"
    subprocess.run([sys.executable, "-c", program, *command], check=True)
    export = max((given.folder / "models" / NAME).iterdir(), key=lambda path: int(path.name))
    compared = short[:COMPARED] + [text for text, _ in reviews[REVIEWS : REVIEWS + COMPARED]]
    before, after = probabilities(original, compared), probabilities(export, compared)
    differences = [abs(a - b) for a, b in zip(before, after, strict=True)]
    script = [sys.executable, __file__, "--texts", str(given.texts), "--folder", str(given.folder), "--worker"]
    subjects = [
        interleaved.Subject(name, [*script, str(path)])
        for name, path in (("as it came in", original), ("export", export))
    ]
    measured = interleaved.run(subjects, rounds=given.rounds)
    ratios = [b / a for a, b in zip(*measured["rates"].values(), strict=True)]
    result = {
        "machine": interleaved.machine(),
        "texts_compared": len(compared),
        "max_probability_difference": max(differences),
        "batch": BATCH,
        "texts": len(short),
        **measured,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(f"{len(compared)} texts: a probability differs by {max(differences):.1e} at most")
    print(
        f"the export answers {result['ratio']:.1f} times as many texts a second ({min(ratios):.1f} to {max(ratios):.1f})"
    )


if __name__ == "__main__":
    main()
