"""Quality of a run's probabilities: detection of flipped labels, and calibration.

    python benchmarks/probabilities.py runs/emotion

Prints, for the validation and the test rows of a run with one label for each row,

- the share of 5% flipped labels in the first tenth of the probable label errors, five draws;
- the calibration error as trained, with a temperature alone, and as `bert-serving calibrate` fits
  it, each fitted on the other rows; and the error that perfectly calibrated probabilities would
  have on as many rows.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from bert_serving.answers import scaled_probabilities
from bert_serving.contract import Scaling
from bert_serving.data.splits import load_splits
from bert_serving.evaluation.label_errors import find_label_errors
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.temperature import fit_temperature
from bert_serving.metrics import expected_calibration_error
from bert_serving.training.loading import load_classifier
from bert_serving.training.run_folder import RunFolder

FLIPPED = 0.05
DRAWS = 5
FIRST = 0.1
"""part of the list of probable label errors that is searched"""
SIMULATIONS = 500


def flipped(made: Predictions, random: np.random.Generator) -> tuple[Predictions, np.ndarray]:
    """The same predictions for rows of which a share got another label, and the numbers of those rows."""
    rows = random.choice(len(made), round(FLIPPED * len(made)), replace=False)
    labels = list(made.table.labels)
    for row in rows:
        labels[row] = random.choice([name for name in made.labels if name != labels[row]])
    return replace(made, table=replace(made.table, labels=labels)), rows


def show_flipped(name: str, made: Predictions) -> None:
    for draw in range(DRAWS):
        noisy, rows = flipped(made, np.random.default_rng(draw))
        found = find_label_errors(noisy)
        first = np.isin(rows, found.ranking[: round(FIRST * len(made))]).mean()
        suspicious = found.ranking[: found.suspicious]
        print(
            f"{name}, draw {draw}: {len(rows)} flipped, {first:.0%} of them in the first tenth; {len(suspicious)} suspicious, "
            f"which include {np.isin(rows, suspicious).mean():.0%} of them"
        )


def faultless(values: np.ndarray) -> float:
    """The mean calibration error on labels drawn from the probabilities themselves."""
    random = np.random.default_rng(0)
    draws = ((values.cumsum(axis=1) > random.random((len(values), 1))).argmax(axis=1) for _ in range(SIMULATIONS))
    return float(np.mean([expected_calibration_error(labels, values) for labels in draws]))


def main(run_dir: str) -> None:
    run = RunFolder(Path(run_dir))
    config = run.config()
    classifier = load_classifier(run)
    head, labels = classifier.options.head, classifier.options.labels
    splits = load_splits(config.data, head, config.training.seed)
    tables = {"validation": splits.validation, "test": splits.test}
    logits = {
        name: classifier.predict_tokens(classifier.tokenize(table.texts, table.pairs)[0])
        for name, table in tables.items()
    }
    made = {
        name: Predictions(head, labels, table, scaled_probabilities(head, logits[name], Scaling()))
        for name, table in tables.items()
    }
    for name, each in made.items():
        show_flipped(name, each)
    for name, other in (("test", "validation"), ("validation", "test")):
        fits = {
            "as trained": Scaling(),
            "temperature": fit_temperature(head, labels, tables[other], logits[other], with_exponent=False).scaling,
            "and exponent": fit_temperature(head, labels, tables[other], logits[other]).scaling,
        }
        for title, scaling in fits.items():
            scaled = replace(made[name], values=scaled_probabilities(head, logits[name], scaling))
            error = expected_calibration_error(scaled.y_true, scaled.values)
            print(
                f"{name}, fitted on {other}, {title:12} ({scaling}): calibration error {error:.4f}, log loss "
                f"{scaled.losses.mean():.4f}, accuracy {scaled.correct.mean():.4f}"
            )
        print(f"{name}: perfectly calibrated, the calibration error would be {faultless(scaled.values):.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
