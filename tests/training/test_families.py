"""Encoders of every family learn from 500 rows, and go on after an interruption as if there had been none."""

import csv
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.family_encoders import FAMILIES, LONGEST, write_family_encoder
from support.runs import assert_same_weights, history_of, interrupted_and_resumed, no_pictures  # noqa: F401  no_pictures is a fixture
from support.tiny import WORDS, Rows, write_tsv_file

from bert_serving.classifier import build_classifier, targets_of
from bert_serving.config import RunConfig, load_run_file
from bert_serving.contract import Head
from bert_serving.encoders.default_pooling import with_pooling
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training.loading import classifier_options
from bert_serving.training.loop import Examples, validation_scores
from bert_serving.training.run import train

ROWS, HELD_OUT = 500, 250

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("family", FAMILIES)
def test_an_epoch_on_500_tweets_lowers_the_loss(shared_data, tmp_path, family):
    learned = _first_rows(shared_data / "emotion" / "train.tsv", ROWS)
    held_out = _first_rows(shared_data / "emotion" / "validation.tsv", HELD_OUT)
    write_family_encoder(tmp_path / family, family, [text for text, _ in learned])
    config = _run_config(tmp_path, family, learned, held_out, epochs=1)
    trained = train(config, tmp_path / "run")
    before = _loss_before(config, held_out, trained.classifier.options.labels)
    [after] = history_of(trained.run)
    print(f"{family}: validation loss {before:.4f} before, {after['val_loss']:.4f} after an epoch")
    assert after["val_loss"] < before


@pytest.mark.parametrize("family", FAMILIES)
def test_the_encoder_tells_texts_apart_after_two_epochs_and_a_resumed_run_ends_the_same(tmp_path, family):
    """A head that knows the labels' frequencies alone is not enough: the loss has to be below theirs."""
    learned, held_out = _made_rows(1, ROWS), _made_rows(2, HELD_OUT)
    write_family_encoder(tmp_path / family, family)
    config = _run_config(tmp_path, family, learned, held_out, epochs=2)
    whole = train(config, tmp_path / "whole")
    first, second = history_of(whole.run)
    textless = _loss_of_frequencies(learned, held_out)
    print(f"{family}: validation loss {first['val_loss']:.4f}, {second['val_loss']:.4f}, without text {textless:.4f}")
    assert second["val_loss"] < first["val_loss"]
    assert second["val_loss"] < 0.9 * textless
    resumed = interrupted_and_resumed(config, tmp_path / "stopped")
    assert history_of(resumed) == history_of(whole.run)
    assert_same_weights(resumed, whole.run)


def _first_rows(path: Path, count: int) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(lines)
        return [(text, label) for (text, label), _ in zip(lines, range(count), strict=False)]


def _made_rows(seed: int, count: int) -> Rows:
    """Texts of which one word tells the label."""
    random = np.random.default_rng(seed)
    labels = {"good": "praise", "bad": "blame", "wheel": "neither"}
    others = [word for word in WORDS if word.isalpha() and word not in labels]
    rows = []
    for number in range(count):
        words = list(random.choice(others, size=random.integers(1, 6)))
        told = list(labels)[number % len(labels)]
        words.insert(int(random.integers(0, len(words) + 1)), told)
        rows.append((" ".join(words), labels[told]))
    return rows


def _run_config(folder: Path, family: str, learned: Rows, held_out: Rows, *, epochs: int) -> RunConfig:
    write_tsv_file(folder / "train.tsv", learned)
    write_tsv_file(folder / "validation.tsv", held_out)
    lines = [
        "[data]",
        'train = "train.tsv"',
        'validation = "validation.tsv"',
        "[encoder]",
        f'path = "{family}"',
        f"sequence_length = {LONGEST}",
        "[training]",
        f"epochs = {epochs}",
        "batch_size = 4",
        "learning_rate = 0.005",
        "seed = 14",
        'best_metric = "loss"',
    ]
    (folder / "run.toml").write_text("\n".join(lines) + "\n", "utf-8")
    return with_pooling(load_run_file(folder / "run.toml"))


def _loss_before(config: RunConfig, held_out: Rows, labels: tuple[str, ...]) -> float:
    """Validation loss of a classifier whose head is new."""
    folder = find_encoder_folder(config.encoder)
    classifier = build_classifier(
        load_encoder(folder), load_preprocessing(folder.preprocessing), classifier_options(config, labels)
    )
    tokens, _ = classifier.tokenize([text for text, _ in held_out])
    targets = targets_of(Head.SOFTMAX, labels, [label for _, label in held_out])
    return validation_scores(classifier, Examples(tokens, targets))["loss"]


def _loss_of_frequencies(learned: Rows, held_out: Rows) -> float:
    """Validation loss of who knows how frequent the labels are, and reads no text."""
    counts = Counter(label for _, label in learned)
    return -sum(math.log(counts[label] / len(learned)) for _, label in held_out) / len(held_out)
