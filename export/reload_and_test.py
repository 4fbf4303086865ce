"""Reload an exported classifier and compare its scores with those of the model in memory.

    python export/reload_and_test.py RUN_DIR SAVED_MODEL [TEXT]...

Needs the run folder that `bert-serving train` wrote and a version folder that `bert-serving export` wrote from it. Prints the scores
of both for each text, one below the other, and ends with status 1 when one differs by more than 2e-6. The reloading half uses
TensorFlow alone: copy it to wherever the SavedModel goes.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401 - registers the operations of the tokenizer

LARGEST_DIFFERENCE = 2e-6

EXAMPLES = (
    "this is such an amazing movie!",
    "The movie was great!",
    "The movie was meh.",
    "The movie was okish.",
    "The movie was terrible...",
)


def scores_of_reloaded(saved_model: Path, texts: list[str]) -> tuple[list[str], np.ndarray]:
    """Labels and probabilities from the SavedModel's default signature: strings in, nothing else needed."""
    reloaded = tf.saved_model.load(str(saved_model))
    labels = (saved_model / "assets" / "labels.txt").read_text("utf-8").splitlines()
    answer = reloaded.signatures["serving_default"](text=tf.constant(texts))
    return labels, answer["probabilities"].numpy()


def scores_in_memory(run_dir: Path, texts: list[str]) -> np.ndarray:
    """Probabilities of the Keras model with the weights that training kept."""
    from bert_serving.training.loading import load_classifier
    from bert_serving.training.run_folder import RunFolder

    return load_classifier(RunFolder(run_dir)).predict(texts)


def main(arguments: list[str]) -> int:
    """Compares a run folder with its reloaded SavedModel and prints both scores."""
    if len(arguments) < 2:
        print("usage: python export/reload_and_test.py RUN_DIR SAVED_MODEL [TEXT]...", file=sys.stderr)
        return 2
    run_dir, saved_model, texts = Path(arguments[0]), Path(arguments[1]), arguments[2:] or list(EXAMPLES)
    if not (saved_model / "saved_model.pb").is_file():
        print(
            f"error: {saved_model}: not a SavedModel (saved_model.pb is missing); give a version folder",
            file=sys.stderr,
        )
        return 2
    labels, reloaded = scores_of_reloaded(saved_model, texts)
    in_memory = scores_in_memory(run_dir, texts)
    for title, scores in (("model in memory", in_memory), ("reloaded SavedModel", reloaded)):
        print(f"\nResults from the {title}:")
        for text, row in zip(texts, scores, strict=True):
            best = int(row.argmax())
            name = labels[best] if labels else "value"
            print(f"  input: {text:<40.40} : {name} {row[best]:.6f}")
    difference = float(np.abs(reloaded - in_memory).max())
    print(f"\nlargest difference of a score: {difference:.1e} (limit {LARGEST_DIFFERENCE:.0e})")
    return 0 if difference <= LARGEST_DIFFERENCE else 1


if __name__ == "__main__":
    from bert_serving.errors import BertServingError, exit_status

    try:
        sys.exit(main(sys.argv[1:]))
    except BertServingError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(exit_status(error))
