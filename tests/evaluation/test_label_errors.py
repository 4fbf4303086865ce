"""Probable label errors: labels flipped on purpose must come to the top of the list."""

import csv
import dataclasses

import numpy as np
import pytest
from support.predictions import EVERY_KIND, NAMES, classified, measured, table, tagged

from bert_serving import extras
from bert_serving.contract import Head
from bert_serving.evaluation.label_errors import find_label_errors
from bert_serving.evaluation.predictions import Predictions


def flipped(made: Predictions, share: float = 0.05, seed: int = 3) -> tuple[Predictions, np.ndarray]:
    """The same predictions on rows of which a share got another label, and the numbers of those rows."""
    random = np.random.default_rng(seed)
    rows = random.choice(len(made), round(share * len(made)), replace=False)
    labels = list(made.table.labels)
    for row in rows:
        labels[row] = random.choice([name for name in made.labels if name != labels[row]])
    return dataclasses.replace(made, table=dataclasses.replace(made.table, labels=labels)), rows


def found_at_the_top(made: Predictions, share: float = 0.1) -> float:
    """The share of flipped rows among the first tenth of the list."""
    noisy, rows = flipped(made)
    ranking = find_label_errors(noisy).ranking
    return float(np.isin(rows, ranking[: round(share * len(made))]).mean())


@pytest.mark.parametrize(
    "made", [classified(2_000, sure=4.0), classified(2_000, classes=2, sure=4.0)], ids=["softmax", "binary"]
)
def test_flipped_labels_come_to_the_top(made):
    assert found_at_the_top(made) > 0.8


def test_half_of_the_flipped_labels_of_real_tweets_are_in_the_top_tenth(shared_data):
    """Out-of-sample probabilities of a plain linear model; a fine-tuned encoder's find more (docs/how_to/report.md)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    with (shared_data / "emotion" / "train.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    labels = [row["label"] for row in rows]
    clean = Predictions(Head.SOFTMAX, NAMES, table(labels, [row["text"] for row in rows]), np.zeros((len(rows), 6)))
    noisy, places = flipped(clean)
    model = make_pipeline(TfidfVectorizer(min_df=2), SGDClassifier(loss="log_loss", alpha=3e-5, random_state=0))
    values = cross_val_predict(model, noisy.table.texts, noisy.y_true, cv=4, method="predict_proba")
    ranking = find_label_errors(dataclasses.replace(noisy, values=values)).ranking
    assert len(places) == 800
    assert np.isin(places, ranking[: len(rows) // 10]).mean() >= 0.5


@pytest.mark.parametrize("kind", ["softmax", "binary", "multilabel"])
def test_the_list_has_every_row_once_and_the_suspicious_ones_first(kind):
    made = EVERY_KIND[kind]
    found = find_label_errors(made)
    assert sorted(found.ranking) == list(range(len(made)))
    assert 0 < found.suspicious < len(made) / 2
    for part in (found.ranking[: found.suspicious], found.ranking[found.suspicious :]):
        assert (np.diff(found.quality[part]) >= 0).all()
    assert ((found.quality >= 0) & (found.quality <= 1)).all()


def test_quality_is_the_probability_of_the_label_and_of_the_worst_of_many():
    made = classified()
    assert find_label_errors(made).quality == pytest.approx(np.exp(-made.losses), rel=1e-5)
    made = tagged()
    given = np.where(made.y_true == 1, made.values, 1 - made.values)
    assert find_label_errors(made).quality == pytest.approx(given.min(axis=1), rel=1e-5)


def test_a_wrong_mark_among_many_labels_is_suspicious():
    made = tagged(1_000)
    clean = dataclasses.replace(made, values=np.where(made.y_true == 1, 0.95, 0.05))
    labels = [tuple(set(label) ^ {"joy"}) if row < 10 else label for row, label in enumerate(clean.table.labels)]
    found = find_label_errors(dataclasses.replace(clean, table=dataclasses.replace(clean.table, labels=labels)))
    assert sorted(found.ranking[:10]) == list(range(10))


def test_labels_without_rows_and_labels_with_one_are_no_problem():
    values = np.full((9, 6), 0.04)
    values[:, 0] = 0.8
    made = Predictions(Head.SOFTMAX, NAMES, table(["anger"] * 8 + ["surprise"]), values)
    assert len(find_label_errors(made).ranking) == 9


@pytest.mark.parametrize(
    "made",
    [
        measured(),
        Predictions(Head.SOFTMAX, NAMES[:2], table(["anger"] * 3), np.full((3, 2), 0.5)),
        Predictions(Head.MULTILABEL, NAMES[:2], table([()] * 3), np.full((3, 2), 0.5)),
    ],
    ids=["regression", "one label", "no labels"],
)
def test_there_is_no_list_where_labels_cannot_be_mistaken_for_each_other(made):
    assert find_label_errors(made) is None


def test_without_cleanlab_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        extras.InputError, match=r"probable label errors need cleanlab.*pip install 'bert-serving\[report\]'"
    ):
        find_label_errors(classified(20))
